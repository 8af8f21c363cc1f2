package resubmit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/orders"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/throttle"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// order is an open order: the steps that package protocol prescribes, one after the other, on one goroutine.
type order struct {
	x       *run
	place   int32
	ctx     context.Context //nolint:containedctx // of the run, or of the one call that is about the order
	entry   *plan.Entry
	request connect.RequestType // of its request in Connect; "": there is none
	machine *protocol.Machine
	item    Item

	admitted bool // it does not wait for its first permission to push; the lock of the scheduler guards it
	step     protocol.Step
	attempt  attempt
	checks   verification
	drained  bool        // it ended because the run was drained, unless a last read showed otherwise
	failing  time.Time   // since when it cannot be read although Commerce may answer; zero: it can
	counted  atomic.Bool // its outcome is counted
	sent     atomic.Bool // a push may have been sent, and its outcome is not known
	resumed  bool        // an earlier run has begun it
	health   Health      // as the canary knows it; the lock of the scheduler guards it
	blocker  string      // the order that blocks it
	call     *step       // of Session.Step; nil without it
	others   sharing
	after    func(*order) // is called when the order is done
}

// run carries out the steps of an order until it is done.
func (o *order) run() {
	done := false
	defer func() {
		if !done { // a callback called runtime.Goexit
			err := callback.Recovered(nil)
			o.x.orders.Go(func() { o.exited(err) })
		}
	}()
	for {
		o.step = o.machine.Next(time.Now())
		o.sent.Store(o.machine.InFlight())
		if !o.beforePush() {
			o.attempt.giveSlot()
		}
		if o.step.Kind == protocol.StepEnd {
			if o.others.joins() {
				continue
			}
			break
		}
		o.perform()
	}
	o.finish(o.step.Outcome, o.step.Why)
	done = true
}

// perform carries out one step.
func (o *order) perform() {
	switch o.step.Kind {
	case protocol.StepWait:
		o.wait(o.step.At)
	case protocol.StepReload:
		o.reload()
	case protocol.StepAdmit:
		if !o.call.admits() {
			o.stop()
			return
		}
		o.attempt.admit()
	case protocol.StepRead:
		o.read()
	case protocol.StepLookUp:
		o.lookUp()
	case protocol.StepClaim:
		o.attempt.claim()
	case protocol.StepPush:
		o.attempt.push()
	case protocol.StepPut:
		o.put()
	case protocol.StepVerify:
		o.checks.verify()
	case protocol.StepLanes:
		o.end()
	case protocol.StepEnd:
	}
}

// exited continues on a new goroutine after a callback has ended the one of the order.
func (o *order) exited(err error) {
	callback.Log(o.x.cfg.Logger, err)
	switch o.step.Kind {
	case protocol.StepPush:
		o.machine.Answered(protocol.Answer{Kind: protocol.NoAnswer, Why: err.Error()}, time.Now())
	case protocol.StepRead:
		o.readFailed(err)
	case protocol.StepVerify:
		o.machine.Verified(protocol.Verification{
			Outcome: protocol.Progressing, Why: "the order could not be read: " + err.Error(),
		}, time.Now())
	default:
		o.x.fail(err)
		o.stop()
	}
	o.run()
}

// beforePush reports whether the order is between the re-read and the push, for which it needs a slot.
func (o *order) beforePush() bool {
	switch o.step.Kind {
	case protocol.StepRead:
		return o.step.BeforePush
	case protocol.StepClaim, protocol.StepPush:
		return true
	default:
		return false
	}
}

// stop ends the order because the run, or the call that is about the order, ends.
func (o *order) stop() {
	o.attempt.interrupted = true
	o.machine.GiveUp(protocol.NotStarted, o.stopped())
}

// stopped returns why the order is not continued.
func (o *order) stopped() string {
	err := context.Cause(o.ctx)
	if err == nil {
		err = ErrDrained
		o.drained = true
	}
	return err.Error()
}

