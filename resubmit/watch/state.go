package watch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

const (
	stateKind    = "cloudblue-resubmit-watcher"
	stateVersion = 1
	stateFile    = "watcher.json"
	lockFile     = "watcher.lock"

	// keepEpisodes is how long a closed episode is kept.
	keepEpisodes = 400 * 24 * time.Hour
)

var stateFormat = jsonfile.Format[memory]{
	Name: "watch: state", MaxBytes: 64 << 20, Kind: stateKind, Version: stateVersion,
	Check: (*memory).check,
}

// memory is what a Watcher stores, in a readable file.
type memory struct {
	Kind    string `json:"kind"`
	Version int    `json:"version"`
	Note    string `json:"note"`
	// From is the time since which maintenance is handled.
	From time.Time `json:"from"`
	// Episodes are in the order of their plans. Only the last one may be open.
	Episodes []Episode `json:"episodes"`
}

func (m *memory) check() error {
	if m.From.IsZero() {
		return jsonfile.Errorf("from", "is missing")
	}
	seen := make(map[string]bool)
	for i, e := range m.Episodes {
		if err := e.check(i == len(m.Episodes)-1); err != nil {
			return jsonfile.At(fmt.Sprintf("episodes[%d]", i), err)
		}
		if seen[e.ID] {
			return jsonfile.Errorf(fmt.Sprintf("episodes[%d].id", i), "%q is also the id of another episode", e.ID)
		}
		seen[e.ID] = true
	}
	return nil
}

func (e Episode) check(last bool) error {
	switch {
	case e.ID == "" || strings.ContainsFunc(e.ID, notInID):
		return errors.New("invalid id")
	case len(e.Windows) == 0:
		return errors.New("no windows")
	case !e.State.valid():
		return fmt.Errorf("unknown state %q", text.Short(string(e.State)))
	case e.State == EpisodeOpen && !last:
		return fmt.Errorf("state is %q, which is allowed for the last episode only", e.State)
	case e.State != EpisodeOpen && e.ClosedAt.IsZero():
		return fmt.Errorf("state is %q, but closedAt is missing", e.State)
	}
	for _, w := range e.Windows {
		if err := w.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// notInID reports a rune that is not allowed in an ID.
func notInID(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789TZ-", r)
}

// open returns the open episode.
func (m memory) open() (Episode, bool) {
	if n := len(m.Episodes); n > 0 && m.Episodes[n-1].State == EpisodeOpen {
		return m.Episodes[n-1], true
	}
	return Episode{}, false
}

// with returns the state with e in place of the episode with the same ID, or inserted
// before the open one.
func (m memory) with(e Episode) memory {
	m.Episodes = slices.Clone(m.Episodes)
	if i := slices.IndexFunc(m.Episodes, func(o Episode) bool { return o.ID == e.ID }); i >= 0 {
		m.Episodes[i] = e
		return m
	}
	m.Episodes = slices.Insert(m.Episodes, len(m.closed()), e)
	return m
}

// closed returns the episodes that are not open.
func (m memory) closed() []Episode {
	if _, ok := m.open(); ok {
		return m.Episodes[:len(m.Episodes)-1]
	}
	return m.Episodes
}

// freeID returns an unused ID for an episode that begins at start.
func (m memory) freeID(start time.Time) string {
	id := "maintenance-" + start.UTC().Format("20060102T150405Z")
	free := id
	for n := 2; slices.ContainsFunc(m.Episodes, func(e Episode) bool { return e.ID == free }); n++ {
		free = fmt.Sprintf("%s-%d", id, n)
	}
	return free
}

// without returns the state without the episodes that were closed before an instant.
func (m memory) without(before time.Time) memory {
	m.Episodes = slices.DeleteFunc(slices.Clone(m.Episodes), func(e Episode) bool {
		return e.State != EpisodeOpen && e.ClosedAt.Before(before)
	})
	return m
}
