package sim

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// checkCall checks a call that leaves the program.
func (ch *checker) checkCall(p *process, c *call) *inFlight {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	t := &inFlight{at: time.Now(), process: p}
	ch.checkDenied(p, c, t.at)
	if !p.applying.Load() {
		if c.kind == callPush {
			ch.violate("I12", c.order, "is pushed while planning")
		}
		return t
	}
	ch.checkPace(p, c, t.at)
	if c.kind != callPush {
		return t
	}
	ch.w.count("pushes")
	a := p.state.approval.orders[c.order]
	if a == nil {
		ch.violate("I12", c.order, "is pushed, but the approved plan does not resubmit it")
		return t
	}
	if !slices.Contains(protocol.DefaultTargets(), c.to) {
		ch.violate("I12", c.order, "is pushed to %s, which does not resubmit it", c.to)
	}
	if p.paused.Load() {
		ch.violate("pause", c.order, "is pushed during a pause of the operator")
	}
	ch.checkWindow(c, t.at)
	ch.checkBreaker(p, c, t.at)
	ch.checkClaim(p, c, a)
	ch.checkReading(p, c, a, t.at)
	ch.checkLoss(c)
	ch.checkAttempts(p, c, a, t.at)
	return t
}

// checkPace checks I7.
func (ch *checker) checkPace(p *process, c *call, now time.Time) {
	o := &p.state
	o.mu.Lock()
	defer o.mu.Unlock()
	if pause, ok := o.pauses[c.connect]; ok && now.Before(pause.until) && now.After(pause.since) {
		ch.violate("I7", c.order, "%s: leaves %v before the end of the server's Retry-After", c, pause.until.Sub(now))
	}
	rate := ch.w.s.limits.RateLimit
	if rate <= 0 {
		return
	}
	o.calls = append(o.calls, now)
	span, most := time.Second, max(1, int(rate))
	ch.checkRate(o, c, span, most)
	if rate < 1 {
		span = time.Duration(float64(time.Second) / rate)
		if rate < 0.5 { // a push follows its read soon
			span, most = 2*span, 3
		}
		ch.checkRate(o, c, span, most)
	}
	o.calls = slices.DeleteFunc(o.calls, func(t time.Time) bool { return now.Sub(t) >= span })
}

// checkRate checks that a span has at most so many calls. The state must be locked.
func (ch *checker) checkRate(o *processState, c *call, span time.Duration, most int) {
	n := 0
	now := o.calls[len(o.calls)-1]
	for _, t := range o.calls {
		if now.Sub(t) < span {
			n++
		}
	}
	if n > most {
		ch.violate("I7", c.order, "%s: is call %d within %v; %v per second are allowed", c, n, span, ch.w.s.limits.RateLimit)
	}
}

// checkWindow checks I4 with the windows announced now.
func (ch *checker) checkWindow(c *call, now time.Time) {
	ch.w.mu.Lock()
	spans := slices.Collect(maps.Values(ch.w.spans))
	ch.w.mu.Unlock()
	for _, s := range spans {
		switch {
		case !now.Before(s.from) && (s.to.IsZero() || now.Before(s.to)):
			ch.violate("I4", c.order, "is pushed in a maintenance window")
		case now.Before(s.from) && s.from.Sub(now) < ch.w.s.limits.Guard:
			ch.violate("I4", c.order, "is pushed %v before the next maintenance window", s.from.Sub(now))
		case !s.to.IsZero() && !now.Before(s.to) && now.Sub(s.to) < ch.w.s.limits.SettleDelay:
			ch.violate("I4", c.order, "is pushed %v after a maintenance window", now.Sub(s.to))
		}
	}
}

// checkBreaker checks I8: after the failures that open the breaker nothing is pushed, at least until Connect is probed.
func (ch *checker) checkBreaker(p *process, c *call, now time.Time) {
	opened := p.state.breakerOpenedAt
	wait := ch.w.s.limits.Breaker.Wait
	if opened.IsZero() || ch.w.s.staleReads > 0 || !now.After(opened) || !now.Before(opened.Add(wait)) {
		return
	}
	ch.violate("I8", c.order, "is pushed %v after the breaker had to open", now.Sub(opened))
}