// wait waits until a time. An order that is not in flight does not wait while the run is drained.
func (o *order) wait(until time.Time) {
	o.x.scheduler.admitted(o) // others do not wait for it
	if !o.call.settling() && o.call.limited(until, o.step.Why) {
		o.stop()
		return
	}
	rest := o.x.gate.rest
	if o.machine.InFlight() {
		rest = sleep
	}
	if rest(o.ctx, time.Until(until)) != nil || !o.machine.InFlight() && o.x.stopping() {
		o.stop()
	}
}

// load reads the record of the order from the journal.
func (o *order) load() (protocol.Record, time.Time, error) {
	rec, err := o.x.cfg.Journal.Get(o.ctx, protocol.OrderKey(o.entry.OrderID))
	if err != nil {
		return rec, time.Time{}, err
	}
	end, err := o.x.lease.leaseEnd(o.ctx, rec.Order)
	return rec, end, err
}

func (o *order) reload() {
	o.x.scheduler.admitted(o) // others do not wait for it
	if o.call.limited(o.step.At, "another process may still push it") || sleep(o.ctx, time.Until(o.step.At)) != nil {
		o.stop()
		return
	}
	rec, end, err := o.load()
	if err != nil {
		o.journalFailed(err)
		return
	}
	o.machine.Reload(rec, end, time.Now())
	o.noteEarlier(&rec)
}

// start reads the order's records and begins its state machine.
func (o *order) start() error {
	rec, end, err := o.others.await()
	if err != nil {
		return err
	}
	o.machine = protocol.Start(o.planned(), &o.x.cfg.Policy, o.x.owner(), rec, end, time.Now())
	o.noteEarlier(&rec)
	if o.machine.InFlight() || o.machine.Next(time.Now()).Kind == protocol.StepReload {
		return nil
	}
	if b, blocked := o.x.scheduler.blockedBy(o); blocked {
		o.blocker = b.root
		o.machine.GiveUp(protocol.Blocked, "blocked by "+text.Short(b.by)+
			", an older order of the same subscription that was not completed")
		return nil
	}
	lanes, _, err := o.others.awaitLanes(o.entry.Lanes())
	if err == nil && !o.others.stopping() {
		o.machine.Lanes(lanes)
	}
	return err
}

// noteEarlier notes what an earlier run did to the order.
func (o *order) noteEarlier(rec *protocol.Record) {
	if rec.Order == nil || rec.Order.Run != o.x.digest {
		return
	}
	o.resumed = true
	o.item.Attempts = rec.Order.Attempts
	o.item.evidence("journal", fmt.Sprintf("an earlier run left it as %s", rec.Order.Phase), rec.At)
	if o.machine.InFlight() {
		o.x.scheduler.admitted(o)
		o.item.Target, o.item.PushedAt = rec.Order.Target, rec.Order.SentAt
	}
}

// startFailed ends an order whose records could not be read.
func (o *order) startFailed(err error) {
	if o.machine == nil {
		p := o.planned()
		p.Version = 0
		o.machine = protocol.Start(p, &o.x.cfg.Policy, o.x.owner(), protocol.Record{}, time.Time{}, time.Now())
	}
	o.noJournal(err)
	o.machine.GiveUp(o.x.scheduler.progressOf(o.place).left(o.stopped()))
}

// planned returns what the plan and the clients say about the order.
func (o *order) planned() protocol.Planned {
	e, c := o.entry, &o.x.cfg
	keys := o.requestKeys()
	return protocol.Planned{
		ID: e.OrderID, Number: e.Number, Type: e.Type, Request: o.request, Fingerprint: e.Fingerprint,
		Template: failure.Template(e.Before.Message), Version: e.Version, Lanes: e.Lanes(), PlacedAt: e.Before.PlacedAt,
		Named:                  e.Named,
		Provable:               c.Capabilities.Failure && c.Capabilities.Transitions,
		Connect:                len(keys) > 0,
		ProvableWithoutConnect: o.request == "" || o.request == connect.TypePurchase && len(e.Subscriptions) == 0,
	}
}

