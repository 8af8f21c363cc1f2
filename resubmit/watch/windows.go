package watch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// OutageTracker knows which outages were observed; *connect.Tracker does. Safe for
// concurrent use.
type OutageTracker interface {
	Outages() []availability.Outage
	Status(now time.Time) availability.TrackerStatus
}

// windowsAhead is how far ahead windows are asked for.
const windowsAhead = 90 * 24 * time.Hour

// errBlind says that no window was ever told.
var errBlind = errors.New("the windows are not known yet")

// almanac is the maintenance as it is known now: what was announced, and what was
// observed besides. An outage makes an announced window longer where it overlaps, but
// never shorter (as [maintenance.Calendar.WithObserved] can), because nobody looked while the
// service was down: what failed in that time must not be lost.
type almanac struct {
	outages OutageTracker

	mu        sync.Mutex
	announced *maintenance.Calendar // nil before the first answer
	failure   error                 // of the newest answer
	live      *maintenance.Calendar
	// What live was made of.
	liveOf *maintenance.Calendar
	seenAt time.Time
}

// refresh asks the source. A failure keeps what it told before, and an empty answer is
// one as long as a part of the source has failed and nothing was ever told.
func (a *almanac) refresh(ctx context.Context, source maintenance.WindowSource, from,
	to time.Time) ([]*maintenance.SourceWarning, error) {
	calendar, err := maintenance.CalendarOf(ctx, source, from, to)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	warnings, failure := maintenance.SplitWarnings(err)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failure = failure
	if failure == nil && a.announced == nil && len(calendar.Windows()) == 0 {
		a.failure = wanting(warnings)
	}
	if a.failure == nil {
		a.announced = calendar
	}
	return warnings, failure
}

// wanting is the warning that says that windows of all times may be missing, or nil.
func wanting(warnings []*maintenance.SourceWarning) error {
	for _, w := range warnings {
		if errors.Is(w, maintenance.ErrIncomplete) && w.WindowID == "" && w.Span == (maintenance.Span{}) {
			return w
		}
	}
	return nil
}

// told is what was announced, nil before the first answer.
func (a *almanac) told() *maintenance.Calendar {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.announced
}

// calendar is all that is known, without the outages that ended before from. It is
// made anew only when there is something new, since it is asked for before every push.
func (a *almanac) calendar(from, now time.Time) (*maintenance.Calendar, error) {
	announced := a.told() // the tracker may ask for it, so that it is not asked under the lock
	if announced == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.failure != nil {
			return nil, fmt.Errorf("%w: %w", errBlind, a.failure)
		}
		return nil, errBlind
	}
	if a.outages == nil {
		return announced, nil
	}
	seenAt := a.outages.Status(now).ProbedAt
	a.mu.Lock()
	live, fresh := a.live, a.liveOf == announced && a.seenAt.Equal(seenAt)
	a.mu.Unlock()
	if fresh && live != nil {
		return live, nil
	}
	var observed []maintenance.Window
	for _, o := range a.outages.Outages() {
		if !o.Unreachable && (o.Ongoing() || o.End.After(from)) { // nothing at all may be the network on this side
			observed = append(observed, o.Window())
		}
	}
	seen, err := maintenance.NewCalendar(observed)
	if err != nil {
		return announced, fmt.Errorf("the observed outages cannot be used: %w", err)
	}
	live = announced.Merge(seen)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.live, a.liveOf, a.seenAt = live, announced, seenAt
	return live, nil
}
