package explore

import (
	"fmt"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// apply lets an event happen.
func (w *world) apply(e event) {
	a, b := int(e.a), int(e.b)
	switch e.kind {
	case evPlan, evStart, evCrash, evCrashLoses, evStop:
		w.applyToProcess(e.kind, a, b)
	case evRead:
		w.procs[a].orders[b].readAt = w.now
		w.read(a, b, w.reading(a, b))
	case evReadFails:
		w.left.ReadErrors--
		w.read(a, b, protocol.Reading{Began: w.now, Err: errRead})
	case evClaim:
		w.claim(a, b)
	case evSend:
		w.send(a, b, "")
	case evHoldBack:
		w.left.Releases--
		w.send(a, b, "the gate is closed")
	case evReload:
		w.machine(a, b).Reload(w.seen(a, b), w.leaseEndFor(a, b), w.now)
		w.step(a, b)
	case evLookUp:
		w.lookUp(a, b, "")
	case evLookUpDown:
		w.left.ReadErrors--
		w.lookUp(a, b, "it was down")
	case evVerify, evVerifyTimeout:
		w.verify(a, b, e.kind == evVerifyTimeout)
	case evComplete, evFail, evPanelResubmit, evPanelComplete, evPanelCancel, evReplace:
		w.applyToOrder(e.kind, a, e.b)
	case evOutage:
		w.left.Outages--
		w.outage = w.now
		for o := range w.orders {
			w.orders[o].changed()
		}
	case evBackup:
		c := *w.journal
		c.at, c.epochs = w.now, w.epochs
		w.backup = &c
	case evRestore:
		w.left.Restores--
		w.restore()
	case evRecover:
		w.recover()
	case evResolve:
		w.left.Resolves--
		w.resolve(a, e.b == 1)
	case evTime:
		w.pass(a)
	default:
		w.applyToPush(e.kind, a)
	}
}

func (w *world) applyToProcess(k eventKind, p, detail int) {
	switch k {
	case evPlan:
		if detail >= 0 {
			w.left.Named--
		}
		w.makePlan(p, detail)
	case evStart:
		w.start(p)
	case evCrash, evCrashLoses:
		w.left.Crashes--
		w.crash(p, k == evCrashLoses)
	default:
		end := protocol.RunStopped
		if !w.cfg.Leases || w.now.Sub(w.procs[p].renewed) < w.cfg.Lease-leaseMargin {
			w.left.Stops--
			end = protocol.RunCircuitOpen
		}
		w.stop(p, end)
	}
}

func (w *world) applyToOrder(k eventKind, o int, text int8) {
	switch k {
	case evComplete:
		w.move(o, completed)
	case evFail:
		w.fail(o, text)
	case evPanelResubmit:
		w.left.Panel--
		w.move(o, processing)
	case evPanelComplete:
		w.left.Panel--
		w.move(o, completed)
	case evPanelCancel:
		w.left.Panel--
		w.move(o, cancelled)
	default:
		w.left.Panel--
		w.move(o, replaced)
	}
}

func (w *world) applyToPush(k eventKind, i int) {
	switch k {
	case evArrive:
		w.arrive(i, accepted)
	case evRefuse:
		w.left.Refusals--
		w.arrive(i, refused)
	case evDefer:
		w.left.Refusals--
		w.arrive(i, deferred)
	case evNotOffered:
		w.left.Refusals--
		w.arrive(i, notOffered)
	case evAnswer:
		w.answer(i, protocol.Answer{Kind: w.wire[i].state.answerKind(), Why: "answered"})
	case evGateway:
		w.left.Gateway--
		w.answer(i, protocol.Answer{Kind: protocol.ByGateway, Why: "a gateway answered"})
	case evNotSent:
		w.left.NotSent--
		w.answer(i, protocol.Answer{Kind: protocol.NotSent, Why: "not sent"})
	default:
		w.answer(i, protocol.Answer{Kind: protocol.NoAnswer, Why: "no answer"})
	}
}

// describe returns an event as a sentence, in the state before it.
func (w *world) describe(e event) string {
	p, o := int(e.a), int(e.b)
	name := func(format string) string {
		return fmt.Sprintf(format, w.processName(p), orderNames[max(0, min(1, o))])
	}
	onWire := func(format string) string {
		return fmt.Sprintf(format, orderNames[w.wire[p].order])
	}
	switch e.kind {
	case evPlan:
		if o >= 0 {
			return name("%s makes a plan; the operator names %s")
		}
		return w.processName(p) + " makes a plan"
	case evStart:
		return w.processName(p) + " applies its plan (" + w.planOf(p).run + ")"
	case evCrash:
		return w.processName(p) + " is killed"
	case evCrashLoses:
		return w.processName(p) + " is killed, and the journal loses what was not durable"
	case evStop:
		return w.processName(p) + " stops: its circuit is open, or its lease over"
	case evTime:
		next, _ := w.nextTime(p)
		asleep := [...]string{"", "; process A sleeps", "; process B sleeps", "; both processes sleep"}[p]
		return fmt.Sprintf("%s pass%s", next.Sub(w.now), asleep)
	case evArrive, evRefuse, evDefer, evNotOffered:
		return onWire("the push of %s reaches Commerce")
	case evAnswer:
		return onWire("the answer to the push of %s arrives")
	case evNoAnswer:
		return onWire("the push of %s gets no answer")
	case evGateway:
		return onWire("a gateway answers the push of %s")
	case evNotSent:
		return onWire("the push of %s was not sent")
	case evComplete, evFail, evPanelResubmit, evPanelComplete, evPanelCancel, evReplace:
		return orderNames[p] + [...]string{
			" completes", " fails with the text " + string(rune('1'+e.b)),
			" is resubmitted in the panel", " is completed in the panel", " is cancelled in the panel",
			" is replaced by another order with its id",
		}[e.kind-evComplete]
	case evResolve:
		return "the operator resolves " + orderNames[p] + [...]string{" as not moved", " as completed"}[e.b]
	case evOutage, evBackup, evRestore, evRecover:
		return [...]string{
			"an outage ends", "the journal is copied", "the journal is replaced by the copy",
			"the operator recovers the journal",
		}[e.kind-evOutage]
	default:
		return name([...]string{
			"%s reads %s", "%s cannot read %s", "%s claims %s", "%s pushes %s", "%s closes its gate before it pushes %s",
			"%s reads the record of %s again", "%s asks Connect about %s", "%s hears that Connect was down, about %s",
			"%s verifies %s", "%s ends the verification of %s",
		}[e.kind-evRead])
	}
}