// lanes reads the records of lanes from the journal.
func (o *order) lanes(ctx context.Context, ids []string) ([]protocol.Record, error) {
	lanes := make([]protocol.Record, len(ids))
	for i, id := range ids {
		key := protocol.Key{Kind: protocol.KindLane, ID: id}
		r, err := o.x.cfg.Journal.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		r.Key = key
		lanes[i] = r
	}
	return lanes, nil
}

// end reads the lanes of an order that has ended, so that they are recorded with the end. The end of the run does not
// interrupt that.
func (o *order) end() {
	lanes, err := o.lanes(context.WithoutCancel(o.ctx), o.step.Lanes)
	if err != nil {
		o.x.fail(fmt.Errorf("resubmit: the journal: order %s: %w; nothing more is pushed", text.Short(o.item.Number), err))
		o.stop()
		return
	}
	o.machine.Lanes(lanes)
}

// journalFailed ends the run, because nothing may be sent without a journal.
func (o *order) journalFailed(err error) {
	o.noJournal(err)
	o.stop()
}

func (o *order) noJournal(err error) {
	if o.ctx.Err() == nil {
		o.x.fail(fmt.Errorf("resubmit: the journal: order %s: %w; nothing more is pushed", text.Short(o.item.Number), err))
	}
}

// read reads the order, right before its push or to see what became of it.
func (o *order) read() {
	kind := throttle.BeforePush
	if !o.step.BeforePush {
		if o.machine.InFlight() {
			kind = throttle.Any
		} else if o.x.gate.waitWhile(o.ctx, o.x.readsRest) != nil { // unlike the pacer, not while the run is drained
			o.stop()
			return
		}
		if o.x.caller.reads.Take(o.ctx) != nil {
			o.stop()
			return
		}
		defer o.x.caller.reads.Give()
	}
	o.call.reads(o.machine.InFlight())
	read, began, err := o.fetch(kind)
	if err != nil {
		o.readFailed(err)
		return
	}
	changed := o.entry.Before.Diff(o.item.After)
	r := protocol.Reading{Began: began, Change: changed, Status: read.Status, AtRest: orders.AtRest(read.Status)}
	r.Targets, r.NoTarget = o.attempt.targets(read)
	o.attempt.choices = r.Targets
	if tried := o.machine.RefusedTargets(); len(tried) > 0 {
		r.NoTarget = fmt.Sprintf("Commerce refused the push to %s: %s", list(tried), o.attempt.refusal)
	}
	o.machine.Read(r, time.Now())
	switch rec, _ := o.machine.Record(); rec.Phase {
	case protocol.Unanswered:
		h := setAside
		if o.resumed { // that an earlier run was killed says nothing about the group
			h = notTried
		}
		o.x.scheduler.judge(o, h)
	case protocol.Pushed:
		o.credited(&rec, began)
	default:
	}
	if o.step.BeforePush && changed != "" {
		o.reread(changed)
	}
}

// credited records that a read shows that a push was accepted.
func (o *order) credited(rec *protocol.Order, at time.Time) {
	o.item.evidence("read", rec.Why, at)
	i := &o.item
	i.Target, i.Attempts = rec.Target, max(i.Attempts, rec.Attempts)
	if i.PushedAt.IsZero() {
		i.PushedAt = rec.SentAt
	}
}

func (o *order) reread(changed string) {
	o.x.events.emit(OrderReread{OrderID: o.item.OrderID, Number: o.item.Number, Now: o.item.After, Changed: changed})
}

// fetch reads the order and records its state.
func (o *order) fetch(kind throttle.Kind) (*commerce.Order, time.Time, error) {
	read, began, err := o.x.caller.read(o.ctx, o.entry.OrderID, kind, &o.failing)
	switch {
	case err != nil:
	case read == nil:
		err = errors.New("the reader returned neither an order nor an error")
	case read.ID != o.entry.OrderID:
		err = fmt.Errorf("the reader returned order %q instead of %q", text.Short(read.ID), text.Short(o.entry.OrderID))
	default:
		if err = orders.EntryIdentity(o.entry).Check(orders.IdentityOf(read)); err == nil {
			err = orders.Unreadable(read, o.expected()...)
		}
	}
	if err != nil {
		o.item.noteID(err)
		if unauthorized(err) || forbidden(err) {
			o.x.caller.checkOrderAccess(o, &o.x.caller.readAccess, "reading order", err)
		}
		return nil, began, err
	}
	o.x.caller.readAccess.succeeded()
	o.item.After = plan.SnapshotOf(read)
	return read, began, nil
}

