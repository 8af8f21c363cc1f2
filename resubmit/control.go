package resubmit

import (
	"errors"
	"fmt"
	"math"
)

var (
	// ErrDrained reports that a run was drained before it had begun every order.
	ErrDrained = errors.New("resubmit: the run was drained")
	// ErrCancelled reports that a run was ended by Cancel.
	ErrCancelled = errors.New("resubmit: the run was cancelled")
)

// RunState is the state of a run.
type RunState string

// The states of a run. StateIdle, the zero value, means that there is no run.
const (
	StateIdle      RunState = ""
	StateRunning   RunState = "running"
	StatePaused    RunState = "paused"
	StateDraining  RunState = "draining"
	StateCancelled RunState = "cancelled"
)

// Pause sends no further push until Resume. Pushes in flight finish, and
// verification continues. It may be called before Apply.
func (r *Runner) Pause() { r.setPaused(true) }

// Resume ends a Pause. It does not end a Drain.
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

// Drain ends the current run gracefully: nothing more is pushed, pushes in flight finish, and
// orders that were pushed are verified to their end. Then Apply returns its report, with the
// rest as "not started", and ErrDrained if there is any. Without a run it does nothing.
// To drain when a context ends, use
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

// Cancel ends the current run, as the end of its context does: pushes in flight finish,
// verification stops, and Apply returns ErrCancelled.
// Without a run it does nothing.
func (r *Runner) Cancel() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run != nil {
		r.run.cancel(ErrCancelled)
	}
}

// SetLimits changes Config.RateLimit and Config.Concurrency from the next call on, also of the
// current run. 0 changes nothing; a rate of -1 is no limit. Calls in flight finish.
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

// control reports the state of the run.
func (x *run) control(why string) {
	state, _, _ := x.gate.view()
	if x.ctx.Err() != nil {
		state = StateCancelled
	}
	x.events.emit(RunStateChange{State: state, Why: why})
}

// stopping reports whether no further order is begun.
func (x *run) stopping() bool {
	_, draining := x.gate.signal()
	return draining || x.ctx.Err() != nil
}
