package temporal

import (
	"cmp"
	"errors"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

const (
	// beginWithin is how long an attempt may wait for a worker. Then it is made again.
	beginWithin = 30 * time.Second
	// longestWait is how long an order waits at most before it is tried again: maintenance windows can be moved.
	longestWait = 5 * time.Minute
	// problemAfter is after how many activities in a row that got nowhere that is reported, each time.
	problemAfter = 3
	// mostSteps is after how many activities a chain continues as a new run, so that its history stays short.
	mostSteps = 40
)

// chain is the workflow of a chain: orders that are handled one after the other.
type chain struct {
	chainInput
	ctx     workflow.Context        // is not cancelled with the workflow, which then ends in good order
	own     workflow.Context        // of the workflow
	changes workflow.ReceiveChannel // of the control, by the plan
	cancels workflow.Channel        // the workflow was cancelled
	asked   bool                    // the plan has sent something since the last report

	wait  time.Duration // before the next activity, if it is not known when
	tries int           // activities in a row that got nowhere
	steps int           // activities of this run
}

func runChain(ctx workflow.Context, in chainInput) error {
	c := &chain{
		chainInput: in, own: ctx, changes: workflow.GetSignalChannel(ctx, controlSignal),
		cancels: workflow.NewBufferedChannel(ctx, 1),
	}
	c.ctx, _ = workflow.NewDisconnectedContext(ctx)
	workflow.Go(c.ctx, func(ctx workflow.Context) {
		c.own.Done().Receive(ctx, nil)
		c.cancels.SendAsync(true)
	})
	for ended := false; !ended; c.At++ {
		r, done := c.order()
		if !done {
			return workflow.NewContinueAsNewError(ctx, chainWorkflow, c.chainInput)
		}
		ended = c.At == len(c.Chain.IDs)-1 || c.stops()
		r.Ended = ended
		c.tell(r)
		if !ended {
			c.Order, c.wait, c.tries = progress{}, 0, 0
		}
	}
	// A plan that was started again may ask for this chain meanwhile, and would wait for it.
	for c.follow(); c.asked; c.follow() {
		c.tell(report{Place: c.Chain.Places[c.At-1], Ended: true})
	}
	return c.setOutcome()
}

// order handles an order until it has its outcome or the chain stops. It is not done if the chain must continue as a
// new run.
func (c *chain) order() (r report, done bool) {
	r.Place = c.Chain.Places[c.At]
	for c.follow(); ; c.follow() {
		switch {
		case c.steps >= mostSteps || workflow.GetInfo(c.ctx).GetContinueAsNewSuggested():
			return r, false
		case c.mustStop():
			r.Outcome, r.Stopped = cmp.Or(c.Order.Last, protocol.NotStarted), c.own.Err() == nil
			return r, true
		case c.Control.State == resubmit.StatePaused && !c.Order.Look:
			c.sleep(lookAgain)
			if c.Control.State == resubmit.StatePaused {
				c.tell(report{Place: r.Place}) // fails if the plan has ended
			}
			continue
		}
		c.steps++
		out, err := c.step()
		if failed, ok := errors.AsType[*temporal.ApplicationError](err); ok && endsPlan(failed) {
			_ = failed.Details(&c.Order.Last) // otherwise it is as before
			r.Outcome, r.Stopped, r.Fatal = cmp.Or(c.Order.Last, protocol.NotStarted), true, failed.Message()
			r.Command = failed.Type() == commandedType
			c.cancel()
			return r, true
		}
		switch {
		case err != nil:
			c.failed(err)
		case out.Done:
			c.Order.Last = out.Outcome
			r.Outcome, r.Health = out.Outcome, out.Health
			return r, true
		default:
			c.observe(out)
			c.sleep(c.pause(out))
		}
	}
}

// endsPlan reports whether an error of an activity ends the plan.
func endsPlan(err *temporal.ApplicationError) bool {
	return err.Type() == endedType || err.Type() == commandedType
}

func (c *chain) cancel() { c.Control = c.Control.change(control{State: resubmit.StateCancelled}) }

// stops reports whether no further order may begin.
func (c *chain) stops() bool { return rank(c.Control.State) > rank(resubmit.StatePaused) }

// mustStop reports whether the order must be left as it is. After an attempt without a result, that is not known before
// somebody has looked.
func (c *chain) mustStop() bool {
	return c.Order.Lost == 0 && (c.Control.State == resubmit.StateCancelled || c.stops() && !c.Order.Look)
}

// step makes one activity.
func (c *chain) step() (out stepOutput, err error) {
	in := stepInput{
		Digest: c.Setup.Digest, OrderID: c.Chain.IDs[c.At], Judge: c.Judge, Rate: c.Control.Rate,
		Brief: c.Control.State == resubmit.StateCancelled,
	}
	name, options := verifyActivity, workflow.ActivityOptions{
		TaskQueue: c.Setup.Queue, StartToCloseTimeout: c.Setup.SettleDelay + 5*time.Minute,
		HeartbeatTimeout: heartbeatTimeout, WaitForCancellation: true, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	}
	if !c.Order.Look {
		name, options.TaskQueue = attemptActivity, pushQueue(c.Setup.Queue)
		options.ScheduleToStartTimeout, options.StartToCloseTimeout = beginWithin, c.Setup.PushTimeout+30*time.Second
	}
	ctx, cancel := workflow.WithCancel(workflow.WithActivityOptions(c.ctx, options))
	defer cancel()
	result, was := workflow.ExecuteActivity(ctx, name, in), c.Control.State
	c.await(result, func() bool {
		return c.Control.State != was && (!c.Order.Look || c.Control.State == resubmit.StateCancelled)
	})
	cancel()
	c.await(result, func() bool { return false })
	return out, result.Get(c.ctx, &out)
}

// failed handles an activity that failed. An attempt that no worker has begun is repeated at once. After one that was
// lost or taken back, the next activity looks what became of it.
func (c *chain) failed(err error) {
	failure, answered := errors.AsType[*temporal.ApplicationError](err)
	if answered && failure.Type() == stoppedType {
		c.cancel()
		return
	}
	timeout, late := errors.AsType[*temporal.TimeoutError](err)
	if late && timeout.TimeoutType() == enums.TIMEOUT_TYPE_SCHEDULE_TO_START {
		c.nowhere("no worker has begun an attempt within " + beginWithin.String())
		return
	}
	var outcome protocol.Outcome
	if answered = answered && failure.HasDetails() && failure.Details(&outcome) == nil; answered {
		c.Order.Last = cmp.Or(outcome, c.Order.Last)
		c.Order.Look = c.Order.Look || isOpen(outcome)
	}
	if !answered && !c.Order.Look {
		c.Order.Last, c.Order.Look, c.Order.Lost = protocol.Unknown, true, problemAfter
	} else {
		c.lookedInVain()
	}
	if !temporal.IsCanceledError(err) {
		c.nowhere(err.Error())
		c.sleep(min(time.Second<<min(c.tries, 6), time.Minute))
	}
}

// lookedInVain counts a look after an attempt without a result, which did not show what that has done.
func (c *chain) lookedInVain() {
	if o := &c.Order; o.Lost > 0 {
		o.Lost--
		o.Look = o.Lost > 0 // the next attempt finds out, or the order is left as unknown
	}
}

// isOpen reports whether an order that is not done was or may have been pushed.
func isOpen(o protocol.Outcome) bool { return o == protocol.Progressing || o == protocol.Unknown }

// nowhere counts an activity that got nowhere.
func (c *chain) nowhere(why string) {
	if c.tries++; c.tries%problemAfter == 0 {
		c.tell(report{Place: c.Chain.Places[c.At], Problem: why})
	}
}

// observe notes what an activity saw of an order that is not done, and reports it if the plan must know.
func (c *chain) observe(out stepOutput) {
	o := &c.Order
	if o.Look && !out.Push && cmp.Or(out.Outcome, protocol.NotStarted) == protocol.NotStarted {
		c.nowhere("a look at an order was interrupted: " + out.Why)
		c.lookedInVain()
		return
	}
	o.Last, o.Lost, o.Look = out.Outcome, 0, !out.Push && isOpen(out.Outcome)
	switch {
	case o.Look:
		c.tries = 0
	case !out.Push && out.Why != "":
		c.nowhere("orders wait: " + out.Why)
	}
	news := o.Look && !o.Sent || out.Health != o.Health
	o.Sent, o.Health = o.Sent || o.Look, out.Health
	if news {
		c.tell(report{Place: c.Chain.Places[c.At], Sent: o.Sent, Health: o.Health})
	}
}

// pause returns how long to wait before the next activity.
func (c *chain) pause(out stepOutput) time.Duration {
	if out.Push {
		return 0
	}
	if !out.Again.IsZero() {
		c.wait = 0
		return min(out.Again.Sub(workflow.Now(c.ctx)), longestWait)
	}
	c.wait = min(max(2*c.wait, time.Second), 15*time.Second)
	return c.wait
}

// sleep waits, but not longer than until the control changes. A pause does not end the wait for a verification.
func (c *chain) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	ctx, cancel := workflow.WithCancel(c.ctx)
	defer cancel()
	was := c.Control
	c.await(workflow.NewTimer(ctx, d), func() bool { return c.Control != was && (!c.Order.Look || c.stops()) })
}

