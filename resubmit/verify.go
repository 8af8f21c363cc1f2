package resubmit

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/orders"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/throttle"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// VerifyConfig says how the result of a push is verified. Commerce is polled after InitialInterval, then
// at doubling intervals of at least a second and at most MaxInterval. An order that has not ended after
// Timeout is progressing.
//
// With Capabilities.Lists, orders whose polls are due at about the same time are listed by their ids instead of read
// one by one; for that a poll is put off by at most one and a half intervals, or a minute. An order that is listed as
// done, or as still in progress, is not read. Every other one is read, because lists may lack the reason of a failure,
// and so is each at its last poll and at least every 30 min, because lists may be stale. If a list fails, orders are
// read one by one for the next 10 min.
//
// What Connect says about many orders is looked up with one call.
type VerifyConfig struct {
	InitialInterval time.Duration // time until the first poll; default 10 s; -1 at once
	MaxInterval     time.Duration // default 5 min; -1 no bound
	Timeout         time.Duration // default 30 min; -1 polls once and does not wait
	// HealthyAfter is how long after its push an order counts as good for Canary and Breaker, if it
	// has left its failure and is in progress in Connect. At most Timeout. Default 10 min; -1
	// only when it has completed.
	HealthyAfter time.Duration
	// ConnectGrace is how long Connect may lack the request of an order that is done in
	// Commerce before that is a false success, since Connect may be some minutes behind. An order
	// is then verified for longer than Timeout if necessary, unless that is -1. A request that failed since the push is a
	// false success at once. At most Timeout. Default 5 min; -1 none.
	ConnectGrace time.Duration
}

const (
	// pollAtLeast is the shortest time between two polls of one order.
	pollAtLeast = time.Second
	// pollTogether is how long a poll may be put off at most, so that many orders are listed together.
	pollTogether = time.Minute
)

// listTrust is how long an order is seen by lists alone. A list may be stale.
const listTrust = 30 * time.Minute

// verification finds out the outcome of the push of an order.
type verification struct {
	order    *order
	interval time.Duration // until the next poll
	deadline time.Time
	read     time.Time // when the order was last read, and not only listed
	pushedAt time.Time
	left     bool      // the order was seen to leave its failure
	back     bool      // and was then seen in the same failure
	done     time.Time // when the order was first seen as provisioned in Commerce; zero before
	last     bool      // there is no further poll
	healthy  bool      // the order is in progress and was judged as good
	verified bool      // it showed the outcome, or that the order is healthy
}

// verify polls Commerce, and then Connect, for the outcome of a push.
func (v *verification) verify() {
	o := v.order
	c := &o.x.cfg.Verify
	rec, _ := o.machine.Record()
	v.interval, v.pushedAt, v.deadline = c.InitialInterval, rec.SentAt, rec.SentAt.Add(max(c.Timeout, 0))
	v.read = time.Now()
	if o.call != nil {
		v.interval, v.read = c.interval(time.Since(v.pushedAt), false), v.pushedAt
	}
	v.done, v.left = rec.DoneAt, rec.Status != o.entry.Before.Status && rec.Status.Known()
	for {
		if v.waitForPoll() != nil {
			o.stop()
			return
		}
		err := v.poll()
		if o.ctx.Err() != nil {
			o.stop()
			return
		}
		outcome, why := v.assess(err)
		if outcome == protocol.Progressing {
			v.progressing()
		}
		if outcome != protocol.Progressing || v.last {
			v.verified = true
			if now := o.item.After; outcome == protocol.FailedAgain {
				o.x.tally.failedAgain(&o.item, now)
			}
			o.machine.Verified(protocol.Verification{
				Outcome: outcome, Status: o.item.After.Status, AtRest: orders.AtRest(o.item.After.Status), DoneAt: v.done,
				Template: failure.Template(o.item.After.Message), Why: text.Sentence(why),
			}, time.Now())
			return
		}
	}
}

// waitForPoll waits for the next poll. Polls are aligned, so that many orders are listed together.
func (v *verification) waitForPoll() error {
	o := v.order
	now := time.Now()
	due := now.Add(v.interval)
	if tick := min(3*v.interval/2, pollTogether); tick >= time.Second && o.x.verifier.lists() {
		due = due.Add(tick - 1).Truncate(tick)
	}
	if v.last = !due.Before(v.deadline); v.last {
		due = v.deadline
	}
	v.interval = max(2*v.interval, pollAtLeast)
	if most := o.x.cfg.Verify.MaxInterval; most > 0 {
		v.interval = min(v.interval, most)
	}
	if o.call != nil {
		v.interval = o.x.cfg.Verify.interval(due.Sub(v.pushedAt), true)
	}
	if o.call.limited(due, "it is verified") {
		return errStepEnded
	}
	return sleep(o.ctx, time.Until(due))
}

