package resubmit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/throttle"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// attempt pushes an order: what happens between its admission and the answer to its push.
type attempt struct {
	order       *order
	slot        bool              // it has a slot for pushes
	token       time.Time         // when the token for the push was taken
	expires     time.Time         // when it must not be used any more
	interrupted bool              // it was stopped
	silent      bool              // the client does not report which transitions the order offers
	deferrals   int               // how often the order was put off
	denied      int               // pushes that were answered with 401 or 403
	choices     []commerce.Status // the targets of the last push, the best first
	refusal     string            // why the last push was refused
}

// admit waits until the order may be pushed: for the canary, Retry-After, the gate and a slot.
func (a *attempt) admit() {
	o := a.order
	x := o.x
	x.events.waitBelow(o.ctx, maxQueuedEvents)
	if why := x.scheduler.canaryStopped(o.place); why != "" && o.item.Attempts == 0 {
		o.machine.GiveUp(protocol.NotStarted, why)
		return
	}
	if x.stopping() || x.gate.waitWhile(o.ctx, x.caller.pace.Rest) != nil || x.gate.wait(o.ctx, o.entry.OrderID) != nil ||
		x.caller.pushes.Take(o.ctx) != nil {
		o.stop()
		return
	}
	a.slot = true
	o.call.admit(true)
	x.scheduler.admitted(o)
	o.machine.Admitted()
}

// claim takes a token of the rate limit and writes the claim to the journal, for the order and all its lanes.
func (a *attempt) claim() {
	o := a.order
	if err := a.takeToken(); err != nil {
		if o.ctx.Err() != nil {
			o.stop()
			return
		}
		o.machine.Postpone()
		return
	}
	lanes, waited, err := o.others.awaitLanes(o.step.Lanes)
	switch {
	case err != nil:
		o.journalFailed(err)
		return
	case waited || o.others.stopping(): // the token is too old, or the lanes were not awaited
		o.machine.Postpone()
		return
	}
	now := time.Now()
	records := o.machine.Claim(lanes, now, o.x.caller.connectClock.Time(now))
	if records == nil {
		return
	}
	rec, _ := o.machine.Record()
	o.x.events.emit(PushIntended{
		OrderID: o.item.OrderID, Number: o.item.Number, Target: rec.Target, Attempt: o.item.Attempts + 1,
	})
	if o.ctx.Err() != nil { // also if the audit log could not be written
		o.stop()
		return
	}
	// The end of the run must not interrupt the claim: whether it was made would be unknown.
	seq, err := o.x.cfg.Journal.Put(context.WithoutCancel(o.ctx), Durable, records...)
	conflict, _ := errors.AsType[*ConflictError](err)
	switch {
	case conflict != nil:
		o.machine.Rejected(conflict.Current)
	case errors.Is(err, ErrOrderNumber):
		o.machine.GiveUp(protocol.Skipped, err.Error())
	case err != nil:
		o.journalFailed(err)
	default:
		o.machine.Stored(seq)
	}
}

// takeToken waits for a token of the rate limit.
func (a *attempt) takeToken() (err error) {
	a.expires, err = a.order.x.caller.pace.Take(a.order.ctx, throttle.Push)
	a.token = time.Now()
	return err
}

// push makes the last checks and pushes the order.
func (a *attempt) push() {
	o := a.order
	closed := ""
	if time.Now().After(a.expires) {
		if err := a.takeToken(); err != nil {
			closed = err.Error()
		}
	}
	if closed == "" {
		closed = cmp.Or(o.call.late(), o.x.gate.closedFor(o.entry.OrderID))
	}
	if o.ctx.Err() != nil { // also while the calendar was read
		closed = "the run ended"
	}
	now := time.Now()
	lost := o.x.lease.lost()
	if !o.machine.MaySend(protocol.Check{Closed: closed, Lease: lost == nil}, now) {
		if lost != nil {
			o.x.fail(lost)
		}
		return
	}
	o.x.caller.pace.Late(a.token)
	err := o.x.caller.push(o.ctx, o.entry.OrderID, o.step.Target, a.mayPush)
	a.answered(err, time.Now())
	o.x.estimator.sent(now)
}

// mayPush returns why the push must not be sent after all, because the client has first made other calls; "" if it may.
func (a *attempt) mayPush() string {
	o := a.order
	if o.x.lease.lost() != nil {
		return "the lease of the run is over"
	}
	return cmp.Or(o.machine.Late(time.Now()), o.call.late(), o.x.gate.closedFor(o.entry.OrderID))
}

