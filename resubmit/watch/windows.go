package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/internal/wait"
)

// OutageSource returns the observed outages; *availability.Tracker implements it. It
// must be safe for concurrent use.
type OutageSource interface {
	Outages() []availability.Outage
	Status(now time.Time) availability.TrackerStatus
}

// windowsAhead is how far into the future windows are read.
const windowsAhead = 90 * 24 * time.Hour

// errNoWindows is returned before the first complete answer of the source.
var errNoWindows = errors.New("the maintenance windows are not known yet")

// windowStore holds the known maintenance: announced windows and observed outages. An
// outage may make an announced window longer, but never shorter (unlike
// [maintenance.Calendar.WithObserved]): while the service is down nothing is observed, and
// orders that failed in that time must not be lost.
type windowStore struct {
	outages OutageSource // may be nil

	mu        sync.Mutex
	announced *maintenance.Calendar // nil before the first answer
	failure   error                 // of the latest answer
	merged    *maintenance.Calendar // announced and outages
	// The inputs of merged:
	mergedFrom *maintenance.Calendar
	probedAt   time.Time
}

// refresh reads the source, and returns its failure and its warnings. After a failure the
// previous windows stay. So do they after a first answer that is empty because a part of
// the source failed.
func (s *windowStore) refresh(ctx context.Context, source maintenance.WindowSource, from, to time.Time) error {
	calendar, err := maintenance.QueryCalendar(ctx, source, from, to)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	warnings, failure := maintenance.SplitWarnings(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = failure
	if failure == nil && s.announced == nil && len(calendar.Windows()) == 0 {
		s.failure = allMissing(warnings)
	}
	if s.failure == nil {
		s.announced = calendar
	}
	return err
}

// keep reads the source every Config.Refresh until ctx is done. from returns since when windows are needed.
func (s *windowStore) keep(ctx context.Context, cfg *Config, from func(time.Time) time.Time, refreshed func()) {
	logged := ""
	for ctx.Err() == nil {
		now := time.Now()
		err := s.refresh(ctx, cfg.Windows, from(now), now.Add(windowsAhead))
		if ctx.Err() != nil {
			return
		}
		detail := ""
		if err != nil {
			detail = text.Short(err.Error())
		}
		if detail != logged && detail != "" {
			cfg.Logger.Warn("maintenance windows could not be read completely", "step", "windows", "detail", detail)
		}
		logged = detail
		refreshed()
		_ = wait.For(ctx, cfg.Refresh, nil) // the loop checks ctx
	}
}

// allMissing returns the warning that windows of any time may be missing, or nil.
func allMissing(warnings []*maintenance.SourceWarning) error {
	for _, w := range warnings {
		if errors.Is(w, maintenance.ErrIncomplete) && w.WindowID == "" && w.Span == (maintenance.Span{}) {
			return w
		}
	}
	return nil
}

// current returns the announced windows, nil before the first answer.
func (s *windowStore) current() *maintenance.Calendar {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.announced
}

// observed returns the observed outages. An unreachable Connect may be a network failure on this side.
func (s *windowStore) observed() (windows []maintenance.Window) {
	for _, o := range s.outages.Outages() {
		if !o.Unreachable {
			windows = append(windows, o.Window())
		}
	}
	return windows
}

// calendar returns all known maintenance, without outages that ended before from. The
// result is cached, because the runner calls this before every push.
func (s *windowStore) calendar(from, now time.Time) (*maintenance.Calendar, error) {
	s.mu.Lock()
	announced, failure := s.announced, s.failure
	s.mu.Unlock()
	switch {
	case announced == nil && failure != nil:
		return nil, fmt.Errorf("%w: %w", errNoWindows, failure)
	case announced == nil:
		return nil, errNoWindows
	case s.outages == nil:
		return announced, nil
	}
	probedAt := s.outages.Status(now).ProbedAt // without the lock: the tracker may call Announced
	s.mu.Lock()
	merged, fresh := s.merged, s.mergedFrom == announced && s.probedAt.Equal(probedAt)
	s.mu.Unlock()
	if fresh && merged != nil {
		return merged, nil
	}
	observed := slices.DeleteFunc(s.observed(), func(w maintenance.Window) bool {
		end := w.Span().End
		return !end.IsZero() && !end.After(from)
	})
	outages, err := maintenance.NewCalendar(observed)
	if err != nil {
		return announced, fmt.Errorf("the observed outages are invalid: %w", err)
	}
	merged = announced.Merge(outages)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.merged, s.mergedFrom, s.probedAt = merged, announced, probedAt
	return merged, nil
}
