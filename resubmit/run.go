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
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/internal/wait"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/throttle"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// run is one call of Apply, or a Session. Its collaborators own their state: scheduler, caller, verifier, tally, gate
// and lease.
type run struct {
	cfg      Config
	plan     *plan.Plan
	digest   string
	explicit []commerce.Status     // the targets of orders without reported transitions
	planned  *maintenance.Calendar // the plan's
	calendar func() *maintenance.Calendar
	started  time.Time

	ctx    context.Context //nolint:containedctx // a run is one call of Apply
	cancel context.CancelCauseFunc
	hurry  chan struct{} // closed when nothing is waited for any more

	scheduler *scheduler
	caller    *caller
	verifier  *verifier
	tally     *tally
	estimator *estimator
	gate      *gate
	lease     *lease
	events    *events
	settled   func() // waits until the end of the run is reported
	orders    sync.WaitGroup
	shared    *shared
	drained   atomic.Bool   // an order was not started because the run was drained
	grace     time.Duration // how long the last writes to the journal may take
}

// newRun makes a run and its collaborators.
func newRun(ctx context.Context, r *Runner, p *plan.Plan, calendar func() *maintenance.Calendar) *run {
	x := &run{
		cfg: r.cfg, plan: p, digest: p.Digest(), explicit: r.explicit, calendar: calendar, started: time.Now(),
		hurry: make(chan struct{}), grace: callGrace, shared: new(shared),
	}
	x.shared.run = x
	x.ctx, x.cancel = context.WithCancelCause(ctx)
	x.events = newEvents(x.ctx, &x.cfg, x.fail)
	x.gate = newGate(calendar, &x.cfg, x.events)
	x.caller = &caller{
		cfg: &x.cfg, ctx: x.ctx, pace: r.pace, pushes: throttle.NewSlots(0), reads: throttle.NewSlots(0), stop: x.fail,
		hold: x.hold, orderID: x.orderID,
	}
	x.caller.outage = &outage{
		first: r.cfg.Breaker.Wait, notify: x.gate.setOutage,
		opened: func(closed <-chan struct{}) { go x.caller.tryCommerce(closed) },
	}
	if r.together {
		x.caller.reads = x.caller.pushes
	}
	x.gate.call = func() time.Duration { return x.caller.pushing.expected(x.cfg.PushTimeout) }
	x.gate.clock, x.gate.askTime = x.caller.clocks.Suspected, x.caller.askTime
	x.gate.breaker = newBreaker(&x.cfg, x.events, x.fail, x.caller.probe)
	x.gate.breaker.wake = func() { x.gate.set(func(*gate) bool { return true }) }
	x.verifier = newVerifier(x.ctx, x.caller)
	x.scheduler = newScheduler(p.Index(), &x.cfg, x.events)
	x.estimator = newEstimator(x.caller.pace)
	x.tally = newTally(&x.cfg, x.events, r.cfg.Logger.Enabled(ctx, slog.LevelDebug), x.estimator.done)
	x.caller.pace.Share(x.cfg.reserve(), x.fail)
	x.caller.pace.Notify(func(c throttle.Change) { x.events.emit(RateChange(c)) })
	return x
}

// reportEnd reports the end of the context of the run as an event, which settled waits for.
func (x *run) reportEnd() {
	reported := make(chan struct{})
	stop := context.AfterFunc(x.ctx, func() {
		defer close(reported)
		x.reportControl(context.Cause(x.ctx).Error())
	})
	x.settled = func() {
		if !stop() {
			<-reported
		}
	}
}

// setConcurrency sets how many orders are pushed, and how many other calls are made, at the same time.
func (x *run) setConcurrency(n int) {
	x.caller.pushes.Resize(n)
	x.caller.reads.Resize(n)
	x.scheduler.setAhead(n)
}

// fail ends the run because of an error. Pushes in flight finish.
func (x *run) fail(err error) { x.cancel(err) }