// answered reports what became of the push.
func (a *attempt) answered(err error, now time.Time) {
	o := a.order
	answer := answerOf(err, a.silent)
	o.machine.Answered(answer, now)
	o.reread("")
	o.item.noteID(err)
	i := &o.item
	if answer.Kind != protocol.NotSent {
		i.Attempts++
		i.PushedAt = now
	}
	switch answer.Kind {
	case protocol.Accepted:
		i.Target = o.step.Target
		o.x.caller.pushAccess.succeeded()
		o.x.events.emit(PushAccepted{OrderID: i.OrderID, Number: i.Number, Target: o.step.Target, Attempt: i.Attempts})
	case protocol.ByGateway, protocol.NoAnswer:
		i.Target = o.step.Target
		o.item.evidence("push", answer.Why, now)
		o.x.caller.checkOrderAccess(o, &o.x.caller.pushAccess, "push of order", err)
		o.x.events.emit(PushUnanswered{OrderID: i.OrderID, Number: i.Number, Target: o.step.Target, Err: err})
	default:
		o.item.evidence("push", answer.Why, now)
		a.refusal = err.Error()
		again := answer.Kind != protocol.Refused && a.deferrals < o.x.cfg.MaxDeferrals
		if answer.Kind == protocol.NotOffered {
			tried := o.machine.RefusedTargets()
			again = slices.ContainsFunc(a.choices, func(t commerce.Status) bool { return !slices.Contains(tried, t) })
		}
		o.x.events.emit(PushRefused{OrderID: i.OrderID, Number: i.Number, Target: o.step.Target, Err: err, Again: again})
		a.refused(answer.Kind, err)
	}
}

// answerOf returns what the error of a push means. silent is as in attempt.
func answerOf(err error, silent bool) protocol.Answer {
	if err == nil {
		return protocol.Answer{Kind: protocol.Accepted}
	}
	e, ok := errors.AsType[*commerce.Error](err)
	a := protocol.Answer{Kind: protocol.NoAnswer, Why: "the answer to the push was lost: " + err.Error()}
	switch {
	case !ok:
		return a
	case e.Delivery == commerce.DeliveryNotSent:
		a.Kind, a.Why = protocol.NotSent, "the push was not sent: "+err.Error()
	case e.Gateway() && e.HTTPStatus >= 300: // a success may be of Commerce
		a.Kind, a.Why = protocol.ByGateway, "a gateway answered the push: "+err.Error()
	case e.Delivery != commerce.DeliveryRefused:
	case unauthorized(err), forbidden(err), errors.Is(err, commerce.ErrRateLimited):
		a.Kind, a.Why = protocol.RefusedForNow, "Commerce refused the push for now: "+err.Error()
	case silent && e.NotOffered():
		a.Kind, a.Why = protocol.NotOffered, "Commerce refused the push: "+err.Error()
	default:
		a.Kind, a.Why = protocol.Refused, "Commerce refused the push: "+err.Error()
	}
	return a
}

// refused continues after a push that was refused or not sent.
func (a *attempt) refused(kind protocol.AnswerKind, err error) {
	o := a.order
	denied := unauthorized(err) || forbidden(err)
	if denied { // the client has renewed its credentials if it can, so there is one further attempt
		a.denied++
		if a.denied > 1 || unauthorized(err) && notSent(err) {
			o.x.caller.checkOrderAccess(o, &o.x.caller.pushAccess, "push of order", err)
		}
	}
	switch {
	case kind == protocol.Refused || kind == protocol.NotOffered || errors.Is(err, throttle.ErrHeldBack):
	case denied && a.denied > 1:
		o.machine.GiveUp(protocol.Skipped, "Commerce refused the push: "+err.Error())
	case !denied:
		a.postpone("the push was not accepted", err)
	}
}

// postpone tries the order again after a pause, a limited number of times. A later run may try it again.
func (a *attempt) postpone(what string, err error) {
	o := a.order
	a.giveSlot()
	a.deferrals++
	if a.deferrals > o.x.cfg.MaxDeferrals {
		o.machine.GiveUp(protocol.Skipped, fmt.Sprintf("given up after %d tries: %s: %v", a.deferrals, what, err))
		return
	}
	pause := max(time.Second<<min(a.deferrals-1, 6), o.x.caller.pace.Rest())
	if o.x.gate.rest(o.ctx, pause) != nil {
		o.stop()
	}
}

func (a *attempt) giveSlot() {
	if a.slot {
		a.slot = false
		a.order.call.admit(false)
		a.order.x.caller.pushes.Give()
	}
}

// targets returns the transitions to try, in order of preference. It is the first of Policy.Targets
// that the order offers. If the client cannot read what an order offers, as with Simple API, they are
// the plan's target and Policy.Targets. There is no default, since flows differ.
func (a *attempt) targets(read *commerce.Order) (targets []commerce.Status, why string) {
	o := a.order
	if a.silent = read.Transitions == nil; a.silent {
		for _, t := range append([]commerce.Status{o.entry.Target}, o.x.explicit...) {
			if rules.CanResubmit(t) {
				targets = append(targets, t)
			}
		}
		return targets, "the transitions that the order offers are unknown; set Policy.Targets to the one that resubmits it"
	}
	for _, t := range o.x.cfg.Targets {
		if read.Offers(t) {
			return []commerce.Status{t}, ""
		}
	}
	offers := make([]string, 0, len(read.Transitions))
	for _, t := range read.Transitions {
		offers = append(offers, string(t.To))
	}
	return nil, fmt.Sprintf("the order offers no transition that resubmits it; it offers [%s]", strings.Join(offers, " "))
}

func list(statuses []commerce.Status) string {
	parts := make([]string, len(statuses))
	for i, s := range statuses {
		parts[i] = string(s)
	}
	return strings.Join(parts, ", ")
}