// poll finds out the state of the order: by a list with many others, or by reading it.
func (v *verification) poll() error {
	o := v.order
	if !v.last && time.Since(v.read)+v.interval < listTrust {
		if row := o.x.verifier.row(o.ctx, o.entry); row != nil && v.conclusive(row) {
			o.item.After = plan.SnapshotOf(row)
			return nil
		}
	}
	if err := o.x.caller.reads.Take(o.ctx); err != nil {
		return err
	}
	defer o.x.caller.reads.Give()
	_, began, err := o.fetch(throttle.Any)
	if err == nil {
		v.read = began
	}
	return err
}

// conclusive reports whether a row of a list says enough: the order is done, or in progress. Lists may lack the reason
// of a failure.
func (v *verification) conclusive(row *commerce.Order) bool {
	o := v.order
	now := plan.SnapshotOf(row)
	return len(row.Problems) == 0 && row.Status.Known() &&
		orders.EntryIdentity(o.entry).Check(orders.IdentityOf(row)) == nil &&
		!failed(o.entry.Before, now) && !unpaid(now.Status) && (now.Status.Provisioned() || !orders.AtRest(now.Status))
}

// assess returns the outcome that the state of the order shows, and why. Progressing means that it is not known yet.
func (v *verification) assess(err error) (protocol.Outcome, string) {
	o := v.order
	now := o.item.After
	switch {
	case err != nil:
		return protocol.Progressing, "the order could not be read: " + err.Error()
	case failed(o.entry.Before, now):
		again := v.left && v.back // once, the answer may be stale
		if again || failedAnew(o.entry.Before, now) || time.Since(v.pushedAt) >= o.x.cfg.SettleDelay {
			return protocol.FailedAgain, v.failedAgain()
		}
		v.back = v.left
		return protocol.Progressing, fmt.Sprintf("Commerce accepted the push, but the order is still %s", now.Status)
	case now.Status.Provisioned():
		v.left = true
		if v.done.IsZero() {
			v.done = time.Now().Round(0).UTC()
		}
		outcome, why, lag := v.inConnect()
		if outcome == protocol.FalseSuccess && lag && v.mayLag() {
			outcome = protocol.Progressing
		}
		return outcome, why
	case orders.AtRest(now.Status) || unpaid(now.Status):
		return protocol.FailedAgain, fmt.Sprintf("the order ended as %s, without being provisioned", now.Status)
	}
	v.left = true
	if v.last {
		return protocol.Progressing, v.whoMustAct()
	}
	return protocol.Progressing, ""
}

// mayLag reports whether Connect may still be behind Commerce (Verify.ConnectGrace). If so, it
// schedules a poll for the end of that time.
func (v *verification) mayLag() bool {
	o := v.order
	c := &o.x.cfg.Verify
	grace, waits := max(c.ConnectGrace, 0), c.Timeout >= 0
	if waits {
		grace = min(grace, c.Timeout)
	}
	end := v.done.Add(grace)
	rest := time.Until(end)
	if rest <= 0 {
		return false
	}
	v.interval = min(v.interval, rest)
	if waits && end.After(v.deadline) {
		v.deadline = end
	}
	v.last = v.last && !time.Now().Before(v.deadline)
	return true
}

// failedAgain returns why the order failed again.
func (v *verification) failedAgain() string {
	o := v.order
	now := o.item.After
	o.item.SameReason = now.Message != "" && failure.Template(now.Message) == failure.Template(o.entry.Before.Message)
	o.item.AfterClass, _ = o.x.cfg.Classifier.Classify(now.Message)
	if now.Message == "" {
		return "failed again, without a reason"
	}
	which := "a new reason"
	if o.item.SameReason {
		which = "the same reason"
	}
	return fmt.Sprintf("failed again for %s (%s): %s", which, o.item.AfterClass, brief(now.Message))
}

// inConnect checks whether Connect agrees that a provisioned order is done. Progressing means that it is not known yet.
// lag means that Connect may just be behind Commerce.
func (v *verification) inConnect() (outcome protocol.Outcome, why string, lag bool) {
	o := v.order
	done := "Commerce says " + string(o.item.After.Status)
	keys := o.requestKeys()
	switch {
	case o.x.cfg.Requests == nil:
		o.item.CommerceOnly = true
		return protocol.Completed, done + "; Connect was not asked", false
	case o.request == "":
		return protocol.Completed, fmt.Sprintf("%s; orders of type %s have no request in Connect", done, o.entry.Type), false
	case len(keys) == 0:
		o.item.CommerceOnly = true
		return protocol.Completed, done +
			"; Connect could not be queried, as the order names neither a tenant nor a subscription", false
	}
	found, err := o.x.verifier.requests(o.ctx, keys)
	if err != nil {
		return protocol.Progressing, done + "; Connect could not be queried: " + err.Error(), false
	}
	var approved []string
	waiting := ""
	for _, k := range keys {
		own := ownRequests(found[k], o.entry.Before.PlacedAt)
		if len(own) == 0 {
			return protocol.FalseSuccess, fmt.Sprintf("%s, but Connect has no %s request for %s", done, o.request, keyName(k)),
				true
		}
		for _, n := range own {
			switch r := n.Request; r.Status {
			case connect.StatusApproved:
				approved = append(approved, r.ID)
			case connect.StatusFailed, connect.StatusRevoked:
				o.item.evidence("request", fmt.Sprintf("%s is %s: %s", r.ID, r.Status, brief(r.Reason)), r.Updated)
				rec, _ := o.machine.Record()
				return protocol.FalseSuccess, fmt.Sprintf("%s, but in Connect %s is %s: %s", done, r.ID, r.Status, brief(r.Reason)),
					rec.FirstClaimAt.IsZero() || !failure.RequestChangedAt(&r).After(rec.FirstClaimAt)
			default:
				waiting = requestWaits(r)
			}
		}
	}
	if waiting != "" {
		return protocol.Progressing, done + ", but in Connect " + waiting, false
	}
	return protocol.Completed, fmt.Sprintf("%s, and Connect approved %s", done, strings.Join(approved, ", ")), false
}

