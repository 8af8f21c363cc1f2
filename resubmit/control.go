package resubmit

import (
	"errors"
	"fmt"
	"math"
)

var (
	// ErrDrained says that a run was drained before it had begun every order.
	ErrDrained = errors.New("resubmit: the run was drained")
	// ErrCancelled says that a run was ended by Cancel.
	ErrCancelled = errors.New("resubmit: the run was cancelled")
)

// RunState is what a run was told to do.
type RunState string

// The states of a run. Idle is the zero value: there is none.
const (
	StateIdle      RunState = ""
	StateRunning   RunState = "running"
	StatePaused    RunState = "paused"
	StateDraining  RunState = "draining"
	StateCancelled RunState = "cancelled"
)

// Pause lets no further push out until Resume. Pushes in flight finish, and
// verification goes on. It may be called before Apply.
func (r *Runner) Pause() { r.setPaused(true) }

// Resume ends a Pause. A run that is drained stays so.
func (r *Runner) Resume() { r.setPaused(false) }

func (r *Runner) setPaused(paused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paused = paused
	x := r.run
	if x != nil && x.gate.set(func(g *gate) bool { was := g.paused; g.paused = paused; return was != paused }) {
		x.control("")
	}
}

// Drain ends the run that is going on in good order: no order is begun any more,
// those that are in hand are pushed no further, pushes in flight finish, and what
// was pushed is verified to its end. Then Apply returns its report, with the rest
// as "not started", and ErrDrained if there is any. Without a run it does nothing.
// So that a context drains, say
//
//	defer context.AfterFunc(interrupted, runner.Drain)()
func (r *Runner) Drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.run
	if x != nil && x.gate.set(func(g *gate) bool { was := g.draining; g.draining = true; return !was }) {
		x.control("")
		x.wakeAll()
	}
}

// Cancel ends the run that is going on, as the end of its context does: pushes in
// flight finish, nothing is verified any more, and Apply returns ErrCancelled.
// Without a run it does nothing.
func (r *Runner) Cancel() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run != nil {
		r.run.cancel(ErrCancelled)
	}
}

// SetLimits changes Config.RateLimit and Config.Concurrency, also of the run that is
// going on, from the next call on. 0 leaves what is; a rate of -1 is no limit. What
// is in flight finishes.
func (r *Runner) SetLimits(rate float64, concurrency int) error {
	if rate < 0 && rate != -1 || math.IsNaN(rate) || math.IsInf(rate, 0) {
		return fmt.Errorf(
			"resubmit: SetLimits was given a rate of %v; give calls per second, 0 to leave it or -1 for no limit", rate)
	}
	if concurrency < 0 {
		return fmt.Errorf("resubmit: SetLimits was given a concurrency of %d; give a count, or 0 to leave it", concurrency)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if rate != 0 {
		r.pace.change(rate)
	}
	if concurrency != 0 {
		r.cfg.Concurrency = concurrency
	}
	if r.run != nil && concurrency != 0 {
		r.run.resize(concurrency)
	}
	return nil
}

// control tells which state the run is in now.
func (x *run) control(why string) {
	state, _, _ := x.gate.view()
	if x.ctx.Err() != nil {
		state = StateCancelled
	}
	x.events.emit(ControlChange{State: state, Why: why})
}

// stopping reports whether no order is to be begun any more.
func (x *run) stopping() bool {
	_, draining := x.gate.signal()
	return draining || x.ctx.Err() != nil
}
