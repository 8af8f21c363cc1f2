package resubmit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
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
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
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
	o, err := callback.Call(func() (*commerce.Order, error) { return r.reader.Order(turn, id) })
	callback.Log(r.calls.log, err)
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
	if _, after := retryAfterOf(err); after > c.pace.Rest() {
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

// gatherOne is gather, but holds the order if a function of the configuration panics.
func (p *planner) gatherOne(c *candidate, m moment) {
	err := func() (err error) {
		defer callback.Recover(&err)
		p.gather(c, m)
		return nil
	}()
	if err != nil {
		callback.Log(p.Logger, err)
		c.err, c.keys = err, nil
	}
}

// gather collects the facts that need no call, and the keys to look up in Connect.
func (p *planner) gather(c *candidate, m moment) {
	o := c.order
	c.cause = p.causes.Attribute(o)
	c.facts = rules.Facts{
		Order: o, Attribution: c.cause.Attribution,
		Override: p.named.has(o), NoMessages: !p.Capabilities.Failure && o.Failure.Message() == "", Now: m.now,
	}
	if p.IgnoreConnect || c.err != nil || len(o.Problems) > 0 {
		return
	}
	kind, ok := p.RequestType(o.Type)
	if !ok || !rules.NeedsRequests(p.Rules, &c.facts) {
		return
	}
	c.facts.RequestsQueried = true
	if p.Requests == nil {
		c.facts.RequestsErr = errors.New(
			"no request was looked up in Connect; give PlanConfig.Requests, or set IgnoreConnect")
	} else if c.keys = requestKeys(o.TenantID, o.SubscriptionIDs, kind); len(c.keys) == 0 {
		c.facts.RequestsErr = errors.New(
			"the order has neither a subscription nor a tenant to look up in Connect")
	}
}

// lookUps makes the look-ups in Connect, and knows whether they succeed.
type lookUps struct {
	finder   RequestFinder
	calls    *planCalls
	progress *planProgress

	mu       sync.Mutex
	answered bool  // some key has an answer
	err      error // of the first that failed
	denied   error // the credentials were refused, so no further look-up is made
}

// find looks up the newest requests of all candidates in Connect.
func (l *lookUps) find(ctx context.Context, candidates []candidate) error {
	index := map[connect.RequestKey]bool{}
	for i := range candidates {
		for _, k := range candidates[i].keys {
			index[k] = true
		}
	}
	if len(index) == 0 {
		return nil
	}
	keys := slices.Collect(maps.Keys(index))
	found := make(map[connect.RequestKey][]connect.LatestRequest, len(keys))
	failed := map[connect.RequestKey]error{}
	for some := range slices.Chunk(keys, keysAtOnce) {
		newest, err := l.lookUp(ctx, some)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			err = errUnanswered
		}
		for _, k := range some {
			if requests, ok := newest[k]; ok {
				found[k] = requests
			} else {
				failed[k] = causeOf(err, k)
			}
		}
	}
	for i := range candidates {
		c := &candidates[i]
		for _, k := range c.keys {
			c.facts.Requests = append(c.facts.Requests, found[k]...)
			if err := failed[k]; err != nil {
				c.facts.RequestsErr = err
			}
		}
	}
	return nil
}

// keyError is the error of a look-up that knows the reasons of its keys, see RequestFinder.
type keyError interface {
	error
	KeyError(key connect.RequestKey) error
}

// causeOf returns why a key is unknown: its own reason in the error of the look-up, or the error.
func causeOf(err error, key connect.RequestKey) error {
	if e, ok := errors.AsType[keyError](err); ok {
		return cmp.Or(e.KeyError(key), err)
	}
	return err
}

// lookUp makes one look-up in Connect.
func (l *lookUps) lookUp(ctx context.Context,
	keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	if err := l.refused(); err != nil {
		return nil, err
	}
	if err := l.calls.slots.Take(ctx); err != nil {
		return nil, err
	}
	defer l.calls.slots.Give()
	turn, err := l.calls.next(ctx)
	if err != nil {
		return nil, err
	}
	newest, err := callback.Call(func() (map[connect.RequestKey][]connect.LatestRequest, error) {
		return l.finder.LatestRequests(turn, keys)
	})
	callback.Log(l.calls.log, err)
	l.calls.pauseFor(err)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	l.progress.lookedUp.Add(int64(len(keys)))
	l.note(len(newest) > 0, err)
	return newest, err
}

func (l *lookUps) note(answered bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// Connect has answered if it returned an unclear request: that is about its keys only.
	answered = answered || errors.Is(err, connect.ErrAmbiguousRequest)
	l.answered = l.answered || answered
	if err == nil && !answered {
		err = errUnanswered
	}
	if l.err == nil {
		l.err = err
	}
	// Credentials that may read some requests are not refused.
	if errors.Is(err, connect.ErrUnauthorized) || errors.Is(err, connect.ErrForbidden) && !l.answered {
		l.denied = err
	}
}

// refused returns the error with which Connect refused the credentials; nil if it did not.
func (l *lookUps) refused() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.denied
}

// failed returns why there must be no plan: Connect refused the credentials, or none of
// the look-ups succeeded.
func (l *lookUps) failed(counts plan.ActionCounts) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	const what = "resubmit: plan: %s, so there is no plan (until then %s): check the URL and the key of Connect, or " +
		"set IgnoreConnect: %w"
	switch {
	case l.denied != nil:
		return fmt.Errorf(what, "Connect refuses the key", counts, oneLineError{l.denied})
	case l.err != nil && !l.answered:
		return fmt.Errorf(what, "no look-up in Connect succeeded", counts, oneLineError{l.err})
	default:
		return nil
	}
}

// oneLineError is an error with a short text on one line.
type oneLineError struct{ error }

func (e oneLineError) Error() string { return text.Short(e.error.Error()) }

func (e oneLineError) Unwrap() error { return e.error }

var errUnanswered = errors.New("there was no answer for its key")
