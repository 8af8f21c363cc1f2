package maintenance

import (
	"context"
	"io/fs"
	"os"
	"sync"
	"time"
)

// racily is the age below which a file may change again without a new modification time.
const racily = 2 * time.Second

// FileSource is a [WindowSource] of a windows file (see [LoadCalendar]), read again when it
// changes. If it becomes unreadable or disappears, the windows of the last good version
// are used, with a [*SourceWarning] of the kind [ErrStale]. It is safe for concurrent use.
type FileSource struct {
	path string

	mu     sync.Mutex
	seen   fs.FileInfo // of the last attempt; nil before
	tried  time.Time
	good   *Calendar // nil before the first one
	since  time.Time // when good last matched the file
	broken error     // of the last attempt
}

// NewFileSource returns a source of the windows file at path, which is read by the first
// call of Windows.
func NewFileSource(path string) *FileSource { return &FileSource{path: path} }

// Windows returns the windows of the current file. See [WindowSource].
func (s *FileSource) Windows(_ context.Context, from, to time.Time) ([]Window, error) {
	calendar, err := s.calendar()
	return calendar.announced(from, to), err
}

// calendar returns the last good calendar. If there is one, the error is a warning.
func (s *FileSource) calendar() (*Calendar, error) {
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
	calendar, err := LoadCalendarFile(s.path)
	if s.broken = err; err == nil {
		s.good, s.since = calendar, now
	}
}

func (s *FileSource) unchanged(info fs.FileInfo) bool {
	return s.seen != nil && os.SameFile(s.seen, info) &&
		s.seen.Size() == info.Size() && s.seen.ModTime().Equal(info.ModTime()) &&
		s.tried.Sub(info.ModTime()) > racily
}
