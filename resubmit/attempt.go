package resubmit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// next is the next step of an order after an attempt.
type next int

const (
	nextOver   next = iota // it is done
	nextAgain              // nothing was pushed: another attempt, from the gate on
	nextFollow             // it was pushed, or may have been: from now on it is only read
	nextParked             // it becomes ready again when the canary releases it
)

// attempt makes attempts at an order until it has another next step, starting from its record in the journal.
func (x *run) attempt(j *job) next {
	if !j.loaded {
		if n := x.load(j); n != nextAgain {
			return n
		}
	}
	for {
		if n := x.turn(j); n != nextAgain {
			return n
		}
	}
}

// turn waits until an attempt may be made, and makes it.
func (x *run) turn(j *job) next {
	x.events.waitBelow(maxQueuedEvents)
	if n, goes := x.admit(j); !goes {
		return n
	}
	if x.waitForHold(j) != nil || x.gate.wait(j.ctx, j) != nil || x.pushes.take(j.ctx) != nil {
		return x.unstarted(j)
	}
	defer x.pushes.give()
	return x.once(j)
}

// once makes one attempt: intent, re-read, target, push. After a lost answer it checks Connect first.
func (x *run) once(j *job) next {
	if j.lost != nil {
		if why, err := x.vetoedByConnect(j); err != nil {
			return x.reschedule(j, "Connect could not be queried", err)
		} else if why != "" {
			return x.stopRetrying(j, why)
		}
		j.rec.Lost++
	}
	j.rec.Attempt++
	j.rec.SentAt = time.Time{} // the time of the push before would end the watch of this one too early
	if x.put(j, RecordSending, "about to be pushed") != nil {
		j.rec.Attempt = j.item.Attempts
		return x.unstarted(j)
	}
	x.events.emit(PushIntended{OrderID: j.item.OrderID, Number: j.item.Number, Attempt: j.rec.Attempt})
	order, err := x.read(j, beforePush)
	switch {
	case errors.Is(err, commerce.ErrNotFound) && j.sent.at.IsZero():
		j.rec.Seen = ""
		return x.skip(j, "the order does not exist any more: "+err.Error())
	case errors.Is(err, errOtherOrder) && j.sent.at.IsZero():
		j.rec.Seen = ""
		return x.skip(j, err.Error())
	case err != nil && j.ctx.Err() != nil:
		return x.release(j, "stopped before the push")
	case errors.Is(err, errHeldBack):
		return x.release(j, err.Error()+": a server sent Retry-After")
	case forbidden(err):
		return x.notReadable(j, err)
	case err != nil:
		return x.reschedule(j, "the order could not be read again", err)
	}
	if changed := j.entry.Before.Diff(j.item.After); changed != "" {
		x.reread(j, changed)
		if x.movedByPush(j) {
			return x.credit(j, changed)
		}
		return x.skip(j, "moved since the plan was made: "+changed)
	}
	targets, why := x.targets(j, order)
	if len(targets) == 0 {
		x.reread(j, "")
		return x.skip(j, why)
	}
	return x.push(j, targets)
}

func (x *run) reread(j *job, changed string) {
	x.events.emit(OrderReread{OrderID: j.item.OrderID, Number: j.item.Number, Now: j.item.After, Changed: changed})
}

// read reads the order and records its state.
func (x *run) read(j *job, k callKind) (*commerce.Order, error) {
	if err := x.pace.await(j.ctx, k); err != nil {
		return nil, err
	}
	order, err := x.cfg.Reader.Order(j.ctx, j.entry.OrderID)
	switch {
	case err != nil:
	case order == nil:
		err = errors.New("the reader returned neither an order nor an error")
	case order.ID != j.entry.OrderID:
		err = fmt.Errorf("the reader returned order %[2]q instead of %[1]q", j.entry.OrderID, order.ID)
	default:
		if err = entryIdentity(j.entry).check(identityOf(order)); err == nil {
			err = unreadable(order, x.expected(j)...)
		}
	}
	if err != nil {
		x.noteErrors(j, err)
		x.checkOrderAccess(j, &x.readAccess, "reading order", err)
		return nil, err
	}
	x.readAccess.succeeded()
	j.unread = false
	j.moved = j.moved || order.Status != j.rec.Seen
	j.item.After = plan.SnapshotOf(order)
	j.rec.Seen = order.Status
	return order, nil
}

