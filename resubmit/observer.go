package resubmit

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// Observer is told what a Runner does, as it does it. Embed NopObserver and
// write the methods that matter.
//
// The calls come one at a time, each order's own in the order of its steps: a slow observer slows the run, but no
// guarantee of the run depends on it, since none is called between the re-read of
// an order and its push. It may call Status, SetLimits, Pause, Resume, Drain and Cancel.
//
// An observer that panics is removed, and the run continues without it. The Logger and
// [Report].ObserverError say so.
type Observer interface {
	// OnPlanStarted comes once, first.
	OnPlanStarted(PlanStarted)
	// OnGateClosed says that pushes wait; OnGateOpened that they go on.
	OnGateClosed(GateClosed)
	OnGateOpened(GateOpened)
	// OnPace says that the calls go out faster or slower from now on.
	OnPace(PaceChange)
	// OnBreaker says that the breaker opened, tries or closed.
	OnBreaker(BreakerChange)
	// OnCanary says that a group of orders was let go further, or stopped.
	OnCanary(CanaryChange)
	// OnControl says that the run was paused, resumed, drained or cancelled.
	OnControl(ControlChange)
	// OnIntent says that the journal holds the intent to push an order.
	OnIntent(Intent)
	// OnReread says that the order was read again before the push. It comes after
	// the push was answered, so that a slow observer does not make the reading old.
	OnReread(Reread)
	// OnPushed says that Commerce accepted a push.
	OnPushed(Pushed)
	// OnPushUnknown says that the answer was lost: from now on the order is only read.
	OnPushUnknown(PushUnknown)
	// OnRefused says that a push did not happen for sure.
	OnRefused(Refused)
	// OnDone comes once for each order that the run saw, with its outcome.
	OnDone(Item)
	// OnFinished comes once, last.
	OnFinished(*Report)
}

// PlanStarted opens a run.
type PlanStarted struct {
	Digest string
	Counts plan.ActionCounts
	// Plan tells the decision for each order, those that are left alone included.
	Plan *plan.Plan
	// ConnectAsked says whether the results are also looked up in Connect.
	ConnectAsked bool
}

// GateClosed says why pushes wait and until when that is known to last; zero
// when it is not known (paused, a window that overruns).
type GateClosed struct {
	Why   string
	Until time.Time
}

// GateOpened says that pushes go on, and how long they waited.
type GateOpened struct{ Waited time.Duration }

// PaceChange is another pace.
type PaceChange struct {
	// Rate is what is in force and Limit what was asked for, in calls a second; -1
	// is no limit.
	Rate, Limit float64
	// Why says what trouble the pace is lower for; "" when it is not.
	Why string
}

// BreakerChange is another state of the breaker.
type BreakerChange struct {
	State BreakerState
	// Opens counts how often it opened in this run.
	Opens int
	Why   string
	// Next is when Connect is looked at next; zero when the breaker is not open.
	Next time.Time
}

// CanaryChange is another step of a group of orders, or its end.
type CanaryChange struct {
	CanaryStatus
}

// ControlChange is another state of the run.
type ControlChange struct {
	State RunState
	Why   string
}

// Intent is an order that is about to be read again and pushed.
type Intent struct {
	OrderID string
	Number  string
	Attempt int
}

// Reread is what an order looked like right before its push.
type Reread struct {
	OrderID string
	Number  string
	Now     plan.Snapshot
	// Changed says how that differs from the plan; "" when it does not.
	Changed string
}

// Pushed is an accepted push.
type Pushed struct {
	OrderID string
	Number  string
	Target  commerce.Status
	Attempt int
}

// PushUnknown is a push whose answer was lost.
type PushUnknown struct {
	OrderID string
	Number  string
	Target  commerce.Status
	Err     error
}

// Refused is a push that did not happen. Again says that it will be tried again.
type Refused struct {
	OrderID string
	Number  string
	Target  commerce.Status
	Err     error
	Again   bool
}

// NopObserver does nothing; embed it.
type NopObserver struct{}

var _ Observer = NopObserver{}

// OnPlanStarted does nothing.
func (NopObserver) OnPlanStarted(PlanStarted) {}

// OnGateClosed does nothing.
func (NopObserver) OnGateClosed(GateClosed) {}

// OnGateOpened does nothing.
func (NopObserver) OnGateOpened(GateOpened) {}

// OnPace does nothing.
func (NopObserver) OnPace(PaceChange) {}

// OnBreaker does nothing.
func (NopObserver) OnBreaker(BreakerChange) {}

// OnCanary does nothing.
func (NopObserver) OnCanary(CanaryChange) {}

// OnControl does nothing.
func (NopObserver) OnControl(ControlChange) {}

// OnIntent does nothing.
func (NopObserver) OnIntent(Intent) {}

// OnReread does nothing.
func (NopObserver) OnReread(Reread) {}

// OnPushed does nothing.
func (NopObserver) OnPushed(Pushed) {}

// OnPushUnknown does nothing.
func (NopObserver) OnPushUnknown(PushUnknown) {}

// OnRefused does nothing.
func (NopObserver) OnRefused(Refused) {}

// OnDone does nothing.
func (NopObserver) OnDone(Item) {}

// OnFinished does nothing.
func (NopObserver) OnFinished(*Report) {}

