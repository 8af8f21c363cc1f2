package maintenance

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"
)

// timeResolution is the age below which a file may change again without a new modification
// time.
const timeResolution = 2 * time.Second

// FileSource is a [WindowSource] of a file that is read again when it changes. If it becomes
// unreadable or disappears, the last good version is used, with a [*SourceWarning] of the
// kind [ErrStale]. It is safe for concurrent use.
type FileSource struct {
	path string
	load func(path string) (WindowSource, error)

	mu     sync.Mutex
	seen   fs.FileInfo // of the last attempt; nil before
	tried  time.Time
	good   WindowSource // nil before the first one
	since  time.Time    // when good last matched the file
	broken error        // of the last attempt
}

// NewFileSource returns a source of a calendar file, see [LoadCalendar]. The file is read by
// the first call of Windows.
func NewFileSource(path string) *FileSource {
	return NewFileSourceFunc(path, func(path string) (WindowSource, error) {
		calendar, err := LoadCalendarFile(path)
		return NewCalendarSource(calendar), err
	})
}

// NewFileSourceFunc returns a source of a file in another format, which load reads.
func NewFileSourceFunc(path string, load func(path string) (WindowSource, error)) *FileSource {
	return &FileSource{path: path, load: load}
}

// Windows returns the windows of the current file. See [WindowSource].
func (s *FileSource) Windows(ctx context.Context, from, to time.Time) ([]Window, error) {
	good, stale := s.current()
	if good == nil {
		return nil, stale
	}
	windows, err := good.Windows(ctx, from, to)
	return windows, errors.Join(err, stale)
}

// current returns the last good version. If there is one, the error is a warning.
func (s *FileSource) current() (WindowSource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh()
	if s.broken == nil || s.good == nil {
		return s.good, s.broken
	}
	return s.good, &SourceWarning{Source: s.path, Kind: ErrStale, Err: earlier(s.since, s.broken)}
}

func (s *FileSource) refresh() {
	now := time.Now()
	info, err := os.Stat(s.path)
	if err == nil && s.unchanged(info) {
		if s.broken == nil {
			s.since = now
		}
		return
	}
	s.seen, s.tried = info, now
	good, err := s.load(s.path)
	if s.broken = err; err == nil {
		s.good, s.since = good, now
	}
}

func (s *FileSource) unchanged(info fs.FileInfo) bool {
	return s.seen != nil && os.SameFile(s.seen, info) &&
		s.seen.Size() == info.Size() && s.seen.ModTime().Equal(info.ModTime()) &&
		s.tried.Sub(info.ModTime()) > timeResolution
}