// checkClaim checks I2, I5 and I14: a durable claim of the order and its lanes by this process.
func (ch *checker) checkClaim(p *process, c *call, a *approvedOrder) {
	r := ch.durable(p, protocol.OrderKey(a.entry.OrderID)).Order
	switch {
	case r == nil:
		ch.violate("I2", c.order, "is pushed, but has no record in the journal")
		return
	case r.Run != p.state.approval.digest || r.Epoch != p.state.epoch:
		ch.violate("I14", c.order, "is pushed, but the record in the journal is of another run")
	case r.Phase != protocol.Claimed:
		ch.violate("I2", c.order, "is pushed, but is %s in the journal", r.Phase)
	case r.Fingerprint != a.entry.Fingerprint:
		ch.violate("I2", c.order, "is pushed, but the claim in the journal is for another failure")
	}
	for _, lane := range a.entry.Lanes() {
		l := ch.durable(p, protocol.Key{Kind: protocol.KindLane, ID: lane}).Lane
		if l == nil || l.Order != a.entry.OrderID || l.Blocked {
			ch.violate("I5", c.order, "is pushed, but does not have the %s in the journal: %+v", lane, l)
		}
	}
}

// checkReading checks I13: the order was read right before the claim, was as planned, and was claimed right before the
// push.
func (ch *checker) checkReading(p *process, c *call, a *approvedOrder, now time.Time) {
	p.state.mu.Lock()
	r, ok := p.state.readings[c.order]
	claimed := p.state.claims[c.order]
	p.state.mu.Unlock()
	late := time.Duration(0)
	if ch.w.s.api != apiOrderManager {
		late = 10 * time.Second // a push may take several calls, which wait for the rate limit
	}
	if ch.w.s.api == apiBilling && r.before != nil {
		r = *r.before // the push of Billing itself reads the order first
	}
	policy := ch.w.s.limits.Policy.WithDefaults()
	switch {
	case !ok || r.at.After(claimed):
		ch.violate("I13", c.order, "is pushed without a read before the claim")
	case now.Sub(r.at) > protocol.MaxReadAge+late:
		ch.violate("I13", c.order, "is pushed %v after it was read", now.Sub(r.at))
	case now.Sub(claimed) > policy.MaxClaimAge+late:
		ch.violate("I13", c.order, "is pushed %v after it was claimed", now.Sub(claimed))
	case r.truth == nil || ch.w.s.staleReads > 0 && r.truth.Pushes > 0: // the read was stale
	case r.truth.Status != a.entry.Before.Status,
		ch.w.s.api == apiOrderManager && !ch.w.sameReason(c.order, r.truth, a.entry):
		ch.violate("I13", c.order, "is pushed, though it was %s (%s) when it was read, and the plan is for %s (%s)",
			r.truth.Status, r.truth.Failure, a.entry.Before.Status, a.entry.Before.Message)
	}
}

// checkLoss checks I15: after a loss of the journal, the orders that may have been pushed before are not, unless the
// operator has named them since.
func (ch *checker) checkLoss(c *call) {
	known := slices.ContainsFunc(ch.w.s.orders, func(o orderSpec) bool { return o.index == c.order }) // placed before
	if known && !ch.lostAt.IsZero() && !ch.vouched[c.order] {
		ch.violate("I15", c.order, "is pushed after the journal was lost, and the operator has not named it")
	}
}

// sameReason reports whether an order failed as planned. The plan has the start of a very long reason only.
func (w *world) sameReason(order int, truth *commercetest.Order, e *plan.Entry) bool {
	shown := truth.Failure == e.Before.Message
	for _, o := range w.s.malformed {
		switch {
		case o.order != order:
		case o.kind == malformedReasonList: // it shows none
			shown = shown || e.Before.Message == ""
		case o.kind == malformedReasonLong:
			shown = shown || strings.HasPrefix(e.Before.Message, truth.Failure)
		}
	}
	return shown
}

