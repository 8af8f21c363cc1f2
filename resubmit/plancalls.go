package resubmit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
)

// pacedCalls paces calls that only read, outside of a run. It implements ratelimit.Limiter for what
// a client sends besides the one call that it was asked for.
type pacedCalls struct {
	pace *pacer
	log  *slog.Logger
	stop context.CancelCauseFunc // when a server asks for too long a pause
}

// newPacedCalls also returns the context to make the calls in, which ends, with
// ErrPatience as its cause, when a server asks for a pause longer than a day.
func newPacedCalls(ctx context.Context, perSecond float64, log *slog.Logger) (*pacedCalls, context.Context) {
	ctx, stop := context.WithCancelCause(ctx)
	return &pacedCalls{pace: newPacer(perSecond, 1), log: log, stop: stop}, ctx
}

// next waits for the turn of one call and returns the context to make it with.
func (c *pacedCalls) next(ctx context.Context) (context.Context, error) {
	if err := c.pace.wait(ctx); err != nil {
		return nil, err
	}
	return ratelimit.With(ctx, c), nil
}

// read reads an order when it is its turn.
func (c *pacedCalls) read(ctx context.Context, reader OrderReader, id string) (*commerce.Order, error) {
	ctx, err := c.next(ctx)
	if err != nil {
		return nil, err
	}
	o, err := reader.Order(ctx, id)
	c.pauseFor(err)
	return o, err
}

// Wait implements ratelimit.Limiter.
func (c *pacedCalls) Wait(ctx context.Context) error { return c.pace.wait(ctx) }

// ReportRetryAfter implements ratelimit.Limiter.
func (c *pacedCalls) ReportRetryAfter(d time.Duration) {
	c.log.Warn("a server asks for a pause", "retryAfter", d)
	c.pace.hold(d)
	if err := tooLong("a server", d, defaultMaxHold); err != nil {
		c.stop(err)
	}
}

// Blocked implements ratelimit.Limiter.
func (c *pacedCalls) Blocked() bool { return c.pace.rest() > 0 }

// pauseFor keeps the pause that the error of an adapter without turns asks for.
func (c *pacedCalls) pauseFor(err error) {
	after := time.Duration(0)
	if e, ok := errors.AsType[*commerce.Error](err); ok {
		after = e.RetryAfter
	} else if e, ok := errors.AsType[*connect.Error](err); ok {
		after = e.RetryAfter
	}
	if after > c.pace.rest() {
		c.ReportRetryAfter(after)
	}
}

// checkRate says what is wrong with a number of calls a second.
func checkRate(field string, rate float64) error {
	if rate < 0 && rate != -1 || math.IsNaN(rate) || math.IsInf(rate, 0) {
		return fmt.Errorf("%s is %v; give calls per second, 0 for the default or -1 for no limit", field, rate)
	}
	return nil
}

// PlanProgress is how far planning is.
type PlanProgress struct {
	Listed   int // orders that the list showed and the filter may select
	Read     int // orders read for their details
	LookedUp int // subscriptions and tenants that were looked up in Connect
	Decided  int // entries of the plan
	// Until is when calls start again, after a server asked for a pause (Retry-After);
	// zero when none did.
	Until time.Time
}

// String is the progress on one line, such as "300 listed, 12 read, 250 looked up, 256 decided".
func (p PlanProgress) String() string {
	text := fmt.Sprintf("%d listed, %d read, %d looked up, %d decided", p.Listed, p.Read, p.LookedUp, p.Decided)
	if !p.Until.IsZero() {
		text += "; a server asked for a pause until " + p.Until.UTC().Format(time.RFC3339)
	}
	return text
}

// planCounters count for PlanProgress.
type planCounters struct{ listed, read, lookedUp, decided atomic.Int64 }

// progressEach is how often progress is shown.
const progressEach = time.Second

// showProgress calls Progress each second. The function that it returns ends that.
func (p *planner) showProgress() (end func()) {
	if p.Progress == nil {
		return func() {}
	}
	over := make(chan struct{})
	var shows sync.WaitGroup
	shows.Go(func() {
		tick := time.NewTicker(progressEach)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			if err := p.showOnce(); err != nil {
				p.Logger.Warn("PlanConfig.Progress panicked and is not called any more", "error", err)
				return
			}
		}
	})
	return func() {
		close(over)
		shows.Wait()
	}
}

func (p *planner) showOnce() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	n := &p.counters
	now := PlanProgress{
		Listed: int(n.listed.Load()), Read: int(n.read.Load()), LookedUp: int(n.lookedUp.Load()),
		Decided: int(n.decided.Load()),
	}
	if rest := p.calls.pace.rest(); rest > 0 {
		now.Until = time.Now().Add(rest)
	}
	p.Progress(now)
	return nil
}