// expected returns the statuses that are meaningful for the order even if this library does not know
// them: the one that it failed with, and those that it may be pushed to.
func (o *order) expected() []commerce.Status {
	return append([]commerce.Status{o.entry.Before.Status, o.entry.Target}, o.x.cfg.Targets...)
}

// readFailed continues after a read that failed.
func (o *order) readFailed(err error) {
	switch {
	case o.ctx.Err() != nil:
		o.stop()
		return
	case errors.Is(err, throttle.ErrHeldBack) && !o.step.BeforePush && !o.x.stopping():
		return // the step is repeated
	}
	gone := errors.Is(err, commerce.ErrNotFound) || errors.Is(err, orders.ErrOther)
	r := protocol.Reading{Began: time.Now(), Err: err, Gone: gone}
	if gone {
		r.Err = fmt.Errorf("the order does not exist any more, or is another one: %w", err)
	}
	o.machine.Read(r, time.Now())
	switch {
	case !o.step.BeforePush || errors.Is(err, throttle.ErrHeldBack) || o.machine.Next(time.Now()).Kind == protocol.StepEnd:
	case forbidden(err):
		o.machine.GiveUp(protocol.Skipped, "the order could not be read again: "+err.Error())
	default:
		o.attempt.postpone("the order could not be read again", err)
	}
}

// put writes the records of a step. The end of the run does not interrupt that.
func (o *order) put() {
	durability := Deferred
	if o.step.Durable {
		durability = Durable
	}
	seq, err := o.x.cfg.Journal.Put(context.WithoutCancel(o.ctx), durability, o.step.Records...)
	if conflict, ok := errors.AsType[*ConflictError](err); ok {
		o.machine.Rejected(conflict.Current)
		return
	}
	if err != nil {
		o.x.fail(fmt.Errorf("resubmit: the journal could not record order %s, so nothing more is pushed: %w",
			text.Short(o.item.Number), err))
		o.machine.Stored(0) // the next run reads the order
		return
	}
	o.machine.Stored(seq)
}

// lookUp asks Connect whether another push is allowed after one without an answer.
func (o *order) lookUp() {
	rec, _ := o.machine.Record()
	found, err := o.x.verifier.requests(o.ctx, o.requestKeys())
	if o.ctx.Err() != nil {
		o.stop()
		return
	}
	l := protocol.LookUp{Err: err, Down: o.x.connectDown(rec.FirstClaimAt)}
	if err == nil {
		l.Request, l.Forbidden = o.made(found, &rec)
	}
	o.machine.LookedUp(l, time.Now())
}

// connectClockError is how far a time of Connect may be off by its own clock, as far as its answers show it: they show
// seconds and take a while, and may come from another machine than the one that makes requests (inferred). Machines
// without a good time service differ by many seconds, and a second push is worse than a person who looks.
const connectClockError = 30 * time.Second

// made returns the request in Connect that was certainly made since the first push, and why another push is forbidden.
func (o *order) made(found map[connect.RequestKey][]connect.LatestRequest, rec *protocol.Order) (request,
	forbidden string) {
	since, clockError := rec.FirstClaimInConnect, connectClockError
	if since.IsZero() || since.Sub(rec.FirstClaimAt).Abs() > failure.MaxClockSkew { // too far off to be true
		since, clockError = rec.FirstClaimAt, failure.MaxClockSkew
	}
	if since.IsZero() {
		return "", "when it was first pushed is not known, since the clock was set back"
	}
	for _, k := range o.requestKeys() {
		for _, n := range found[k] {
			created, id := n.Request.Created, text.Short(n.Request.ID)
			if created.After(since.Add(clockError)) {
				return id, ""
			}
			if created.After(since.Add(-clockError)) {
				forbidden = fmt.Sprintf("in Connect %s was made at %s, so that a push may have been accepted", id,
					created.UTC().Format(time.RFC3339))
			}
		}
		d := rules.Decide(nil, rules.Facts{
			Order:       &commerce.Order{ID: o.entry.OrderID, Type: o.entry.Type, PlacedAt: o.entry.Before.PlacedAt},
			Attribution: failure.Attribution{Class: failure.Transient}, RequestsQueried: true, Requests: found[k],
			Now: time.Now(),
		})
		if d.Action != rules.Resubmit && forbidden == "" {
			forbidden = "a request in Connect forbids it: " + d.Why
		}
	}
	return "", forbidden
}