// whoMustAct describes an order that is still in progress at the deadline, and who must act on it.
func (v *verification) whoMustAct() string {
	o := v.order
	at := fmt.Sprintf("the order is %s", o.item.After.Status)
	if keys := o.requestKeys(); len(keys) > 0 {
		found, err := o.x.verifier.requests(o.ctx, keys)
		if err != nil {
			return at + "; Connect could not be queried for who must act: " + err.Error()
		}
		for _, k := range keys {
			for _, n := range ownRequests(found[k], o.entry.Before.PlacedAt) {
				if !n.Request.Status.Final() {
					return at + ", and in Connect " + requestWaits(n.Request)
				}
			}
		}
	}
	if o.item.After.Status == commerce.StatusManualOperation {
		return at + ": a person must act in Commerce"
	}
	return at + ": Commerce must act"
}

// progressing judges an order as good before it ends, if it has left its failure some time ago and Connect has a
// request for it that has not failed: a vendor may take days, and other orders must not wait for that. An order
// without a verdict for a long time is set aside.
func (v *verification) progressing() {
	o := v.order
	c := &o.x.cfg.Verify
	since := time.Since(v.pushedAt)
	judged := o.call != nil && o.call.Judge || o.x.scheduler.climbs(o.place)
	if v.healthy || !judged && !o.x.gate.breaker.tries(o.entry.OrderID) {
		return
	}
	if v.left && c.HealthyAfter >= 0 && since >= min(c.HealthyAfter, max(0, c.Timeout)) && v.alive() {
		v.healthy, v.verified = true, true
		o.judge(protocol.Progressing)
		return
	}
	if since >= max(o.x.cfg.SettleDelay, c.HealthyAfter) {
		o.x.scheduler.judge(o, setAside)
	}
}

// alive reports whether Connect has requests of the order and none has failed. Without Connect it is true.
func (v *verification) alive() bool {
	o := v.order
	keys := o.requestKeys()
	if len(keys) == 0 {
		return true
	}
	found, err := o.x.verifier.requests(o.ctx, keys)
	if err != nil {
		return false
	}
	for _, k := range keys {
		own := ownRequests(found[k], o.entry.Before.PlacedAt)
		if len(own) == 0 {
			return false
		}
		for _, n := range own {
			if s := n.Request.Status; s == connect.StatusFailed || s == connect.StatusRevoked {
				return false
			}
		}
	}
	return true
}

func requestWaits(r connect.Request) string {
	return fmt.Sprintf("%s is %s: %s must act", r.ID, r.Status, cmp.Or(r.Status.NextActor(), "somebody"))
}

// requestKeys returns the keys of the requests of an order: its tenant or, without one, its
// subscriptions.
func requestKeys(tenant string, subscriptions []string, kind connect.RequestType) []connect.RequestKey {
	if tenant != "" {
		return []connect.RequestKey{{TenantID: tenant, Type: kind}}
	}
	keys := make([]connect.RequestKey, 0, len(subscriptions))
	for _, id := range subscriptions {
		keys = append(keys, connect.RequestKey{SubscriptionID: id, Type: kind})
	}
	return keys
}

func keyName(k connect.RequestKey) string {
	if k.TenantID != "" {
		return "tenant " + k.TenantID
	}
	return "subscription " + k.SubscriptionID
}

// ownRequests leaves out the requests that ended before the order was placed.
func ownRequests(all []connect.LatestRequest, placed time.Time) []connect.LatestRequest {
	var own []connect.LatestRequest
	for _, n := range all {
		if !failure.RequestPredatesOrder(&n.Request, placed) {
			own = append(own, n)
		}
	}
	return own
}

// requestKeys returns the keys of the requests of the order; none if Connect cannot be asked about it.
func (o *order) requestKeys() []connect.RequestKey {
	if o.x.cfg.Requests == nil || o.request == "" {
		return nil
	}
	return requestKeys(o.entry.TenantID, o.entry.Subscriptions, o.request)
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
	return cmp.Or(text.Short(s), "no reason given")
}
