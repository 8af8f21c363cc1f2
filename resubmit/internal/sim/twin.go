package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// orderEnd is the final state of an order and its requests.
type orderEnd struct {
	index    int
	order    commercetest.Order
	requests string
}

// finalState is the final state of both systems.
func (w *world) finalState() []orderEnd {
	if w.commerce == nil {
		return nil
	}
	requests := map[string][]string{}
	for _, r := range w.connect.Requests() {
		requests[r.Asset.ExternalUID] = append(requests[r.Asset.ExternalUID], fmt.Sprintf("%s %s", r.Type, r.Status))
	}
	var all []orderEnd
	for i, id := range w.ids {
		if o, ok := w.commerce.Order(id); ok {
			all = append(all, orderEnd{i, o, strings.Join(requests[o.Tenant], ", ")})
		}
	}
	return all
}

// compareEnds checks I10 and I20: each order ends in faulty as in its twin quiet, which has no faults: with the same
// status, provisioning status, failures and accepted pushes, and the same requests in Connect. Excused are
//   - orders that the faults are about;
//   - orders whose outcome is unknown, and later ones of their subscription: the crash lost whether the push left, and
//     the limits allow no other push;
//   - subscriptions with an order that failed again for the same reason: if the limits allow another push, that order
//     cannot be told from one that was never pushed.
func compareEnds(s *scenario, faulty, quiet *result) (wrong []Violation) {
	unknown, orders := map[string]bool{}, map[string]int{} // by subscription
	excused := map[string]bool{}                           // by number
	for i := range faulty.ends {
		orders[faulty.ends[i].order.Subscription]++
	}
	for i := range faulty.ends {
		e := &faulty.ends[i]
		// Each crash or gateway can lose one push that the limits allow, and the request of another order of the
		// subscription can look like the request of this push.
		most, _ := allowed(&s.limits, e.order.Type)
		if faulty.outcomeOf(e) == resubmit.OutcomeUnknown && (most <= s.lostPushes() || orders[e.order.Subscription] > 1) {
			excused[e.order.Number], unknown[e.order.Subscription] = true, true
		}
	}
	for i := range faulty.ends {
		if e := &faulty.ends[i]; faulty.outcomeOf(e) == resubmit.OutcomeSkipped && unknown[e.order.Subscription] {
			excused[e.order.Number] = true
		}
	}
	ends := min(len(faulty.ends), len(quiet.ends))
	repeated := map[string]bool{} // subscriptions with an order that failed again for the same reason
	for i := range ends {
		a, b := &faulty.ends[i].order, &quiet.ends[i].order
		most, _ := allowed(&s.limits, a.Type)
		if a.Pushes > b.Pushes && a.Pushes <= most && b.Pushes == 1 && b.Failures > 1 {
			repeated[a.Subscription] = true
		}
	}
	for i := range ends {
		a, b := &faulty.ends[i], &quiet.ends[i]
		subscription := a.order.Subscription
		if a.String() == b.String() || s.affects(a, faulty) || repeated[subscription] ||
			excused[a.order.Number] && a.order.Pushes == 0 || unknown[subscription] && a.sameOrder(b) {
			continue
		}
		wrong = append(wrong, Violation{Rule: "I10", Order: a.order.Number,
			Text: fmt.Sprintf("ends as %s, and without the faults as %s", a, b)})
	}
	return wrong
}

// leftUndone reports the orders that a run without any faults did not push. Excused are those that completed by
// themselves and those of a subscription in which another order did not complete.
func leftUndone(quiet *result) (wrong []Violation) {
	stopped := map[string]bool{} // subscriptions
	for i := range quiet.ends {
		e := &quiet.ends[i]
		switch quiet.outcomeOf(e) {
		case resubmit.OutcomeProgressing, resubmit.OutcomeFailedAgain, resubmit.OutcomeFalseSuccess:
			stopped[e.order.Subscription] = true
		}
	}
	for i := range quiet.ends {
		e := &quiet.ends[i]
		outcome := quiet.outcomeOf(e)
		skipped := outcome == resubmit.OutcomeSkipped && e.order.Status == commerce.StatusProvisioningFailed &&
			!stopped[e.order.Subscription]
		if skipped || outcome == resubmit.OutcomeUnknown {
			wrong = append(wrong, Violation{Rule: "lost", Order: e.order.Number,
				Text: fmt.Sprintf("is %s without any faults: %s", outcome, e)})
		}
	}
	return wrong
}

// outcomeOf is the outcome of an order in the last report; "" if it is not there.
func (o *result) outcomeOf(e *orderEnd) resubmit.Outcome {
	if o.report == nil {
		return ""
	}
	i := slices.IndexFunc(o.report.Items, func(i resubmit.Item) bool { return i.Number == e.order.Number })
	if i < 0 {
		return ""
	}
	return o.report.Items[i].Outcome
}

func (e *orderEnd) String() string {
	return e.orderString() + "; requests: " + cmp.Or(e.requests, "none")
}

func (e *orderEnd) orderString() string {
	return fmt.Sprintf("%s, provisioning %s, failed %d times, pushed %d times",
		e.order.Status, e.order.ProvisioningStatus, e.order.Failures, e.order.Pushes)
}

func (e *orderEnd) sameOrder(other *orderEnd) bool { return e.orderString() == other.orderString() }

// affects reports whether the faults are about an order or its subscription, so that it may end differently: its row or
// its requests cannot be read, or a panic left it unread.
func (s *scenario) affects(e *orderEnd, o *result) bool {
	if len(s.panics) > 0 && o.heldSubscriptions[e.order.Subscription] {
		return true
	}
	about := func(index int) bool {
		return slices.ContainsFunc(s.orders, func(o orderSpec) bool {
			return o.index == index && subscription(o.subscription) == e.order.Subscription
		})
	}
	return slices.ContainsFunc(s.malformed, func(o malformedSpec) bool { return about(o.order) }) ||
		slices.ContainsFunc(s.unattributed, func(h unattributedSpec) bool { return about(h.order) })
}

// lostPushes is the number of pushes that the faults of a twin can lose.
func (s *scenario) lostPushes() int {
	n := len(s.crashes) + len(s.faults)
	for _, p := range s.panics {
		if p.call == callPush {
			n++
		}
	}
	return n
}
