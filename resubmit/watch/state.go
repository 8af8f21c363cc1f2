package watch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

const (
	stateKind    = "cloudblue-resubmit-watcher"
	stateVersion = 1
	stateFile    = "watcher.json"

	// keepEpisodes is how long a closed episode and its plan are kept.
	keepEpisodes = 400 * 24 * time.Hour
)

var stateFormat = jsonfile.Format[state]{
	Name: "watch: state", MaxBytes: 64 << 20, Kind: stateKind, Version: stateVersion,
	Check: (*state).check,
}

// state is what a Watcher stores, in a readable file.
type state struct {
	Kind    string `json:"kind"`
	Version int    `json:"version"`
	Note    string `json:"note"`
	// From is the time since which maintenance is handled.
	From time.Time `json:"from"`
	// Journal is the last known position of the journal; zero before the first plan.
	Journal plan.Position `json:"journal,omitzero"`
	// Episodes are in the order of their plans. Only the last one may be open.
	Episodes []Episode `json:"episodes"`
}

func (s *state) check() error {
	if s.From.IsZero() {
		return jsonfile.Errorf("from", "is missing")
	}
	seen := make(map[string]bool)
	for i, e := range s.Episodes {
		if err := e.check(i == len(s.Episodes)-1); err != nil {
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
	case e.State.open() && !last:
		return fmt.Errorf("state is %q, which is allowed for the last episode only", e.State)
	case e.State.open() && (e.PlanDigest == "" || e.PlannedAt.IsZero()):
		return fmt.Errorf("state is %q, but plan or plannedAt is missing", e.State)
	case !e.State.open() && e.ClosedAt.IsZero():
		return fmt.Errorf("state is %q, but closedAt is missing", e.State)
	}
	for _, w := range e.Windows {
		if err := w.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// notInID reports a rune that is not allowed in an ID, which is part of file names.
func notInID(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789TZ-", r)
}

// open returns the episode that is planned or being applied.
func (s state) open() (Episode, bool) {
	if n := len(s.Episodes); n > 0 && s.Episodes[n-1].State.open() {
		return s.Episodes[n-1], true
	}
	return Episode{}, false
}

// with returns the state with e in place of the episode with the same ID, or inserted
// before the open one.
func (s state) with(e Episode) state {
	s.Episodes = slices.Clone(s.Episodes)
	if i := slices.IndexFunc(s.Episodes, func(o Episode) bool { return o.ID == e.ID }); i >= 0 {
		s.Episodes[i] = e
		return s
	}
	s.Episodes = slices.Insert(s.Episodes, len(s.closed()), e)
	return s
}

// closed returns the episodes that are not open.
func (s state) closed() []Episode {
	if _, ok := s.open(); ok {
		return s.Episodes[:len(s.Episodes)-1]
	}
	return s.Episodes
}

// freeID returns an unused ID for an episode that begins at start.
func (s state) freeID(start time.Time) string {
	id := "maintenance-" + start.UTC().Format("20060102T150405Z")
	free := id
	for n := 2; slices.ContainsFunc(s.Episodes, func(e Episode) bool { return e.ID == free }); n++ {
		free = fmt.Sprintf("%s-%d", id, n)
	}
	return free
}

// without returns the state without the episodes that were closed before an instant,
// and calls remove for each of those.
func (s state) without(before time.Time, remove func(Episode)) state {
	s.Episodes = slices.DeleteFunc(slices.Clone(s.Episodes), func(e Episode) bool {
		old := !e.State.open() && e.ClosedAt.Before(before)
		if old {
			remove(e)
		}
		return old
	})
	return s
}
