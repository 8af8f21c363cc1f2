package resubmit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/throttle"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// Event is something that a [Runner] did or noticed: one of the event types of this package.
// Use a type switch, and ignore types that you do not know, since more may be added:
//
//	cfg.OnEvent = func(e resubmit.Event) {
//		switch e := e.(type) {
//		case resubmit.PushAccepted:
//			fmt.Println(e.Number, "was sent")
//		case resubmit.OrderDone:
//			fmt.Println(e.Number, e.Outcome)
//		}
//	}
//
// The first event of a run is RunStarted, the last one RunFinished.
type Event interface{ event() }

// RunStarted is the first event of a run.
type RunStarted struct {
	Digest string
	Counts plan.ActionCounts
	// Plan holds the decision for each order, including those that are not resubmitted.
	Plan *plan.Plan
	// ConnectAsked reports whether results are also verified in Connect.
	ConnectAsked bool
	// Rate is the rate limit in force, in calls per second; -1 is no limit.
	Rate float64
}

// GateClosed reports that pushes wait, for example because of a maintenance window or a pause.
type GateClosed struct {
	Why string
	// Until is when that ends; zero if it is not known.
	Until time.Time
}

// GateOpened reports that pushes resume after GateClosed.
type GateOpened struct{ Waited time.Duration }

// RateChange reports that the rate of calls was lowered or raised.
type RateChange struct {
	// Rate is the rate in force and Limit the configured one, in calls per second; -1 is no limit.
	Rate, Limit float64
	// Why is the reason why Rate is below Limit; "" if it is not.
	Why string
}

// BreakerChange reports a new state of the circuit breaker.
type BreakerChange struct {
	State BreakerState
	// Opens counts how often it opened in this run.
	Opens int
	Why   string
	// Next is when Connect is probed next; zero if the breaker is not open.
	Next time.Time
}

// CanaryChange reports that a group of orders advanced a step or was stopped.
type CanaryChange struct {
	CanaryStatus
}

// RunStateChange reports that the run was paused, resumed, drained or cancelled.
type RunStateChange struct {
	State RunState
	Why   string
}

// PushIntended reports that an order was read again and is about to be claimed in the journal, and pushed. The claim
// may still be rejected, or released before the push.
type PushIntended struct {
	OrderID string
	Number  string
	Target  commerce.Status
	Attempt int
}

// OrderReread reports the state of an order read right before its push. It is emitted after the push.
type OrderReread struct {
	OrderID string
	Number  string
	Now     plan.Snapshot
	// Changed describes the differences from the plan; "" if there are none.
	Changed string
}

// PushAccepted reports a push that Commerce accepted.
type PushAccepted struct {
	OrderID string
	Number  string
	Target  commerce.Status
	Attempt int
}

// PushUnanswered reports a push without an answer. The order is only read from then on.
type PushUnanswered struct {
	OrderID string
	Number  string
	Target  commerce.Status
	Err     error
}

// PushRefused reports a push that was refused or not sent.
type PushRefused struct {
	OrderID string
	Number  string
	Target  commerce.Status
	Err     error
	// Again reports whether the order is tried again.
	Again bool
}

// OrderDone reports the outcome of an order. There is one for each order that the run opened.
type OrderDone struct{ Item }

// RunFinished is the last event of a run. It has the report.
type RunFinished struct{ *Report }

func (RunStarted) event()     {}
func (GateClosed) event()     {}
func (GateOpened) event()     {}
func (RateChange) event()     {}
func (BreakerChange) event()  {}
func (CanaryChange) event()   {}
func (RunStateChange) event() {}
func (PushIntended) event()   {}
func (OrderReread) event()    {}
func (PushAccepted) event()   {}
func (PushUnanswered) event() {}
func (PushRefused) event()    {}
func (OrderDone) event()      {}
func (RunFinished) event()    {}

// maxQueuedEvents is how many events may wait for OnEvent before no further order is begun.
const maxQueuedEvents = 1024

// maxEventTime is how long one call of OnEvent may take.
const maxEventTime = 10 * time.Second

// events logs events, writes them to the audit log at once, and delivers them to OnEvent in
// order, from one goroutine. emit never waits for OnEvent, so it may be called with locks held
// that OnEvent needs.
type events struct {
	log    *slog.Logger
	audit  func(Event) error // may be nil
	failed func(error)       // is called with an error of audit
	notify func(Event)       // may be nil
	ctx    context.Context   //nolint:containedctx // of the run
	hangs  atomic.Bool       // audit has not returned

	mu      sync.Mutex
	changed sync.Cond // an event was queued or delivered
	queue   []Event   // not delivered yet; the first may be in delivery
	running bool      // a goroutine delivers the queue
	removed string    // why notify is not called any more; "" while it is
	closed  bool      // the last event was emitted
}

