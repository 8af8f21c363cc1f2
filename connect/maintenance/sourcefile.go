package maintenance

import (
	"context"
	"io/fs"
	"os"
	"sync"
	"time"
)

// racily is how fresh a file may be for another change to leave no trace in its time.
const racily = 2 * time.Second

// FileSource tells the windows of a JSON file, in the form of [LoadCalendar], and
// reads it again when it has changed. After an edit that cannot be read, or when
// the file is gone, the windows are those of the last good one, with a
// [*SourceWarning] of the kind [ErrStale] that says what is wrong. Safe for
// concurrent use.
type FileSource struct {
	path string

	mu     sync.Mutex
	seen   fs.FileInfo // of the file that was tried last; nil before
	tried  time.Time
	good   *Calendar // nil before the first one
	since  time.Time // when good was last found to be what the file holds
	broken error     // why the file that was tried last is not good
}

// NewFileSource reads the windows of the file at path. Nothing is read yet: a file
// that is missing or broken is an error of the first call to Windows.
func NewFileSource(path string) *FileSource { return &FileSource{path: path} }

// Windows are those of the file as it is now.
func (s *FileSource) Windows(_ context.Context, from, to time.Time) ([]Window, error) {
	calendar, err := s.calendar()
	return calendar.announced(from, to), err
}

// calendar is the newest that could be read. The error is a warning if there is one.
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
