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
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
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
	x.events.emit(PlanStarted{Digest: plan.Digest(), Counts: plan.Counts(), Plan: plan,
		ConnectAsked: r.cfg.Requests != nil})
	x.touched = newLaneSet(min(x.total, 64*x.finished.n))
	x.feed(plan)
	r.wait(x)
	x.endForbidden()

	report, err := x.finish()
	x.events.emit(Finished{report})
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
		ahead:   make(chan struct{}),
		keeping: make(chan struct{}, 1),
		hand:    make(chan struct{}, r.cfg.MaxOpenOrders),
		pushes:  newSlots(r.cfg.Concurrency),
		looks:   newSlots(r.cfg.Concurrency),
		batch:   batchPoller{waiting: make(map[*pollRequest]struct{})},
		groups:  make(map[groupKey]*OutcomeCounts),
		again:   failure.NewGrouper(r.cfg.Classifier, 0),
		started: time.Now(),
	}
	x.events = newEvents(&r.cfg, func(err error) { x.cancel(err) })
	x.itemsWanted = !r.cfg.OmitItems || x.events.wanted() || r.cfg.Logger.Enabled(ctx, slog.LevelDebug)
	if r.together {
		x.looks = x.pushes
	}
	x.looked = sync.OnceFunc(func() { close(x.ahead) })
	x.room.L = &x.mu
	x.gate = newGate(calendar, r.cfg.Guard, r.cfg.SettleDelay, x.events)
	x.gate.paused = r.paused
	x.canary = newCanary(r.cfg.Canary, max(1, r.cfg.MaxOpenOrders/2), x.events)
	x.gate.breaker = x.newBreaker()
	x.ctx, x.cancel = context.WithCancelCause(ctx)
	x.watchCalls()
	x.pace.watch(func(c PaceChange) { x.events.emit(c) })
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
	return goesOn, r.recallPatience()
}

// end lets go of the run that is over: what is changed from now on is for the next.
func (r *Runner) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pace.watch(func(PaceChange) {})
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

// resize changes how many orders are pushed and looked at at the same time.
func (x *run) resize(concurrency int) {
	for ; int(x.working.Load()) < concurrency; x.working.Add(1) {
		x.workers.Go(x.work)
	}
	x.pushes.resize(concurrency)
	x.looks.resize(concurrency)
}

// run is one call of Apply.
type run struct {
	cfg             Config
	pace            *pacer
	fallbackTargets []commerce.Status
	planned         *maintenance.Calendar // the plan's
	gate            *gate
	events          *events
	digest          string
	total           int
	mismatched      int  // rows that the plan left out
	resumed         bool // an earlier run may have begun the plan
	started         time.Time

	ctx    context.Context //nolint:containedctx // a run is one call of Apply
	cancel context.CancelCauseFunc

	itemsWanted bool // somebody gets the items

	// ended are passed over, if they stand in none of the lanes that were touched.
	finished *finishedOrders
	touched  *laneSet // lanes of orders that were taken in hand or left out, if any has ended

	stopEndEvents func()
	later         LaterJournal // what came of pushes is put there without waiting; nil: it is waited for

	jobs    sync.WaitGroup // orders in hand
	workers sync.WaitGroup
	working atomic.Int64  // how many there are; they change with the Runner's lock held
	hand    chan struct{} // one element for each order in hand
	ready   chan *job     // as large as hand, so that sending never blocks
	begun   chan struct{} // filled when few orders are ready that no worker has begun
	ahead   chan struct{} // closed when as much of the plan was read as can be in hand
	looked  func()        // closes it
	// pushes are taken by orders that are being pushed, looks by the reads of
	// verifications. They are the same where the way in bears only so many calls.
	pushes, looks *slots
	batch         batchPoller

	readAccess, pushAccess access

	pushing, verifying atomic.Int64
	left               atomic.Bool // an order was not started

	keeping chan struct{} // holds one element while somebody uses kept
	kept    time.Time     // until when a server is to be left alone, as the journal knows

	mu           sync.Mutex
	room         sync.Cond // fewer orders wait in the lanes
	lanes        *lanes
	result       OutcomeCounts
	canary       *canary
	forLanes     bool // orders were left out because too many wait in the lanes
	groups       map[groupKey]*OutcomeCounts
	again        *failure.Grouper // of the orders that failed again
	items        []Item
	commerceOnly int
	unread       int
}