func newEvents(ctx context.Context, c *Config, failed func(error)) *events {
	e := &events{ctx: ctx, log: c.Logger, audit: c.Audit, notify: c.OnEvent, failed: failed}
	e.changed.L = &e.mu
	return e
}

// wanted reports whether anything but the log receives events.
func (e *events) wanted() bool { return e.audit != nil || e.notify != nil }

// emit reports an event. After RunFinished, which is the last one, it does nothing.
func (e *events) emit(event Event) {
	if !e.accept(event) {
		return
	}
	e.write(event)
	if e.audit != nil && !e.hangs.Load() {
		if err := e.record(event); err != nil {
			e.log.Error("the audit log could not be written", "error", err)
			callback.Log(e.log, err)
			e.failed(fmt.Errorf("resubmit: the audit log could not be written, so nothing more is pushed: %w", err))
		}
	}
	if e.notify == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.removed != "" {
		return
	}
	e.queue = append(e.queue, event)
	if !e.running {
		e.running = true
		go e.deliver()
	}
}

func (e *events) accept(event Event) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	_, e.closed = event.(RunFinished)
	return true
}

// record writes an event to the audit log. If that hangs, it is given up callGrace after the run has ended.
func (e *events) record(event Event) error {
	err := withinContext(e.ctx, func() error { return e.audit(event) })
	if errors.Is(err, errHangs) {
		e.hangs.Store(true)
	}
	return err
}

// deliver calls OnEvent with the queued events until none is left. A panic, or a call that takes too long, removes
// OnEvent.
func (e *events) deliver() {
	returned := false
	defer func() {
		if !returned {
			e.remove(callback.Recovered(recover()))
		}
	}()
	late := time.AfterFunc(time.Hour, func() { e.remove(fmt.Errorf("it has not returned for %v", maxEventTime)) })
	defer late.Stop()
	for event, ok := e.next(nil); ok; event, ok = e.next(event) {
		late.Reset(maxEventTime)
		e.notify(event)
	}
	returned = true
}

// next removes the event that was delivered, if any, from the queue and returns the one after it.
func (e *events) next(delivered Event) (event Event, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.removed != "" {
		return nil, false
	}
	if delivered != nil {
		e.queue = slices.Delete(e.queue, 0, 1)
		e.changed.Broadcast()
	}
	if e.running = len(e.queue) > 0; !e.running {
		return nil, false
	}
	return e.queue[0], true
}

// remove stops calling OnEvent.
func (e *events) remove(err error) {
	callback.Log(e.log, err)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.removed != "" {
		return
	}
	e.log.Error("OnEvent is not called any more, and the run continues", "error", err)
	e.queue, e.removed, e.running = nil, err.Error(), false
	e.changed.Broadcast()
}

// waitBelow waits until fewer than n events are queued, or ctx ends.
func (e *events) waitBelow(ctx context.Context, n int) {
	e.mu.Lock()
	few := len(e.queue) < n
	e.mu.Unlock()
	if few {
		return
	}
	defer context.AfterFunc(ctx, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.changed.Broadcast()
	})()
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.queue) >= n && ctx.Err() == nil {
		e.changed.Wait()
	}
}

// close accepts no more events, waits until all are delivered, and returns why OnEvent was removed, if it was. A call
// of
// OnEvent that takes too long removes it, so this ends. If the context of the run has ended, it waits no longer than
// callGrace.
func (e *events) close(run context.Context) (removed string) {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	ctx := context.Background()
	if run.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callGrace)
		defer cancel()
	}
	if e.waitBelow(ctx, 1); ctx.Err() != nil {
		e.remove(errors.New("it had not received all events when the run ended"))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.removed
}

