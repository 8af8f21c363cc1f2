package explore

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// start starts a process that applies its plan.
func (w *world) start(p int) {
	w.epochs++
	proc := &w.procs[p]
	*proc = process{running: true, plan: proc.plan, epoch: w.epochs, renewed: w.now}
	j := w.change()
	j.sequence++ // the record of the run
	j.durable = nil
	w.settled = w.journal.sequence
	if w.cfg.without != ruleAnchorEarly {
		w.saveAnchor(p)
	}
	w.open(p)
}

// open starts the orders whose turn it is, and ends the process when all have ended.
func (w *world) open(p int) {
	proc, pl := &w.procs[p], w.planOf(p)
	for o := range w.orders {
		t := &proc.orders[o]
		switch {
		case !pl.entries[o].planned && w.cfg.without != ruleApproved || t.outcome != "" || o >= w.cfg.Orders:
			continue
		case t.machine != nil:
			return // the next one waits
		case o > 0 && pl.entries[0].planned && !w.endedWell(&proc.orders[0]):
			t.outcome = protocol.Blocked
			continue
		}
		rec := w.seen(p, o)
		t.machine = protocol.Start(w.adopt(p, o, rec), &w.cfg.machines, w.owner(p), rec, w.leaseEndFor(p, o), w.now)
		w.perform(p, o)
		if t.outcome == "" {
			return
		}
	}
	w.finish(p, protocol.RunFinished)
}

func (w *world) endedWell(t *turn) bool {
	return t.outcome == protocol.Completed || w.orders[0].atRest()
}

func (w *world) owner(p int) protocol.Owner {
	return protocol.Owner{Run: w.planOf(p).run, Epoch: w.procs[p].epoch}
}

// adopt returns what is planned. Without its rule, the version of another run is adopted after a release.
func (w *world) adopt(p, o int, rec protocol.Record) protocol.Planned {
	planned := w.planned(p, o)
	if w.cfg.without == ruleOwnVersion && rec.Order != nil && rec.Order.Phase == protocol.Open {
		planned.Version = rec.Version
	}
	return planned
}

// seen returns the record of an order as a process sees it. Without its rule, a second process of a plan takes a
// claim for one of a process that crashed long ago.
func (w *world) seen(p, o int) protocol.Record {
	rec := w.journal.orders[o]
	if w.cfg.without == ruleSecondProcess && rec.Order != nil && rec.Order.Run == w.planOf(p).run {
		rec = editOrder([]protocol.Record{rec}, func(o *protocol.Order) { o.ClaimedAt = o.ClaimedAt.Add(-time.Hour) })[0]
	}
	return rec
}

// leaseEndFor returns the lease end of a record as a process sees it.
func (w *world) leaseEndFor(p, o int) time.Time {
	rec := w.journal.orders[o].Order
	if w.cfg.without == ruleSecondProcess && rec != nil && rec.Run == w.planOf(p).run {
		return time.Time{}
	}
	return w.leaseEnd(o)
}

// finish ends a process in an orderly way.
func (w *world) finish(p int, end protocol.RunEnd) {
	proc := &w.procs[p]
	w.change().durable = nil
	if !proc.lost {
		w.saveAnchor(p)
	}
	w.say("  " + w.processName(p) + " ends")
	w.endLease(proc, end)
	if end == protocol.RunFinished && !w.cfg.SamePlan {
		w.plans[proc.plan] = plan{}
	}
}

// crash ends a process at once.
func (w *world) crash(p int, loses bool) {
	for i := range w.wire {
		if int(w.wire[i].proc) == p {
			w.wire[i].proc = -1
		}
	}
	w.cleanWire()
	if loses {
		w.journal = w.journal.durable
	}
	w.endLease(&w.procs[p], "")
}

// machine returns the machine of an order to change it.
func (w *world) machine(p, o int) *protocol.Machine {
	t := &w.procs[p].orders[o]
	t.machine = t.machine.Clone()
	return t.machine
}

// perform carries out the steps that need no event of their own.
func (w *world) perform(p, o int) {
	t := &w.procs[p].orders[o]
	for {
		step := t.machine.Next(w.now)
		switch step.Kind {
		case protocol.StepPut:
			if !w.write(p, t.machine, step.Durable, step.Records) {
				return
			}
		case protocol.StepLanes:
			lanes := w.lanes()
			if w.cfg.without == ruleLanes {
				lanes = nil
			}
			t.machine.Lanes(lanes)
		case protocol.StepEnd:
			if w.trace != nil {
				w.say(fmt.Sprintf("  %s ends as %s: %s", orderNames[o], step.Outcome, step.Why))
			}
			t.machine, t.outcome, t.waiting = nil, step.Outcome, false
			return
		default:
			return
		}
	}
}

