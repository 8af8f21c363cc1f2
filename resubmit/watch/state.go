package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

const (
	watcherKind    = "cloudblue-resubmit-watcher"
	watcherVersion = 1
	watcherFile    = "watcher.json"

	// keepEpisodes is for how long an episode that is over is remembered, with its
	// plan and its journal.
	keepEpisodes = 400 * 24 * time.Hour
)

var watcherFormat = jsonfile.Format[watcherState]{
	Name: "resubmit: watcher state", MaxBytes: 64 << 20, Kind: watcherKind, Version: watcherVersion,
	Check: (*watcherState).check,
}

// watcherState is what a Watcher remembers, as a file that people can read.
type watcherState struct {
	Kind    string `json:"kind"`
	Version int    `json:"version"`
	Note    string `json:"note"`
	// From: maintenance that ended until then is not looked at any more.
	From time.Time `json:"from"`
	// Episodes are in the order of their plans. At most the last one is open.
	Episodes []Episode `json:"episodes"`
}

// loadWatcherState reads what is in a directory; ok is false when there is nothing yet.
func loadWatcherState(dir string) (s watcherState, ok bool, err error) {
	s, err = watcherFormat.ReadFile(filepath.Join(dir, watcherFile))
	if errors.Is(err, fs.ErrNotExist) {
		return watcherState{}, false, nil
	}
	if err != nil {
		return watcherState{}, false, fmt.Errorf("%w; put back a copy of the file, "+
			"or move the whole directory away: then all maintenance within MaxAge is dealt with anew", err)
	}
	return s, true, nil
}

func (s *watcherState) check() error {
	if s.From.IsZero() {
		return jsonfile.Errorf("from", "is missing")
	}
	seen := make(map[string]bool)
	for i, e := range s.Episodes {
		if err := e.check(i == len(s.Episodes)-1); err != nil {
			return jsonfile.At(fmt.Sprintf("episodes[%d]", i), err)
		}
		if seen[e.ID] {
			return jsonfile.Errorf(fmt.Sprintf("episodes[%d].id", i), "%q is the id of another episode too", e.ID)
		}
		seen[e.ID] = true
	}
	return nil
}

func (e Episode) check(last bool) error {
	switch {
	case e.ID == "" || strings.ContainsFunc(e.ID, notInID):
		return errors.New("the id is not one that a watcher gives")
	case len(e.Windows) == 0:
		return errors.New("it has no windows")
	case !e.State.valid():
		return fmt.Errorf("its state %q is not known", text.Short(string(e.State)))
	case e.State.open() && !last:
		return fmt.Errorf("it is %s, which only the last one can be", e.State)
	case e.State.open() && (e.Plan == "" || e.PlannedAt.IsZero()):
		return fmt.Errorf("it is %s, but has no plan", e.State)
	case !e.State.open() && e.ClosedAt.IsZero():
		return fmt.Errorf("it is %s, but has no closedAt", e.State)
	}
	for _, w := range e.Windows {
		if err := w.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// notInID finds what does not belong in an id, which names files.
func notInID(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789TZ-", r)
}

// save writes the state so that it is on disk, whole, when it returns.
func (s watcherState) save(dir string) error {
	s.Kind, s.Version = watcherKind, watcherVersion
	s.Note = "What the watcher of maintenance remembers. Do not edit it while the service runs."
	if s.Episodes == nil {
		s.Episodes = []Episode{}
	}
	return watcherFormat.WriteFile(filepath.Join(dir, watcherFile), s, 0o600)
}

// open is the episode that is planned or being applied.
func (s watcherState) open() (Episode, bool) {
	if n := len(s.Episodes); n > 0 && s.Episodes[n-1].State.open() {
		return s.Episodes[n-1], true
	}
	return Episode{}, false
}

// with is the state with an episode added, before one that is open, or in the place
// of the one with its id.
func (s watcherState) with(e Episode) watcherState {
	s.Episodes = slices.Clone(s.Episodes)
	if i := slices.IndexFunc(s.Episodes, func(o Episode) bool { return o.ID == e.ID }); i >= 0 {
		s.Episodes[i] = e
		return s
	}
	s.Episodes = slices.Insert(s.Episodes, len(s.closed()), e)
	return s
}

// closed are the episodes that are over.
func (s watcherState) closed() []Episode {
	if _, ok := s.open(); ok {
		return s.Episodes[:len(s.Episodes)-1]
	}
	return s.Episodes
}

// freeID names an episode by its begin.
func (s watcherState) freeID(start time.Time) string {
	id := "maintenance-" + start.UTC().Format("20060102T150405Z")
	free := id
	for n := 2; slices.ContainsFunc(s.Episodes, func(e Episode) bool { return e.ID == free }); n++ {
		free = fmt.Sprintf("%s-%d", id, n)
	}
	return free
}

// without forgets the episodes that were over before an instant.
func (s watcherState) without(before time.Time, remove func(Episode)) watcherState {
	s.Episodes = slices.DeleteFunc(slices.Clone(s.Episodes), func(e Episode) bool {
		old := !e.State.open() && e.ClosedAt.Before(before)
		if old {
			remove(e)
		}
		return old
	})
	return s
}
