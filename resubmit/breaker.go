package resubmit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
)

// ErrCircuitOpen says that the breaker opened more often than Config.Breaker.MaxOpens
// allows, and so ended the run.
var ErrCircuitOpen = errors.New("the breaker opened too often")

// Breaker stops all pushes when orders fail again for a transient reason, which
// means that Connect is still down. Orders that are on their way finish. It is open
// until Connect is seen to be up again, by Config.Probe or, without one, after some
// time; then a single order is tried. If that one does well all others go on, else
// the breaker opens again. Zero fields take the defaults.
type BreakerConfig struct {
	// Failures of the last Of orders that came to an end open it. Only orders that
	// were pushed since it closed count. Defaults 5 and 20; -1 for Failures is no
	// breaker.
	Failures int
	Of       int
	// Wait is the time until Connect is looked at, and between two looks. It is
	// doubled each time that the breaker opens, up to 16 times as long. Default 1 min.
	Wait time.Duration
	// MaxOpens is how often it may open before the run ends with ErrCircuitOpen.
	// Default 5; -1 any number.
	MaxOpens int
}

// BreakerState is the state of the breaker.
type BreakerState string

// The states of the breaker.
const (
	BreakerClosed BreakerState = "closed"
	// BreakerOpen: nothing is pushed.
	BreakerOpen BreakerState = "open"
	// BreakerHalfOpen: one order at a time is pushed, to see how it does.
	BreakerHalfOpen BreakerState = "trying"
)

func (b BreakerConfig) withDefaults() BreakerConfig {
	b.Failures = cmp.Or(b.Failures, 5)
	b.Of = cmp.Or(b.Of, 20)
	b.Wait = cmp.Or(b.Wait, time.Minute)
	b.MaxOpens = cmp.Or(b.MaxOpens, 5)
	return b
}

func (b BreakerConfig) validate(bad func(string, ...any)) {
	set := b.withDefaults()
	if set.Failures < -1 || set.Of < 1 || set.Failures > set.Of {
		bad("Config.Breaker opens at %d of %d orders; give counts, the first not above the second, 0 for the defaults, or "+
			"Failures -1 for no breaker",
			set.Failures, set.Of)
	}
	if b.Wait < 0 || b.MaxOpens < -1 {
		bad("Config.Breaker.Wait is %v and MaxOpens is %d; give a time and a count, 0 for the defaults, or MaxOpens -1 "+
			"for any number", b.Wait, b.MaxOpens)
	}
}

// breaker is the Breaker of one run.
type breaker struct {
	cfg    BreakerConfig
	probe  func(context.Context) (connect.Probe, error) // nil: there is none
	events *events
	wake   func()      // the gate looks again
	stop   func(error) // the run ends

	mu     sync.Mutex
	state  BreakerState
	why    string
	last   []bool // of the last orders, whether they failed; the newest at the end
	since  time.Time
	opens  int
	next   time.Time // when Connect is looked at
	trying *job
}

func (x *run) newBreaker() *breaker {
	b := &breaker{
		cfg: x.cfg.Breaker, events: x.events, state: BreakerClosed, stop: func(err error) { x.cancel(err) },
		wake: func() { x.gate.set(func(*gate) bool { return true }) },
	}
	if x.cfg.Prober != nil {
		b.probe = func(ctx context.Context) (connect.Probe, error) {
			if err := x.pace.wait(ctx); err != nil {
				return connect.Probe{}, err
			}
			ctx, cancel := context.WithTimeout(ctx, probeTimeout)
			defer cancel()
			ctx = ratelimit.With(ctx, &callLimiter{x: x, who: "Connect"})
			p, err := within(ctx, func() (connect.Probe, error) { return x.cfg.Prober.Probe(ctx) })
			callback.Log(x.cfg.Logger, err)
			x.noteConnectErrors(err, "")
			x.noteConnectErrors(p.Err, "")
			x.checkAccess("Connect", "looking whether it is up", err)
			return p, err
		}
	}
	return b
}

// probeTimeout bounds one look at Connect.
const probeTimeout = 30 * time.Second

