package resubmit

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/wait"
)

// gatePoll is how often a closed gate reads the calendar again, because windows can be moved.
const gatePoll = time.Minute

// gate decides whether a push may be sent now. It is closed while the run is paused or drained, in a
// maintenance window, within the guard time and the duration of a push before the next window, and
// within the settle delay after the last one (resubmit/SAFETY.md#i4, resubmit/SAFETY.md#f9,
// resubmit/SAFETY.md#f13).
type gate struct {
	calendar      func() *maintenance.Calendar
	guard, settle time.Duration
	call          func() time.Duration // how long a push may take
	clock         func() (host string, ahead time.Duration)
	askTime       func(context.Context) // makes a call, which reports the time of a server
	breaker       *breaker
	events        *events
	log           *slog.Logger

	mu       sync.Mutex
	paused   bool
	draining bool
	others   elsewhere
	outage   noAnswer
	changed  chan struct{} // closed and replaced when something changes
	shut     time.Time     // since when it is closed; zero when open
	opened   time.Time     // when it was opened last; zero if it was never closed
	why      string
	until    time.Time
	asked    time.Time // when the time of a server was asked for
}

// elsewhere is what is known of other processes.
type elsewhere struct {
	paused  string    // who has paused all processes; "" if nobody has
	circuit string    // why the circuit of another one is open
	until   time.Time // until when that is taken to be open
}

// noAnswer says that Commerce does not answer.
type noAnswer struct {
	why   string // "" if it does
	retry time.Time
}

func newGate(calendar func() *maintenance.Calendar, c *Config, events *events) *gate {
	return &gate{
		calendar: calendar, guard: max(c.Guard, 0), settle: c.SettleDelay, events: events, log: c.Logger,
		changed: make(chan struct{}),
	}
}

// setOutage reports that Commerce does not answer, or answers again.
func (g *gate) setOutage(why string, retry time.Time) {
	g.set(func(g *gate) bool { g.outage = noAnswer{why, retry}; return true })
}

// openElsewhere reports whether the circuit of another process is open.
func (g *gate) openElsewhere(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return now.Before(g.others.until)
}

// closed returns why the gate is closed at t, "" if it is open, and until when; zero if that is not
// known.
func (g *gate) closed(t time.Time) (why string, until time.Time) {
	g.mu.Lock()
	paused, draining, outage, others := g.paused, g.draining, g.outage, g.others
	g.mu.Unlock()
	switch {
	case draining:
		return "drained", time.Time{}
	case paused:
		return "paused", time.Time{}
	case others.paused != "":
		return "paused " + others.paused, time.Time{}
	case outage.why != "":
		return outage.why, outage.retry
	case t.Before(others.until):
		return "another process pushes nothing: " + others.circuit, others.until
	}
	if why := g.clockDiffers(); why != "" {
		return why, time.Time{}
	}
	c, err := guarded(g.calendar)
	if err != nil {
		callback.Log(g.log, err)
		return "the maintenance windows are not known: " + err.Error(), time.Time{}
	}
	if w, ok := c.At(t); ok {
		return fmt.Sprintf("in the maintenance %s", w.Label()), g.reopens(w)
	}
	if w, ok := c.Next(t); ok && w.Span().Start.Sub(t) < g.guard+g.call() {
		return fmt.Sprintf("the maintenance %s begins at %s", w.Label(), w.Span().Start.Format(time.RFC3339)), g.reopens(w)
	}
	if w, ok := c.Last(t); ok && t.Sub(w.Span().End) < g.settle {
		return fmt.Sprintf("the maintenance %s has only just ended", w.Label()), g.reopens(w)
	}
	return "", time.Time{}
}

// clockDiffers returns how the clock of this machine differs from that of a server by more than half the guard time; ""
// if it does not, as far as that is known.
func (g *gate) clockDiffers() string {
	host, ahead := g.clock()
	if g.guard == 0 || ahead.Abs() <= g.guard/2 {
		return ""
	}
	how := "ahead of"
	if ahead < 0 {
		how = "behind"
	}
	return fmt.Sprintf("the clock of this machine is %v %s that of %s; set it", ahead.Abs().Round(time.Second), how, host)
}

// checkClock asks a server for its time, at most once in gatePoll, because nothing else may call it while the gate is
// closed. It reports whether it did.
func (g *gate) checkClock(ctx context.Context) bool {
	g.mu.Lock()
	due := time.Since(g.asked) >= gatePoll
	if due {
		g.asked = time.Now()
	}
	g.mu.Unlock()
	if due {
		g.askTime(ctx)
	}
	return due
}

// closedFor returns why an order that has passed the gate must not be pushed after all; "" if it may.
func (g *gate) closedFor(orderID string) string {
	if why, _ := g.closed(time.Now()); why != "" {
		return why
	}
	return g.breaker.closed(orderID)
}

func (g *gate) reopens(w maintenance.Window) time.Time {
	end := w.Span().End
	if end.IsZero() {
		return end
	}
	return end.Add(g.settle)
}

// wait returns when the gate is open for an order. It returns the error of ctx, or ErrDrained.
func (g *gate) wait(ctx context.Context, orderID string) error {
	for {
		changed, draining := g.signal()
		if draining {
			return ErrDrained
		}
		now := time.Now()
		why, until := g.closed(now)
		if why != "" && why == g.clockDiffers() && g.checkClock(ctx) {
			continue
		}
		if why == "" {
			var tried bool
			why, until, tried = g.breaker.enter(ctx, orderID)
			if tried {
				return ctx.Err() // the gate is not open for others
			}
		}
		g.note(now, why, until)
		if why == "" {
			return ctx.Err()
		}
		pause := gatePoll
		if until.After(now) { // otherwise it is being tried, and the gate changes when that has ended
			pause = min(pause, until.Sub(now))
		}
		if err := wait.For(ctx, pause, changed); err != nil {
			return err
		}
	}
}

// rest waits for d, unless the run is drained before.
func (g *gate) rest(ctx context.Context, d time.Duration) error {
	end := time.Now().Add(d)
	return g.waitWhile(ctx, func() time.Duration { return time.Until(end) })
}

// waitWhile waits until a rest is over, which is asked for again when the gate changes. It does not wait while the run
// is drained.
func (g *gate) waitWhile(ctx context.Context, rest func() time.Duration) error {
	for {
		changed, draining := g.signal()
		left := rest()
		if left <= 0 || draining {
			return ctx.Err()
		}
		if err := wait.For(ctx, left, changed); err != nil {
			return err
		}
	}
}

// signal returns what is closed when the gate changes.
func (g *gate) signal() (changed <-chan struct{}, draining bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changed, g.draining
}

// note records the state for Status and reports changes as events.
func (g *gate) note(now time.Time, why string, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch was := g.why; {
	case why != "" && why != was:
		if was == "" {
			g.shut = now
		}
		g.events.emit(GateClosed{Why: why, Until: until})
	case why == "" && was != "":
		g.events.emit(GateOpened{Waited: now.Sub(g.shut)})
		g.shut, g.opened = time.Time{}, now
	}
	g.why, g.until = why, until
}

// set changes the gate, and reports whether it did.
func (g *gate) set(change func(g *gate) (news bool)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !change(g) {
		return false
	}
	g.wake()
	return true
}

func (g *gate) wake() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// view is what Status shows.
func (g *gate) view() (state RunState, why string, since, until, opened time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.draining:
		state = StateDraining
	case g.paused, g.others.paused != "":
		state = StatePaused
	default:
		state = StateRunning
	}
	return state, g.why, g.shut, g.until, g.opened
}
