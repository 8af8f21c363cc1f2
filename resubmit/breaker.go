package resubmit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
)

// ErrCircuitOpen means that the circuit breaker opened more often than Config.Breaker.MaxOpens
// allows, which ended the run.
var ErrCircuitOpen = errors.New("the circuit breaker opened too often")

// BreakerConfig configures the circuit breaker, which stops all pushes while orders fail again for a
// transient reason, because Connect is then still down. Orders that were pushed are verified. The
// breaker stays open until the Prober finds Connect up or, without one, until Wait has passed. Then
// a single order is tried: the breaker opens again if that order fails for a transient reason, and
// closes otherwise. Zero fields have the defaults.
//
// Processes that share a journal each count the orders that they have verified themselves. While the breaker of one is
// open, the others push nothing, and count its openings as theirs; when it closes, they count orders anew.
type BreakerConfig struct {
	// Failures is how many of the last SampleSize finished orders must fail again to open the
	// breaker. Only orders that were pushed since it closed count. Default 5; -1 is no breaker.
	Failures int
	// SampleSize is the number of finished orders that are considered. Default 20.
	SampleSize int
	// Wait is the time until Connect is probed, and between probes. It is doubled each time that
	// the breaker opens, up to 16 times. Default 1 min.
	Wait time.Duration
	// MaxOpens is how often the breaker may open before the run ends with ErrCircuitOpen.
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
	// BreakerHalfOpen: one order at a time is pushed, to see whether it fails again.
	BreakerHalfOpen BreakerState = "halfOpen"
)

func (b BreakerConfig) withDefaults() BreakerConfig {
	b.Failures = cmp.Or(b.Failures, 5)
	b.SampleSize = cmp.Or(b.SampleSize, 20)
	b.Wait = cmp.Or(b.Wait, time.Minute)
	b.MaxOpens = cmp.Or(b.MaxOpens, 5)
	return b
}

func (b BreakerConfig) validate(bad func(string, ...any)) {
	set := b.withDefaults()
	if set.Failures < -1 || set.SampleSize < 1 || set.SampleSize > mostCount || set.Failures > set.SampleSize {
		bad("Config.Breaker opens at %d of %d orders; give counts, the first not above the second, 0 for the defaults, or "+
			"Failures -1 for no breaker",
			set.Failures, set.SampleSize)
	}
	if !plausible(b.Wait) || b.MaxOpens < -1 {
		bad("Config.Breaker.Wait is %v and MaxOpens is %d; give %v to %v and a count, 0 for the defaults, or MaxOpens -1 "+
			"for any number", b.Wait, b.MaxOpens, leastTime, mostTime)
	}
}

// breaker is the circuit breaker of one run.
type breaker struct {
	cfg    BreakerConfig
	probe  func(context.Context) (connect.Probe, error) // nil: there is none
	events *events
	wake   func()      // makes the gate check again
	stop   func(error) // ends the run

	mu     sync.Mutex
	state  BreakerState
	why    string
	last   []bool // whether the last orders failed again, the newest at the end
	since  time.Time
	opens  int
	next   time.Time // when Connect is probed next
	trying string    // the id of the order that is tried
	until  time.Time // when another one is tried, if the call about that one has ended before its outcome was known
}

func newBreaker(c *Config, events *events, stop func(error),
	probe func(context.Context) (connect.Probe, error)) *breaker {
	b := &breaker{cfg: c.Breaker, events: events, state: BreakerClosed, stop: stop}
	if c.Prober != nil {
		b.probe = probe
	}
	return b
}

// enter returns why an order must wait, and until when; "" lets it pass. tried reports whether it is
// the one that is tried.
func (b *breaker) enter(ctx context.Context, id string) (why string, until time.Time, tried bool) {
	b.mu.Lock()
	now := time.Now()
	if b.state != BreakerOpen || now.Before(b.next) {
		defer b.mu.Unlock()
		if b.state == BreakerHalfOpen && (b.trying == "" || !b.until.IsZero() && now.After(b.until)) {
			b.trying, b.until = id, time.Time{}
		}
		why, until = b.holds(id)
		return why, until, b.trying == id
	}
	b.next = now.Add(b.wait()) // so that no other order probes
	b.mu.Unlock()
	b.probeConnect(ctx)
	return b.enter(ctx, id)
}

// closed returns why an order that has passed must not be pushed after all; "" if it may.
func (b *breaker) closed(orderID string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	why, _ := b.holds(orderID)
	return why
}

// waits returns why orders wait, and until when.
func (b *breaker) waits() (why string, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.holds("")
}

