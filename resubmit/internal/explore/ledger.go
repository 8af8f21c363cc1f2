package explore

import (
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// checkSend checks a push against the invariants, right before it is sent.
func (w *world) checkSend(p, o int, m *protocol.Machine) {
	w.checkClaim(p, o, m)
	w.checkOnce(p, o)
	w.checkAttempts(p, o)
	w.checkLane(p, o)
	order, e := &w.orders[o], &w.planOf(p).entries[o]
	if !e.planned {
		w.breaks("I12", "the order is not in the plan")
	}
	if order.status == replaced && w.now.Sub(order.changedAt) > protocol.MaxReadAge {
		w.breaks("I17", "the id is that of another order")
	}
	if (order.status != failed || order.text != e.text) && w.now.Sub(order.changedAt) > protocol.MaxReadAge {
		w.breaks("I13", "the order was changed since the plan was made, and that was not noticed")
	}
}

// checkClaim requires a durable claim by the run that sends.
func (w *world) checkClaim(p, o int, m *protocol.Machine) {
	j := w.journal
	if j.durable != nil {
		j = j.durable
	}
	rec, lane := j.orders[o], j.lane.Lane
	_, version := m.Record()
	if w.procs[p].lost {
		w.breaks("I15", "the journal was restored, and a run that began before that pushes")
	}
	own := rec.Order != nil && rec.Order.Phase == protocol.Claimed && rec.Version == version &&
		rec.Order.Run == w.planOf(p).run && rec.Order.Epoch == w.procs[p].epoch
	if !own {
		w.breaks("I2", "there is no durable claim of this run")
	}
	if lane == nil || lane.Order != orderNames[o] {
		w.breaks("I2", "the lane is not claimed")
	}
}

// checkOnce requires that no other push can act for the failure, and that none was accepted.
func (w *world) checkOnce(p, o int) {
	e := &w.planOf(p).entries[o]
	for i := range w.wire {
		if q := &w.wire[i]; int(q.order) == o && q.state == onTheWire {
			w.breaks("I3", "an earlier push of the order is still on the wire")
		}
	}
	if e.accepted {
		w.breaks("I1", "a push of the order was accepted since the plan was made")
	}
	if e.foreign {
		w.breaks("I14", "a push of another run was accepted since the plan was made")
	}
	if e.repeated && !e.named {
		w.breaks("hold", "the order had failed again with the same text when the plan was made, and nothing had changed")
	}
	if w.orders[o].settled && !e.named {
		w.breaks("I14", "the operator has settled the order as completed, and has not named it")
	}
	if w.orders[o].forgotten && !e.named {
		w.breaks("I15", "the journal lost what was done to the order, and the operator has not named it")
	}
}

// checkAttempts requires that the limits and the spacing are kept.
func (w *world) checkAttempts(p, o int) {
	order, e := &w.orders[o], &w.planOf(p).entries[o]
	sent := order.sent
	if e.named {
		sent = e.sent
	}
	if int(sent) >= w.cfg.most {
		w.breaks("I6", "there were as many attempts as the policy allows")
	}
	if int(order.total) >= w.cfg.Policy.MaxResubmissions && !e.named {
		w.breaks("I6", "the order was resubmitted as often as the policy allows over all plans")
	}
	if !order.lastEnd.IsZero() && w.now.Before(order.lastEnd.Add(w.cfg.spacing)) {
		w.breaks("I6", "the last push of the order was less than the spacing ago")
	}
}

// checkLane requires that the orders of a lane go one after the other, the oldest first.
func (w *world) checkLane(p, o int) {
	if w.cfg.Orders < 2 {
		return
	}
	other, e := &w.orders[1-o], &w.planOf(p).entries[o]
	for i := range w.wire {
		if q := &w.wire[i]; int(q.order) != o && q.state == onTheWire {
			w.breaks("I5", "a push of the other order of the lane is on the wire")
		}
	}
	switch {
	case other.ours:
		w.breaks("I5", "the other order of the lane was pushed, and is not at rest")
	case o == 1 && e.older && other.status == failed && !other.settled:
		w.breaks("I5", "the older order of the lane has failed")
	case o == 0 && other.pushed && !e.named:
		w.breaks("I5", "the newer order of the lane was pushed before")
	}
}
