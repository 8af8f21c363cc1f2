package explore

import (
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// event is something that happens.
type event struct {
	kind eventKind
	a, b int8 // the process, or the push, or the order; then the order, or a detail
}

// small returns a number of a process, order or push, of which there are few.
func small(n int) int8 { return int8(n) } //nolint:gosec // see above

type eventKind int8

const (
	evPlan eventKind = iota
	evStart
	evCrash
	evCrashLoses
	evStop
	evRead
	evReadFails
	evClaim
	evSend
	evHoldBack
	evReload
	evLookUp
	evLookUpDown
	evVerify
	evVerifyTimeout
	evArrive
	evRefuse
	evDefer
	evNotOffered
	evAnswer
	evNoAnswer
	evGateway
	evNotSent
	evComplete
	evFail
	evPanelResubmit
	evPanelComplete
	evPanelCancel
	evReplace
	evOutage
	evBackup
	evRestore
	evRecover
	evResolve
	evTime
)

// leaseMargin is how long before its end a run stops to trust its lease.
const leaseMargin = 5 * time.Second

// fault reports whether an event is something that goes wrong, so that no end may depend on it.
func (w *world) fault(e event) bool {
	switch e.kind {
	case evNoAnswer:
		return w.now.Before(w.wire[e.a].deadline)
	case evVerifyTimeout:
		return w.orders[e.b].status != replaced
	case evCrash, evCrashLoses, evStop, evReadFails, evHoldBack, evLookUpDown, evRefuse, evDefer, evNotOffered, evGateway,
		evNotSent, evFail, evPanelResubmit, evPanelComplete, evPanelCancel, evReplace, evOutage, evBackup, evRestore:
		return true
	default:
		return false
	}
}

// events appends the events that can happen.
func (w *world) events(list []event) []event {
	for p := range w.cfg.Processes {
		if w.procs[p].running {
			list = w.processEvents(p, list)
		} else {
			list = w.idleEvents(p, list)
		}
	}
	list = w.wireEvents(list)
	for o := range w.cfg.Orders {
		list = w.orderEvents(o, list)
	}
	if w.left.Outages > 0 {
		list = append(list, event{kind: evOutage})
	}
	if w.left.Restores > 0 {
		if w.backup == nil {
			list = append(list, event{kind: evBackup})
		} else if w.noticeable() {
			list = append(list, event{kind: evRestore})
		}
	}
	return w.timeEvents(list)
}

// resolvable reports whether an operator may settle an order: that nothing was changed, or that the customer has got
// the service in another way. The operator knows that no push has acted, but not that none will.
func (w *world) resolvable(o int, done bool) bool {
	_, err := w.resolution(o, done)
	return err == nil && w.orders[o].status == failed && !w.orders[o].ours
}

// noticeable reports whether the rules promise that a restore is noticed: the copy lacks something that is older than a
// second, no process is between a claim and its push, and processes have renewed their leases since the copy was made.
func (w *world) noticeable() bool {
	running := w.procs[0].running || w.procs[1].running
	return w.backup.sequence < w.settled && !w.pushing(0, false) && !w.pushing(1, false) &&
		(!running || w.now.After(w.backup.at))
}

// pushing reports whether a process is between a claim and its push, or the answer to it.
func (w *world) pushing(p int, orAnswer bool) bool {
	for o := range w.orders {
		t := &w.procs[p].orders[o]
		if t.machine != nil && (orAnswer || !t.waiting) && t.machine.Next(w.now).Kind == protocol.StepPush {
			return true
		}
	}
	return false
}

func (w *world) idleEvents(p int, list []event) []event {
	other := &w.procs[1-p]
	if !w.cfg.Leases && other.running { // it has the lock
		return list
	}
	if !w.knows(*w.anchor(p)) {
		if other.running { // recovering requires that no run lives
			return list
		}
		return append(list, event{kind: evRecover})
	}
	if !w.cfg.SamePlan || p == 0 && !other.running {
		list = append(list, event{evPlan, small(p), -1})
		for o := range w.cfg.Orders {
			if w.left.Named > 0 && w.orders[o].status == failed && w.cfg.Filters[p]&(1<<o) != 0 {
				list = append(list, event{evPlan, small(p), small(o)})
			}
		}
	}
	for o := range w.cfg.Orders {
		for b, done := range []bool{false, true} {
			if w.left.Resolves > 0 && w.resolvable(o, done) {
				list = append(list, event{evResolve, small(o), small(b)})
			}
		}
	}
	if pl := w.planOf(p); pl.run != "" && w.knows(pl.position) {
		list = append(list, event{kind: evStart, a: small(p)})
	}
	return list
}

func (w *world) processEvents(p int, list []event) []event {
	proc := &w.procs[p]
	over := w.cfg.Leases && w.now.Sub(proc.renewed) >= w.cfg.Lease-leaseMargin
	if w.left.Crashes > 0 {
		list = append(list, event{kind: evCrash, a: small(p)})
		if w.journal.durable != nil {
			list = append(list, event{kind: evCrashLoses, a: small(p)})
		}
	}
	waiting := proc.orders[0].waiting || proc.orders[1].waiting
	if (over || w.left.Stops > 0) && !waiting {
		list = append(list, event{kind: evStop, a: small(p)})
	}
	for o := range w.orders {
		if t := &proc.orders[o]; t.machine != nil && !t.waiting {
			list = w.machineEvents(p, o, list)
		}
	}
	return list
}

func (w *world) machineEvents(p, o int, list []event) []event {
	add := func(k eventKind) { list = append(list, event{k, small(p), small(o)}) }
	switch step := w.procs[p].orders[o].machine.Next(w.now); step.Kind {
	case protocol.StepReload:
		if !w.now.Before(step.At) {
			add(evReload)
		}
	case protocol.StepAdmit, protocol.StepRead:
		add(evRead)
		if w.left.ReadErrors > 0 {
			add(evReadFails)
		}
	case protocol.StepClaim:
		add(evClaim)
	case protocol.StepPush:
		add(evSend)
		if w.left.Releases > 0 {
			add(evHoldBack)
		}
	case protocol.StepLookUp:
		add(evLookUp)
		if w.left.ReadErrors > 0 {
			add(evLookUpDown)
		}
	case protocol.StepVerify:
		_, from, ok := w.verification(p, o)
		if !ok {
			add(evVerifyTimeout)
		} else if !w.now.Before(from) {
			add(evVerify)
		}
	default:
	}
	return list
}

func (w *world) wireEvents(list []event) []event {
	for i := range w.wire {
		add := func(k eventKind) { list = append(list, event{kind: k, a: small(i)}) }
		q := &w.wire[i]
		if q.state == onTheWire {
			add(evArrive)
			if w.left.Refusals > 0 && w.orders[q.order].status == failed {
				add(evRefuse)
				add(evDefer)
				add(evNotOffered)
			}
		}
		if q.proc < 0 {
			continue
		}
		add(evNoAnswer)
		if q.state != onTheWire && w.now.Before(q.deadline) {
			add(evAnswer)
		}
		if w.left.Gateway > 0 {
			add(evGateway)
		}
		if w.left.NotSent > 0 && q.state == onTheWire {
			add(evNotSent)
		}
	}
	return list
}

func (w *world) orderEvents(o int, list []event) []event {
	order := &w.orders[o]
	add := func(k eventKind, detail int8) { list = append(list, event{k, small(o), detail}) }
	if order.status == processing {
		add(evComplete, 0)
		for _, t := range w.cfg.Texts {
			add(evFail, t)
		}
	}
	if w.left.Panel == 0 || order.atRest() || order.status == replaced {
		return list
	}
	if order.status == failed {
		add(evPanelResubmit, 0)
	}
	add(evPanelComplete, 0)
	if !w.cfg.Leases {
		add(evPanelCancel, 0)
	}
	if !w.cfg.Leases && w.cfg.Orders == 1 {
		add(evReplace, 0)
	}
	return list
}

// timeEvents appends that time passes until the next deadline. Processes may sleep meanwhile, by a bit mask, between a
// claim and the answer to a push; at other times it makes no difference.
func (w *world) timeEvents(list []event) []event {
	pushing := 0
	for p := range w.procs {
		if w.cfg.Sleep && w.pushing(p, true) {
			pushing |= 1 << p
		}
	}
	for asleep := range 4 {
		if asleep&^pushing != 0 || w.timedOut(asleep) {
			continue
		}
		if _, ok := w.nextTime(asleep); ok {
			list = append(list, event{kind: evTime, a: small(asleep)})
		}
	}
	return list
}

// timedOut reports whether a process that is awake has a push whose deadline is over, which it notices at once.
func (w *world) timedOut(asleep int) bool {
	for i := range w.wire {
		if q := &w.wire[i]; q.proc >= 0 && asleep&(1<<q.proc) == 0 && !w.now.Before(q.deadline) {
			return true
		}
	}
	return false
}

// nextTime returns the next time at which something becomes possible or impossible.
func (w *world) nextTime(asleep int) (next time.Time, ok bool) {
	add := func(t time.Time) {
		if t.After(w.now) && (!ok || t.Before(next)) {
			next, ok = t, true
		}
	}
	policy := &w.cfg.Policy
	for p := range w.procs {
		proc := &w.procs[p]
		if !proc.running {
			continue
		}
		if w.cfg.Leases && asleep&(1<<p) != 0 {
			add(w.older(proc.renewed, w.cfg.Lease-leaseMargin-1))
			add(proc.renewed.Add(w.cfg.Lease))
		}
		for o := range w.orders {
			w.deadlines(p, o, add)
		}
	}
	for i := range w.wire {
		q := &w.wire[i]
		if q.proc >= 0 {
			add(q.deadline)
		}
		if q.state == onTheWire {
			add(q.deadline.Add(policy.SettleDelay))
		}
	}
	for o := range w.orders {
		if rec := w.journal.orders[o].Order; rec != nil && rec.InFlight() {
			add(w.journal.owners[o].leaseEnd)
			add(w.settledAt(o))
		}
		if w.orders[o].status == failed {
			add(w.plannedFrom(o, false))
			add(w.plannedFrom(o, true))
		}
	}
	return next, ok
}

// deadlines adds when the next step of an order becomes possible or impossible.
func (w *world) deadlines(p, o int, add func(time.Time)) {
	t := &w.procs[p].orders[o]
	if t.machine == nil || t.waiting {
		return
	}
	switch step := t.machine.Next(w.now); step.Kind {
	case protocol.StepWait, protocol.StepReload:
		add(step.At)
	case protocol.StepClaim:
		add(w.older(t.readAt, protocol.MaxReadAge))
	case protocol.StepPush:
		add(w.older(t.readAt, protocol.MaxReadAge))
		add(w.older(t.claimAt, w.cfg.Policy.MaxClaimAge))
	case protocol.StepVerify:
		if _, from, ok := w.verification(p, o); ok {
			add(from)
		}
	default:
	}
}

// older returns a time at which something that began at t is older than an age.
func (w *world) older(t time.Time, age time.Duration) time.Time {
	return t.Add(age.Truncate(w.cfg.unit) + w.cfg.unit)
}

// pass lets time pass. Processes that are awake renew their leases and save the anchor.
func (w *world) pass(asleep int) {
	next, _ := w.nextTime(asleep)
	for p := range w.procs {
		proc := &w.procs[p]
		switch {
		case !proc.running:
		case asleep&(1<<p) != 0:
			proc.slept += next.Sub(w.now)
		case proc.lost && w.cfg.without != ruleChainHash:
			w.crash(p, false)
		default:
			if w.now.Sub(proc.renewed) < w.cfg.Lease {
				proc.renewed = next
			}
			if w.settled = w.journal.sequence; w.cfg.without != ruleAnchorEarly {
				w.saveAnchor(p)
			}
		}
	}
	w.now = next
	w.expire()
}