// job is one order on its way.
type job struct {
	ctx   context.Context //nolint:containedctx // of the run, or of the one call that is about the order
	left  bool            // the end of the run left it where it was
	entry *plan.Entry
	item  Item
	rec   Record

	lanes     []string
	before    int      // how many of its lanes have an order before it
	blockedBy *blocker // stopped one of its lanes; nil

	looked bool // in the journal
	ended  bool // an earlier run knew what came of it
	good   bool // it is under way, and that is good enough

	group    string // of the canary
	ramp     *ramp
	recalled bool // an earlier run has pushed it, or may have
	queued   bool // it may have to wait for its group
	released bool // it counts as pushed in its group
	health   health

	// lost is the record of a push without an answer behind which the policy allows
	// another; nil for none. barred says why none is allowed any more.
	lost    *Record
	noRetry string

	moved bool // it was read in another status than the last record tells

	sent   sentPush // the last push that was refused, by this run or an earlier one
	unread bool     // the order was not read since then

	refusals  int
	denied    int  // pushes that were answered with 401 or 403
	forbidden bool // the answer to the last push was lost behind a 403, such as one of a gateway
	earlier   bool // an earlier run has left a record

	kind  connect.RequestType // of its request in Connect; "": there is none
	tried []commerce.Status   // targets that Commerce refused, since the flow lacks them
	// free says that the order is at rest, so that the next of its lanes may go.
	free bool
}

func newJob(e *plan.Entry) *job {
	number := e.Number
	if number == "" {
		number = e.OrderID
	}
	return &job{
		entry: e,
		lanes: laneKeys(e),
		rec:   Record{OrderID: e.OrderID, Fingerprint: e.Fingerprint, Target: e.Target},
		item: Item{
			OrderID: e.OrderID, Number: number, Type: e.Type, Class: e.Attribution.Class,
			VendorID: e.VendorID, Channel: e.Channel, Customer: e.Customer, Subscriptions: e.Subscriptions,
			Before: e.Before, Action: e.Decision.Action,
		},
	}
}

