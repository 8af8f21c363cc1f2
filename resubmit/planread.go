package resubmit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/clockskew"
	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/orders"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/throttle"
)

// planCalls are the calls of the planner: paced, and with a limit of those at the same time.
type planCalls struct {
	*pacedCalls
	slots *throttle.Slots
}

// newPlanCalls also returns the context for the calls, see newPacedCalls.
func newPlanCalls(ctx context.Context, cfg *PlanConfig) (*planCalls, context.Context) {
	calls, ctx := newPacedCalls(ctx, cfg.RateLimit, cfg.Logger, &cfg.Systems)
	return &planCalls{calls, throttle.NewSlots(cfg.Concurrency)}, ctx
}

// detailReader reads single orders.
type detailReader struct {
	reader    OrderReader // nil: none is read
	calls     *planCalls
	progress  *planProgress
	readable  atomic.Bool  // an order could be read
	forbidden atomic.Int64 // orders that may not be read
}

// fill reads the orders that were listed without details.
func (r *detailReader) fill(ctx context.Context, candidates []candidate) error {
	if r.reader == nil {
		return nil
	}
	var reads sync.WaitGroup
	for i := range candidates {
		c := &candidates[i]
		if c.order.HasTransitions() || len(c.order.Problems) > 0 || r.calls.slots.Take(ctx) != nil {
			continue
		}
		turn, err := r.calls.next(ctx) // before the goroutine starts, so that orders are read in order
		if err != nil {
			c.err = err
			r.calls.slots.Give()
			continue
		}
		reads.Go(func() {
			defer r.calls.slots.Give()
			var o *commerce.Order
			if o, c.err = r.one(turn, c.order.ID); c.err != nil {
				return
			}
			if c.err = orders.IdentityOf(c.order).Check(orders.IdentityOf(o)); c.err == nil {
				c.order = orders.Readable(completed(o, c.order))
			}
		})
	}
	reads.Wait()
	for i := range candidates {
		if err := r.refused(candidates[i].order.Label(), candidates[i].err); err != nil {
			return err
		}
	}
	return ctx.Err() // a cancelled read says nothing about its order
}

// one reads an order with a context of pacedCalls.next.
func (r *detailReader) one(turn context.Context, id string) (*commerce.Order, error) {
	o, err := r.reader.Order(turn, id)
	r.calls.pauseFor(err)
	r.progress.read.Add(1)
	switch {
	case err != nil:
		if forbidden(err) {
			r.forbidden.Add(1)
		}
		return nil, err
	case o == nil || o.ID != id:
		return nil, errors.New("the answer is about another order")
	default:
		r.readable.Store(true)
		return o, nil
	}
}

// refused returns an error that ends planning if the credentials are at fault for an error: further calls might lock
// the account.
func (r *detailReader) refused(label string, err error) error {
	if unauthorized(err) || forbidden(err) && r.allForbidden() {
		return fmt.Errorf("resubmit: plan: read order %s: %w", text.Short(label), err)
	}
	return nil
}

// all reads orders by their ids at the same time. done is called for each of them, one after the other.
func (r *detailReader) all(ctx context.Context, ids []string,
	done func(id string, o *commerce.Order, err error) error) error {
	type reading struct {
		order *commerce.Order
		err   error
	}
	readings := make([]reading, len(ids))
	var reads sync.WaitGroup
	for i, id := range ids {
		if r.calls.slots.Take(ctx) != nil {
			break
		}
		reads.Go(func() {
			defer r.calls.slots.Give()
			var turn context.Context
			if turn, readings[i].err = r.calls.next(ctx); readings[i].err == nil {
				readings[i].order, readings[i].err = r.one(turn, id)
			}
		})
	}
	reads.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, id := range ids {
		got := &readings[i]
		if err := r.refused(id, got.err); err != nil {
			return err
		}
		if err := done(id, got.order, got.err); err != nil {
			return err
		}
	}
	return nil
}

// allForbidden reports whether no order may be read.
func (r *detailReader) allForbidden() bool {
	return !r.readable.Load() && r.forbidden.Load() >= forbiddenInRow
}

