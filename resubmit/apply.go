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

// ErrRunning says that the Runner is applying a plan already.
var ErrRunning = errors.New(
	"resubmit: the runner is applying a plan already; wait for it, or make another runner with another journal")

// Apply resubmits the orders that the plan marks for it, and no others, each at
// most once, and waits until it is known what came of them.
//
// Each order goes the same way: its lane (one order of a subscription at a time, in
// the order of the plan), the canary of its group, the gate (not paused, no window,
// no window about to begin or only just over, the breaker closed; otherwise it
// waits), the pace, the intent in the journal, the order read again and compared with
// the plan, the transition chosen from those it offers, the push, its outcome in the
// journal, and the look for the result in Commerce and then in Connect.
//
// An order whose push got no answer is read until its state tells that the push was
// accepted, or the settle time has passed and the outcome is unknown. It is never
// pushed again, unless Config.Retry allows that. An order that does not come to a good end stops the
// later ones of its subscriptions, which are skipped.
//
// A server can act on a push and refuse it all the same. So an order whose push was
// refused, by this run or an earlier one, is read before it is pushed again or reported
// as skipped. If it was moved, the push counts as accepted and the order is verified.
//
// Refused credentials end the run: 401 from either system, and 403 from Connect or to a
// list, at once; 403 to the reads or to the pushes of three orders in a row without a
// success in between too, while 403 to fewer is about those orders, which are skipped.
// Orders that an earlier run has begun end the run only when all others are done. A
// push that gets 401 or 403 is tried once more, because clients renew their credentials
// then. None of this counts against an order or in the canary, and the same plan and
// journal continue later. The error matches ErrUnauthorized or ErrForbidden of package
// commerce or connect.
//
// With the journal of an earlier run of the same plan it goes on where that one
// stopped: what was pushed is verified, what may have been pushed is read, what
// came to an end is reported as it was, and the rest is done. A journal of another
// plan is refused with ErrOtherPlan.
//
// When ctx ends, or by [Runner.Cancel], nothing new is pushed; a push that is on its
// way is waited for, at most two minutes, and its outcome recorded. [Runner.Drain]
// ends the run too, but when what was pushed is verified. A client that does not
// return ten seconds after its context has ended is given up, and so is its goroutine.
//
// The report always counts every order that the plan marks: those that were not begun
// are skipped as "not started". It comes with an error when the run ended early: the
// one of ctx, of the plan or of the journal, of refused credentials, [ErrDrained],
// [ErrCancelled], [ErrCircuitOpen] or [ErrPatience]. It is nil only if the run could not begin.
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

// wait waits for all that a run has in hand, and lets go of it.
func (r *Runner) wait(x *run) {
	x.jobs.Wait()
	r.end()
	close(x.ready)
	x.workers.Wait()
	x.sync()
	x.stopEndEvents()
}

// sync waits until the journal has kept what was put there without waiting.
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
			"resubmit: the journal could not keep what came of the last pushes; the next run reads those orders: %w", err))
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
	goesOn, err := r.admit(plan, planned) // this may take long, so without the lock
	r.mu.Lock()
	defer r.mu.Unlock()
	r.beginning = false
	if err != nil {
		return nil, err
	}
	x := &run{
		cfg: r.cfg, pace: r.pace, fallbackTargets: r.fallbackTargets, digest: plan.Digest(), total: plan.Counts().Resubmit,
		mismatched: plan.Counts().Mismatched, planned: planned, resumed: goesOn,
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

// claim makes the Runner the one of a run that is to begin, unless it has one.
func (r *Runner) claim() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run != nil || r.beginning {
		return false
	}
	r.beginning = true
	return true
}

// admit checks the plan and binds the journal to it. It reports whether the journal may
// know of an earlier run.
func (r *Runner) admit(plan *plan.Plan, planned *maintenance.Calendar) (goesOn bool, err error) {
	if err := r.tooLong(); err != nil {
		return false, err
	}
	begunWith, ok, err := planOf(r.cfg.Journal)
	if err != nil {
		return false, err
	}
	goesOn = !ok || begunWith != ""
	if err := r.cfg.admitPlan(plan, planned, time.Now()); err != nil {
		return false, err
	}
	if err := r.cfg.Journal.Begin(plan.Digest()); err != nil {
		return false, fmt.Errorf("resubmit: open the journal: %w", err)
	}
	return goesOn, r.recallRetryAfter()
}

// end lets go of the run that is over: what is changed from now on is for the next.
func (r *Runner) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pace.watch(func(RateChange) {})
	r.run = nil
}

// onEnd tells when the run is cancelled, by whom ever. The function that it returns
// ends that: whatever was to be told is told when it returns.
func (x *run) onEnd() (wasOver func()) {
	told := make(chan struct{})
	stop := context.AfterFunc(x.ctx, func() {
		defer close(told)
		x.control(context.Cause(x.ctx).Error())
		x.wakeAll()
	})
	return func() {
		if !stop() {
			<-told
		}
	}
}

// tally counts an order that is done, and tells what became of it.
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
		Canary: x.canary.view(), Blocked: blockerList(x.lanes.heads), Unread: x.unread, Mismatched: x.mismatched,
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
		why, until = "a server asked for patience", time.Now().Add(rest)
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
