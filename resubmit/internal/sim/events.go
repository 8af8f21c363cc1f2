package sim

import (
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
)

// event happens at a time since the start of the program.
type event struct {
	at time.Duration
	do func()
}

// schedule is all events.
func (w *world) schedule() []event {
	var events []event
	for i, win := range w.s.windows {
		events = append(events, w.windowEvents(i, win)...)
	}
	for _, a := range w.s.actions {
		if a.read > 0 {
			continue // see afterRead
		}
		events = append(events, event{a.at, func() { w.perform(a) }})
		if a.kind == actionPause {
			events = append(events, event{a.at + a.d, func() { w.pause(a.program, false) }})
		}
	}
	return events
}

// windowEvents are the announcements, the start and the end of a window.
func (w *world) windowEvents(n int, win windowSpec) []event {
	from, to := win.start, win.end
	announce := func(s span) func() {
		return func() {
			w.announce(n, s)
			if s.to.IsZero() {
				w.logf("window %d began at %v, its end is unknown", n, s.from.Sub(w.start))
				return
			}
			w.logf("window %d is announced: %v to %v", n, s.from.Sub(w.start), s.to.Sub(w.start))
		}
	}
	at := func(from, to time.Duration) span { return span{w.start.Add(from), w.start.Add(to)} }
	var events []event
	switch {
	case win.unannounced:
	case win.announced == 0:
		w.announce(n, at(from, to))
	default:
		events = append(events, event{win.announced, announce(at(from, to))})
	}
	if win.movedAt > 0 {
		from, to = max(from+win.movedBy, win.movedAt), max(to+win.movedBy, win.movedAt+time.Minute)
		events = append(events, event{win.movedAt, func() {
			announce(at(from, to))()
			w.count("window moved during the run")
		}})
	}
	announceStart, announceEnd := func() {}, func() {}
	if win.overrun > 0 && !win.unannounced {
		announceStart, announceEnd = announce(span{from: w.start.Add(from)}), announce(at(from, to+win.overrun))
	}
	return append(events,
		event{from, func() { announceStart(); w.setMaintenance(true); w.count("maintenance during the run") }},
		event{to + win.overrun, func() { w.setMaintenance(false); announceEnd() }})
}

// afterRead performs the actions that belong to a read of an order by a run.
func (w *world) afterRead(order int) {
	w.mu.Lock()
	w.orderReads[order]++
	n := w.orderReads[order]
	w.mu.Unlock()
	for _, a := range w.s.actions {
		if a.read != n || a.order != order {
			continue
		}
		w.perform(a)
		w.count("action during a read: " + string(a.kind))
		if a.kind == actionPause {
			w.background.Go(func() {
				_ = sleep(w.ctx, a.d) // at the end of the world too
				w.pause(a.program, false)
			})
		}
	}
}

// begin begins a maintenance that nobody has announced, and ends it.
func (w *world) begin(d time.Duration) {
	w.mu.Lock()
	w.unplanned++
	n := len(w.s.windows) + w.unplanned
	w.mu.Unlock()
	w.announce(n, span{time.Now(), time.Now().Add(d)})
	w.setMaintenance(true)
	w.background.Go(func() {
		_ = sleep(w.ctx, d) // at the end of the world too
		w.setMaintenance(false)
	})
}

// perform does an action of somebody. The system decides whether it is possible.
func (w *world) perform(a actionSpec) {
	var err error
	switch a.kind {
	case actionPush, actionCancel, actionFail:
		err = w.interfere(a)
	case actionPause:
		w.pause(a.program, true)
	case actionStop:
		if p := w.process(a.program); p != nil {
			p.stop(errStopped)
		}
	case actionDrain:
		if p := w.process(a.program); p != nil && p.runner.Load() != nil {
			p.runner.Load().Drain() // the program is restarted
		}
	case actionWindow:
		w.begin(a.d)
	case actionClock:
		w.clockJump.Add(int64(a.d))
	case actionPlace:
		made := w.commerce.Place(commercetest.OrderSpec{Type: commerce.TypeSales})
		w.mu.Lock()
		w.ids, w.numbers = append(w.ids, ""), append(w.numbers, "")
		w.register(len(w.ids)-1, &made)
		w.mu.Unlock()
	}
	w.logf("%s: order %d (%s), %v: %v", a.kind, a.order, w.numberOf(a.order), a.d, err)
	if err == nil {
		w.count(string(a.kind))
	}
}

func (w *world) interfere(a actionSpec) error {
	o := w.order(a.order)
	if o.ID == "" {
		return nil
	}
	switch a.kind {
	case actionPush:
		to := commerce.StatusPaid
		if o.Type == commerce.TypeCancellationCharge {
			to = commerce.StatusCheckingConditions
		}
		return w.commerce.Push(o.ID, to)
	case actionCancel:
		return w.commerce.Push(o.ID, commerce.StatusCancelled)
	default:
		return w.commerce.MarkFailed(o.ID, "Marked as failed by another operator.")
	}
}

// process is the current process of a program; nil for none.
func (w *world) process(program int) *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.programs[program%len(w.programs)].current
}

// pause pauses or resumes the current process of a program, if there is one. A new process is not paused.
func (w *world) pause(program int, on bool) {
	p := w.process(program)
	if p == nil || p.runner.Load() == nil {
		return
	}
	if on {
		p.runner.Load().Pause()
		p.paused.Store(true)
		return
	}
	p.paused.Store(false)
	p.runner.Load().Resume()
}
