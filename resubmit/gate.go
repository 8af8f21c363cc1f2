package resubmit

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
)

// gateLook is how often a closed gate looks at the calendar again, because
// windows move while they hold.
const gateLook = time.Minute

// gate says whether a push may go out now: not while paused, not in a window, not
// within the guard time before the next one, and not before the settle time
// after the last one has passed (facts/resubmission.md I4, F9, F13).
type gate struct {
	calendar      func() *connect.Calendar
	guard, settle time.Duration

	mu      sync.Mutex
	paused  bool
	changed chan struct{} // closed and replaced by pause and resume
	shut    time.Time     // since when; zero when open
	why     string
	until   time.Time
}

func newGate(calendar func() *connect.Calendar, guard, settle time.Duration) *gate {
	return &gate{calendar: calendar, guard: guard, settle: settle, changed: make(chan struct{})}
}

// closed says why the gate is closed at t, "" when it is open, and until when that
// is known to last; zero when it is not known.
func (g *gate) closed(t time.Time) (why string, until time.Time) {
	g.mu.Lock()
	paused := g.paused
	g.mu.Unlock()
	if paused {
		return "paused", time.Time{}
	}
	c := g.calendar()
	if w, ok := c.At(t); ok {
		return fmt.Sprintf("in the maintenance %s", name(w)), g.reopens(w)
	}
	if w, ok := c.Next(t); ok && w.Span().Start.Sub(t) < g.guard {
		return fmt.Sprintf("the maintenance %s begins at %s", name(w), w.Span().Start.Format(time.RFC3339)), g.reopens(w)
	}
	if w, ok := c.Last(t); ok && t.Sub(w.Span().End) < g.settle {
		return fmt.Sprintf("the maintenance %s has only just ended", name(w)), g.reopens(w)
	}
	return "", time.Time{}
}

func (g *gate) reopens(w connect.Window) time.Time {
	end := w.Span().End
	if end.IsZero() {
		return end
	}
	return end.Add(g.settle)
}

// name is how a window is called in a sentence.
func name(w connect.Window) string {
	if w.Title != "" {
		return fmt.Sprintf("%q (%s)", w.Title, w.ID)
	}
	return w.ID
}

// wait returns when the gate is open, or with the error of ctx.
func (g *gate) wait(ctx context.Context, tell *teller) error {
	for {
		g.mu.Lock()
		changed := g.changed
		g.mu.Unlock()
		now := time.Now()
		why, until := g.closed(now)
		g.note(now, why, until, tell)
		if why == "" {
			return ctx.Err()
		}
		pause := gateLook
		if !until.IsZero() {
			pause = min(pause, until.Sub(now))
		}
		if err := sleepOr(ctx, pause, changed); err != nil {
			return err
		}
	}
}

// note keeps what Status shows and tells the observer when the gate turned.
func (g *gate) note(now time.Time, why string, until time.Time, tell *teller) {
	g.mu.Lock()
	was, since := g.why, g.shut
	g.why, g.until = why, until
	switch {
	case why == "":
		g.shut = time.Time{}
	case was == "":
		g.shut = now
	}
	g.mu.Unlock()
	switch {
	case why != "" && why != was:
		tell.gateClosed(GateClosed{Why: why, Until: until})
	case why == "" && was != "":
		tell.gateOpened(GateOpened{Waited: now.Sub(since)})
	}
}

func (g *gate) set(paused bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.paused == paused {
		return
	}
	g.paused = paused
	close(g.changed)
	g.changed = make(chan struct{})
}

// view is what Status shows.
func (g *gate) view() (paused bool, why string, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.paused, g.why, g.until
}

// sleepOr waits for d, or until wake is closed, or until ctx is done, and only in
// the last case returns an error.
func sleepOr(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
