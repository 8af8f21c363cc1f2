package resubmit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// ErrRunning means that the Runner is already applying a plan.
var ErrRunning = errors.New(
	"resubmit: the runner is already applying a plan; wait for it, or make another runner with another journal")

// Apply resubmits the orders that the plan marks for resubmission, and no others, each at most once,
// and waits until their outcomes are known.
//
// Each order takes these steps: wait for older orders of its subscriptions, for the canary of its
// group, for the gate (not paused, no maintenance window now, soon or just before, breaker closed)
// and for the rate limit; put the intent into the journal; read the order again and compare it with
// the plan; choose a transition that it offers; push; put the result into the journal; verify the
// outcome in Commerce and then in Connect.
//
// An order whose push got no answer is read until its status shows that the push was accepted, or
// until Config.SettleDelay has passed and the outcome is unknown. It is not pushed again, unless
// Config.Retry allows that. An order that is not completed blocks the later orders of its
// subscriptions, which are skipped.
//
// A server can act on a push and still refuse it. So an order whose push was refused, by this run or
// an earlier one, is read before it is pushed again or reported as skipped. If it was moved, the push
// counts as accepted and the order is verified.
//
// Refused credentials end the run: 401 from either system, 403 from Connect or to a list, and 403 to
// the reads or to the pushes of three orders in a row without a success in between. 403 to fewer
// orders is about those orders, which are skipped. Orders that an earlier run has started end the run
// only when all others are done. A push that gets 401 or 403 is tried once more, because clients
// renew their credentials then. None of this counts in the canary, and a later run with the same plan
// and journal continues. The error matches ErrUnauthorized or ErrForbidden of package commerce or
// connect.
//
// With the journal of an earlier run of the same plan, Apply resumes that run: orders that were
// pushed are verified, orders that may have been pushed are read, finished orders are reported as
// they were, and the rest is resubmitted. A journal of another plan is refused with ErrOtherPlan.
//
// After ctx ends, or after [Runner.Cancel], nothing is pushed. Pushes in flight finish, in at most two
// minutes, and their results are recorded. [Runner.Drain] also ends the run, but only when all pushed
// orders are verified. A client that does not return within ten seconds after its context has ended
// is abandoned, with its goroutine.
//
// The report counts every order that the plan marks: those that were not started are skipped as "not
// started". It is nil only if the run could not start. If the run ended early, there is also an error:
// that of ctx, of the plan, of the journal or of refused credentials, [ErrDrained], [ErrCancelled],
// [ErrCircuitOpen] or [ErrPatience].
func (r *Runner) Apply(ctx context.Context, plan *plan.Plan) (*Report, error) {
	x, err := r.begin(ctx, plan)
	if err != nil {
		return nil, err
	}
	defer x.cancel(nil)
	x.later, _ = journalAs[LaterJournal](x.cfg.Journal)

	x.finished = x.readFinished()
	x.events.emit(RunStarted{Digest: plan.Digest(), Counts: plan.Counts(), Plan: plan,
		ConnectAsked: r.cfg.Requests != nil})
	x.touched = newLaneSet(min(x.total, 64*x.finished.n))
	x.feed(plan)
	r.wait(x)
	x.endForbidden()

	report, err := x.finish()
	x.events.emit(RunFinished{report})
	report.EventError = x.events.flush()
	return report, err
}

// wait waits until all open orders are done, and then stops the workers.
func (r *Runner) wait(x *run) {
	x.jobs.Wait()
	r.end()
	close(x.ready)
	x.workers.Wait()
	x.sync()
	x.stopEndEvents()
}

// sync waits until all records in the journal are durable.
func (x *run) sync() {
	if x.later == nil {
		return
	}
	sync := func() (err error) {
		defer callback.Recover(&err)
		return x.later.Sync()
	}
	if err := sync(); err != nil {
		x.cancel(fmt.Errorf(
			"resubmit: the journal could not store the results of the last pushes; the next run reads those orders: %w", err))
	}
}

func (r *Runner) begin(ctx context.Context, plan *plan.Plan) (*run, error) {
	if plan == nil {
		return nil, errors.New("resubmit: Apply was given no plan; read one with plan.Open or plan.Read")
	}
	if err := plan.CheckSystem(r.cfg.Name); err != nil {
		return nil, err
	}
	planned, err := plan.Header().Calendar()
	if err != nil {
		return nil, err
	}
	calendar := r.cfg.Calendar
	if calendar == nil {
		calendar = func() *maintenance.Calendar { return planned }
	}
	if !r.claim() {
		return nil, ErrRunning
	}
	resumed, err := r.admit(plan, planned) // this may take long, so without the lock
	r.mu.Lock()
	defer r.mu.Unlock()
	r.beginning = false
	if err != nil {
		return nil, err
	}
	x := &run{
		cfg: r.cfg, pace: r.pace, fallbackTargets: r.fallbackTargets, digest: plan.Digest(), total: plan.Counts().Resubmit,
		mismatched: plan.Counts().Mismatched, planned: planned, resumed: resumed,
		lanes:   newLanes(max(1, r.cfg.MaxOpenOrders/2)),
		ready:   make(chan *job, r.cfg.MaxOpenOrders),
		begun:   make(chan struct{}, 1),
		filled:  make(chan struct{}),
		keeping: make(chan struct{}, 1),
		open:    make(chan struct{}, r.cfg.MaxOpenOrders),
		pushes:  newSlots(r.cfg.Concurrency),
		reads:   newSlots(r.cfg.Concurrency),
		batch:   batchPoller{waiting: make(map[*pollRequest]struct{})},
		groups:  make(map[groupKey]*OutcomeCounts),
		again:   failure.NewGrouper(r.cfg.Classifier, 0),
		started: time.Now(),
	}
	x.events = newEvents(&r.cfg, func(err error) { x.cancel(err) })
	x.itemsWanted = !r.cfg.OmitItems || x.events.wanted() || r.cfg.Logger.Enabled(ctx, slog.LevelDebug)
	if r.together {
		x.reads = x.pushes
	}
	x.markFilled = sync.OnceFunc(func() { close(x.filled) })
	x.room.L = &x.mu
	x.gate = newGate(calendar, r.cfg.Guard, r.cfg.SettleDelay, x.events)
	x.gate.paused = r.paused
	x.canary = newCanary(r.cfg.Canary, max(1, r.cfg.MaxOpenOrders/2), x.events)
	x.gate.breaker = x.newBreaker()
	x.ctx, x.cancel = context.WithCancelCause(ctx)
	x.watchCalls()
	x.pace.watch(func(c RateChange) { x.events.emit(c) })
	x.stopEndEvents = x.onEnd()
	x.resize(r.cfg.Concurrency)
	r.run = x
	return x, nil
}

