package sim

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// failed are the orders that have failed now, by the id that the program knows them by.
func (w *world) failed() (ids []string) {
	for _, o := range w.commerce.Orders() {
		switch {
		case o.Status != commerce.StatusProvisioningFailed:
		case w.s.way == byOrderManager:
			ids = append(ids, o.ID)
		default:
			ids = append(ids, o.InternalID)
		}
	}
	slices.Sort(ids)
	return ids
}

// seenOtherwise says that Commerce writes the row of an order so that nobody can tell
// which order it is of, or whether it was selected.
func (w *world) seenOtherwise(order int) bool {
	return slices.ContainsFunc(w.s.odd, func(o oddSeed) bool {
		return o.order == order &&
			(o.kind.nameless() || o.kind == oddStatusMissing || o.kind == oddReasonList && w.s.filter != nil)
	})
}

// judgeRow is I18: an order that was planned to be sent could be read.
func (b *book) judgeRow(p *process, order int) {
	if b.w.s.way == byBilling {
		return // its rows are never odd
	}
	for _, o := range b.w.s.odd {
		if o.order == order && o.kind.unreadable() && !b.w.since(p, o.from) {
			b.violate("I18", order, "is to be resubmitted, and %s", o.kind)
		}
	}
}

// since reports whether something began while a process was there, so that it may have
// read before that, or not at all.
func (w *world) since(p *process, from time.Duration) bool {
	return from > p.began.Sub(w.start) || p.life >= mostLives
}

// sameReason reports whether an order failed as a plan says. A very long reason is not
// in the plan as a whole.
func (w *world) sameReason(order int, truth *commercetest.Order, e *plan.Entry) bool {
	if slices.ContainsFunc(w.s.odd, func(o oddSeed) bool { return o.order == order && o.kind == oddReasonLong }) {
		return strings.HasPrefix(e.Before.Reason, truth.Failure)
	}
	return truth.Failure == e.Before.Reason
}

// judgeRequests is I18: an order that was planned to be sent has no request in Connect
// that speaks against it, or that nobody can attribute.
func (b *book) judgeRequests(p *process, order int) {
	i := slices.IndexFunc(b.w.s.orders, func(o orderSeed) bool { return o.index == order })
	if i < 0 {
		return
	}
	tenant, kind := b.w.s.orders[i].requestKey()
	var newest connect.Request
	failed := 0                                // in a row
	for _, r := range b.w.connect.Requests() { // the oldest first
		switch {
		case r.Asset.ExternalUID != tenant || r.Type != kind || r.Status == connect.StatusDraft:
			continue
		case r.Status == connect.StatusFailed:
			failed++
		default:
			failed = 0
		}
		newest = r
	}
	if newest.ID == "" || newest.Updated.After(p.began.Add(b.w.s.otherSkew)) {
		return // it may have been looked at before
	}
	for _, h := range b.w.s.hidden {
		if h.order == order && !b.w.since(p, h.from) {
			b.violate("I18", order, "is to be resubmitted, and Connect writes its requests %s", h.kind)
		}
	}
	if failed > 0 && kind == connect.TypePurchase || failed >= 4 && kind == connect.TypeCancel {
		b.violate("I18", order, "is to be resubmitted, and its last %d requests of type %s in Connect have failed", failed,
			kind)
	}
}

// judgeDenied is the rule that a run ends once its credentials are refused.
func (b *book) judgeDenied(p *process, c *call, now time.Time) {
	p.own.mu.Lock()
	since, found := p.own.denied, p.own.lateCall
	late := !since.IsZero() && !found && now.Sub(since) > b.w.ending()
	p.own.lateCall = found || late
	p.own.mu.Unlock()
	if late {
		b.violate("credentials", c.order, "%s: leaves %v after the credentials were refused", c, now.Sub(since))
	}
}

// ending is how long a run may take to end: the calls on their way are waited for, and
// the one that renews a token waits for its turn.
func (w *world) ending() time.Duration {
	d := 3 * time.Minute
	if w.s.limits.RateLimit > 0 {
		d += time.Duration(3 / w.s.limits.RateLimit * float64(time.Second))
	}
	return d
}

// judgeEnd looks how a process whose credentials were refused has ended.
func (b *book) judgeEnd(p *process, err error) {
	p.own.mu.Lock()
	since := p.own.denied
	p.own.mu.Unlock()
	if since.IsZero() || p.killed() || errors.Is(context.Cause(p.ctx), errStopped) || err != nil && len(b.w.s.panics) > 0 {
		return // a callback that panics may keep to itself what it was told
	}
	if errors.Is(err, errDiskFull) {
		return // which ended the run before the refusal could
	}
	for _, refusal := range []error{commerce.ErrUnauthorized, commerce.ErrForbidden, connect.ErrUnauthorized,
		connect.ErrForbidden} {
		if errors.Is(err, refusal) {
			b.w.happened("runs ended by refused credentials")
			return
		}
	}
	b.violate("credentials", -1, "were refused, and the program ends with %v", err)
}

// unseen notes an order that the planner had to hold because a call failed.
func (b *book) unseen(e *plan.Entry) {
	switch e.Decision.RuleID {
	case "order-unread", "connect-unknown":
		b.held[b.w.truth(b.w.index(e.OrderID)).Subscription] = true
	}
}

// concerns reports whether an order has to do with what this world is about, so that it
// may end in another way: its row or its requests cannot be read, or a callback that
// panicked left it unread.
func (s *scenario) concerns(e *orderEnd, o *outcome) bool {
	if len(s.panics) > 0 && o.held[e.order.Subscription] {
		return true
	}
	about := func(index int) bool {
		return slices.ContainsFunc(s.orders, func(o orderSeed) bool {
			return o.index == index && subscription(o.subscription) == e.order.Subscription
		})
	}
	return slices.ContainsFunc(s.odd, func(o oddSeed) bool { return about(o.order) }) ||
		slices.ContainsFunc(s.hidden, func(h hiddenSeed) bool { return about(h.order) })
}

// lostPushes are how many pushes can be lost in a world that is calm but for this.
func (s *scenario) lostPushes() int {
	n := len(s.crashes) + len(s.faults)
	for _, p := range s.panics {
		if p.call == callPush {
			n++
		}
	}
	return n
}