// await waits for a result, but not longer than until it is enough, and meanwhile follows the control.
func (c *chain) await(result workflow.Future, enough func() bool) {
	s := workflow.NewSelector(c.ctx).AddFuture(result, func(workflow.Future) {})
	s.AddReceive(c.changes, func(workflow.ReceiveChannel, bool) { c.follow() })
	s.AddReceive(c.cancels, func(ch workflow.ReceiveChannel, _ bool) { ch.ReceiveAsync(nil); c.follow() })
	for !result.IsReady() && !enough() {
		s.Select(c.ctx)
	}
}

// follow follows the control of the plan. No signal is lost: a workflow does not end while one has not been received.
func (c *chain) follow() {
	if c.own.Err() != nil {
		c.cancel()
	}
	for {
		var by control // a fresh one: JSON merges into what is there
		if !c.changes.ReceiveAsync(&by) {
			return
		}
		c.asked, c.Control = true, c.Control.change(by)
	}
}

// tell reports to the plan. If that has ended, the chain ends too: the journal has the results.
func (c *chain) tell(r report) {
	r.Chain, c.asked = c.Chain.Places[0], false
	sent := workflow.SignalExternalWorkflow(c.ctx, planID(c.Setup.Digest), "", reportSignal, r)
	c.await(sent, func() bool { return false })
	if sent.Get(c.ctx, nil) != nil {
		c.cancel()
	}
}

// setOutcome makes the chain searchable by the outcome of its last order.
func (c *chain) setOutcome() error {
	if !c.Setup.Attributes || c.Order.Last == "" {
		return nil
	}
	return workflow.UpsertTypedSearchAttributes(c.ctx, outcomeAttribute.ValueSet(string(c.Order.Last)))
}