// end ends the run, and reports whether it had not ended before.
func (x *run) end(cause error) bool {
	first := x.ctx.Err() == nil
	x.cancel(cause)
	return first
}

// giveUp waits for nothing any more.
func (x *run) giveUp() {
	select {
	case <-x.hurry:
	default:
		close(x.hurry)
	}
}

// owner returns the run and its epoch, which make its claims.
func (x *run) owner() protocol.Owner { return protocol.Owner{Run: x.digest, Epoch: x.lease.Epoch} }

// hold pauses all calls for a Retry-After, and records it.
func (x *run) hold(who string, d time.Duration) error {
	asked, until := x.caller.pace.Hold(d)
	return x.lease.remember(context.WithoutCancel(x.ctx), asked, until)
}

// drain lets no further order begin.
func (x *run) drain(why string) {
	if x.gate.set(func(g *gate) bool { was := g.draining; g.draining = true; return !was }) {
		x.reportControl(why)
		x.scheduler.stop()
	}
}

// stopping reports whether no further order is begun.
func (x *run) stopping() bool {
	_, draining := x.gate.signal()
	return draining || x.ctx.Err() != nil
}

// readsRest returns how long reads must wait: for the pause that a system asked for, and until Commerce answers.
func (x *run) readsRest() time.Duration {
	rest := x.caller.pace.Rest()
	if x.caller.outage.open() != "" {
		rest = max(rest, time.Minute)
	}
	return rest
}

// orderID returns the id of the n-th order of the plan, modulo their number.
func (x *run) orderID(n int) string {
	index := x.scheduler.index
	e, err := index.Entry(n % index.Len())
	if err != nil {
		return ""
	}
	return e.OrderID
}

// connectDown returns why Connect was not up all the time since t; "" if it was, as far as that is known.
func (x *run) connectDown(t time.Time) string {
	if why := x.caller.downSince(t); why != "" {
		return why
	}
	c, err := guarded(x.calendar)
	if err != nil {
		return "the maintenance windows are not known: " + err.Error()
	}
	for w := range c.OverlappingSeq(t, time.Now()) {
		return "in the maintenance " + w.Label()
	}
	return ""
}

// open opens the orders of the plan until none is left or the run ends.
func (x *run) open() {
	x.scheduler.begin()
	defer context.AfterFunc(x.ctx, x.scheduler.stop)()
	for {
		place, ok := x.scheduler.next()
		if !ok {
			return
		}
		e, err := x.scheduler.index.Entry(int(place))
		if err != nil {
			x.fail(fmt.Errorf("resubmit: read the plan: %w", err))
			return
		}
		x.begin(x.ctx, place, e, nil, nil)
	}
}

// begin opens an order on a goroutine of its own. after is called when it is done.
func (x *run) begin(ctx context.Context, place int32, e *plan.Entry, call *step, after func(*order)) {
	ctx, end := tracing{x.cfg.Tracer, x.cfg.Logger}.order(ctx, e)
	o := &order{x: x, place: place, ctx: ctx, entry: e, item: newItem(e), call: call, after: func(o *order) {
		end(&o.item)
		if after != nil {
			after(o)
		}
	}}
	o.attempt.order, o.checks.order, o.others.order = o, o, o
	o.request, _ = x.cfg.RequestType(e.Type)
	x.scheduler.opened(o)
	x.orders.Go(func() {
		if err := o.start(); err != nil {
			o.startFailed(err)
		}
		o.run()
	})
}

// wait waits until all open orders are done. After the run has ended, it gives up whatever has not returned after a
// while: calls after callGrace, a push when its own time is over too.
func (x *run) wait() {
	done := make(chan struct{})
	go func() { x.orders.Wait(); close(done) }()
	select {
	case <-done:
		return
	case <-x.ctx.Done():
	}
	if !x.waitFor(done, callGrace) && (x.caller.onWire.Load() == 0 || !x.waitFor(done, x.cfg.PushTimeout)) {
		x.grace = lastGrace
	}
}

