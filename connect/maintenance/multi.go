package maintenance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/callback"
)

// Multi is a [WindowSource] that merges several sources. It queries them concurrently,
// merges maintenance that two of them announce, and uses the last good answer of a
// source that fails. It is safe for concurrent use and starts no background work.
//
// The id of a window is "<source name>/<its id there>", and its Source is the name.
// Windows of two sources with the same announced start and end are merged: the id is that
// of the first source, Source has both names, and the actual times are those of the source
// that knows more. The result is cancelled if one source says so and the other does not
// know that it has started.
//
// The last good answer of each source is cached in memory, and on disk with
// [WithCacheDir]. A good answer replaces the previous one, so windows that the source
// dropped disappear. Windows stay that the source reports as missing by a warning of the
// kind [ErrIncomplete], by WindowID or Span. Sources are queried for a wider range, see
// [WithHorizon], so that an old answer can serve other ranges; where it does not reach,
// a warning of the kind [ErrIncomplete] says so.
//
// Sources must respect their context: Multi waits for them.
type Multi struct {
	sources []*cachedSource
	timeout time.Duration
	back    time.Duration
	ahead   time.Duration
}

// NamedSource is a source of a [Multi] with its name.
type NamedSource struct {
	// Name has 1 to 64 ASCII letters, digits, "-", "_" and ".", and does not start
	// with a dot. It is part of window ids and of the name of the cache file. A source
	// of other windows needs another name.
	Name   string
	Source WindowSource
}

// MultiOption is an option of [NewMulti].
type MultiOption func(*multiConfig) error

type multiConfig struct {
	dir                  string
	timeout, back, ahead time.Duration
}

// WithCacheDir stores the last good answer of each source in this directory, which is
// created if necessary, readable by its owner only. Default: memory only, so a program
// that starts while a source is down does not know its windows.
func WithCacheDir(dir string) MultiOption {
	return func(c *multiConfig) error {
		if dir == "" {
			return errors.New("WithCacheDir: the directory is empty")
		}
		c.dir = dir
		return nil
	}
}

// WithSourceTimeout limits the time of one query of a source. Default 30 s.
func WithSourceTimeout(d time.Duration) MultiOption {
	return func(c *multiConfig) error {
		if d <= 0 {
			return fmt.Errorf("WithSourceTimeout: %s is not positive", d)
		}
		c.timeout = d
		return nil
	}
}

// WithHorizon sets the least range around now for which sources are queried and cached, even if a
// shorter one is asked for. Default 400 days each.
func WithHorizon(back, ahead time.Duration) MultiOption {
	return func(c *multiConfig) error {
		if back < 0 || ahead < 0 {
			return fmt.Errorf("WithHorizon: %s back and %s ahead: use positive durations or 0", back, ahead)
		}
		c.back, c.ahead = back, ahead
		return nil
	}
}

// NewMulti returns a source that merges others, the first taking precedence. It queries
// none of them yet. A nil source, or one that holds a nil pointer, map or function, is an
// error. An unreadable cache file is a warning of the next calls.
func NewMulti(sources []NamedSource, opts ...MultiOption) (*Multi, error) {
	const horizon = 400 * 24 * time.Hour
	cfg := multiConfig{timeout: 30 * time.Second, back: horizon, ahead: horizon}
	for _, opt := range opts {
		if err := opt(&cfg); err != nil {
			return nil, fmt.Errorf("maintenance: %w", err)
		}
	}
	if len(sources) == 0 {
		return nil, errors.New("maintenance: no sources of windows: name at least one")
	}
	store, err := openAnswerStore(cfg.dir)
	if err != nil {
		return nil, fmt.Errorf("maintenance: %w", err)
	}
	m := &Multi{timeout: cfg.timeout, back: cfg.back, ahead: cfg.ahead}
	seen := make(map[string]bool)
	for _, s := range sources {
		folded := strings.ToLower(s.Name) // file systems may ignore case
		switch err := checkSourceName(s.Name); {
		case err != nil:
			return nil, fmt.Errorf("maintenance: source of windows: %w", err)
		case seen[folded]:
			return nil, fmt.Errorf("maintenance: two sources of windows are named %q: names must be unique", s.Name)
		case callback.Nil(s.Source):
			return nil, fmt.Errorf("maintenance: source of windows %q is nil", s.Name)
		}
		seen[folded] = true
		m.sources = append(m.sources, remember(s, store))
	}
	return m, nil
}

// checkSourceName accepts names that can be part of a file name and of an id.
func checkSourceName(name string) error {
	strange := strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.", r)
	})
	if name == "" || len(name) > 64 || name[0] == '.' || strange {
		return fmt.Errorf("name %.70q: use 1 to 64 ASCII letters, digits, - _ and ., not starting with a dot", name)
	}
	return nil
}

// MultiStatus is the result of [Multi.Status]: the merged windows of a range, and the status of
// each source.
type MultiStatus struct {
	Windows []Window
	// Sources are in the order of NewMulti.
	Sources []SourceStatus
}

// SourceStatus is the status of one source of a [Multi].
type SourceStatus struct {
	Name string
	// At is the time of the answer that is used, in UTC; zero if unknown.
	At time.Time
	// Stale is whether that is an earlier answer, because the source failed.
	Stale bool
	// Windows is the number of windows of the source in the range, before the merge.
	Windows int
	// Err joins the warnings about this source; nil if there are none.
	Err error
}

// Age returns the age of the answer at now, or 0 if At is zero.
func (a SourceStatus) Age(now time.Time) time.Duration {
	if a.At.IsZero() {
		return 0
	}
	return max(0, now.Sub(a.At))
}

// Windows returns the merged windows of all sources. The error joins a [*SourceWarning]
// for each problem, with the name of the source.
func (m *Multi) Windows(ctx context.Context, from, to time.Time) ([]Window, error) {
	answer, err := m.Status(ctx, from, to)
	return answer.Windows, err
}

// Status returns the merged windows with the status of each source: the age of its
// answer, and whether it is an earlier one. The error is that of Windows.
func (m *Multi) Status(ctx context.Context, from, to time.Time) (MultiStatus, error) {
	if !from.Before(to) {
		return MultiStatus{}, nil
	}
	now := time.Now()
	from, to = within(from), within(to)
	wide := Span{Start: earliest(from, within(now.Add(-m.back))), End: latest(to, within(now.Add(m.ahead)))}
	states := make([]SourceStatus, len(m.sources))
	lists := make([][]Window, len(m.sources))
	var wg sync.WaitGroup
	for i, s := range m.sources {
		wg.Go(func() {
			lists[i], states[i] = s.ask(ctx, m.timeout, wide, Span{Start: from, End: to})
		})
	}
	wg.Wait()
	answer := MultiStatus{Windows: mergeWindows(lists), Sources: states}
	errs := make([]error, len(states))
	for i, s := range states {
		errs[i] = s.Err
	}
	return answer, errors.Join(errs...)
}

// within limits an instant to the years of RFC 3339.
func within(t time.Time) time.Time {
	first, last := time.Time{}, time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	return latest(first, earliest(last, t.UTC()))
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
