package availability

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/callback"
)

// Prober probes Connect; a [*connect.Client] implements it. An error means that the probe
// has no result.
type Prober interface {
	Probe(ctx context.Context) (connect.Probe, error)
}

var errNoProber = errors.New("the prober is nil; pass one, for instance a *connect.Client")

// jitterPart is the fraction 1/jitterPart by which an interval varies up and down, so
// that many programs do not probe at the same time.
const jitterPart = 5

// maxRetryAfter limits how long a Retry-After is honored, and is the default of
// [WaitConfig.MaxDelay] (connect/WIRE.md#0.2).
const maxRetryAfter = 5 * time.Minute

// Run probes Connect until ctx ends, and returns the error of ctx. The intervals are
// in [TrackerConfig]; a Retry-After of up to 5 min is honored. A probe that fails or
// panics is logged. Run starts no goroutine; a second concurrent Run is an error.
func (t *Tracker) Run(ctx context.Context, p Prober) error {
	if callback.Nil(p) {
		return trackerError(errNoProber)
	}
	if !t.running.CompareAndSwap(false, true) {
		return trackerError(errors.New("already running: call Run once per tracker"))
	}
	defer t.running.Store(false)
	t.lock()
	cfg := t.cfg
	t.mu.Unlock()
	for ctx.Err() == nil {
		seen, err := probe(ctx, p, cfg.ProbeTimeout)
		if ctx.Err() != nil {
			break // a probe cancelled by ctx has no result
		}
		if err != nil {
			callback.Log(cfg.Logger, err)
			cfg.Logger.Warn("probe of Connect failed", "error", err)
		}
		t.Observe(seen)
		pause(ctx, max(t.interval(time.Now()), min(retryAfter(seen), maxRetryAfter)))
	}
	return ctx.Err()
}

// interval returns the time until the next probe.
func (t *Tracker) interval(now time.Time) time.Duration {
	t.lock()
	defer t.mu.Unlock()
	d := t.cfg.IntervalUp
	calm := t.state.Connect.Settled == good && t.state.Network.Settled == good &&
		t.state.Connect.Run.First.IsZero() && t.state.Network.Run.First.IsZero()
	_, expected := t.calendar().At(now.Add(d)) // the next probe would be in a window
	if !calm || expected {
		d = t.cfg.IntervalDown
	}
	return d - d/jitterPart + rand.N(2*d/jitterPart+1)
}

// probe probes once, within the timeout.
func probe(ctx context.Context, p Prober, timeout time.Duration) (seen connect.Probe, err error) {
	defer callback.Recover(&err)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return p.Probe(ctx)
}

// retryAfter returns the Retry-After of the answer to a probe, or 0.
func retryAfter(p connect.Probe) time.Duration {
	if e, ok := errors.AsType[*connect.Error](p.Err); ok {
		return e.RetryAfter
	}
	return 0
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