// claim reserves the Runner for a new run. It reports false if there is a run already.
func (r *Runner) claim() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run != nil || r.beginning {
		return false
	}
	r.beginning = true
	return true
}

// admit checks the plan and binds the journal to it. It reports whether the journal may have records
// of an earlier run.
func (r *Runner) admit(plan *plan.Plan, planned *maintenance.Calendar) (resumed bool, err error) {
	if err := r.tooLong(); err != nil {
		return false, err
	}
	begunWith, ok, err := planOf(r.cfg.Journal)
	if err != nil {
		return false, err
	}
	resumed = !ok || begunWith != ""
	if err := r.cfg.admitPlan(plan, planned, time.Now()); err != nil {
		return false, err
	}
	if err := r.cfg.Journal.Begin(plan.Digest()); err != nil {
		return false, fmt.Errorf("resubmit: open the journal: %w", err)
	}
	return resumed, r.recallRetryAfter()
}

// end removes the run: from now on Pause and SetLimits are for the next one.
func (r *Runner) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pace.watch(func(RateChange) {})
	r.run = nil
}

// onEnd reports an event and wakes all waiters when the run's context ends. The returned function
// stops that; if the context has ended, it first waits until the event is reported.
func (x *run) onEnd() (stopped func()) {
	reported := make(chan struct{})
	stop := context.AfterFunc(x.ctx, func() {
		defer close(reported)
		x.control(context.Cause(x.ctx).Error())
		x.wakeAll()
	})
	return func() {
		if !stop() {
			<-reported
		}
	}
}

// tally counts an order that is done and reports its outcome as an event.
func (x *run) tally(i *Item) {
	i.DoneAt = time.Now()
	x.mu.Lock()
	x.count(groupKey{i.Class, i.VendorAccountID, i.Channel}, i.Outcome)
	if i.CommerceOnly {
		x.commerceOnly++
	}
	if !x.cfg.OmitItems {
		x.items = append(x.items, *i)
	}
	x.mu.Unlock()
	if x.itemsWanted {
		x.events.emit(OrderDone{*i})
	}
}

func (x *run) count(k groupKey, o Outcome) {
	x.result.add(o)
	if x.groups[k] == nil {
		x.groups[k] = new(OutcomeCounts)
	}
	x.groups[k].add(o)
}

func (x *run) finish() (*Report, error) {
	removed := x.events.flush()
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	report := &Report{
		PlanDigest: x.digest, EventError: removed, StartedAt: x.started, FinishedAt: now,
		ConnectAsked: x.cfg.Requests != nil, Result: x.result, CommerceOnly: x.commerceOnly,
		Canary: x.canary.view(), Blockers: blockerList(x.lanes.heads), Unread: x.unread, Mismatched: x.mismatched,
		Groups: groupList(x.groups), Items: x.items,
	}
	if groups := x.again.Groups(); groups.Orders > 0 {
		report.FailedAgain = groups
	}
	err := context.Cause(x.ctx)
	if err == nil && x.left.Load() {
		err = ErrDrained
	}
	if err != nil {
		report.Err = err.Error()
	}
	if w, ok := x.planned.Last(now); ok {
		report.WindowClosedAt = w.Span().End
	}
	if r := x.result; !report.WindowClosedAt.IsZero() && report.Err == "" && r.Completed > 0 && r.Progressing == 0 &&
		r.Unknown == 0 {
		report.CloseToVerified = now.Sub(report.WindowClosedAt)
	}
	return report, err
}

func (x *run) status() Status {
	state, why, until := x.gate.view()
	if x.ctx.Err() != nil {
		state = StateCancelled
	}
	rate, slowed := x.pace.view()
	if rest := x.pace.rest(); why == "" && rest > 0 {
		why, until = "a server sent Retry-After", time.Now().Add(rest)
	}
	breaker, opens := x.gate.breaker.view()
	x.mu.Lock()
	defer x.mu.Unlock()
	return Status{
		Breaker: breaker, BreakerOpens: opens, Canary: x.canary.view(),
		State: state, Gate: why, Until: until, Rate: rate, Slowed: slowed,
		Digest: x.digest, Total: x.total, Done: x.result.Total(), Open: len(x.open),
		Pushing: int(x.pushing.Load()), Verifying: int(x.verifying.Load()), Result: x.result,
	}
}