// completed returns an order as it was read, with the fields that only the list has.
func completed(read, listed *commerce.Order) *commerce.Order {
	o := *read
	if o.PlacedAt.IsZero() {
		o.PlacedAt = listed.PlacedAt
	}
	if o.FailedAt.IsZero() && o.Status == listed.Status {
		o.FailedAt = listed.FailedAt
	}
	if len(o.SubscriptionIDs) == 0 {
		o.SubscriptionIDs = listed.SubscriptionIDs
	}
	if o.TenantID == "" {
		o.TenantID = listed.TenantID
	}
	return &o
}

// pacedCalls limits the rate of calls outside of a run, which only read. It implements
// ratelimit.Limiter for the further requests of a call, such as pages and retries.
type pacedCalls struct {
	pace *throttle.Pacer
	log  *slog.Logger
	stop context.CancelCauseFunc // called if a server asks for too long a pause
	// record records a Retry-After; nil if nothing does.
	record func(asked, until time.Time) error

	clockskew.Clocks // implements ReportDate of ratelimit.Limiter
}

// newPacedCalls also returns the context for the calls. It ends with the cause ErrRetryAfterTooLong if a
// server asks for a pause longer than a day.
func newPacedCalls(
	ctx context.Context, perSecond float64, log *slog.Logger, s *Systems,
) (*pacedCalls, context.Context) {
	ctx, stop := context.WithCancelCause(ctx)
	pace := throttle.NewPacer(perSecond, 1, s.lastCall)
	pace.Share(s.reserve(), stop)
	return &pacedCalls{pace: pace, log: log, stop: stop}, ctx
}

// next waits until the rate allows one call and returns its context.
func (c *pacedCalls) next(ctx context.Context) (context.Context, error) {
	if err := c.pace.Wait(ctx, throttle.Any); err != nil {
		return nil, err
	}
	return ratelimit.With(ctx, c), nil
}

// read reads an order when the rate allows it.
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
func (c *pacedCalls) Wait(ctx context.Context) error { return c.pace.Wait(ctx, throttle.Any) }

// ReportRetryAfter implements ratelimit.Limiter.
func (c *pacedCalls) ReportRetryAfter(d time.Duration) {
	c.log.Warn("a server asks for a pause", "retryAfter", d)
	asked, until := c.pace.Hold(d)
	if c.record != nil {
		if err := c.record(asked, until); err != nil {
			c.log.Warn("a Retry-After could not be recorded for the next run", "error", err)
		}
	}
	if err := tooLong("a server", d, defaultMaxRetryAfter); err != nil {
		c.stop(err)
	}
}

// Blocked implements ratelimit.Limiter.
func (c *pacedCalls) Blocked() bool { return c.pace.Rest() > 0 }

// pauseFor keeps the pause in the error of a client that does not use the limiter.
func (c *pacedCalls) pauseFor(err error) {
	after := time.Duration(0)
	if e, ok := errors.AsType[*commerce.Error](err); ok {
		after = e.RetryAfter
	} else if e, ok := errors.AsType[*connect.Error](err); ok {
		after = e.RetryAfter
	}
	if after > c.pace.Rest() {
		c.ReportRetryAfter(after)
	}
}

// checkRate returns an error if a rate limit is invalid.
func checkRate(field string, rate float64) error {
	const least, most = 0.001, 100_000
	if rate == 0 || rate == -1 || rate >= least && rate <= most {
		return nil
	}
	return fmt.Errorf("%s is %v; give %v to %d calls per second, 0 for the default or -1 for no limit",
		field, rate, least, most)
}

// guardedReader turns a panic of a reader into an error of the call.
type guardedReader struct {
	to  OrderReader
	log *slog.Logger
}

func (r guardedReader) Order(ctx context.Context, id string) (*commerce.Order, error) {
	o, err := callback.Call(func() (*commerce.Order, error) { return r.to.Order(ctx, id) })
	callback.Log(r.log, err)
	return o, err
}
