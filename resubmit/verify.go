package resubmit

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// VerifyConfig says how the result of a push is verified. Commerce is polled after InitialInterval, then
// at doubling intervals of at least a second and at most MaxInterval. An order that has not ended after
// Timeout is progressing.
//
// With Capabilities.Lists, 20 or more orders whose polls are due, or nearly, are listed instead of read,
// by their statuses, types and times of placing. An order that is listed in the same status is not read
// then. Every other one is read, and so is each at its last poll and at least every 30 min. A list never
// proves that an order is done or has failed. A list that fails, or takes half as many calls as the
// reads would, is ignored, and none is made for the next 10 min.
type VerifyConfig struct {
	InitialInterval time.Duration // time until the first poll; default 10 s; -1 at once
	MaxInterval     time.Duration // default 5 min; -1 no bound
	Timeout         time.Duration // default 30 min; -1 polls once and does not wait
	// HealthyAfter is how long after its push an order counts as good for Canary and Breaker, if it
	// has left its failure and is in progress in Connect. At most Timeout. Default 10 min; -1
	// only when it has completed.
	HealthyAfter time.Duration
	// ConnectGrace is how long Connect may disagree with Commerce about an order that is done in
	// Commerce before that is a false success, since Connect may be some minutes behind. An order
	// is then verified for longer than Timeout if necessary, unless that is -1. At most Timeout.
	// Default 5 min; -1 none.
	ConnectGrace time.Duration
}

// pollAtLeast is the shortest time between two polls of one order.
const pollAtLeast = time.Second

// polls times the polls of one order: at doubling intervals, the last one at the deadline.
type polls struct {
	next, max time.Duration
	deadline  time.Time
}

func (x *run) polls(deadline time.Time) polls {
	return polls{next: x.cfg.Verify.InitialInterval, max: x.cfg.Verify.MaxInterval, deadline: deadline}
}

// wait waits for the next poll, and reports whether it is the last.
func (p *polls) wait(ctx context.Context) (last bool, err error) {
	rest := time.Until(p.deadline)
	if err := sleep(ctx, min(p.next, rest)); err != nil {
		return false, err
	}
	last = rest <= p.next
	p.grow()
	return last, nil
}

func (p *polls) grow() {
	p.next = max(2*p.next, pollAtLeast)
	if p.max > 0 {
		p.next = min(p.next, p.max)
	}
}

// follow finds the outcome of an order that was or may have been pushed, by reading it.
func (x *run) follow(j *job) {
	defer x.verifying.Add(-1)
	left := false
	for j.rec.State == RecordSending || j.rec.State == RecordUnknown {
		n := x.resolve(j)
		if n == nextAgain && x.retry(j) != nextFollow || n == nextOver {
			return
		}
		left = n == nextFollow
	}
	x.verify(j, left)
}

// verification is the state of the verification of one push.
type verification struct {
	polls
	pushedAt time.Time
	left     bool      // the order was seen to leave its failure
	read     time.Time // when the order was last read; zero before
	done     time.Time // when the order was first seen as provisioned in Commerce; zero before
	last     bool      // there is no further poll
}

// verify polls Commerce, and then Connect, for the outcome of a push. left means that the order was
// seen to leave its failure.
func (x *run) verify(j *job, left bool) {
	v := &verification{pushedAt: j.rec.sent(), left: left}
	deadline := v.pushedAt.Add(max(x.cfg.Verify.Timeout, 0))
	if j.rec.State == RecordProgressing {
		deadline = v.pushedAt // an earlier run has waited until the deadline
		v.left = j.rec.Seen != j.entry.Before.Status && x.meaningful(j, j.rec.Seen)
		if j.rec.Seen.Provisioned() {
			v.done = j.rec.At
		}
	}
	v.polls = x.polls(deadline)
	for {
		underWay, err := x.nextPoll(j, v)
		if underWay {
			continue
		}
		if err == nil {
			err = x.pollOrder(j)
		}
		if err == nil {
			v.read = time.Now()
		}
		if j.ctx.Err() != nil {
			x.done(j, OutcomeProgressing, "pushed; the verification was stopped: "+context.Cause(j.ctx).Error())
			return
		}
		outcome, why := x.assess(j, v, err)
		if outcome != OutcomeProgressing {
			x.verified(j, outcome, why)
			return
		}
		x.underWay(j, v.left, v.pushedAt)
		if v.last {
			x.verified(j, OutcomeProgressing, why)
			return
		}
	}
}