// waitFor waits until done, but not longer than a time, and reports whether it is done.
func (x *run) waitFor(done <-chan struct{}, most time.Duration) bool {
	late := time.NewTimer(most)
	defer late.Stop()
	select {
	case <-done:
		return true
	case <-x.hurry:
	case <-late.C:
	}
	return false
}

// finish counts the orders that were not started or are abandoned, and returns the report.
func (x *run) finish() (*Report, error) {
	if err := x.flush(); err != nil {
		x.fail(fmt.Errorf(
			"resubmit: the journal could not store the results of the last pushes; the next run reads those orders: %w", err))
	}
	cause := context.Cause(x.ctx)
	x.settled()
	if x.scheduler.single {
		x.endLease(cause)
		x.events.close(x.ctx)
		return nil, cause
	}
	left := x.countRest()
	if cause == nil && (left || x.drained.Load()) {
		cause = ErrDrained
	}
	x.endLease(cause)
	report := x.report(cause)
	x.events.emit(RunFinished{report})
	report.EventError = x.events.close(x.ctx)
	return report, cause
}

// within calls a function that may hang, and gives it up after the time of a call.
func within(most time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- protect(func() error { return f(ctx) }) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return errors.New("it did not return in time")
	}
}

func (x *run) flush() error {
	return within(x.grace, func(ctx context.Context) error {
		_, err := x.cfg.Journal.Flush(ctx)
		return err
	})
}

// endLease records how the run ended.
func (x *run) endLease(cause error) {
	end := protocol.RunFinished
	switch {
	case errors.Is(cause, ErrCircuitOpen) || x.gate.breaker.isOpen():
		end = protocol.RunCircuitOpen
	case x.scheduler.anyStopped():
		end = protocol.RunCanaryStopped
	case cause != nil:
		end = protocol.RunStopped
	}
	err := within(x.grace, func(ctx context.Context) error { return x.lease.end(ctx, end, cause) })
	if err != nil {
		x.cfg.Logger.Warn("the end of the run could not be recorded", "error", err)
	}
}

// countRest counts the orders that are not done, and reports whether there are any.
func (x *run) countRest() (left bool) {
	open, places := x.scheduler.rest()
	why := "the run ended"
	if cause := context.Cause(x.ctx); cause != nil {
		why = cause.Error()
	} else if len(places) > 0 {
		why = ErrDrained.Error()
	}
	for _, o := range open { // a call has not returned
		if !o.counted.CompareAndSwap(false, true) {
			continue
		}
		item := newItem(o.entry)
		item.Outcome, item.Why = protocol.NotStarted, "a call has not returned, and was given up: "+text.Sentence(why)
		if o.sent.Load() {
			item.Outcome = protocol.Unknown
		}
		x.tally.add(&item)
	}
	for _, place := range places {
		outcome, left := x.scheduler.progressOf(place).left(text.Sentence(why))
		if outcome == protocol.NotStarted {
			left = "not started: " + left
		}
		x.countOne(place, outcome, left)
	}
	return len(open)+len(places) > 0
}

func (x *run) countOne(place int32, o protocol.Outcome, why string) {
	index := x.scheduler.index
	if x.tally.items {
		if e, err := index.Entry(int(place)); err == nil {
			item := newItem(e)
			item.Outcome, item.Why = o, why
			x.tally.add(&item)
			return
		}
	}
	x.tally.addUnseen(index.ReportGroup(int(place)), o, false)
}

// reportControl reports the state of the run.
func (x *run) reportControl(why string) {
	state, _, _, _, _ := x.gate.view()
	if x.ctx.Err() != nil {
		state = StateCancelled
	}
	x.events.emit(RunStateChange{State: state, Why: why})
}

// sleep waits for d, or until ctx is done, and then returns its error.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	if err := wait.For(ctx, d, nil); err != nil {
		return err
	}
	return ctx.Err()
}
