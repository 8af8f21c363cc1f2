package resubmit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/clockskew"
	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/throttle"
)

// callGrace is how long a call may take after its context has ended.
const callGrace = 10 * time.Second

// lastGrace is how long each of the last writes to the journal may take after a call did not return.
const lastGrace = time.Second

// probeTimeout limits one probe of Connect, and one trial of Commerce.
const probeTimeout = 30 * time.Second

// connectName is what Connect is called in errors and events.
const connectName = "Connect"

// caller makes all calls of a run to the systems. It keeps to the rate limit and to Retry-After, waits while Commerce
// does not answer, lowers the rate when a system is overloaded, and ends the run if credentials are refused.
type caller struct {
	cfg  *Config
	ctx  context.Context //nolint:containedctx // of the run: a trial is about no order
	pace *throttle.Pacer
	// pushes limits the orders that are pushed at the same time, reads the other calls. They are the same if the client
	// declares a MaxConcurrency.
	pushes, reads *throttle.Slots
	stop          func(error)                             // ends the run
	hold          func(who string, d time.Duration) error // records a Retry-After
	orderID       func(n int) string                      // of the n-th order of the plan, modulo their number
	outage        *outage                                 // of Commerce
	trial         atomic.Int64                            // the order with which Commerce was tried last

	onWire atomic.Int64 // pushes

	reading, pushing, asking, listing latency
	readAccess, pushAccess            access
	connectDown                       atomic.Pointer[sighting]
	clocks, connectClock              clockskew.Clocks
}

// sighting is when and why Connect was last seen down.
type sighting struct {
	at  time.Time
	why string
}

// read reads an order. While Commerce does not answer, it waits, or returns throttle.ErrHeldBack if it must not.
// failing
// is since when the order could not be read.
func (c *caller) read(
	ctx context.Context, id string, kind throttle.Kind, failing *time.Time,
) (o *commerce.Order, began time.Time, err error) {
	for tries := 1; ; tries++ {
		if why := c.outage.open(); why != "" && kind != throttle.Any {
			return nil, time.Now(), fmt.Errorf("%w: %s", throttle.ErrHeldBack, why)
		}
		if err := c.outage.wait(ctx); err != nil {
			return nil, time.Now(), err
		}
		o, began, err = c.readOnce(ctx, id, kind)
		if !isOutage(err) {
			c.outage.note(began, err)
			*failing = time.Time{}
			return o, began, err
		}
		if failing.IsZero() {
			*failing = began
		}
		if !c.outage.answeredSince(*failing) {
			c.outage.note(began, err)
		} else if tries >= readTries { // it is about this order
			return nil, began, err
		}
		if err := sleep(ctx, time.Second<<min(tries-1, 5)); err != nil {
			return nil, began, err
		}
	}
}

func (c *caller) readOnce(ctx context.Context, id string, kind throttle.Kind) (*commerce.Order, time.Time, error) {
	if err := c.pace.Wait(ctx, kind); err != nil {
		return nil, time.Now(), err
	}
	began := time.Now()
	var o *commerce.Order
	err := c.call(ctx, &c.reading, &callLimiter{caller: c, who: "Commerce"}, func(ctx context.Context) (err error) {
		o, err = c.cfg.Reader.Order(ctx, id)
		return err
	})
	return o, began, err
}

// push pushes an order, with the token of the rate limit that was taken before. It sends at most one push. mayPush is
// asked again after other requests of the client.
func (c *caller) push(ctx context.Context, id string, to commerce.Status, mayPush func() string) error {
	// The end of the run must not interrupt a push: its result would be unknown.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.PushTimeout)
	defer cancel()
	c.onWire.Add(1)
	defer c.onWire.Add(-1)
	hung := time.AfterFunc(c.cfg.PushTimeout+callGrace, func() {
		c.stop(fmt.Errorf("resubmit: the push of order %s has not returned %v after its context ended; "+
			"a Pusher must return when its context ends", text.Short(id), callGrace))
	})
	defer hung.Stop()
	return c.call(ctx, &c.pushing, &callLimiter{caller: c, who: "Commerce", mayPush: mayPush},
		func(ctx context.Context) error {
			return c.cfg.Pusher.Push(ctx, id, to)
		})
}