// assess returns the outcome that a read of an order shows, and why. OutcomeProgressing means that it is not known yet.
func (x *run) assess(j *job, v *verification, err error) (Outcome, string) {
	now := j.item.After
	switch {
	case err != nil:
		return OutcomeProgressing, "the order could not be read: " + err.Error()
	case failed(j.entry.Before, now):
		if v.left || failedAnew(j.entry.Before, now) || time.Since(v.pushedAt) >= x.cfg.SettleDelay {
			return OutcomeFailedAgain, x.failedAgain(j)
		}
		return OutcomeProgressing, fmt.Sprintf("Commerce accepted the push, but the order is still %s", now.Status)
	case now.Status.Provisioned():
		v.left = true
		if v.done.IsZero() {
			v.done = time.Now()
		}
		outcome, why := x.inConnect(j)
		if outcome == OutcomeFalseSuccess && x.mayLag(v) {
			outcome = OutcomeProgressing
		}
		return outcome, why
	case atRest(now.Status) || unpaid(now.Status):
		return OutcomeFailedAgain, fmt.Sprintf("the order ended as %s, without being provisioned", now.Status)
	}
	v.left = true
	if v.last {
		return OutcomeProgressing, x.whoMustAct(j)
	}
	return OutcomeProgressing, ""
}

// mayLag reports whether Connect may still be behind Commerce (Verify.ConnectGrace). If so, it
// schedules a poll for the end of that time.
func (x *run) mayLag(v *verification) bool {
	grace := max(x.cfg.Verify.ConnectGrace, 0)
	waits := x.cfg.Verify.Timeout >= 0
	if waits {
		grace = min(grace, x.cfg.Verify.Timeout)
	}
	end := v.done.Add(grace)
	rest := time.Until(end)
	if rest <= 0 {
		return false
	}
	v.next = min(v.next, rest)
	if waits && end.After(v.deadline) {
		v.deadline = end
	}
	v.last = v.last && !time.Now().Before(v.deadline)
	return true
}

// look is a read that takes part in verification: it waits for its turn among
// those, apart from the pushes.
func (x *run) pollOrder(j *job) error {
	if err := x.reads.take(j.ctx); err != nil {
		return err
	}
	defer x.reads.give()
	_, err := x.read(j, inLine)
	return err
}

// verified records and ends an order.
func (x *run) verified(j *job, o Outcome, why string) {
	// A failed put stops the run; the outcome is true all the same.
	_ = x.put(j, RecordState(o), why)
	j.free = free(o, j.rec.Seen)
	x.done(j, o, why)
}

// failedAgain returns why an order failed again, and adds it to the report.
func (x *run) failedAgain(j *job) string {
	now := j.item.After
	j.item.SameReason = now.Message == j.entry.Before.Message && now.Message != ""
	j.item.AfterClass, _ = x.cfg.Classifier.Classify(now.Message)
	x.mu.Lock()
	x.again.Add(&commerce.Order{
		ID: j.item.OrderID, Number: j.item.Number, PlacedAt: now.PlacedAt, FailedAt: now.FailedAt,
		Failure: commerce.Failure{Messages: map[string]string{"en_US": now.Message}},
	})
	x.mu.Unlock()
	if now.Message == "" {
		return "failed again, without a reason"
	}
	which := "a new reason"
	if j.item.SameReason {
		which = "the same reason"
	}
	return fmt.Sprintf("failed again for %s (%s): %s", which, j.item.AfterClass, brief(now.Message))
}

