package console

import (
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/internal/wait"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// controls are the commands that a form can give; true for those that a page asks about first.
var controls = map[state.Action]bool{
	state.ActionPause: false, state.ActionResume: false, state.ActionRate: false,
	state.ActionDrain: true, state.ActionCancel: true,
}

// confirmBody is the page that asks before a run is drained or cancelled.
type confirmBody struct {
	Run      *state.Run
	Action   state.Action
	Verified int
	Sent     int // sent and not verified
	Left     int // not sent
	Denied   string
}

var errNoDrain = conflict("No process works on this run, so that draining would end it before what was sent is " +
	"verified. Continue it first, or cancel it. Nothing was done.")

// confirmPage asks whether a run is to be drained or cancelled.
func confirmPage(v *visit) error {
	run, err := v.run()
	if err != nil {
		return err
	}
	action := state.Action(v.field("action"))
	if !controls[action] {
		return badRequest("there is nothing to confirm for %q", text.Short(string(action)))
	}
	status, err := v.site.dir.Status()
	if err != nil {
		return err
	}
	if action == state.ActionDrain && !status.Busy {
		return v.showRun(run, errNoDrain)
	}
	p := v.site.progressOf(run, &status)
	body := &confirmBody{
		Run: run, Action: action, Verified: run.Result.Completed, Sent: p.Sent, Left: max(0, p.Total-p.Done-p.Sent),
		Denied: v.denied(Control, string(action), run),
	}
	if run.Live != nil {
		body.Verified = run.Live.Result.Completed
	}
	title := "Cancel this run?"
	if action == state.ActionDrain {
		title = "Drain this run?"
	}
	return v.show("confirm", head{Title: title, Page: "run", Body: body}, nil)
}

// control gives a command to the run whose digest was shown.
func control(v *visit) error {
	action := state.Action(v.field("action"))
	if _, ok := controls[action]; !ok {
		return badRequest("there is no command %q", text.Short(string(action)))
	}
	run, err := v.shownRun("run", string(action))
	if err != nil {
		return err
	}
	if action == state.ActionResume {
		if err := v.allowBegin(string(action), run); err != nil {
			return err
		}
	}
	if action == state.ActionDrain {
		if status, err := v.site.dir.Status(); err != nil {
			return err
		} else if !status.Busy {
			return v.showRun(run, errNoDrain)
		}
	}
	command := state.Command{Action: action, Run: run.Digest, By: v.by(), Why: v.field("why")}
	if action == state.ActionRate {
		if command.Rate, err = v.rate(); err != nil {
			return v.showRun(run, err)
		}
	}
	if err := v.site.dir.Control(command); err != nil {
		if errors.Is(err, state.ErrNoRun) {
			err = conflict("Run %s has ended, or its plan was replaced. Nothing was done.", runName(run))
		}
		return v.showRun(run, err)
	}
	if action != state.ActionRate { // which need not continue a run that was interrupted
		if err := v.obeyNow(run); err != nil {
			return err
		}
	}
	if err := v.settle(func(s *state.Status) bool { return len(s.Commands) == 0 }); err != nil {
		return err
	}
	return v.see(query("run", "run", run.ID, "did", action))
}

// rate returns the rate limit that was typed.
func (v *visit) rate() (float64, error) {
	limit := v.site.dir.Config().Limits.MaxRate
	rate, err := number.ParseFloat(v.field("rate"), 64)
	if err != nil || !(rate > 0 && rate <= limit) {
		return 0, wrongField("rate", "The limit is %q. Give a number of calls per second up to %v.",
			text.Short(v.field("rate")), limit)
	}
	return rate, nil
}

// settle waits until the state directory shows the effect of an action, but not long.
func (v *visit) settle(done func(*state.Status) bool) error {
	for end := time.Now().Add(taskWait); time.Now().Before(end); {
		status, err := v.site.dir.Status()
		if err != nil || done(&status) {
			return err
		}
		if wait.For(v.r.Context(), 50*time.Millisecond, nil) != nil {
			return nil //nolint:nilerr // the browser is gone
		}
	}
	return nil
}

// obeyNow lets this process obey a command that no other process is there to obey, and no run of this one.
func (v *visit) obeyNow(run *state.Run) error {
	status, err := v.site.dir.Status()
	if err != nil {
		return err
	}
	k := v.site.tasks.newest()
	if here := k != nil && !k.Done() && k.Name != applying; status.Busy && !here {
		return nil
	}
	if err := v.site.apply(run, v.by()); err != nil {
		return fmt.Errorf("console: run %s: %w", run.ID, err)
	}
	return nil
}

// discard ends a plan that was not applied.
func discard(v *visit) error {
	run, err := v.shownRun("plan", "discard")
	if err != nil {
		return err
	}
	if !run.StartedAt.IsZero() || run.Ended() {
		return conflict("Plan %s is not waiting any more, so it was not discarded.", runName(run))
	}
	if err := v.site.dir.Control(state.Command{Action: state.ActionCancel, Run: run.Digest, By: v.by()}); err != nil {
		return err
	}
	if err := v.obeyNow(run); err != nil {
		return err
	}
	if err := v.settle(func(s *state.Status) bool { return len(s.Commands) == 0 }); err != nil {
		return err
	}
	return v.see("plan")
}

// proceed continues a run that nobody works on.
func proceed(v *visit) error {
	run, err := v.shownRun("plan", "continue")
	if err == nil {
		err = v.allowBegin("continue", run)
	}
	if err != nil {
		return err
	}
	if v.site.cfg.Apply == nil {
		return conflict("This console does not apply plans: the next run of the nightly job continues it.")
	}
	if run.Ended() {
		return v.showRun(run, conflict("Run %s has ended, so there is nothing to continue.", runName(run)))
	}
	if err := v.site.apply(run, v.by()); err != nil {
		return v.showRun(run, err)
	}
	return v.see(query("run", "run", run.ID))
}