// expected returns the statuses that are meaningful for an order even if this library does not know
// them: the one that it failed with, and those that it may be pushed to.
func (x *run) expected(j *job) []commerce.Status {
	return append([]commerce.Status{j.entry.Before.Status, j.entry.Target}, x.cfg.Targets...)
}

// meaningful reports whether a status in the journal can be relied on. Older versions recorded others too.
func (x *run) meaningful(j *job, s commerce.Status) bool {
	return s.Known() || s != "" && slices.Contains(x.expected(j), s)
}

// targets returns the transitions to try, in order of preference. It is the first of Config.Targets
// that the order offers. If the client cannot read what an order offers, as with Simple API, they are
// the plan's target and Config.Targets, without those that Commerce has refused. There is no default,
// since flows differ.
func (x *run) targets(j *job, o *commerce.Order) (targets []commerce.Status, why string) {
	if o.Transitions == nil {
		for _, t := range append([]commerce.Status{j.entry.Target}, x.fallbackTargets...) {
			if rules.CanResubmit(t) && !slices.Contains(targets, t) && !slices.Contains(j.tried, t) {
				targets = append(targets, t)
			}
		}
		return targets, "the transitions that the order offers are unknown; set Config.Targets to the one that resubmits it"
	}
	for _, t := range x.cfg.Targets {
		if o.Offers(t) {
			return []commerce.Status{t}, ""
		}
	}
	offers := make([]string, 0, len(o.Transitions))
	for _, t := range o.Transitions {
		offers = append(offers, string(t.To))
	}
	return nil, fmt.Sprintf("the order offers no transition that resubmits it; it offers [%s]", strings.Join(offers, " "))
}

// push pushes the order to the first of the targets, if pushes are still allowed.
func (x *run) push(j *job, targets []commerce.Status) next {
	target := targets[0]
	if why := x.mayPush(j); why != "" {
		x.reread(j, "")
		return x.release(j, why)
	}
	// The end of the run must not interrupt a push: its result would be unknown.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), pushTimeout)
	defer cancel()
	err := x.cfg.Pusher.Push(ctx, j.entry.OrderID, target)
	answered := time.Now()
	x.reread(j, "") // after the push, so that nothing delays it after the re-read
	if err == nil {
		j.rec.Target, j.item.Attempts, j.item.PushedAt = target, j.rec.Attempt, answered
		j.item.Target, j.rec.SentAt, j.lost = target, j.item.PushedAt, nil
		x.pushAccess.succeeded()
		// A failed put stops the run, and the next step sees that.
		_ = x.put(j, RecordPushed, "Commerce accepted the push to "+string(target))
		x.events.emit(PushAccepted{OrderID: j.item.OrderID, Number: j.item.Number, Target: target, Attempt: j.rec.Attempt})
		return nextFollow
	}
	x.noteErrors(j, err)
	e, ok := errors.AsType[*commerce.Error](err)
	if ok && e.Delivery == commerce.DeliveryNotSent && errors.Is(err, errHeldBack) {
		return x.release(j, err.Error())
	}
	j.rec.Target, j.item.Attempts, j.item.PushedAt = target, j.rec.Attempt, answered
	if ok && e.Delivery != commerce.DeliveryUnknown {
		return x.refused(j, targets, e, err)
	}
	j.item.Target, j.rec.SentAt, j.lost = target, j.item.PushedAt, nil
	j.evidence("push", "the answer to the push was lost: "+err.Error(), j.item.PushedAt)
	_ = x.put(j, RecordUnknown, "the answer to the push was lost: "+err.Error())
	j.forbidden = forbidden(err)
	x.checkOrderAccess(j, &x.pushAccess, "push of order", err)
	x.events.emit(PushUnanswered{OrderID: j.item.OrderID, Number: j.item.Number, Target: target, Err: err})
	return nextFollow
}

// mayPush waits for the rate limit and returns why the order must not be pushed after all; "" if it
// may.
func (x *run) mayPush(j *job) string {
	err := x.pace.await(j.ctx, pushing)
	why := x.gate.closedFor(j.entry.OrderID)
	switch {
	case j.ctx.Err() != nil:
		return "stopped before the push"
	case err != nil:
		return err.Error() + ": a server sent Retry-After"
	case why != "":
		return errHeldBack.Error() + ": " + why
	default:
		return ""
	}
}

