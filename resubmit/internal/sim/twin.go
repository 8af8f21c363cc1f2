package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
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
//   - orders whose outcome is unknown, and later ones of their tenant: the crash lost whether the push left, and
//     the limits allow no other push;
//   - tenants with an order that failed again for the same reason: if the limits allow another push, that order
//     cannot be told from one that was never pushed.
func compareEnds(s *scenario, faulty, quiet *result) (wrong []Violation) {
	unknown, orders := map[string]bool{}, map[string]int{} // by tenant
	excused := map[string]bool{}                           // by number
	for i := range faulty.ends {
		orders[faulty.ends[i].order.Tenant]++
	}
	for i := range faulty.ends {
		e := &faulty.ends[i]
		if s.mayLose(e, faulty.outcomeOf(e), orders[e.order.Tenant]) {
			excused[e.order.Number], unknown[e.order.Tenant] = true, true
		}
	}
	for i := range faulty.ends {
		e := &faulty.ends[i]
		switch faulty.outcomeOf(e) {
		case protocol.Skipped, protocol.Blocked:
			if unknown[e.order.Tenant] {
				excused[e.order.Number] = true
			}
		}
	}
	ends := min(len(faulty.ends), len(quiet.ends))
	repeated := map[string]bool{} // tenants with an order that failed again for the same reason
	for i := range ends {
		a, b := &faulty.ends[i].order, &quiet.ends[i].order
		most, _ := allowed(&s.limits, a.Type)
		most += len(s.faults) // a push that a gateway answered does not count
		if a.Pushes > b.Pushes && a.Pushes <= most && b.Pushes == 1 && b.Failures > 1 {
			repeated[a.Tenant] = true
		}
	}
	for i := range ends {
		a, b := &faulty.ends[i], &quiet.ends[i]
		neither := a.order.Pushes == 0 && b.order.Pushes == 0 // it ended by itself
		owner := a.order.Tenant
		if a.String() == b.String() || neither || s.affects(a, faulty) || repeated[owner] ||
			excused[a.order.Number] && a.order.Pushes == 0 || unknown[owner] && a.sameOrder(b) {
			continue
		}
		wrong = append(wrong, Violation{Rule: "I10", Order: a.order.Number,
			Text: fmt.Sprintf("ends as %s, and without the faults as %s", a, b)})
	}
	return wrong
}

// mayLose reports whether the faults can leave an order with an outcome: a push without an answer, after which there is
// no other one. orders is the number of orders of its tenant.
//
// Each crash or gateway can lose one push that the limits allow, and the request of another order of the tenant can
// look like the request of this push. Only Order Management shows that an order is unchanged, and only if the clock
// says when it was pushed. A look-up that panicked may have hidden that Connect was down, and then no request proves
// nothing.
func (s *scenario) mayLose(e *orderEnd, outcome protocol.Outcome, orders int) bool {
	most, _ := allowed(&s.limits, e.order.Type)
	most = min(most, s.limits.Policy.WithDefaults().MaxResubmissions)
	jumps := slices.ContainsFunc(s.crashes, func(c crashSpec) bool { return c.clockAhead > 0 })
	lost := s.api != apiOrderManager || jumps || most <= s.lostPushes() || orders > 1
	switch outcome {
	case protocol.Unknown:
		return lost || s.panicsIn(callLookUp) > 0
	case protocol.NotMoved:
		return lost
	default:
		return false
	}
}

// leftUndone reports the orders that a run without any faults did not push. Excused are those that completed by
// themselves and those of a tenant in which another order did not complete.
func leftUndone(quiet *result) (wrong []Violation) {
	stopped := map[string]bool{} // tenants
	for i := range quiet.ends {
		e := &quiet.ends[i]
		switch quiet.outcomeOf(e) {
		case protocol.Progressing, protocol.FailedAgain, protocol.FalseSuccess:
			stopped[e.order.Tenant] = true
		}
	}
	for i := range quiet.ends {
		e := &quiet.ends[i]
		outcome := quiet.outcomeOf(e)
		skipped := (outcome == protocol.Skipped || outcome == protocol.Blocked) &&
			e.order.Status == commerce.StatusProvisioningFailed &&
			!stopped[e.order.Tenant]
		if skipped || outcome == protocol.Unknown || outcome == protocol.NotMoved {
			wrong = append(wrong, Violation{Rule: "lost", Order: e.order.Number,
				Text: fmt.Sprintf("is %s without any faults: %s", outcome, e)})
		}
	}
	return wrong
}

// outcomeOf is the outcome of an order in the last report; "" if it is not there.
func (o *result) outcomeOf(e *orderEnd) protocol.Outcome {
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

// affects reports whether the faults are about an order or its tenant, so that it may end differently: its row or
// its requests cannot be read, or a panic left it unread.
func (s *scenario) affects(e *orderEnd, o *result) bool {
	if len(s.panics) > 0 && o.held[e.order.Tenant] {
		return true
	}
	about := func(index int) bool {
		return slices.ContainsFunc(s.orders, func(o orderSpec) bool {
			return o.index == index && tenant(o.tenant) == e.order.Tenant
		})
	}
	return slices.ContainsFunc(s.malformed, func(o malformedSpec) bool { return about(o.order) }) ||
		slices.ContainsFunc(s.unattributed, func(h unattributedSpec) bool { return about(h.order) })
}

// lostPushes is the number of pushes that the faults of a twin can lose.
func (s *scenario) lostPushes() int { return len(s.crashes) + len(s.faults) + s.panicsIn(callPush) }

// panicsIn is the number of panics in calls of a kind.
func (s *scenario) panicsIn(kind callKind) int {
	n := 0
	for _, p := range s.panics {
		if p.call == kind {
			n++
		}
	}
	return n
}