// finish ends the order with its outcome.
func (o *order) finish(outcome protocol.Outcome, why string) {
	o.item.Outcome, o.item.Why = outcome, text.Sentence(why)
	rec, _ := o.machine.Record()
	if o.item.After.Status == "" {
		o.item.After.Status = rec.Status
	}
	o.judge(outcome)
	if o.drained && (outcome == protocol.NotStarted || outcome == protocol.NotMoved || outcome == protocol.Unknown) {
		o.x.drained.Store(true)
	}
	if outcome == protocol.Blocked {
		o.blocker = cmp.Or(o.blocker, o.step.Blocker)
		o.item.BlockedBy = o.blocker
		o.x.tally.block(o.blocker)
	}
	continued := errors.Is(context.Cause(o.ctx), errStepEnded) && o.attempt.leftOpen()
	if !continued && o.counted.CompareAndSwap(false, true) {
		o.x.tally.add(&o.item)
	}
	o.x.scheduler.done(o, outcome != protocol.Completed && !orders.AtRest(o.item.After.Status))
	o.after(o)
}

// judge reports the outcome to the canary and the circuit breaker. One that the end of the run left open does not
// count.
func (o *order) judge(outcome protocol.Outcome) {
	h, cut := o.healthOf(outcome), o.ctx.Err() != nil && o.attempt.leftOpen()
	if !cut && (outcome != protocol.NotStarted || !o.x.stopping()) {
		o.x.scheduler.judge(o, h)
	}
	learned := o.checks.verified && (h == good || outcome == protocol.FailedAgain || outcome == protocol.FalseSuccess)
	o.x.gate.breaker.judge(verdict{
		id: o.entry.OrderID, learned: learned && !cut, inFlight: cut && o.sent.Load(),
		transient: outcome == protocol.FailedAgain && o.item.AfterClass == failure.Transient,
		pushed:    o.item.PushedAt, message: o.item.After.Message,
	})
}

// leftOpen reports whether the order has no final outcome yet.
func (a *attempt) leftOpen() bool {
	switch a.order.item.Outcome {
	case protocol.Progressing, protocol.Unknown, protocol.NotStarted:
		return true
	default:
		return a.order.item.Outcome == protocol.NotMoved && a.interrupted // it may be pushed again
	}
}

func (o *order) healthOf(outcome protocol.Outcome) Health {
	switch outcome {
	case protocol.Completed:
		return good
	case protocol.FailedAgain, protocol.FalseSuccess:
		return bad
	case protocol.Progressing:
		if o.checks.healthy {
			return good
		}
		return setAside
	case protocol.NotMoved, protocol.Unknown:
		return setAside
	case protocol.Skipped:
		if o.item.Attempts > 0 && o.attempt.denied == 0 {
			return bad
		}
		return notTried
	default:
		return notTried
	}
}

// evidence adds what was seen of the order, unless it is what was seen last.
func (i *Item) evidence(kind, said string, at time.Time) {
	said = text.Sentence(said)
	if n := len(i.Evidence); n > 0 && i.Evidence[n-1].Text == said {
		return // it was read again and is unchanged
	}
	i.Evidence = append(i.Evidence, failure.Evidence{Kind: kind, Text: said, At: at})
}

// noteID keeps the correlation id of an error.
func (i *Item) noteID(err error) {
	if e, ok := errors.AsType[*commerce.Error](err); ok && e.CorrelationID != "" {
		i.CorrelationID = e.CorrelationID
	}
}
