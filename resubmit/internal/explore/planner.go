package explore

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// makePlan makes a plan for the orders that the filter of a process selects. The operator names an order, or none (-1).
func (w *world) makePlan(p, named int) {
	w.settleBlocker()
	pl := plan{}
	for o := range w.orders {
		if w.cfg.Filters[p]&(1<<o) == 0 {
			continue
		}
		why := w.decide(o, &pl, o == named)
		w.checkDecision(o, why)
		if w.trace != nil {
			w.say("  " + orderNames[o] + ": " + cmp.Or(why, "resubmit"))
		}
		if why != "" {
			continue
		}
		order := &w.orders[o]
		if w.journal.owners[o].end == protocol.RunCircuitOpen {
			order.changed()
		}
		pl.entries[o] = entry{
			planned: true, named: o == named, text: order.text, version: w.journal.orders[o].Version,
			older: o > 0 && w.orders[0].status == failed, repeated: order.repeated,
		}
	}
	w.change().durable = nil // the planner flushes the journal
	if !pl.entries[0].planned && !pl.entries[1].planned {
		return
	}
	w.runs++
	pl.run, pl.position = "run "+strconv.Itoa(w.runs), w.position()
	*w.planOf(p) = pl
}

// settleBlocker reads the order that has the lane, whatever the filter, and frees the lane if it is at rest.
func (w *world) settleBlocker() {
	lane := w.journal.lane
	if w.cfg.without == ruleBlockers || lane.Lane == nil || lane.Lane.Order == "" {
		return
	}
	o := orderIndex(lane.Lane.Order)
	rec := w.journal.orders[o]
	rec.Key, lane.Key = protocol.OrderKey(orderNames[o]), laneKey()
	if !w.orders[o].atRest() || w.now.Before(w.cfg.machines.SettledAt(rec.Order, w.leaseEnd(o))) {
		return
	}
	outcome := protocol.Completed
	if w.orders[o].status == cancelled {
		outcome = protocol.FailedAgain
	}
	records := protocol.Settle(rec, []protocol.Record{lane}, outcome, "at rest", true, w.now)
	if _, conflict := w.put(true, w.journal.owners[o], records); conflict != nil {
		w.breaks("model", "the planner lost a compare-and-set")
	}
	w.say("  frees the lane, since " + orderNames[o] + " is " + w.orders[o].status.String())
}

// resolve lets the operator settle an unanswered push by hand: nothing was changed, or the customer has the service.
func (w *world) resolve(o int, done bool) {
	records, err := w.resolution(o, done)
	if err != nil {
		w.breaks("model", err.Error())
		return
	}
	if _, conflict := w.put(true, w.journal.owners[o], records); conflict != nil {
		w.breaks("model", "the operator lost a compare-and-set")
	}
	w.orders[o].settled = done
}

// resolution returns the records that settle an order by hand.
func (w *world) resolution(o int, done bool) ([]protocol.Record, error) {
	rec, lane := w.journal.orders[o], w.journal.lane
	rec.Key, lane.Key = protocol.OrderKey(orderNames[o]), laneKey()
	r := protocol.Resolution{Outcome: protocol.NotMoved, Why: "by hand"}
	if done {
		r.Outcome = protocol.Completed
	}
	policy := w.cfg.Policy
	if w.cfg.without == ruleResolve {
		policy.SettleDelay, policy.PushTimeout, policy.MaxClaimAge = 0, 0, 0
	}
	return policy.Resolve(rec, &protocol.Run{LeaseEnd: w.leaseEnd(o)}, []protocol.Record{lane}, r, w.now)
}

// failure returns the failure of an order.
func (w *world) failure(o int) protocol.Failure {
	text := w.orders[o].text
	return protocol.Failure{
		Fingerprint: fmt.Sprintf("f%d", text), Template: fmt.Sprintf("t%d", template(text)), PlacedAt: placed(o),
	}
}

// history returns what a planner knows about an order.
func (w *world) history(o int, named bool) protocol.History {
	h := protocol.History{OutageEnded: w.outage, ConnectUp: true, Named: named}
	if w.cfg.without != ruleForgotten {
		h.ForgottenBefore = w.journal.forgotten
	}
	if end := w.journal.owners[o].end; end != "" {
		h.Run = &protocol.Run{End: end}
	}
	return h
}

// plannedFrom returns from when a plan can decide about an order, which the operator may have named.
func (w *world) plannedFrom(o int, named bool) time.Time {
	return protocol.DecidableAt(w.journal.orders[o], w.failure(o), w.history(o, named), w.leaseEnd(o), &w.cfg.Policy)
}

// decide returns why an order is not planned; "" if it is.
func (w *world) decide(o int, pl *plan, named bool) string {
	if w.orders[o].status != failed {
		return "it is " + w.orders[o].status.String()
	}
	if w.plannedFrom(o, named).After(w.now) {
		return "wait: a run has it, or its push has not settled"
	}
	rec, f, h := w.journal.orders[o], w.failure(o), w.history(o, named)
	if w.cfg.without == ruleSettled && rec.Order != nil {
		rec.Order = new(*rec.Order)
		rec.Order.Settled = false
	}
	if why := protocol.HoldReason(rec, f, h, &w.cfg.Policy); why != "" && w.cfg.without != ruleHold {
		return "hold: " + why
	}
	l := w.journal.lane.Lane
	if l != nil && l.Order != "" && l.Order != orderNames[o] && !pl.entries[orderIndex(l.Order)].planned {
		return "wait: blocked by " + l.Order
	}
	older := o > 0 && w.orders[0].status == failed && !pl.entries[0].planned && !w.journal.orders[0].Order.DoneByHand()
	if older && w.cfg.without != ruleOlderOrders {
		return "wait: blocked by the older " + orderNames[0]
	}
	return ""
}

// checkDecision requires that an order at rest never blocks the lane for good.
func (w *world) checkDecision(o int, why string) {
	l := w.journal.lane.Lane
	if why == "" || w.orders[o].status != failed || l == nil || l.Order == "" || l.Order == orderNames[o] {
		return
	}
	b := orderIndex(l.Order)
	if w.orders[b].atRest() && !w.now.Before(w.settledAt(b)) {
		w.breaks("I20", orderNames[b]+" is at rest, and still blocks "+orderNames[o])
	}
}

func (w *world) settledAt(o int) time.Time {
	return w.cfg.Policy.SettledAt(w.journal.orders[o].Order, w.leaseEnd(o))
}