// enter says why an order must wait; "" lets it pass, as the one that is tried if
// need be.
func (b *breaker) enter(ctx context.Context, j *job) (why string, until time.Time, tried bool) {
	b.mu.Lock()
	now := time.Now()
	if b.state != BreakerOpen || now.Before(b.next) {
		defer b.mu.Unlock()
		if b.state == BreakerHalfOpen && b.trying == nil {
			b.trying = j
		}
		why, until = b.holds(j.entry.OrderID)
		return why, until, b.trying == j
	}
	b.next = now.Add(b.wait()) // so that nobody else looks
	b.mu.Unlock()
	b.look(ctx)
	return b.enter(ctx, j)
}

// closed says why an order that has passed must not be pushed after all.
func (b *breaker) closed(orderID string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	why, _ := b.holds(orderID)
	return why
}

func (b *breaker) holds(orderID string) (why string, until time.Time) {
	switch {
	case b.state == BreakerOpen:
		return "the breaker is open: " + b.why, b.next
	case b.state == BreakerHalfOpen && (b.trying == nil || b.trying.entry.OrderID != orderID):
		return "the breaker is open: one order is tried", time.Time{}
	default:
		return "", time.Time{}
	}
}

func (b *breaker) wait() time.Duration { return b.cfg.Wait << min(max(b.opens-1, 0), 4) }

// look asks whether Connect is up. Without a probe the time that passed must do.
func (b *breaker) look(ctx context.Context) {
	up, why := true, "the time is up"
	if b.probe != nil {
		p, err := b.probe(ctx)
		up, why = err == nil && p.Class == connect.ClassUp, "Connect is "+string(p.Class)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			why = "Connect could not be looked at: " + err.Error()
		}
	}
	b.mu.Lock()
	if up {
		b.set(BreakerHalfOpen, why)
	} else {
		b.why = why
	}
	b.mu.Unlock()
}

// judge takes note of what came of an order. learnt says that it tells something
// about Connect, transient that this is that Connect is still down.
func (b *breaker) judge(j *job, learnt, transient bool) {
	if b.cfg.Failures < 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.state == BreakerHalfOpen && b.trying == j:
		b.tried(j, learnt, transient)
	case b.state == BreakerClosed && learnt && !j.ended && !j.item.PushedAt.Before(b.since):
		b.count(j, transient)
	}
}

// tried ends the trial of an order. One of which nothing was learnt makes room for
// another.
func (b *breaker) tried(j *job, learnt, transient bool) {
	b.trying = nil
	switch {
	case transient:
		b.open("the order that was tried failed again: " + brief(j.item.After.Message))
	case !learnt:
		b.wake()
	default:
		b.since = time.Now()
		b.set(BreakerClosed, "the order that was tried did not fail for a transient reason")
	}
}

func (b *breaker) count(j *job, failed bool) {
	if len(b.last) == b.cfg.Of {
		b.last = append(b.last[:0], b.last[1:]...)
	}
	b.last = append(b.last, failed)
	n := 0
	for _, f := range b.last {
		if f {
			n++
		}
	}
	if n >= b.cfg.Failures {
		b.open(fmt.Sprintf("%d of the last %d orders failed again for a transient reason: %s", n, len(b.last),
			brief(j.item.After.Message)))
	}
}

func (b *breaker) open(why string) {
	b.opens++
	b.last = b.last[:0]
	b.next = time.Now().Add(b.wait())
	b.set(BreakerOpen, why)
	if b.cfg.MaxOpens >= 0 && b.opens > b.cfg.MaxOpens {
		b.stop(fmt.Errorf(
			"resubmit: %w, %d times (Config.Breaker.MaxOpens is %d), as Connect seems still to be down; at last %s; see to "+
				"Connect, then run again",
			ErrCircuitOpen, b.opens, b.cfg.MaxOpens, why))
	}
}

func (b *breaker) set(state BreakerState, why string) {
	b.state, b.why = state, why
	if state != BreakerOpen {
		b.next = time.Time{}
	}
	b.events.emit(BreakerChange{State: state, Opens: b.opens, Why: why, Next: b.next})
	b.wake()
}

func (b *breaker) view() (state BreakerState, opens int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, b.opens
}

// tries reports whether an order is the one that is tried.
func (b *breaker) tries(j *job) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trying == j
}
