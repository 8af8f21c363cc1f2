package resubmit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/number"
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
	path := filepath.Join(dir, watcherFile)
	data, err := os.ReadFile(path) //nolint:gosec // the user's own directory
	if errors.Is(err, fs.ErrNotExist) {
		return watcherState{}, false, nil
	}
	if err != nil {
		return watcherState{}, false, fmt.Errorf("resubmit: watcher: read the state: %w", err)
	}
	if s, err = parseWatcherState(data); err != nil {
		return watcherState{}, false, fmt.Errorf("resubmit: watcher: the state %s cannot be used: %w; put back a copy of the file, "+
			"or move the whole directory away: then all maintenance within MaxAge is dealt with anew", path, err)
	}
	return s, true, nil
}

func parseWatcherState(data []byte) (watcherState, error) {
	var s watcherState
	if err := number.CheckJSON(data); err != nil {
		return s, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return s, fmt.Errorf("byte %d: %s", dec.InputOffset(), excerpt(strings.TrimPrefix(err.Error(), "json: ")))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return s, fmt.Errorf("byte %d: something follows its end", dec.InputOffset())
	}
	switch {
	case s.Kind != watcherKind:
		return s, fmt.Errorf("its kind is %q, not %q", excerpt(s.Kind), watcherKind)
	case s.Version != watcherVersion:
		return s, fmt.Errorf("it has version %d, this library knows version %d", s.Version, watcherVersion)
	case s.From.IsZero():
		return s, errors.New("from is missing")
	}
	seen := make(map[string]bool)
	for i, e := range s.Episodes {
		if err := e.check(i == len(s.Episodes)-1); err != nil {
			return s, fmt.Errorf("episode %q: %w", excerpt(e.ID), err)
		}
		if seen[e.ID] {
			return s, fmt.Errorf("two episodes have the id %q", e.ID)
		}
		seen[e.ID] = true
	}
	return s, nil
}

func (e Episode) check(last bool) error {
	switch {
	case e.ID == "" || strings.ContainsFunc(e.ID, notInID):
		return errors.New("the id is not one that a watcher gives")
	case len(e.Windows) == 0:
		return errors.New("it has no windows")
	case !e.State.valid():
		return fmt.Errorf("its state %q is not known", excerpt(string(e.State)))
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
	data, err := json.MarshalIndent(s, "", "  ")
	if err == nil {
		err = durable.Replace(filepath.Join(dir, watcherFile), append(text.EscapeJSON(data), '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("resubmit: watcher: save the state: %w", err)
	}
	return nil
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