// requests asks Connect for the latest requests of many keys.
func (c *caller) requests(ctx context.Context, keys []connect.RequestKey) (
	found map[connect.RequestKey][]connect.LatestRequest, err error,
) {
	if err := c.pace.Wait(ctx, throttle.Any); err != nil {
		return nil, err
	}
	err = c.call(ctx, &c.asking, &callLimiter{caller: c, who: connectName}, func(ctx context.Context) (err error) {
		found, err = c.cfg.Requests.LatestRequests(ctx, keys)
		return err
	})
	if err != nil && ctx.Err() == nil && saysDown(err) {
		c.seenDown("a look-up failed: " + text.Short(err.Error()))
	}
	c.checkAccess(connectName, "looking up requests", err)
	return found, err
}

// list lists orders with at most so many requests (0: any number), until yield returns false.
func (c *caller) list(ctx context.Context, q commerce.Query, most int64, yield func(*commerce.Order) bool) error {
	if err := c.pace.Wait(ctx, throttle.Any); err != nil {
		return err
	}
	l := &callLimiter{caller: c, who: "Commerce", most: most}
	err := c.call(ctx, &c.listing, l, func(ctx context.Context) error {
		for o, err := range c.cfg.Lister.Orders(ctx, q) {
			if err != nil {
				return err
			}
			if o == nil {
				return errors.New("the lister yielded neither an order nor an error")
			}
			if !yield(o) {
				break
			}
		}
		return nil
	})
	c.checkAccess("Commerce", "listing orders", err)
	return err
}