// refused handles a push that was refused: it ends the order, defers it, or leaves it for the next
// target. The order is read before it is pushed again or reported as skipped, because a server may
// act on a push that it refuses.
func (x *run) refused(j *job, targets []commerce.Status, e *commerce.Error, err error) next {
	target := targets[0]
	denied := unauthorized(err) || forbidden(err)
	forNow := e.Delivery == commerce.DeliveryNotSent || errors.Is(err, commerce.ErrRateLimited)
	other := len(targets) > 1 && e.NotOffered()
	why := fmt.Sprintf("the push to %s was %s: %v", target, e.Delivery, err)
	j.evidence("push", why, time.Now())
	answered := e.Delivery == commerce.DeliveryRefused && !denied
	j.sent, j.unread = sentPush{at: j.item.PushedAt, to: target, answered: answered}, true
	x.events.emit(PushRefused{
		OrderID: j.item.OrderID, Number: j.item.Number, Target: target, Err: err,
		Again: other || denied && j.denied == 0 || forNow && j.refusals < x.cfg.MaxDeferrals,
	})
	switch {
	case denied && x.revert(j, RecordRefused, why) != nil:
		return x.unstarted(j)
	case denied:
		return x.denied(j, fmt.Sprintf("Commerce refused the push to %s: %v", target, err), err)
	case forNow:
		return x.reschedule(j, "the push was "+string(e.Delivery), err)
	case x.revert(j, RecordRefused, why) != nil:
		return x.unstarted(j)
	case !other:
		why = fmt.Sprintf("Commerce refused the push to %s: %v", list(append(j.tried, target)), err)
		if n, over := x.readOnceMore(j, why); over {
			return n
		}
		return x.skip(j, why)
	default:
		j.tried = append(j.tried, target)
		return nextAgain
	}
}

// sentPush is a push that was refused.
type sentPush struct {
	at       time.Time // when it was answered; zero: there was none
	to       commerce.Status
	answered bool // by Commerce; otherwise it was not sent, or the credentials were refused
}

// movedByPush reports whether the order has changed after a refused push of this plan, which may have
// been carried out. Somebody else may have changed it; the order is verified in both cases.
func (x *run) movedByPush(j *job) bool {
	return !j.sent.at.IsZero() && j.entry.Before.Diff(j.item.After) != ""
}

// credit treats a refused push as accepted, because the order was moved.
func (x *run) credit(j *job, changed string) next {
	why := fmt.Sprintf("the push to %s was refused, but the order was moved, by the push or by somebody else: %s",
		j.sent.to, changed)
	j.evidence("order", why, time.Now())
	j.item.Target, j.rec.Target = j.sent.to, j.sent.to
	j.item.PushedAt, j.rec.SentAt = j.sent.at, j.sent.at
	j.rec.Attempt, j.lost = j.item.Attempts, nil // without an intent that was not carried out
	_ = x.put(j, RecordPushed, why)              // a failed put stops the run, and the next step sees that
	return nextFollow
}

// readOnceMore reads an order that a refused push may have moved, before it is reported
// as skipped. over is false if the order is unchanged.
func (x *run) readOnceMore(j *job, why string) (n next, over bool) {
	if !j.unread || j.ctx.Err() != nil && j.item.PushedAt.IsZero() {
		return nextOver, false
	}
	kind := inLine
	if x.stopping() {
		kind = beforePush // do not wait while the server asks for a pause
	}
	_, err := x.read(j, kind)
	switch changed := j.entry.Before.Diff(j.item.After); {
	case err != nil && !j.sent.answered:
		return nextOver, false
	case err != nil:
		x.done(j, OutcomeUnknown,
			fmt.Sprintf("%s; the order could not be read since then, so run again before anything else is sent: %v", why, err))
		return nextOver, true
	case x.movedByPush(j):
		x.reread(j, changed)
		return x.credit(j, changed), true
	default:
		return nextOver, false
	}
}

func list(statuses []commerce.Status) string {
	parts := make([]string, len(statuses))
	for i, s := range statuses {
		parts[i] = string(s)
	}
	return strings.Join(parts, ", ")
}

// reschedule tries an order again after a pause, a limited number of times. Its last record lets a later run try it
// again.
func (x *run) reschedule(j *job, what string, err error) next {
	why := what + ": " + err.Error()
	if x.revert(j, RecordRefused, why) != nil || j.ctx.Err() != nil {
		return x.unstarted(j)
	}
	j.refusals++
	if j.refusals > x.cfg.MaxDeferrals {
		why = fmt.Sprintf("given up after %d tries: %s", j.refusals, why)
		if j.lost != nil {
			return x.stopRetrying(j, why) // it is read once more there
		}
		return x.leave(j, why)
	}
	pause := max(time.Second<<min(j.refusals-1, 6), x.pace.rest())
	if x.gate.rest(j.ctx, pause) != nil {
		return x.unstarted(j)
	}
	return nextAgain
}

