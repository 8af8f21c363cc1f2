package sim

import (
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
)

// act is something that happens by itself at a time since the start of the program.
type act struct {
	at time.Duration
	do func()
}

// schedule is all that happens by itself.
func (w *world) schedule() []act {
	var acts []act
	for i, win := range w.s.windows {
		acts = append(acts, w.windowActs(i, win)...)
	}
	for _, a := range w.s.acts {
		acts = append(acts, act{a.at, func() { w.do(a) }})
		if a.kind == actPause {
			acts = append(acts, act{a.at + a.d, func() { w.pause(false) }})
		}
	}
	return acts
}

func (w *world) windowActs(n int, win windowSeed) []act {
	from, to := win.start, win.end
	tell := func(s span) func() {
		return func() {
			w.announce(n, s)
			if s.to.IsZero() {
				w.note("window %d has begun at %v, its end is not known", n, s.from.Sub(w.start))
				return
			}
			w.note("window %d is announced: %v to %v", n, s.from.Sub(w.start), s.to.Sub(w.start))
		}
	}
	at := func(from, to time.Duration) span { return span{w.start.Add(from), w.start.Add(to)} }
	var acts []act
	switch {
	case win.nobodySaysSo:
	case win.announced == 0:
		w.announce(n, at(from, to))
	default:
		acts = append(acts, act{win.announced, tell(at(from, to))})
	}
	if win.movedAt > 0 {
		from, to = max(from+win.movedBy, win.movedAt), max(to+win.movedBy, win.movedAt+time.Minute)
		acts = append(acts, act{win.movedAt, func() { tell(at(from, to))(); w.happened("window moved during the run") }})
	}
	toldBegin, toldEnd := func() {}, func() {}
	if win.overrun > 0 && !win.nobodySaysSo {
		toldBegin, toldEnd = tell(span{from: w.start.Add(from)}), tell(at(from, to+win.overrun))
	}
	return append(acts,
		act{from, func() { toldBegin(); w.maintenance(true); w.happened("maintenance during the run") }},
		act{to + win.overrun, func() { w.maintenance(false); toldEnd() }})
}

// do is an act of somebody else. Whether it is possible is for the system to say.
func (w *world) do(a actSeed) {
	var err error
	switch a.kind {
	case actPush, actCancel, actFail:
		err = w.interfere(a)
	case actPause:
		w.pause(true)
	case actStop:
		w.mu.Lock()
		p := w.current
		w.mu.Unlock()
		if p != nil {
			p.stop(errStopped)
		}
	case actDrain:
		w.drain()
	case actClock:
		w.jump.Add(int64(a.d))
	case actPlace:
		made := w.commerce.Place(commercetest.NewOrder{Type: commerce.TypeSales})
		w.mu.Lock()
		w.ids, w.numbers = append(w.ids, ""), append(w.numbers, "")
		w.enter(len(w.ids)-1, &made)
		w.mu.Unlock()
	}
	w.note("%s: order %d (%s), %v: %v", a.kind, a.order, w.name(a.order), a.d, err)
	if err == nil {
		w.happened(string(a.kind))
	}
}

func (w *world) interfere(a actSeed) error {
	o := w.truth(a.order)
	if o.ID == "" {
		return nil
	}
	switch a.kind {
	case actPush:
		to := commerce.StatusPaid
		if o.Type == commerce.TypeCancellationCharge {
			to = commerce.StatusCheckingConditions
		}
		return w.commerce.Push(o.ID, to)
	case actCancel:
		return w.commerce.Push(o.ID, commerce.StatusCancelled)
	default:
		return w.commerce.MarkFailed(o.ID, "Marked as failed by another operator.")
	}
}

// drain drains the program that runs now, if one does. It is started again.
func (w *world) drain() {
	w.mu.Lock()
	p := w.current
	w.mu.Unlock()
	if p != nil && p.runner.Load() != nil {
		p.runner.Load().Drain()
	}
}

// pause pauses the program that runs now, if one does. A new one is not paused.
func (w *world) pause(on bool) {
	w.mu.Lock()
	p := w.current
	w.mu.Unlock()
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