// checkAttempts checks I3 and I6: after a push that may have moved the order there is another one only within the
// limits. It also checks the limits over all plans.
func (ch *checker) checkAttempts(p *process, c *call, a *approvedOrder, now time.Time) {
	own := attempt{
		at: now, process: p.id, plan: p.state.approval.digest, template: failure.Template(a.entry.Before.Message),
	}
	tries := ch.attempts[c.order]
	ch.attempts[c.order] = append(tries, own)
	if len(tries) == 0 {
		return
	}
	last := tries[len(tries)-1]
	rule := "I6"
	if last.intentOnly || last.process != p.id {
		rule = "I3"
	}
	most, spacing := allowed(&ch.w.s.limits, ch.w.order(c.order).Type)
	counted := ch.countTries(p, tries, own, a)
	switch rest := max(ch.w.s.limits.SettleDelay, spacing) - now.Sub(last.at); {
	case counted >= most:
		ch.violate(rule, c.order, "is pushed, though %d pushes of it may have been accepted and %d are allowed", counted,
			most)
	case rest > 0:
		ch.violate(rule, c.order, "is pushed %v too early after a push that may have been accepted", rest)
	case last.plan != own.plan:
		ch.w.count("another push by another plan")
	default:
		ch.w.count("another push after one without an answer")
	}
	if most := ch.w.s.limits.Policy.WithDefaults().MaxResubmissions; len(tries) >= most && !a.entry.Named {
		ch.violate("limit", c.order, "is pushed, though %d pushes of it may have been accepted and %d are allowed over all "+
			"plans", len(tries), most)
	}
}

// countTries counts the tries of the same plan, and checks that one by another plan that failed again for the same
// reason is no reason to hold the order.
func (ch *checker) countTries(p *process, tries []attempt, own attempt, a *approvedOrder) (counted int) {
	gateways := 0
	for _, t := range tries {
		switch {
		case t.plan != own.plan:
			if t.accepted && t.template == own.template && !a.entry.Named && !ch.lifted(p, t) {
				ch.violate("held", ch.w.indexOf(a.entry.OrderID), "is pushed, though it failed again for the same reason after "+
					"the push at %v, and nothing has changed since", t.at.Sub(ch.w.start))
			}
		case t.gateway && gateways < 5:
			gateways++
		default:
			counted++
		}
	}
	return counted
}

// lifted reports whether something has changed between a push and the plan of a process: a window has ended, or a run
// has ended because Connect was down.
func (ch *checker) lifted(p *process, t attempt) bool {
	return slices.ContainsFunc(p.state.approval.outages, func(end time.Time) bool { return end.After(t.at) }) ||
		slices.ContainsFunc(ch.records(p), func(r protocol.Record) bool {
			down := r.Run != nil && (r.Run.End == protocol.RunCircuitOpen || r.Run.End == protocol.RunCanaryStopped)
			return down && r.Run.Ended.After(t.at)
		})
}

// allowed is the number of attempts and their spacing for an order type (resubmit/SAFETY.md#f6).
func allowed(limits *resubmit.Config, t commerce.OrderType) (most int, spacing time.Duration) {
	own := limits.Retry.ByType[t]
	most = cmp.Or(own.MaxAttempts, limits.Retry.MaxAttempts, 2)
	if spacing = cmp.Or(own.Spacing, limits.Retry.Spacing, 300*time.Second); spacing < 0 {
		spacing = 2 * limits.SettleDelay
	}
	if t == commerce.TypeCancellation || t == commerce.TypeCancellationCharge {
		most, spacing = min(most, 4), max(spacing, 300*time.Second)
	}
	return most, spacing
}

// checkDenied checks that a run ends once its credentials are refused.
func (ch *checker) checkDenied(p *process, c *call, now time.Time) {
	p.state.mu.Lock()
	since, found := p.state.deniedAt, p.state.lateCallFound
	late := !since.IsZero() && !found && now.Sub(since) > ch.w.maxShutdown()
	p.state.lateCallFound = found || late
	p.state.mu.Unlock()
	if late {
		ch.violate("credentials", c.order, "%s: leaves %v after the credentials were refused", c, now.Sub(since))
	}
}

// maxShutdown is how long a run may take to end: it waits for its calls, and the one that renews a token waits for its
// turn.
func (w *world) maxShutdown() time.Duration {
	d := 3 * time.Minute
	for _, s := range w.s.suspensions {
		d += s.d
	}
	if w.s.limits.RateLimit > 0 {
		d += time.Duration(3 / w.s.limits.RateLimit * float64(time.Second))
	}
	return d
}
