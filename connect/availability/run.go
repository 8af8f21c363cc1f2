package availability

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/callback"
)

// Prober looks at Connect from outside; *Client does. An error says that nothing
// was learnt.
type Prober interface {
	Probe(ctx context.Context) (connect.Probe, error)
}

// jitterPart is the part of an interval by which it varies, up and down, so that
// many programs do not look at once.
const jitterPart = 5

// longestPause caps the Retry-After that a look heeds, and every delay of
// [WaitUntilUp] (connect/WIRE.md#0.2).
const longestPause = 5 * time.Minute

// Run looks at Connect, first at once and then again and again, until ctx ends,
// and returns the error of ctx. It starts no goroutine. The time between looks is
// in [TrackerConfig]; a Retry-After of up to 5 min is waited for. A look that
// learns nothing is logged. A second Run at the same time is refused.
//
// A panic of the prober is a look that learns nothing.
func (t *Tracker) Run(ctx context.Context, p Prober) error {
	if callback.Nil(p) {
		return errNoProber
	}
	if !t.running.CompareAndSwap(false, true) {
		return errors.New("connect: tracker: it runs already: one loop per tracker")
	}
	defer t.running.Store(false)
	t.lock()
	cfg := t.cfg
	t.mu.Unlock()
	for ctx.Err() == nil {
		probe, err := glance(ctx, p, cfg.LookTimeout)
		if ctx.Err() != nil {
			break // what ended with ctx says nothing about Connect
		}
		if err != nil {
			callback.Log(cfg.Logger, err)
			cfg.Logger.Warn("a look at Connect learnt nothing", "error", err)
		}
		t.Observe(probe)
		pause(ctx, max(t.interval(time.Now()), min(retryAfter(probe), longestPause)))
	}
	return ctx.Err()
}

// interval is the time until the next look.
func (t *Tracker) interval(now time.Time) time.Duration {
	t.lock()
	defer t.mu.Unlock()
	d := t.cfg.WhenUp
	calm := t.seen.Connect.Settled == good && t.seen.Network.Settled == good &&
		t.seen.Connect.Run.First.IsZero() && t.seen.Network.Run.First.IsZero()
	_, expected := t.calendar().At(now.Add(d)) // the next look would be in a window
	if !calm || expected {
		d = t.cfg.WhenDown
	}
	return d - d/jitterPart + rand.N(2*d/jitterPart+1)
}

// glance is one look within its own time.
func glance(ctx context.Context, p Prober, most time.Duration) (seen connect.Probe, err error) {
	defer callback.Recover(&err)
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	return p.Probe(ctx)
}

var errNoProber = errors.New("connect: the prober is nil; give one that looks at Connect, for instance a *Client")

// retryAfter is how long the answer to a look asked to wait.
func retryAfter(p connect.Probe) time.Duration {
	if e, ok := errors.AsType[*connect.Error](p.Err); ok {
		return e.RetryAfter
	}
	return 0
}

// pause waits, but not beyond the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
