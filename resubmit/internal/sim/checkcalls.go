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
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// checkCall checks a call that leaves the program.
func (ch *checker) checkCall(p *process, c *call) *inFlight {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	t := &inFlight{at: time.Now()}
	ch.checkDenied(p, c, t.at)
	if !p.applying.Load() {
		return t
	}
	ch.checkPace(p, c, t.at)
	if c.kind != callPush {
		return t
	}
	ch.w.counts.countUnder(&ch.w.mu, "pushes")
	a := ch.approved[c.order]
	if a == nil {
		ch.violate("I12", c.order, "is pushed, but the approved plan does not resubmit it")
		return t
	}
	if !slices.Contains(resubmit.DefaultTargets(), c.to) {
		ch.violate("I12", c.order, "is pushed to %s, which does not resubmit it", c.to)
	}
	if p.paused.Load() {
		ch.violate("pause", c.order, "is pushed during a pause of the operator")
	}
	ch.checkWindow(c, t.at)
	ch.checkBreaker(p, c, t.at)
	ch.checkIntent(p, c, a)
	ch.checkReading(p, c, a)
	ch.checkAttempts(p, c, t.at)
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
	span := max(time.Second, time.Duration(float64(time.Second)/rate))
	o.calls = slices.DeleteFunc(append(o.calls, now), func(t time.Time) bool { return now.Sub(t) >= span })
	if n := len(o.calls); n > max(1, int(rate)) {
		ch.violate("I7", c.order, "%s: is call %d within %v; %v per second are allowed", c, n, span, rate)
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

// checkIntent checks I2.
func (ch *checker) checkIntent(p *process, c *call, a *approvedOrder) {
	r, ok := ch.durableRecord(p, a.entry.OrderID)
	switch {
	case !ok:
		ch.violate("I2", c.order, "is pushed, but has no record in the journal")
	case r.State != resubmit.RecordSending:
		ch.violate("I2", c.order, "is pushed, but its last record in the journal is %s", r.State)
	case r.Fingerprint != a.entry.Fingerprint:
		ch.violate("I2", c.order, "is pushed, but the intent in the journal is for another failure")
	}
}

// checkReading checks I13: the order was read between the intent and the push, and was as planned.
func (ch *checker) checkReading(p *process, c *call, a *approvedOrder) {
	p.state.mu.Lock()
	r, ok := p.state.readings[c.order]
	p.state.mu.Unlock()
	if ch.w.s.api == apiBilling && r.before != nil {
		r = *r.before // the push of Billing itself reads the order first
	}
	switch {
	case !ok || r.at.Before(ch.intents[c.order]):
		ch.violate("I13", c.order, "is pushed without a read after the intent")
	case r.truth == nil || ch.w.s.staleReads > 0 && r.truth.Pushes > 0: // the read was stale
	case r.truth.Status != a.entry.Before.Status,
		ch.w.s.api == apiOrderManager && !ch.w.sameReason(c.order, r.truth, a.entry):
		ch.violate("I13", c.order, "is pushed, though it was %s (%s) when it was read, and the plan is for %s (%s)",
			r.truth.Status, r.truth.Failure, a.entry.Before.Status, a.entry.Before.Message)
	}
}

// sameReason reports whether an order failed as planned. The plan has the start of a very long reason only.
func (w *world) sameReason(order int, truth *commercetest.Order, e *plan.Entry) bool {
	long := func(o malformedSpec) bool { return o.order == order && o.kind == malformedReasonLong }
	if slices.ContainsFunc(w.s.malformed, long) {
		return strings.HasPrefix(e.Before.Message, truth.Failure)
	}
	return truth.Failure == e.Before.Message
}

// checkAttempts checks I3 and I6: after a push that may have moved the order there is another one only within the
// limits.
func (ch *checker) checkAttempts(p *process, c *call, now time.Time) {
	limits := &ch.w.s.limits
	tries := ch.attempts[c.order]
	ch.attempts[c.order] = append(tries, attempt{at: now, process: p.number})
	if len(tries) == 0 {
		return
	}
	last := tries[len(tries)-1]
	rule := "I6"
	if last.intentOnly || last.process != p.number {
		rule = "I3"
	}
	most, spacing := allowed(limits, ch.w.order(c.order).Type)
	switch rest := max(limits.SettleDelay, spacing) - now.Sub(last.at); {
	case len(tries) >= most:
		ch.violate(rule, c.order, "is pushed, though %d pushes of it may have been accepted and %d are allowed", len(tries),
			most)
	case rest > 0:
		ch.violate(rule, c.order, "is pushed %v too early after a push that may have been accepted", rest)
	default:
		ch.w.count("another push after one without an answer")
	}
}

// allowed is the number of attempts and their spacing for an order type (resubmit/SAFETY.md#f6).
func allowed(limits *resubmit.Config, t commerce.OrderType) (most int, spacing time.Duration) {
	own := limits.Retry.ByType[t]
	most = cmp.Or(own.MaxAttempts, limits.Retry.MaxAttempts, 1)
	spacing = cmp.Or(own.Spacing, limits.Retry.Spacing, 300*time.Second)
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
	if w.s.limits.RateLimit > 0 {
		d += time.Duration(3 / w.s.limits.RateLimit * float64(time.Second))
	}
	return d
}