// probe reports whether Connect is up.
func (c *caller) probe(ctx context.Context) (p connect.Probe, err error) {
	if err := c.pace.Wait(ctx, throttle.Any); err != nil {
		return p, err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err = c.call(ctx, nil, &callLimiter{caller: c, who: connectName}, func(ctx context.Context) (err error) {
		p, err = c.cfg.Prober.Probe(ctx)
		return err
	})
	c.noteRetryAfter(p.Err)
	c.checkAccess(connectName, "probing it", err)
	if err != nil || p.Class != connect.ClassUp {
		c.seenDown("a probe found it " + string(p.Class))
	}
	return p, err
}

// saysDown reports whether the error of a look-up says that Connect was down, and not only something about its keys.
func saysDown(err error) bool {
	if errors.Is(err, connect.ErrUnavailable) {
		return true
	}
	if e, ok := errors.AsType[*connect.Error](err); ok {
		return e.HTTPStatus >= 500
	}
	_, keyed := errors.AsType[keyError](err)
	return !keyed
}

func (c *caller) seenDown(why string) { c.connectDown.Store(&sighting{time.Now(), why}) }

// downSince returns why Connect was seen down after a time; "" if it was not.
func (c *caller) downSince(t time.Time) string {
	if s := c.connectDown.Load(); s != nil && s.at.After(t) {
		return s.why
	}
	return ""
}

// call makes one call, for which the rate limit has been waited for.
func (c *caller) call(ctx context.Context, l *latency, limiter *callLimiter, f func(context.Context) error) error {
	who, began, run := limiter.who, time.Now(), callback.Do
	if l == &c.reading || l == &c.pushing { // on the goroutine of the order, which order.exited replaces
		run = protect
	}
	err := run(func() error { return f(ratelimit.With(ctx, limiter)) })
	callback.Log(c.cfg.Logger, err)
	c.noteRetryAfter(err)
	if why := overloaded(err); why != "" {
		c.pace.SlowDown(began, who+" answered "+why)
	} else if l != nil {
		if usual, slow := l.add(time.Since(began) - time.Duration(limiter.waited.Load())); slow {
			c.pace.SlowDown(began, fmt.Sprintf("calls of %s take much longer than %v", who, usual.Round(time.Millisecond)))
		}
	}
	return err
}

// protect turns a panic into an error.
func protect(f func() error) (err error) {
	defer callback.Recover(&err)
	return f()
}

// noteRetryAfter applies the Retry-After of an error.
func (c *caller) noteRetryAfter(err error) {
	if who, after := retryAfterOf(err); after > 0 {
		c.cfg.Logger.Warn("a system sent Retry-After", "system", who, "retryAfter", after)
		c.pause(who, after)
	}
}

// retryAfterOf returns the Retry-After in an error of a client, and who sent it; 0 if there is none.
func retryAfterOf(err error) (who string, after time.Duration) {
	if e, ok := errors.AsType[*commerce.Error](err); ok {
		return "Commerce", e.RetryAfter
	}
	if e, ok := errors.AsType[*connect.Error](err); ok {
		return connectName, e.RetryAfter
	}
	return "", 0
}

// pause pauses all calls for as long as a system asked, and ends the run if that is too long. The pause is durable
// before any other call is made.
func (c *caller) pause(who string, d time.Duration) {
	if err := tooLong(who, d, c.cfg.MaxRetryAfter); err != nil {
		c.stop(err)
	}
	if err := c.hold(who, d); err != nil {
		c.stop(err)
	}
}

// callLimiter limits the rate of the requests that a client sends for one call besides the first: a
// retry of a read, a further page, the read that precedes a push (resubmit/SAFETY.md#i7).
type callLimiter struct {
	caller  *caller
	who     string        // the system that is called
	mayPush func() string // why a push must not be sent any more, "" if it may; nil in other calls
	most    int64         // requests; 0 for any number
	more    atomic.Int64  // requests after the first
	waited  atomic.Int64  // how much of the call was spent waiting, in ns
}

// Wait implements ratelimit.Limiter. A push waits for the rate limit only: after a longer wait, what
// was read of the order and of the windows would be out of date.
func (l *callLimiter) Wait(ctx context.Context) error {
	kind := throttle.Any
	if l.mayPush != nil {
		kind = throttle.Push
	}
	if l.most > 0 && l.more.Add(1) >= l.most {
		return fmt.Errorf("it took more than %d requests", l.most)
	}
	began := time.Now()
	err := l.caller.pace.Wait(ctx, kind)
	l.waited.Add(int64(time.Since(began)))
	if err != nil || l.mayPush == nil {
		return err
	}
	if why := l.mayPush(); why != "" {
		return fmt.Errorf("%w: %s", throttle.ErrHeldBack, why)
	}
	return nil
}

// Blocked implements ratelimit.Limiter.
func (l *callLimiter) Blocked() bool { return l.caller.pace.Rest() > 0 }

// ReportRetryAfter implements ratelimit.Limiter. The client may wait and then succeed, without an error.
func (l *callLimiter) ReportRetryAfter(d time.Duration) { l.caller.pause(l.who, d) }

// ReportDate implements ratelimit.Limiter.
func (l *callLimiter) ReportDate(host string, server, local time.Time) {
	l.caller.clocks.ReportDate(host, server, local)
	if l.who == connectName {
		l.caller.connectClock.ReportDate(host, server, local)
	}
}

// latency measures the calls of one kind.
type latency struct {
	mu    sync.Mutex
	calls int
	usual float64 // seconds
	// recent and spread are the mean of the last calls and of how far they were from it.
	recent, spread float64
	slow           int // calls in a row that took much longer than usual
}

const (
	usualAfter = 16 // calls that say what is usual
	slowRow    = 5  // calls in a row that say that it is not usual any more
	slowAtMost = 0.25
)

// add records the duration of a call and reports whether the last ones took much longer than usual.
func (l *latency) add(d time.Duration) (usual time.Duration, slow bool) {
	seconds := d.Seconds()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if l.calls == 1 {
		l.usual, l.recent = seconds, seconds
	}
	far := max(seconds-l.recent, l.recent-seconds)
	l.recent += (seconds - l.recent) / 8
	l.spread += (far - l.spread) / 4
	if l.calls <= usualAfter || seconds <= 2*l.usual+slowAtMost {
		l.usual += (seconds - l.usual) / float64(min(l.calls, 128))
		l.slow = 0
		return 0, false
	}
	if l.slow++; l.slow < slowRow {
		return 0, false
	}
	was := l.usual
	l.usual += (seconds - l.usual) / 8 // it may stay so
	l.slow = 0
	return time.Duration(was * float64(time.Second)), true
}

// expected returns how long the next call may take.
func (l *latency) expected(most time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return min(most, time.Duration((l.recent+4*l.spread)*float64(time.Second)))
}

// overloaded returns how a server reported overload; "" if it did not.
func overloaded(err error) string {
	if err == nil {
		return ""
	}
	switch status := httpStatus(err); {
	case status == 429 || errors.Is(err, commerce.ErrRateLimited) || errors.Is(err, connect.ErrRateLimited):
		return "429, too many calls"
	case status == 503:
		return "503, unavailable"
	default:
		return ""
	}
}

// httpStatus returns the HTTP status in an error of a client; 0 if there is none.
func httpStatus(err error) int {
	if e, ok := errors.AsType[*commerce.Error](err); ok {
		return e.HTTPStatus
	}
	if e, ok := errors.AsType[*connect.Error](err); ok {
		return e.HTTPStatus
	}
	return 0
}

// ErrRetryAfterTooLong means that a server sent a Retry-After that is longer than Config.MaxRetryAfter. Nothing was
// sent to any server since.
var ErrRetryAfterTooLong = errors.New("the Retry-After of a server is longer than Config.MaxRetryAfter")

func tooLong(who string, d, most time.Duration) error {
	if most < 0 || d <= most {
		return nil
	}
	return fmt.Errorf("resubmit: %s asks for a pause until %s: %w (%v); run again after that, or ask its operator",
		who, time.Now().Add(d).UTC().Format(time.RFC3339), ErrRetryAfterTooLong, most)
}

// guarded calls a function of the configuration that returns no error.
func guarded[T any](f func() T) (value T, err error) {
	err = protect(func() error { value = f(); return nil })
	return value, err
}

// Refused credentials end a run at once, since further calls would be refused too and might lock
// the account:
//
//   - 401 from either system ends the run, and so does 403 from Connect, from a list or from a
//     sign-in.
//   - 403 to a read or a push of one order is about that order. If forbiddenInRow orders in a
//     row get it, and no call of the same kind succeeds in between, it is about the credentials
//     and ends the run. Orders that an earlier run has begun count only when all others are
//     done, so that a few orders which are always forbidden cannot block the others.
//   - A client does not repeat a push, but has renewed the credentials when it returns. So the
//     first 401 or 403 to a push leads to one further attempt.
//
// None of this counts as a refusal of the order: its record allows another attempt.

// forbiddenInRow is the number of forbidden orders in a row that means that the credentials are
// refused.
const forbiddenInRow = 3

// unauthorized reports whether the credentials were refused as such.
func unauthorized(err error) bool {
	return errors.Is(err, commerce.ErrUnauthorized) || errors.Is(err, connect.ErrUnauthorized) ||
		forbidden(err) && notSent(err)
}

// forbidden reports whether the credentials are valid but do not permit the call.
func forbidden(err error) bool {
	return errors.Is(err, commerce.ErrForbidden) || errors.Is(err, connect.ErrForbidden)
}

// notSent reports whether the call itself was not sent, because its sign-in failed.
func notSent(err error) bool {
	e, ok := errors.AsType[*commerce.Error](err)
	return ok && e.Delivery == commerce.DeliveryNotSent
}

// access counts the orders in a row for which one kind of call was forbidden. The zero value is
// ready to use.
type access struct {
	mu sync.Mutex
	// orders were begun by this run, resumed by an earlier one.
	orders, resumed map[string]bool
	call            string // the last forbidden call
	err             error
}

func (a *access) succeeded() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.orders)
	clear(a.resumed)
}

