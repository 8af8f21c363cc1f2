package explore

import (
	"slices"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// arrive lets Commerce act on a push.
func (w *world) arrive(i int, state pushState) {
	o := int(w.wire[i].order)
	if state == accepted && w.orders[o].status != failed {
		state = refused
	}
	w.wire[i].state = state
	if state == accepted {
		w.accepts(o, &w.wire[i])
	}
	w.say("  " + [...]string{
		"", "Commerce accepts it", "Commerce refuses it", "Commerce defers it", "Commerce lacks the transition",
	}[state])
	w.cleanWire()
}

// accepts lets Commerce move an order because of a push of ours.
func (w *world) accepts(o int, sent *push) {
	order := &w.orders[o]
	order.template = template(sent.text)
	w.move(o, processing)
	order.ours, order.pushed = true, true
	for i := range w.plans {
		e := &w.plans[i].entries[o]
		e.accepted, e.foreign = true, e.foreign || w.plans[i].run != sent.run
	}
}

// move changes the state of an order, by whomever.
func (w *world) move(o int, s status) {
	order := &w.orders[o]
	order.sent = 0
	if o == 0 {
		for i := range w.plans {
			w.plans[i].entries[1].older = false
		}
	}
	if order.status == processing { // which called Connect
		order.requestAt = w.now
	}
	order.status, order.changedAt = s, w.now
	if order.atRest() {
		order.ours = false
	}
}

// fail lets an order fail again.
func (w *world) fail(o int, text int8) {
	w.move(o, failed)
	order := &w.orders[o]
	order.text = text
	order.repeated = order.template == template(text)
}

// changed says that something has changed that allows another push of a repeated failure.
func (o *order) changed() { o.template, o.repeated, o.sent = -1, false, 0 }

// expire removes the pushes that can no longer act: those whose deadline is over by a settle delay.
func (w *world) expire() {
	for i := range w.wire {
		if end := w.wire[i].deadline.Add(w.cfg.Policy.SettleDelay); w.wire[i].state == onTheWire && !w.now.Before(end) {
			w.wire[i].state = refused
		}
	}
	w.cleanWire()
}

// cleanWire removes the pushes that have acted and whose answer nobody awaits.
func (w *world) cleanWire() {
	w.wire = slices.DeleteFunc(w.wire, func(p push) bool { return p.proc < 0 && p.state != onTheWire })
}

// answerKind is the answer to a push on which Commerce has acted.
func (s pushState) answerKind() protocol.AnswerKind {
	switch s {
	case accepted:
		return protocol.Accepted
	case refused:
		return protocol.Refused
	case notOffered:
		return protocol.NotOffered
	default:
		return protocol.RefusedForNow
	}
}