// write logs an event.
func (e *events) write(event Event) {
	switch v := event.(type) {
	case RunStarted:
		e.log.Info("resubmission started", "plan", v.Digest, "orders", v.Counts.Resubmit, "connect", v.ConnectAsked)
	case GateClosed:
		e.log.Info("pushes wait", "why", text.Sentence(v.Why), "until", v.Until)
	case GateOpened:
		e.log.Info("pushes resume", "waited", v.Waited)
	case RateChange:
		e.log.Info("the rate changed", "rate", v.Rate, "limit", v.Limit, "why", text.Sentence(v.Why))
	case BreakerChange:
		e.log.Warn("the circuit breaker changed", "state", v.State, "opens", v.Opens, "why", text.Sentence(v.Why))
	case CanaryChange:
		e.log.Info("the canary changed", "group", text.Short(v.Group), "limit", v.Limit, "stopped", text.Sentence(v.Stopped))
	case RunStateChange:
		e.log.Info("the run state changed", "state", v.State, "why", text.Sentence(v.Why))
	case PushUnanswered:
		e.log.Warn("the answer to a push was lost", "order", text.Short(v.Number), "target", v.Target, "error", v.Err)
	case PushRefused:
		level, what := slog.LevelWarn, "a push was refused"
		if errors.Is(v.Err, throttle.ErrHeldBack) { // by a pause or a Retry-After, for example
			level, what = slog.LevelInfo, "a push was held back"
		}
		e.log.Log(context.Background(), level, what, "order", text.Short(v.Number), "target", v.Target, "error", v.Err,
			"again", v.Again)
	case OrderDone:
		if e.log.Enabled(context.Background(), slog.LevelDebug) {
			e.log.Debug("order done", "order", text.Short(v.Number), "outcome", v.Outcome, "why", v.Why)
		}
	case RunFinished:
		e.log.Info("resubmission finished", "plan", v.PlanDigest, "result", v.Result.String(), "error", v.Err)
	}
}

// Tracer observes what a planner or a Runner does, for a tracing system: see package resubmit/otel. Each method is
// called at a beginning. It returns the context for the calls of that part, and a function that is called once, at the
// end. Both must return at once; they are called concurrently. If one panics, that part is not traced, and the stack is
// logged.
type Tracer interface {
	// Plan is called when a plan is made. At the end, digest is "" if there is an error.
	Plan(ctx context.Context) (_ context.Context, end func(digest string, counts plan.ActionCounts, err error))
	// Run is called when Apply is called. At the end, the report is nil if the run could not start.
	Run(ctx context.Context, p *plan.Plan) (_ context.Context, end func(*Report, error))
	// Order is called when a run, or a session, begins to work on an order. The end of an order that is abandoned,
	// because a call does not return, is not reported.
	Order(ctx context.Context, e *plan.Entry) (_ context.Context, end func(*Item))
}

// tracing calls a Tracer, which may be nil.
type tracing struct {
	Tracer
	log *slog.Logger
}

func (t tracing) plan(ctx context.Context) (context.Context, func(string, plan.ActionCounts, error)) {
	if t.Tracer == nil {
		return ctx, func(string, plan.ActionCounts, error) {}
	}
	s := start(ctx, t.log, t.Plan)
	return s.ctx, func(digest string, c plan.ActionCounts, err error) {
		s.finish(t.log, func() { s.end(digest, c, err) })
	}
}

func (t tracing) run(ctx context.Context, p *plan.Plan) (context.Context, func(*Report, error)) {
	if t.Tracer == nil {
		return ctx, func(*Report, error) {}
	}
	s := start(ctx, t.log, func(ctx context.Context) (context.Context, func(*Report, error)) { return t.Run(ctx, p) })
	return s.ctx, func(r *Report, err error) { s.finish(t.log, func() { s.end(r, err) }) }
}

func (t tracing) order(ctx context.Context, e *plan.Entry) (context.Context, func(*Item)) {
	if t.Tracer == nil {
		return ctx, func(*Item) {}
	}
	s := start(ctx, t.log, func(ctx context.Context) (context.Context, func(*Item)) { return t.Order(ctx, e) })
	return s.ctx, func(i *Item) { s.finish(t.log, func() { s.end(i) }) }
}

// span is what a method of a Tracer returned.
type span[F any] struct {
	ctx context.Context //nolint:containedctx // it is returned at once
	end F
	ok  bool
}

// start calls a method of a Tracer. If that panics, or returns no context, the span has the given one, and no end.
func start[F any](ctx context.Context, log *slog.Logger, begin func(context.Context) (context.Context, F)) span[F] {
	s, err := callback.Call(func() (span[F], error) {
		own, end := begin(ctx)
		return span[F]{ctx: own, end: end, ok: own != nil}, nil
	})
	callback.Log(log, err)
	if !s.ok {
		return span[F]{ctx: ctx}
	}
	return s
}

func (s span[F]) finish(log *slog.Logger, end func()) {
	if s.ok {
		callback.Log(log, callback.Do(func() error { end(); return nil }))
	}
}