func (b *breaker) holds(orderID string) (why string, until time.Time) {
	switch {
	case b.state == BreakerOpen:
		return "the breaker is open: " + b.why, b.next
	case b.state == BreakerHalfOpen && b.trying != orderID:
		return "the breaker is open: one order is tried", b.until
	default:
		return "", time.Time{}
	}
}

func (b *breaker) wait() time.Duration { return b.cfg.Wait << min(max(b.opens-1, 0), 4) }

// probeConnect probes whether Connect is up. Without a Prober it is taken to be up after Wait.
func (b *breaker) probeConnect(ctx context.Context) {
	up, why := true, "the wait is over"
	if b.probe != nil {
		p, err := b.probe(ctx)
		up, why = err == nil && p.Class == connect.ClassUp, "Connect is "+string(p.Class)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			why = "Connect could not be probed: " + err.Error()
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

// verdict is what the outcome of an order says about Connect.
type verdict struct {
	id string
	// learned means that this process has verified the order, and that the outcome depends on whether Connect is up;
	// transient that Connect is still down.
	learned, transient bool
	inFlight           bool // the call about the order has ended before the outcome was known
	pushed             time.Time
	message            string // of the failure
}

// trialTime is how long after a call that ended early another order is tried: the outcome of the first one may become
// known to another process only.
const trialTime = 5 * time.Minute

// judge counts the outcome of an order.
func (b *breaker) judge(v verdict) {
	if b.cfg.Failures < 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.state == BreakerHalfOpen && b.trying == v.id && v.inFlight:
		b.until = time.Now().Add(trialTime)
	case b.state == BreakerHalfOpen && (b.trying == v.id || v.learned && v.pushed.After(b.since)):
		b.tried(v)
	case b.state == BreakerClosed && v.learned && !v.pushed.Before(b.since):
		b.count(v)
	}
}

// tried ends the trial of an order. If nothing was learned from it, another order is tried.
func (b *breaker) tried(v verdict) {
	b.trying, b.until = "", time.Time{}
	switch {
	case v.transient:
		b.open("the order that was tried failed again: " + brief(v.message))
	case !v.learned:
		b.wake()
	default:
		b.set(BreakerClosed, "the order that was tried did not fail for a transient reason")
	}
}

func (b *breaker) count(v verdict) {
	if len(b.last) == b.cfg.SampleSize {
		b.last = append(b.last[:0], b.last[1:]...)
	}
	b.last = append(b.last, v.transient)
	n := 0
	for _, failed := range b.last {
		if failed {
			n++
		}
	}
	if n >= b.cfg.Failures {
		b.open(fmt.Sprintf("%d of the last %d orders failed again for a transient reason: %s", n, len(b.last),
			brief(v.message)))
	}
}

func (b *breaker) open(why string) {
	b.opens++
	b.last = b.last[:0]
	b.next = time.Now().Add(b.wait())
	b.set(BreakerOpen, why)
	b.limit(why)
}

// limit ends the run if the breaker opened too often.
func (b *breaker) limit(why string) {
	if b.cfg.MaxOpens >= 0 && b.opens > b.cfg.MaxOpens {
		b.stop(fmt.Errorf(
			"resubmit: %w, %d times (Config.Breaker.MaxOpens is %d), because Connect seems to be down; last reason: %s; "+
				"run again when Connect is up",
			ErrCircuitOpen, b.opens, b.cfg.MaxOpens, why))
	}
}

func (b *breaker) set(state BreakerState, why string) {
	b.state, b.why = state, why
	if state != BreakerOpen {
		b.next, b.since = time.Time{}, time.Now()
	}
	b.events.emit(BreakerChange{State: state, Opens: b.opens, Why: why, Next: b.next})
	b.wake()
}

// openElsewhere counts how often the breakers of all processes have opened.
func (b *breaker) openElsewhere(opens int, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if opens > b.opens && b.cfg.Failures >= 0 {
		b.opens = opens
		b.limit(why)
	}
}

// closedElsewhere counts orders anew, because another process has found that Connect is up.
func (b *breaker) closedElsewhere() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == BreakerClosed {
		b.last, b.since = b.last[:0], time.Now()
	}
}

// whyOpen returns why the breaker is open, also if one order is tried, and how often it has opened; "" if it is closed.
func (b *breaker) whyOpen() (why string, opens int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == BreakerClosed {
		return "", 0
	}
	return "the breaker is open: " + b.why, b.opens
}

func (b *breaker) view() (state BreakerState, opens int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state, b.opens
}

// tries reports whether an order is the one that is tried.
func (b *breaker) tries(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trying == id
}

func (b *breaker) isOpen() bool {
	state, _ := b.view()
	return state == BreakerOpen
}