// teller tells the observer, one event at a time, and the log.
type teller struct {
	mu  sync.Mutex
	to  Observer // may be nil
	log *slog.Logger
	// removed says why the observer is not called any more; nil while it is.
	removed atomic.Pointer[string]

	// The changes of state of the run wait here, in the order in which they
	// happened, for whoever tells next: they happen with locks held which an
	// observer may need, or while it is being told of something else.
	waits   sync.Mutex
	changes []func(Observer)
}

func (t *teller) tell(f func(Observer)) {
	if t.to == nil || t.removed.Load() != nil {
		return
	}
	t.mu.Lock()
	t.tellChanges()
	t.call(f)
	t.mu.Unlock()
	t.flush()
}

// call calls the observer, and removes it if it panics. The lock is held.
func (t *teller) call(f func(Observer)) {
	if t.removed.Load() != nil {
		return
	}
	if err := callback.Do(func() error { f(t.to); return nil }); err != nil {
		why := err.Error()
		t.removed.Store(&why)
		callback.Log(t.log, err)
		t.log.Error("the observer is removed, and the run continues without it", "error", err)
	}
}

// removedWhy says why the observer, or one inside it, is not called any more; "" while
// it is.
func (t *teller) removedWhy() string {
	if why := t.removed.Load(); why != nil {
		return *why
	}
	if o, ok := t.to.(interface{ RemovedWhy() string }); ok {
		return o.RemovedWhy()
	}
	return ""
}

// later takes a change of state, which must be followed by a flush when the locks
// are given back.
func (t *teller) later(f func(Observer)) {
	if t.to == nil || t.removed.Load() != nil {
		return
	}
	t.waits.Lock()
	defer t.waits.Unlock()
	t.changes = append(t.changes, f)
}

// flush tells what waits, unless somebody else is telling, who does it then.
func (t *teller) flush() {
	for t.waiting() && t.mu.TryLock() {
		t.tellChanges()
		t.mu.Unlock()
	}
}

func (t *teller) waiting() bool {
	t.waits.Lock()
	defer t.waits.Unlock()
	return len(t.changes) > 0
}

func (t *teller) tellChanges() {
	for {
		t.waits.Lock()
		changes := t.changes
		t.changes = nil
		t.waits.Unlock()
		if len(changes) == 0 {
			return
		}
		for _, f := range changes {
			t.call(f)
		}
	}
}

func (t *teller) planStarted(e PlanStarted) {
	t.log.Info("resubmission started", "plan", e.Digest, "orders", e.Counts.Resubmit, "connect", e.ConnectAsked)
	t.tell(func(o Observer) { o.OnPlanStarted(e) })
}

func (t *teller) gateClosed(e GateClosed) {
	t.log.Info("pushes wait", "why", text.Sentence(e.Why), "until", e.Until)
	t.later(func(o Observer) { o.OnGateClosed(e) })
}

func (t *teller) gateOpened(e GateOpened) {
	t.log.Info("pushes go on", "waited", e.Waited)
	t.later(func(o Observer) { o.OnGateOpened(e) })
}

func (t *teller) pace(e PaceChange) {
	t.log.Info("the pace changed", "rate", e.Rate, "limit", e.Limit, "why", text.Sentence(e.Why))
	t.later(func(o Observer) { o.OnPace(e) })
}

func (t *teller) breaker(e BreakerChange) {
	t.log.Warn("the breaker changed", "state", e.State, "opens", e.Opens, "why", text.Sentence(e.Why))
	t.later(func(o Observer) { o.OnBreaker(e) })
}

func (t *teller) canary(e CanaryChange) {
	t.log.Info("the canary changed", "group", text.Short(e.Group), "limit", e.Limit, "stopped", text.Sentence(e.Stopped))
	t.later(func(o Observer) { o.OnCanary(e) })
}

func (t *teller) control(e ControlChange) {
	t.log.Info("the run was told", "state", e.State, "why", text.Sentence(e.Why))
	t.later(func(o Observer) { o.OnControl(e) })
}

func (t *teller) reread(j *job, changed string) {
	t.tell(func(o Observer) {
		o.OnReread(Reread{OrderID: j.item.OrderID, Number: j.item.Number, Now: j.item.After, Changed: changed})
	})
}

func (t *teller) unknown(e PushUnknown) {
	t.log.Warn("the answer to a push was lost", "order", text.Short(e.Number), "target", e.Target, "error", e.Err)
	t.tell(func(o Observer) { o.OnPushUnknown(e) })
}

func (t *teller) refused(e Refused) {
	t.log.Warn("a push was refused", "order", text.Short(e.Number), "target", e.Target, "error", e.Err, "again", e.Again)
	t.tell(func(o Observer) { o.OnRefused(e) })
}

func (t *teller) done(i *Item) {
	if t.log.Enabled(context.Background(), slog.LevelDebug) {
		t.log.Debug("order done", "order", text.Short(i.Number), "outcome", i.Outcome, "why", i.Why)
	}
	t.tell(func(o Observer) { o.OnDone(*i) })
}

func (t *teller) finished(r *Report) {
	t.log.Info("resubmission finished", "plan", r.PlanDigest, "result", r.Result.String(), "error", r.Err)
	t.tell(func(o Observer) { o.OnFinished(r) })
}