// step carries out what follows from an event, and opens the next order.
func (w *world) step(p, o int) {
	w.perform(p, o)
	if proc := &w.procs[p]; proc.running && proc.orders[o].machine == nil {
		w.open(p)
	}
}

// write puts the records of a machine and reports whether the process still lives.
func (w *world) write(p int, m *protocol.Machine, durable bool, records []protocol.Record) bool {
	proc := &w.procs[p]
	if proc.lost && w.cfg.without != ruleChainHash {
		w.say("  " + w.processName(p) + " ends: the journal is not the one that it began with")
		w.crash(p, false)
		return false
	}
	if w.cfg.without == ruleRelease {
		records = forgetAttempts(records)
	}
	if w.cfg.without == ruleCountClaims {
		records = forgetResubmissions(records)
	}
	seq, conflict := w.put(durable, owner{epoch: proc.epoch}, records)
	if conflict != nil {
		w.say("  the journal rejects the record of " + conflict.ID)
		m.Rejected(*conflict)
		return true
	}
	m.Stored(seq)
	return true
}

// forgetAttempts forgets, in a release, the attempts before it.
func forgetAttempts(records []protocol.Record) []protocol.Record {
	return editOrder(records, func(o *protocol.Order) {
		if strings.HasPrefix(o.Why, "held back") {
			o.Attempts, o.FirstClaimAt = 0, time.Time{}
		}
	})
}

// forgetResubmissions counts only the pushes that Commerce accepted.
func forgetResubmissions(records []protocol.Record) []protocol.Record {
	return editOrder(records, func(o *protocol.Order) {
		if o.Phase == protocol.Open || o.Outcome == protocol.NotMoved {
			o.Resubmissions = 0
		}
	})
}

func editOrder(records []protocol.Record, edit func(*protocol.Order)) []protocol.Record {
	edited := append([]protocol.Record(nil), records...)
	for i := range edited {
		if edited[i].Order != nil {
			o := *edited[i].Order
			edit(&o)
			edited[i].Order = &o
		}
	}
	return edited
}

// lanes returns the records of the lanes.
func (w *world) lanes() []protocol.Record {
	r := w.journal.lane
	r.Key = laneKey()
	if w.cfg.without == ruleNewest && r.Lane != nil {
		l := *r.Lane
		l.NewestAt = time.Time{}
		r.Lane = &l
	}
	return []protocol.Record{r}
}

// read reads an order.
func (w *world) read(p, o int, r protocol.Reading) {
	m := w.machine(p, o)
	if m.Next(w.now).Kind == protocol.StepAdmit {
		m.Admitted()
	}
	m.Read(r, w.now)
	w.step(p, o)
}

var (
	errRead     = errors.New("read failed")
	errReplaced = errors.New("it is another order")
)

// reading returns what a read of an order shows.
func (w *world) reading(p, o int) protocol.Reading {
	now, e := &w.orders[o], &w.planOf(p).entries[o]
	targets := w.cfg.Policy.Targets
	r := protocol.Reading{Began: w.now, AtRest: now.atRest(), Targets: targets[:min(2, len(targets))]}
	if w.cfg.without == ruleReadAge {
		r.Began = w.now.Add(time.Hour)
	}
	switch {
	case now.status == replaced && w.cfg.without == ruleIdentity:
	case now.status == replaced:
		r.Err, r.Gone = errReplaced, true
	case now.status != failed:
		r.Change, r.Targets = "it is "+now.status.String(), nil
	case now.text != e.text:
		r.Change = "another failure"
	}
	if w.trace != nil {
		if r.Change == "" {
			w.say("  it is as planned")
		} else {
			w.say("  " + r.Change)
		}
	}
	return r
}

// claim claims an order.
func (w *world) claim(p, o int) {
	m, t := w.machine(p, o), &w.procs[p].orders[o]
	records := m.Claim(w.lanes(), w.now, time.Time{})
	t.claimAt = w.now
	if len(records) > 0 && !w.write(p, m, true, records) {
		return
	}
	w.step(p, o)
}

