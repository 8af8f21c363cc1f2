package watch

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// store keeps the state of a watcher in the state directory. Only the loop changes it.
type store struct {
	dir    string
	maxAge time.Duration // how far a watcher without state looks back
	saved  bool          // the state is on disk

	mu    sync.Mutex // not needed by the loop to read the state
	state memory
}

// openStore reads the state of a directory, if there is one.
func openStore(cfg *Config) (*store, error) {
	s, err := stateFormat.ReadFile(filepath.Join(cfg.Dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return &store{dir: cfg.Dir, maxAge: cfg.MaxAge}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w; put back a copy of the file, "+
			"or move it away to handle all maintenance within MaxAge again", err)
	}
	return &store{dir: cfg.Dir, maxAge: cfg.MaxAge, state: s, saved: true}, nil
}

// from is the time since which maintenance is handled.
func (s *store) from(now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.From.IsZero() {
		s.state.From = now.Add(-s.maxAge).Round(0).UTC()
	}
	return s.state.From
}

// episodes returns a copy of all episodes.
func (s *store) episodes() []Episode {
	s.mu.Lock()
	defer s.mu.Unlock()
	episodes := make([]Episode, 0, len(s.state.Episodes))
	for _, e := range s.state.Episodes {
		episodes = append(episodes, e.clone())
	}
	return episodes
}

// save writes a state atomically, syncs it to disk and then uses it.
func (s *store) save(next memory) error {
	next.Kind, next.Version = stateKind, stateVersion
	next.Note = "State of the maintenance watcher. Do not edit it while the service runs."
	if next.Episodes == nil {
		next.Episodes = []Episode{}
	}
	if s.dir != "" { // otherwise its user keeps the state
		if err := stateFormat.WriteFile(filepath.Join(s.dir, stateFile), next, 0o600); err != nil {
			return err
		}
	}
	s.saved = true
	s.change(func(now *memory) { *now = next })
	return nil
}

// change changes the state in memory only.
func (s *store) change(f func(*memory)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.state)
}

// drop forgets the open episode until the next save.
func (s *store) drop() { s.change(func(now *memory) { now.Episodes = now.closed() }) }

// episode returns a new episode for windows.
func (s *store) episode(windows []maintenance.Window) Episode {
	windows = slices.Clone(windows)
	for i := range windows { // as they are after being read from a file
		win := &windows[i]
		for _, t := range []*time.Time{&win.Start, &win.End, &win.ActualStart, &win.ActualEnd} {
			*t = t.Round(0)
		}
	}
	return Episode{ID: s.state.freeID(windows[0].Span().Start), Windows: windows}
}