// feed takes the orders of the plan in hand, as many at a time as may be. Those
// that too many waiting ones keep out are taken when the plan is read again, so
// that a long lane neither fills the memory nor holds up the others.
func (x *run) feed(plan *plan.Plan) {
	taken, left, err := x.pass(plan, nil)
	x.looked()
	for err == nil && left.n > 0 {
		x.waitForRoom()
		var n int
		n, left, err = x.pass(plan, &left)
		taken += n
	}
	if err != nil {
		x.cancel(fmt.Errorf("resubmit: read the plan: %w", err))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.unread = max(0, x.total-taken)
	x.result.Skipped += x.unread
}

// pass reads the plan once and takes the orders at the places in only, or all of
// them when that is nil. It returns the places of those that were left out.
func (x *run) pass(plan *plan.Plan, only *places) (taken int, left places, err error) {
	late := newLaneSet(x.total) // lanes of which an order was left out
	place, seen := -1, 0
	for e, err := range plan.Entries() {
		if err != nil {
			return taken, left, err
		}
		if e.Decision.Action != rules.Resubmit {
			continue
		}
		if place++; only != nil {
			if seen == only.n {
				break
			}
			if !only.has(place) {
				continue
			}
			seen++
		}
		switch {
		case x.takeEntry(e, late):
			taken++
		default:
			left.add(place)
		}
	}
	return taken, left, nil
}

// takeEntry passes over an order that has ended, and takes any other in hand.
func (x *run) takeEntry(e *plan.Entry, late *laneSet) (taken bool) {
	j := newJob(e)
	if x.finished.n > 0 {
		if ended, ok := x.finished.find(e); ok && x.passOver(j, ended) {
			return true
		}
		x.touched.add(j.lanes)
	}
	return x.take(j, late)
}

// take takes an order in hand, unless it would have to wait and too many do, or
// an older one of its lanes was left out.
func (x *run) take(j *job, late *laneSet) bool {
	j.ctx = x.ctx
	x.jobs.Add(1)
	x.keepPace()
	select {
	case x.hand <- struct{}{}:
	default:
		x.looked()
		x.hand <- struct{}{}
	}
	j.group = x.groupOf(j.entry)
	x.mu.Lock()
	leftOut := !x.stopping() && x.leaveOut(j, late)
	climbs := !leftOut && x.canary.group(j).climbs()
	x.mu.Unlock()
	if leftOut {
		late.add(j.lanes)
		<-x.hand
		x.jobs.Done()
		return false
	}
	recalled := climbs && x.recall(j) // the journal may be slow
	x.mu.Lock()
	x.canary.enter(j)
	ready, by := x.lanes.add(j)
	if j.recalled = recalled; recalled && !x.lanes.hasToAsk(j) {
		x.canary.release(j)
	}
	x.mu.Unlock()
	switch {
	case by != nil:
		x.block(j, by)
	case ready:
		x.ready <- j
	}
	return true
}

// readyAhead is how many orders are ready at most, for each worker, before one begins
// them: more of them would only take memory.
const readyAhead = 2

// keepPace waits while enough orders are ready, until half of them are begun. While a
// canary climbs anew after an earlier run it does not: what that one has pushed is
// counted before a fresh order asks.
func (x *run) keepPace() {
	if len(x.ready) < readyAhead*int(x.working.Load()) || x.resumed && (x.workersMayWait() || x.climbing()) {
		return
	}
	select {
	case <-x.begun: // an old word
	default:
	}
	for x.readyEnough() && x.ctx.Err() == nil {
		select {
		case <-x.begun:
		case <-x.ctx.Done():
		}
	}
}

// workersMayWait reports whether orders may wait until the plan was looked ahead. Whoever
// does that must not wait for them.
func (x *run) workersMayWait() bool {
	select {
	case <-x.ahead:
		return false
	default:
		return len(x.canary.limits) > 0
	}
}

func (x *run) climbing() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range x.canary.groups {
		if r.climbs() {
			return true
		}
	}
	return false
}

// readyEnough reports whether the workers have orders to go on with for a while.
func (x *run) readyEnough() bool { return len(x.ready) > readyAhead/2*int(x.working.Load()) }

// leaveOut reports whether an order has to wait for the next reading of the plan.
func (x *run) leaveOut(j *job, late *laneSet) bool {
	switch {
	case late.hasAny(j.lanes):
		return true
	case x.lanes.full(j):
		x.forLanes = true
		return true
	default:
		return x.canary.full(j)
	}
}

// waitForRoom waits until half of those that kept others out have gone, so that
// each reading of the plan takes many orders.
func (x *run) waitForRoom() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for !x.stopping() && !x.roomy() {
		x.room.Wait()
	}
	x.forLanes = false
	x.canary.forgetLeft()
}

func (x *run) roomy() bool {
	return x.forLanes && x.lanes.waiting <= x.lanes.most/2 || x.canary.roomy()
}

// wakeAll lets all go that wait inside the run, because it ends.
func (x *run) wakeAll() {
	x.mu.Lock()
	x.room.Broadcast()
	x.mu.Unlock()
	x.freeParked()
}

