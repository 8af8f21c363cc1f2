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

// Multi is several sources as one. It asks them all at once, takes the same
// maintenance that two of them announce for one, and falls back on what a source told
// last when it fails. Safe for concurrent use; it runs nothing between calls.
//
// The id of a window is the name of its source, a slash, and its id there, and its
// Source is the name. Windows of two sources whose announced start and end are the
// same are one window: with the id of the source that comes first, the names of both as
// its Source, and how it really went from the one that knows more. It is cancelled
// if one says so and the other does not know that it has begun.
//
// Each source's last good answer is kept, in memory and in the directory of
// [WithCacheDir]. It is replaced as a whole by the next good one, so that a window
// which the source moved or dropped is gone. What stays is what the source says that it
// cannot tell, by warnings of the kind [ErrIncomplete]: a window that it got in a form
// that cannot be used (WindowID), and those before or after what it holds (Span). Sources are
// asked for more than the caller wants, see [WithHorizon], and windows outside the
// range that was asked for last are kept, so that an old answer can serve another
// range. Where it does not reach, a warning of the kind [ErrIncomplete] says so.
//
// Sources must heed their context: Multi waits for one that does not.
type Multi struct {
	sources []*remembered
	timeout time.Duration
	back    time.Duration
	ahead   time.Duration
}

// NamedSource is a source with the name by which a [Multi] knows it.
type NamedSource struct {
	// Name is of ASCII letters, digits, "-", "_" and ".", at most 64, not beginning
	// with a dot. It is in window ids and the name of the file of the last good answer.
	// Give a source another name when it is to tell something else.
	Name   string
	Source WindowSource
}

// MultiOption changes a default of [NewMulti].
type MultiOption func(*multiConfig) error

type multiConfig struct {
	dir                  string
	timeout, back, ahead time.Duration
}

// WithCacheDir keeps each source's last good answer in a file of this directory,
// which is made if need be, readable by its owner only. Default: in memory only, so
// that a program that starts while a source is down does not know its windows.
func WithCacheDir(dir string) MultiOption {
	return func(c *multiConfig) error {
		if dir == "" {
			return errors.New("WithCacheDir: the directory is empty")
		}
		c.dir = dir
		return nil
	}
}

// WithSourceTimeout bounds how long one source may take. Default 30 s.
func WithSourceTimeout(d time.Duration) MultiOption {
	return func(c *multiConfig) error {
		if d <= 0 {
			return fmt.Errorf("WithSourceTimeout: %s is not positive", d)
		}
		c.timeout = d
		return nil
	}
}

// WithHorizon sets how far back and ahead of now the sources are asked at least,
// whatever the caller wants. Default 400 days each.
func WithHorizon(back, ahead time.Duration) MultiOption {
	return func(c *multiConfig) error {
		if back < 0 || ahead < 0 {
			return fmt.Errorf("WithHorizon: %s back and %s ahead: neither can be negative", back, ahead)
		}
		c.back, c.ahead = back, ahead
		return nil
	}
}

// NewMulti merges sources; those that come first go before the others. It asks
// none of them yet. A source that is nil, or holds a nil pointer, map or function, is
// an error. A file of the cache that cannot be read is no error: a warning
// of the first calls says so.
func NewMulti(sources []NamedSource, opts ...MultiOption) (*Multi, error) {
	const horizon = 400 * 24 * time.Hour
	cfg := multiConfig{timeout: 30 * time.Second, back: horizon, ahead: horizon}
	for _, opt := range opts {
		if err := opt(&cfg); err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
	}
	if len(sources) == 0 {
		return nil, errors.New("connect: no sources of windows: name at least one")
	}
	store, err := openAnswerStore(cfg.dir)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	m := &Multi{timeout: cfg.timeout, back: cfg.back, ahead: cfg.ahead}
	seen := make(map[string]bool)
	for _, s := range sources {
		folded := strings.ToLower(s.Name) // file systems may take two spellings for one
		switch err := checkSourceName(s.Name); {
		case err != nil:
			return nil, fmt.Errorf("connect: source of windows: %w", err)
		case seen[folded]:
			return nil, fmt.Errorf("connect: two sources of windows are called %q: a name stands for one", s.Name)
		case callback.Nil(s.Source):
			return nil, fmt.Errorf("connect: source of windows %q is nil", s.Name)
		}
		seen[folded] = true
		m.sources = append(m.sources, remember(s, store))
	}
	return m, nil
}

// checkSourceName keeps names fit for a file and for the first part of an id.
func checkSourceName(name string) error {
	strange := strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.", r)
	})
	if name == "" || len(name) > 64 || name[0] == '.' || strange {
		return fmt.Errorf("name %.70q: use 1 to 64 ASCII letters, digits, - _ and ., not beginning with a dot", name)
	}
	return nil
}

// SourcesStatus is what the sources of a [Multi] know of a range.
type SourcesStatus struct {
	Windows []Window
	// Sources are in the order of NewMulti.
	Sources []SourceStatus
}

// SourceStatus is what became of one source.
type SourceStatus struct {
	Name string
	// At is when the source told what is used, in UTC; zero when that is not known.
	At time.Time
	// Stale is whether that was an earlier call, since the source failed in this one.
	Stale bool
	// Windows counts those of the range that the source knows, before the merge.
	Windows int
	// Err is the warnings about this source, joined, and nil if there is none.
	Err error
}

// Age is how long ago the source told what is used, at the instant now. It is
// not known, and 0, when At is zero.
func (a SourceStatus) Age(now time.Time) time.Duration {
	if a.At.IsZero() {
		return 0
	}
	return max(0, now.Sub(a.At))
}

// Windows are those of all sources. The parts of the error are a [*SourceWarning]
// each, with the name of the source.
func (m *Multi) Windows(ctx context.Context, from, to time.Time) ([]Window, error) {
	answer, err := m.Status(ctx, from, to)
	return answer.Windows, err
}

// Status is Windows with the state of each source: how old its windows are, and
// whether they are those of an earlier answer. The error is theirs, joined.
func (m *Multi) Status(ctx context.Context, from, to time.Time) (SourcesStatus, error) {
	if !from.Before(to) {
		return SourcesStatus{}, nil
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
	answer := SourcesStatus{Windows: mergeWindows(lists), Sources: states}
	errs := make([]error, len(states))
	for i, s := range states {
		errs[i] = s.Err
	}
	return answer, errors.Join(errs...)
}

// within brings an instant into the years that RFC 3339 can write.
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