// forbid counts an order and reports whether the run must end at once. Orders that an earlier run has pushed end it
// only when all others are done.
func (a *access) forbid(id string, resumed bool, call string, err error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.orders == nil {
		a.orders, a.resumed = make(map[string]bool), make(map[string]bool)
	}
	if a.call, a.err = call, err; resumed {
		a.resumed[id] = true
		return false
	}
	a.orders[id] = true
	return len(a.orders) >= forbiddenInRow
}

// end returns the last forbidden call and its error if the orders of this run and of earlier ones
// are too many together.
func (a *access) end() (call string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.orders)+len(a.resumed) < forbiddenInRow {
		return "", nil
	}
	return a.call, a.err
}

// checkAccess ends the run if the error of a call means that the credentials are refused.
func (c *caller) checkAccess(system, call string, err error) {
	if unauthorized(err) || forbidden(err) {
		c.denied(system, call, err)
	}
}

func (c *caller) denied(system, call string, err error) {
	c.stop(fmt.Errorf("resubmit: %s refused the credentials (%s), so the run ended: %w; renew them or have the "+
		"permission added, then run again with the same plan and journal", system, call, err))
}

// checkOrderAccess is checkAccess for a call about one order: 403 may be about that order alone.
func (c *caller) checkOrderAccess(o *order, a *access, call string, err error) {
	call += " " + o.item.Number
	if unauthorized(err) || forbidden(err) && a.forbid(o.entry.OrderID, o.resumed, call, err) {
		c.denied("Commerce", call, err)
	}
}

// endForbidden ends a run that has processed all orders with an error if the last ones were
// forbidden.
func (c *caller) endForbidden() {
	for _, a := range []*access{&c.readAccess, &c.pushAccess} {
		if call, err := a.end(); err != nil {
			c.denied("Commerce", call, err)
		}
	}
}