// notReadable ends an order that Commerce forbids to read.
func (x *run) notReadable(j *job, err error) next {
	why := "the order could not be read again: " + err.Error()
	if x.revert(j, RecordRefused, why) != nil {
		return x.unstarted(j)
	}
	return x.leave(j, why)
}

// release takes back an intent before anything was sent.
func (x *run) release(j *job, why string) next {
	if x.revert(j, RecordRefused, why) != nil || j.ctx.Err() != nil {
		return x.unstarted(j)
	}
	return nextAgain
}

// skip ends an order without a push. If an earlier push got no answer, the order is watched instead.
func (x *run) skip(j *job, why string) next {
	// A failed put stops the run; this order is done in any case.
	_ = x.revert(j, RecordSkipped, why)
	if j.lost != nil {
		return x.stopRetrying(j, why)
	}
	j.free = free(OutcomeSkipped, j.rec.Seen)
	x.done(j, OutcomeSkipped, why)
	return nextOver
}

// unstarted ends an order because the run ends.
func (x *run) unstarted(j *job) next {
	why := whyNotStarted(j)
	if j.refusals > 0 || j.denied > 0 || len(j.tried) > 0 {
		why = fmt.Sprintf("%s; the last try: %s", why, j.rec.Why)
	}
	n := x.leave(j, why)
	if n != nextFollow {
		_ = x.notStarted(j)
	}
	return n
}

// leave ends an order that was not moved, as far as that is known.
func (x *run) leave(j *job, why string) next {
	if j.lost == nil {
		if n, over := x.readOnceMore(j, why); over {
			return n
		}
		x.done(j, OutcomeSkipped, why)
		return nextOver
	}
	x.done(j, OutcomeUnknown,
		fmt.Sprintf(
			"the answer to the push was lost and no other attempt was made: %s; check the order before anything is sent again",
			why))
	return nextOver
}

// put writes the order's record; an error stops the run.
func (x *run) put(j *job, s RecordState, why string) error {
	if s != RecordProgressing || j.rec.State != s || j.moved {
		j.rec.At = time.Now()
	}
	j.rec.State, j.rec.Why, j.moved = s, text.Sentence(why), false
	put := x.cfg.Journal.Put
	if x.later != nil && x.deferrable(j) {
		put = x.putLater
	}
	err := put(j.rec)
	if err != nil {
		callback.Log(x.cfg.Logger, err)
		err = fmt.Errorf("resubmit: the journal could not record order %s as %s, so nothing more is pushed: %w",
			text.Short(j.item.Number), s, err)
		x.cancel(err)
	}
	return err
}

func (x *run) putLater(r Record) (err error) {
	defer callback.Recover(&err)
	return x.later.PutLater(r)
}

// deferrable reports whether the record may be written asynchronously: if it is lost, the intent before it says that
// the order is to be read, which gives the same. If the policy allows another push, the record must not be lost.
func (x *run) deferrable(j *job) bool {
	switch j.rec.State {
	case RecordPushed, RecordCompleted, RecordFailedAgain, RecordFalseSuccess:
		kind := j.kind
		most, _ := x.cfg.Retry.of(j.entry.Type, kind)
		return most <= 1
	default:
		return false
	}
}

func (j *job) evidence(kind, said string, at time.Time) {
	said = text.Sentence(said)
	if n := len(j.item.Evidence); n > 0 && j.item.Evidence[n-1].Text == said {
		return // it was read again and is unchanged
	}
	j.item.Evidence = append(j.item.Evidence, failure.Evidence{Kind: kind, Text: said, At: at})
}

// free reports whether the next order of a subscription may start after one with this outcome, which
// was last seen in this status.
func free(o Outcome, seen commerce.Status) bool {
	return o == OutcomeCompleted || (o == OutcomeSkipped || o == OutcomeFailedAgain) && atRest(seen)
}

// atRest reports whether nothing more happens to an order in this status.
func atRest(s commerce.Status) bool {
	return s.Provisioned() || s == commerce.StatusCancelled || s == commerce.StatusFraud
}

// notStarted marks an order as not started and returns why.
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
