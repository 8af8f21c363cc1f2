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

// Source is a calendar that may change: at an address, or in a file. It is a
// [maintenance.WindowSource]. Safe for concurrent use.
type Source struct {
	from origin

	mu   sync.Mutex
	last *version
}

// Format keeps the address, which may be a secret, out of every kind of print.
func (*Source) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "ical.Source") }

// origin is where a calendar is.
type origin interface {
	// fetch returns the version that is there now: the last one, if that is
	// what it still is. last may be nil.
	fetch(ctx context.Context, last *version) (*version, error)
}

// version is a calendar as it once was, with what tells whether it still is so.
type version struct {
	*Schedule
	at             time.Time   // when it was last found to be so
	etag, modified string      // at an address
	info           fs.FileInfo // in a file
}

// Windows looks whether the calendar has changed, reads it again if so, and
// returns the windows in the range as [Schedule.Windows] does. When the calendar
// cannot be had, or is none any more, the windows are those of the last good one,
// with a warning of the kind [maintenance.ErrStale]; there is an error in its place when
// there was none before.
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
	return windows, errors.Join(odd, &maintenance.SourceWarning{Source: last.source, Kind: maintenance.ErrStale, Err: stale})
}

// keep remembers the newest version: two callers may fetch at once.
func (s *Source) keep(now *version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || !now.at.Before(s.last.at) {
		s.last = now
	}
}