// inConnect checks whether Connect agrees that a provisioned order is done. OutcomeProgressing means
// that it is not known yet.
func (x *run) inConnect(j *job) (Outcome, string) {
	if x.cfg.Requests == nil {
		j.item.CommerceOnly = true
		return OutcomeCompleted, "Commerce says " + string(j.item.After.Status) + "; Connect was not asked"
	}
	done := "Commerce says " + string(j.item.After.Status)
	kind := j.kind
	keys := requestKeys(j.entry, kind)
	switch {
	case kind == "":
		return OutcomeCompleted, fmt.Sprintf("%s; orders of type %s have no request in Connect", done, j.entry.Type)
	case len(keys) == 0:
		j.item.CommerceOnly = true
		return OutcomeCompleted, done +
			"; Connect could not be queried, as the order names neither a tenant nor a subscription"
	}
	found, err := x.requests(j, keys)
	if err != nil {
		return OutcomeProgressing, done + "; Connect could not be queried: " + err.Error()
	}
	var approved []string
	waiting := ""
	for _, k := range keys {
		own := ownRequests(found[k], j.entry.Before.PlacedAt)
		if len(own) == 0 {
			return OutcomeFalseSuccess, fmt.Sprintf("%s, but Connect has no %s request for %s", done, kind, keyName(k))
		}
		for _, n := range own {
			switch r := n.Request; r.Status {
			case connect.StatusApproved:
				approved = append(approved, r.ID)
			case connect.StatusFailed, connect.StatusRevoked:
				j.evidence("request", fmt.Sprintf("%s is %s: %s", r.ID, r.Status, brief(r.Reason)), r.Updated)
				return OutcomeFalseSuccess, fmt.Sprintf("%s, but in Connect %s is %s: %s", done, r.ID, r.Status, brief(r.Reason))
			default:
				waiting = requestWaits(r)
			}
		}
	}
	if waiting != "" {
		return OutcomeProgressing, done + ", but in Connect " + waiting
	}
	return OutcomeCompleted, fmt.Sprintf("%s, and Connect approved %s", done, strings.Join(approved, ", "))
}

// whoMustAct describes an order that is still in progress at the deadline, and who must act on it.
func (x *run) whoMustAct(j *job) string {
	at := fmt.Sprintf("the order is %s", j.item.After.Status)
	kind := j.kind
	if keys := requestKeys(j.entry, kind); x.cfg.Requests != nil && len(keys) > 0 {
		found, err := x.requests(j, keys)
		if err != nil {
			return at + "; Connect could not be queried for who must act: " + err.Error()
		}
		for _, k := range keys {
			for _, n := range ownRequests(found[k], j.entry.Before.PlacedAt) {
				if !n.Request.Status.Final() {
					return at + ", and in Connect " + requestWaits(n.Request)
				}
			}
		}
	}
	if j.item.After.Status == commerce.StatusManualOperation {
		return at + ": a person must act in Commerce"
	}
	return at + ": Commerce must act"
}

// failed reports whether an order is in a failed status: the one it was in, or PF.
func failed(before, now plan.Snapshot) bool {
	return now.Status == before.Status || now.Status == commerce.StatusProvisioningFailed
}

// unpaid reports whether an order was pushed into a failure of its payment, which provisioning does
// not fix.
func unpaid(s commerce.Status) bool {
	return s == commerce.StatusAuthorizationFailed || s == commerce.StatusTopUpFailed
}

// failedAnew reports whether it is another failure than the plan's.
func failedAnew(before, now plan.Snapshot) bool {
	bothKnown := !before.FailedAt.IsZero() && !now.FailedAt.IsZero()
	return failed(before, now) && (now.Status != before.Status || now.Message != before.Message ||
		bothKnown && !now.FailedAt.Equal(before.FailedAt))
}

// brief returns a failure message on one short line.
func brief(s string) string {
	if s = text.Short(s); s == "" {
		return "no reason given"
	}
	return s
}