// block skips an order that may not pass another.
func (x *run) block(j *job, by *blocker) {
	stopping := x.stopping()
	x.mu.Lock()
	x.canary.unqueue(j)
	x.room.Signal()
	if !stopping {
		x.lanes.block(by)
	}
	number := text.Short(by.number)
	x.mu.Unlock()
	why := "blocked by " + number + ", an older order of the same subscription that did not come to a good end"
	if stopping {
		why = x.notStarted(j)
	}
	j.item.Outcome, j.item.Why = OutcomeSkipped, why
	if !stopping {
		x.recallBlocked(j)
	}
	x.mu.Lock()
	ready, stopped := x.canary.judge(j, x.healthOf(j, j.item.Outcome))
	x.room.Signal()
	x.mu.Unlock()
	x.resumeParked(ready, stopped)
	x.account(j)
}

// recallBlocked has an order that is blocked end as an earlier run left it. That let it
// pass the older one, and what came of that one was lost with the end of the run.
func (x *run) recallBlocked(j *job) {
	rec, found, err := x.cfg.Journal.Get(j.entry.OrderID)
	if err != nil || !found || rec.OrderID != j.entry.OrderID || rec.Fingerprint != j.entry.Fingerprint ||
		rec.State == RecordRefused && rec.SentAt.IsZero() || rec.State == RecordSkipped {
		return
	}
	j.item.Attempts, j.item.Target = rec.Attempt, rec.Target
	j.evidence("journal", fmt.Sprintf("an earlier run left it as %s", rec.State), rec.At)
	switch rec.State {
	case RecordCompleted, RecordFailedAgain, RecordFalseSuccess:
		j.item.Outcome, j.item.Why = Outcome(rec.State), text.Sentence(rec.Why)
	default:
		j.item.Outcome = OutcomeUnknown
		j.item.Why += "; an earlier run has pushed it, or may have: look at the order before anything is sent again"
	}
}

// notStarted says why an order was left where it was.
func (x *run) notStarted(j *job) string {
	j.left = true
	x.left.Store(true)
	return whyNotStarted(j)
}

func whyNotStarted(j *job) string {
	if err := context.Cause(j.ctx); err != nil {
		return "not started: " + text.Sentence(err.Error())
	}
	return "not started: " + ErrDrained.Error()
}

// done ends an order with its outcome, and lets the next of its lanes go or stops
// them.
func (x *run) done(j *job, o Outcome, why string) {
	j.item.Outcome, j.item.Why = o, text.Sentence(why)
	x.judge(j, x.healthOf(j, o), o)
	x.mu.Lock()
	x.canary.unqueue(j)
	var ready, blocked []*job
	if j.free {
		ready = x.lanes.leave(j)
	} else {
		blocked = x.lanes.stop(j)
	}
	x.room.Signal()
	x.mu.Unlock()
	x.account(j)
	for _, next := range ready {
		x.ready <- next
	}
	for _, b := range blocked {
		x.block(b, b.blockedBy)
	}
}

// account counts an order that is done and lets go of it.
func (x *run) account(j *job) {
	x.tally(&j.item)
	<-x.hand
	x.jobs.Done()
}

// tally counts an order that is done, and tells what became of it.
func (x *run) tally(i *Item) {
	i.DoneAt = time.Now()
	x.mu.Lock()
	x.count(groupKey{i.Class, i.VendorID, i.Channel}, i.Outcome)
	if i.CommerceOnly {
		x.commerceOnly++
	}
	if !x.cfg.OmitItems {
		x.items = append(x.items, *i)
	}
	x.mu.Unlock()
	if x.itemsWanted {
		x.events.emit(Done{*i})
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
		Canary: x.canary.view(), Blocked: blockedList(x.lanes.heads), Unread: x.unread, Mismatched: x.mismatched,
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
		Digest: x.digest, Total: x.total, Done: x.result.Total(), InHand: len(x.hand),
		Pushing: int(x.pushing.Load()), Verifying: int(x.verifying.Load()), Result: x.result,
	}
}
