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
	// problemAfter is how many activities in a row must fail before that is reported.
	problemAfter = 3
	// mostSteps is after how many activities a chain ends, so that its history stays short. The plan starts it again.
	mostSteps = 300
)

// chain is the workflow of a chain: orders that are handled one after the other.
type chain struct {
	in      chainInput
	control control
	changed workflow.Channel
	stop    workflow.CancelFunc // of the attempt that is under way; nil if there is none

	place  int
	look   bool // the order was or may have been pushed, so it is only looked at
	sent   bool // that was reported
	health resubmit.Health
	last   protocol.Outcome
	wait   time.Duration // before the next try, if it is not known when
	failed int           // activities in a row
	steps  int
}

func runChain(ctx workflow.Context, in chainInput) error {
	c := &chain{in: in, control: in.Control, changed: workflow.NewBufferedChannel(ctx, 1)}
	workflow.Go(ctx, c.listen)
	for i, id := range in.Chain.IDs {
		c.place, c.look, c.sent, c.health, c.last, c.wait, c.failed = in.Chain.Places[i], false, false, "", "", 0, 0
		r := c.order(ctx, id)
		r.Ended = r.Outcome == "" || r.Fatal != "" || i == len(in.Chain.IDs)-1 || c.steps > mostSteps || c.stops()
		c.tell(ctx, r)
		if r.Ended {
			break
		}
	}
	return c.setOutcome(ctx)
}

// listen follows the control of the plan.
func (c *chain) listen(ctx workflow.Context) {
	for {
		var by control
		workflow.GetSignalChannel(ctx, controlSignal).Receive(ctx, &by)
		c.control = c.control.change(by)
		if c.stop != nil && c.control.State != resubmit.StateRunning {
			c.stop()
		}
		c.changed.SendAsync(true)
	}
}

// stops reports whether no further order may begin.
func (c *chain) stops() bool { return rank(c.control.State) > rank(resubmit.StatePaused) }

// order handles an order until it is done or the chain stops. A report without an outcome means that it is not done.
func (c *chain) order(ctx workflow.Context, id string) report {
	r := report{Place: c.place}
	for ; ; c.steps++ {
		switch {
		case c.steps > mostSteps:
			return r
		case ctx.Err() != nil || c.control.State == resubmit.StateCancelled || c.stops() && !c.look:
			r.Outcome = cmp.Or(c.last, protocol.NotStarted)
			return r
		case c.control.State == resubmit.StatePaused && !c.look:
			c.changed.Receive(ctx, nil)
			continue
		}
		out, err := c.step(ctx, id)
		if fatal, ok := errors.AsType[*temporal.ApplicationError](err); ok && fatal.Type() == endedType {
			r.Outcome, r.Fatal = c.last, fatal.Message()
			return r
		}
		if err != nil {
			c.retry(ctx, err)
			continue
		}
		c.failed, c.last = 0, out.Outcome
		if out.Done {
			r.Outcome, r.Health = out.Outcome, out.Health
			return r
		}
		c.observe(ctx, out)
		c.sleep(ctx, c.pause(ctx, out))
	}
}

// step makes one activity.
func (c *chain) step(ctx workflow.Context, id string) (out stepOutput, err error) {
	in := stepInput{Digest: c.in.Setup.Digest, OrderID: id, Judge: c.in.Judge, Rate: c.control.Rate}
	options := workflow.ActivityOptions{
		HeartbeatTimeout: heartbeatTimeout, WaitForCancellation: true, RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	}
	if c.look {
		options.TaskQueue = c.in.Setup.Queue
		options.StartToCloseTimeout = c.in.Setup.SettleDelay + 5*time.Minute
		err = workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), verifyActivity, in).Get(ctx, &out)
		return out, err
	}
	options.TaskQueue = pushQueue(c.in.Setup.Queue)
	options.ScheduleToStartTimeout = beginWithin
	options.StartToCloseTimeout = c.in.Setup.PushTimeout + 30*time.Second
	own, cancel := workflow.WithCancel(workflow.WithActivityOptions(ctx, options))
	c.stop = cancel
	err = workflow.ExecuteActivity(own, attemptActivity, in).Get(ctx, &out)
	c.stop = nil
	return out, err
}

// retry waits after an activity that failed. An attempt that was not begun, or was taken back for a pause, is repeated
// at once. What became of one that was lost is found out by the next one.
func (c *chain) retry(ctx workflow.Context, err error) {
	timeout, ok := errors.AsType[*temporal.TimeoutError](err)
	if temporal.IsCanceledError(err) || ok && timeout.TimeoutType() == enums.TIMEOUT_TYPE_SCHEDULE_TO_START {
		return
	}
	if c.failed++; c.failed == problemAfter {
		c.tell(ctx, report{Place: c.place, Problem: err.Error()})
	}
	c.sleep(ctx, min(time.Second<<min(c.failed, 6), time.Minute))
}

// observe notes what an activity saw of an order that is not done, and reports it if the plan must know.
func (c *chain) observe(ctx workflow.Context, out stepOutput) {
	c.look = !out.Push && (out.Outcome == protocol.Progressing || out.Outcome == protocol.Unknown)
	news := c.look && !c.sent || out.Health != c.health
	c.sent, c.health = c.sent || c.look, out.Health
	if news {
		c.tell(ctx, report{Place: c.place, Sent: c.sent, Health: c.health})
	}
}

// pause returns how long to wait before the next activity.
func (c *chain) pause(ctx workflow.Context, out stepOutput) time.Duration {
	if out.Push {
		return 0
	}
	if !out.Again.IsZero() {
		c.wait = 0
		return min(out.Again.Sub(workflow.Now(ctx)), longestWait)
	}
	c.wait = min(max(2*c.wait, time.Second), 15*time.Second)
	return c.wait
}

// sleep waits, but not longer than until the control changes.
func (c *chain) sleep(ctx workflow.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	own, cancel := workflow.WithCancel(ctx)
	defer cancel()
	over := workflow.NewTimer(own, d)
	s := workflow.NewSelector(ctx).AddFuture(over, func(workflow.Future) {})
	s.AddReceive(c.changed, func(ch workflow.ReceiveChannel, _ bool) { ch.Receive(ctx, nil) })
	for {
		s.Select(ctx)
		if over.IsReady() || !c.look || c.stops() { // a pause does not end the verification
			return
		}
	}
}

// tell reports to the plan. If that has ended, nobody needs to know: the journal has the results.
func (c *chain) tell(ctx workflow.Context, r report) {
	ctx, cancel := workflow.NewDisconnectedContext(ctx)
	defer cancel()
	r.Chain = c.in.Chain.Places[0]
	_ = workflow.SignalExternalWorkflow(ctx, planID(c.in.Setup.Digest), "", reportSignal, r).Get(ctx, nil)
}

// setOutcome makes the chain searchable by the outcome of its last order.
func (c *chain) setOutcome(ctx workflow.Context) error {
	if !c.in.Setup.Attributes || c.last == "" {
		return nil
	}
	return workflow.UpsertTypedSearchAttributes(ctx, outcomeAttribute.ValueSet(string(c.last)))
}
