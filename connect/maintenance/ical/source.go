package ical

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// Source is a calendar at an address or in a file, read again when it changes. It is a
// [maintenance.WindowSource] and safe for concurrent use.
type Source struct {
	from origin

	mu   sync.Mutex
	last *version
}

// Format hides the address, which may be secret, from all verbs of package fmt.
func (*Source) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "ical.Source") }

// origin is the place of a calendar.
type origin interface {
	// fetch returns the current version, which may be last. last may be nil.
	fetch(ctx context.Context, last *version) (*version, error)
}

// version is a calendar with what identifies its version.
type version struct {
	*Schedule
	at             time.Time   // when it was last current
	etag, modified string      // at an address
	info           fs.FileInfo // in a file
}

// Windows reads the calendar if it has changed and returns the windows in the range, see
// [Schedule.Windows]. If that fails, it uses the last good version, with a warning of
// the kind [maintenance.ErrStale], or returns an error if there is none.
func (s *Source) Windows(ctx context.Context, from, to time.Time) ([]maintenance.Window, error) {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	now, err := s.from.fetch(ctx, last)
	switch {
	case err == nil:
		s.keep(now)
		return now.Windows(ctx, from, to)
	case last == nil || ctx.Err() != nil:
		return nil, err
	}
	windows, odd := last.Windows(ctx, from, to)
	stale := fmt.Errorf("the calendar is as of %s: %w", last.at.Format(time.RFC3339), err)
	return windows, errors.Join(odd, &maintenance.SourceWarning{Source: last.source, Kind: maintenance.ErrStale,
		Err: stale})
}

// keep stores the latest version: two calls may fetch concurrently.
func (s *Source) keep(now *version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || !now.at.Before(s.last.at) {
		s.last = now
	}
}