// send makes the last checks and sends a push.
func (w *world) send(p, o int, closed string) {
	m, t := w.machine(p, o), &w.procs[p].orders[o]
	proc := &w.procs[p]
	now := w.now
	if w.cfg.without == ruleBothClocks {
		now = now.Add(-proc.slept)
	}
	lease := !w.cfg.Leases || now.Sub(proc.renewed) < w.cfg.Lease-leaseMargin
	if !m.MaySend(protocol.Check{Closed: closed, Lease: lease}, now) {
		w.say("  held back")
		w.step(p, o)
		return
	}
	w.checkSend(p, o, m)
	order, e := &w.orders[o], &w.planOf(p).entries[o]
	deadline := w.now.Add(w.cfg.Policy.PushTimeout)
	sent := push{
		order: small(o), proc: small(p), run: w.planOf(p).run, text: e.text, deadline: deadline, lastEnd: order.lastEnd,
	}
	if order.status == failed && order.text == e.text {
		sent.counted = 1
	}
	w.wire = append(w.wire, sent)
	order.sent += sent.counted
	order.total++
	e.sent++
	order.lastEnd = deadline
	order.forgotten, order.settled = false, false
	t.waiting = true
}

// answer tells a machine what became of its push.
func (w *world) answer(i int, a protocol.Answer) {
	sent := w.wire[i]
	p, o := int(sent.proc), int(sent.order)
	order, e := &w.orders[o], &w.planOf(p).entries[o]
	w.wire[i].proc = -1
	switch a.Kind {
	case protocol.Accepted:
		order.lastEnd = w.now
	case protocol.NotSent, protocol.Refused, protocol.RefusedForNow, protocol.NotOffered:
		order.sent, order.total, e.sent = max(0, order.sent-sent.counted), order.total-1, e.sent-1
		order.lastEnd = sent.lastEnd
	case protocol.ByGateway:
		order.sent, e.sent = max(0, order.sent-sent.counted), e.sent-1
	case protocol.NoAnswer:
	}
	if a.Kind == protocol.NotSent {
		w.wire[i].state = refused // it never acts
	}
	w.cleanWire()
	m := w.machine(p, o)
	w.procs[p].orders[o].waiting = false
	m.Answered(a, w.now)
	w.step(p, o)
}

// lookUp asks Connect.
func (w *world) lookUp(p, o int, down string) {
	m := w.machine(p, o)
	rec, _ := m.Record()
	l := protocol.LookUp{Down: down}
	if at := w.orders[o].requestAt; !at.IsZero() && !at.Before(rec.FirstClaimAt) {
		l.Request = "a request"
	}
	m.LookedUp(l, w.now)
	w.step(p, o)
}

// verification returns what verifying a push shows, and from when; false while the order is in progress.
func (w *world) verification(p, o int) (v protocol.Verification, from time.Time, ok bool) {
	now, e := &w.orders[o], &w.planOf(p).entries[o]
	switch now.status {
	case replaced: // the verification ends without a result
		return v, from, false
	case completed:
		return protocol.Verification{Outcome: protocol.Completed, AtRest: true, Why: "completed"}, w.now, true
	case cancelled:
		return protocol.Verification{Outcome: protocol.FailedAgain, AtRest: true, Why: "cancelled"}, w.now, true
	case processing:
		return v, from, false
	case failed:
	}
	rec, _ := w.procs[p].orders[o].machine.Record()
	v = protocol.Verification{
		Outcome: protocol.FailedAgain, Template: fmt.Sprintf("t%d", template(now.text)), Why: "failed again",
	}
	if now.text != e.text {
		return v, w.now, true
	}
	return v, rec.SentAt.Add(w.cfg.Policy.SettleDelay), true
}

func (w *world) verify(p, o int, timeout bool) {
	v, _, _ := w.verification(p, o)
	if timeout {
		v = protocol.Verification{Outcome: protocol.Progressing, Why: "still in progress"}
	}
	w.machine(p, o).Verified(v, w.now)
	w.step(p, o)
}

// stop ends a run whose circuit is open.
func (w *world) stop(p int, end protocol.RunEnd) {
	for o := range w.orders {
		t := &w.procs[p].orders[o]
		if t.machine == nil {
			continue
		}
		w.machine(p, o).GiveUp(protocol.NotStarted, "the circuit is open")
		w.perform(p, o)
		if t.machine != nil { // a refused push is read once more
			w.machine(p, o).Read(w.reading(p, o), w.now)
			w.perform(p, o)
		}
		if t.machine != nil { // it was credited
			w.machine(p, o).GiveUp(protocol.NotStarted, "the circuit is open")
			w.perform(p, o)
		}
	}
	if !w.procs[p].running {
		return
	}
	w.finish(p, end)
}
