package temporal

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

const (
	// ahead is how many chains may wait for their push.
	ahead = 32
	// mostRunning is how many chains run at the same time, most of which verify.
	mostRunning = 1000
	// gather is how long the plan waits before it looks for what may begin, so that several reports count together.
	gather = 300 * time.Millisecond
	// lookAgain is how often the plan looks whether its chains are still there.
	lookAgain = 10 * time.Minute
	// tryAgain is how long the plan waits after it could not find what may begin.
	tryAgain = 10 * time.Second
	// mostEvents is from which length of its history on a plan continues as a new run.
	mostEvents = 1000
)

// planInput is the input of the workflow of a plan, and what it hands to its next run.
type planInput struct {
	Setup    setup                                  `json:"setup"`
	Total    int                                    `json:"total"`
	Control  control                                `json:"control"`
	Outcomes map[protocol.Outcome]resubmit.OrderSet `json:"outcomes,omitempty"`
	Tried    map[int]resubmit.Health                `json:"tried,omitempty"`
	Running  map[int]*running                       `json:"running,omitempty"` // by the first place
	Canary   []resubmit.CanaryStatus                `json:"canary,omitempty"`
	Judging  bool                                   `json:"judging,omitempty"` // by the canary
	Left     int                                    `json:"left,omitempty"`
	Recalled bool                                   `json:"recalled,omitempty"` // orders of earlier runs are in Outcomes
	Lost     int                                    `json:"lost,omitempty"`     // chains that left orders undone
	Problem  string                                 `json:"problem,omitempty"`
	Fatal    string                                 `json:"fatal,omitempty"`
	Command  bool                                   `json:"command,omitempty"` // that is one of an operator
}

// running is a chain that runs.
type running struct {
	Places []int `json:"places"` // of its orders
	Sent   bool  `json:"sent,omitempty"`
	begins bool  // the server has not confirmed that it runs
}

// planFlow is the workflow of a plan. Everything happens in its one loop, so that no signal is lost when it continues
// as a new run.
type planFlow struct {
	planInput
	ctx     workflow.Context // is not cancelled with the workflow, which then cancels its chains first
	own     workflow.Context // of the workflow
	dirty   bool             // something may begin
	looking bool             // for what may begin
	asked   int              // chains and signals that the server has not confirmed yet
	news    workflow.Selector
}

// result is the result of the workflow of a plan.
type result struct {
	Counts map[protocol.Outcome]int `json:"counts"`
	Error  string                   `json:"error,omitempty"`
	// Command means that Error is a command of an operator, which ends the plan for good.
	Command bool `json:"command,omitempty"`
}

func runPlan(ctx workflow.Context, in planInput) (result, error) {
	f := &planFlow{planInput: in, own: ctx, dirty: true}
	f.ctx, _ = workflow.NewDisconnectedContext(ctx)
	if f.Outcomes == nil {
		f.Outcomes = make(map[protocol.Outcome]resubmit.OrderSet)
		f.Tried, f.Running = make(map[int]resubmit.Health), make(map[int]*running)
	}
	if err := f.handle(); err != nil {
		return result{}, err
	}
	for f.drain(); !f.done(); f.drain() {
		switch {
		case f.asked == 0 && !f.looking && f.long() && ctx.Err() == nil:
			return result{}, workflow.NewContinueAsNewError(ctx, planWorkflow, f.planInput)
		case f.mayBegin():
			f.begin()
		default:
			f.news.Select(f.ctx)
		}
	}
	return f.result(), nil
}

// long reports whether the history is so long that the plan must continue as a new run.
func (f *planFlow) long() bool {
	info := workflow.GetInfo(f.ctx)
	return info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > mostEvents
}

// handle registers what the workflow answers.
func (f *planFlow) handle() error {
	err := errors.Join(
		workflow.SetQueryHandler(f.ctx, statusQuery, func() (Status, error) { return f.status(), nil }),
		workflow.SetQueryHandler(f.ctx, outcomesQuery, func() (map[protocol.Outcome]resubmit.OrderSet, error) {
			return f.Outcomes, nil
		}))
	f.news = workflow.NewSelector(f.ctx)
	f.news.AddReceive(workflow.GetSignalChannel(f.ctx, reportSignal), func(ch workflow.ReceiveChannel, _ bool) {
		var r report // a fresh one: JSON merges into what is there
		ch.Receive(f.ctx, &r)
		f.reported(r)
	})
	f.news.AddReceive(workflow.GetSignalChannel(f.ctx, controlSignal), func(ch workflow.ReceiveChannel, _ bool) {
		var by control
		ch.Receive(f.ctx, &by)
		f.setControl(by)
	})
	cancelled := workflow.NewBufferedChannel(f.ctx, 1)
	f.news.AddReceive(cancelled, func(ch workflow.ReceiveChannel, _ bool) { ch.Receive(f.ctx, nil) })
	workflow.Go(f.ctx, func(ctx workflow.Context) {
		f.own.Done().Receive(ctx, nil)
		cancelled.SendAsync(true)
	})
	f.watch()
	return err
}

// drain handles what is there.
func (f *planFlow) drain() {
	for f.news.HasPending() {
		f.news.Select(f.ctx)
	}
	if f.own.Err() != nil {
		f.setControl(control{State: resubmit.StateCancelled})
	}
}

// after does something later.
func (f *planFlow) after(d time.Duration, do func()) {
	f.news.AddFuture(workflow.NewTimer(f.ctx, d), func(workflow.Future) { do() })
}

// watch looks from time to time whether the chains are still there.
func (f *planFlow) watch() {
	f.after(lookAgain, func() {
		f.dirty = true
		f.tellAll(control{})
		f.watch()
	})
}

// done reports whether nothing is left to do.
func (f *planFlow) done() bool {
	return len(f.Running) == 0 && !f.looking && (f.stops() && f.Recalled || !f.dirty && f.Left == 0)
}

func (f *planFlow) stops() bool { return rank(f.Control.State) > rank(resubmit.StatePaused) }

// mayBegin reports whether it is worth looking for what may begin, or which orders earlier runs have done.
func (f *planFlow) mayBegin() bool {
	if f.looking || f.stops() {
		return !f.looking && !f.Recalled
	}
	waiting := 0
	for _, first := range workflow.DeterministicKeys(f.Running) {
		if !f.Running[first].Sent {
			waiting++
		}
	}
	return f.dirty && f.Control.State == resubmit.StateRunning && waiting <= ahead/2 && len(f.Running) < mostRunning
}

// begin begins the chains that the canary allows.
func (f *planFlow) begin() {
	f.looking = true
	f.after(gather, func() {
		ctx := workflow.WithActivityOptions(f.ctx, workflow.ActivityOptions{
			TaskQueue: f.Setup.Queue, StartToCloseTimeout: 10 * time.Minute, HeartbeatTimeout: heartbeatTimeout,
			RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 3, MaximumInterval: time.Second},
		})
		in := readyInput{
			Digest: f.Setup.Digest, Run: workflow.GetInfo(f.ctx).FirstRunID + "-" + strconv.Itoa(f.Lost),
			Done: f.Outcomes, Tried: f.Tried, Most: ahead, Rate: f.Control.Rate,
		}
		f.dirty = false
		f.news.AddFuture(workflow.ExecuteActivity(ctx, readyActivity, in), func(found workflow.Future) {
			f.looking = false
			var ready resubmit.Ready
			if err := found.Get(f.ctx, &ready); err != nil {
				f.failed(err)
				return
			}
			f.found(ready)
		})
	})
}

// found begins what may begin.
func (f *planFlow) found(ready resubmit.Ready) {
	f.Problem, f.Canary, f.Left, f.Recalled = "", ready.Canary, ready.Left, true
	if f.Judging = ready.Judging; !f.Judging {
		f.forget()
	}
	for place := range f.Total {
		for _, o := range protocol.Outcomes() {
			if ready.Ended[o].Has(place) {
				f.finish(place, o)
			}
		}
		if ready.NotStarted.Has(place) {
			f.finish(place, protocol.NotStarted)
			f.dirty = true
		}
	}
	if f.Control.State != resubmit.StateRunning {
		f.dirty = true
		return
	}
	for _, c := range ready.Chains {
		f.start(c)
	}
	if f.Left > 0 && len(f.Running) == 0 && !f.dirty {
		f.again()
	}
}

// failed handles an activity that found nothing to begin.
func (f *planFlow) failed(err error) {
	if fatal, ok := errors.AsType[*temporal.ApplicationError](err); ok && endsPlan(fatal) {
		f.end(fatal.Message(), fatal.Type() == commandedType)
	} else {
		f.Problem = err.Error()
		f.again()
	}
	f.Recalled = f.Recalled || f.stops() // a run that ends does not wait for that
}

// again looks again later for what may begin.
func (f *planFlow) again() {
	f.dirty, f.looking = true, true
	f.after(tryAgain, func() { f.looking = false })
}

// end ends the run of the plan because of an error, or a command of an operator.
func (f *planFlow) end(why string, command bool) {
	f.Fatal, f.Command = cmp.Or(f.Fatal, why), f.Command || command
	f.setControl(control{State: resubmit.StateCancelled})
}

// start starts the workflow of a chain. It may run already, begun by an earlier run of the plan: then it reports to
// this one.
func (f *planFlow) start(next resubmit.NextChain) {
	first := next.Places[0]
	c, told := &running{Places: next.Places, begins: true}, f.Control
	f.Running[first], f.Tried[first] = c, ""
	options := workflow.ChildWorkflowOptions{
		WorkflowID: f.Setup.chainID(first), TaskQueue: f.Setup.Queue,
		ParentClosePolicy:     enums.PARENT_CLOSE_POLICY_ABANDON, // a plan continues as a new run
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, WorkflowTaskTimeout: 5 * time.Second,
	}
	if f.Setup.Attributes {
		options.TypedSearchAttributes = f.Setup.attributes(vendorAttribute.ValueSet(next.Vendor))
	}
	child := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(f.ctx, options), chainWorkflow, chainInput{
		Setup: f.Setup, Chain: next, Judge: f.Judging, Control: f.Control,
	})
	begun := child.GetChildWorkflowExecution()
	f.asked++
	f.news.AddFuture(begun, func(begun workflow.Future) {
		f.asked--
		err := begun.Get(f.ctx, nil)
		c.begins = false
		switch {
		case err != nil && !isRunning(err):
			f.left(first, c)
		case err != nil || f.Control != told:
			f.tell(first, f.Control) // if it is about to end, it reports that again
		}
	})
	f.news.AddFuture(child, func(child workflow.Future) {
		if !isRunning(child.Get(f.ctx, nil)) {
			f.left(first, c)
		}
	})
}

// isRunning reports whether a chain was not started because it runs already.
func isRunning(err error) bool {
	_, running := errors.AsType[*temporal.ChildWorkflowExecutionAlreadyStartedError](err)
	return running
}

// attributes returns the search attributes of all workflows of a plan, and more.
func (s *setup) attributes(more ...temporal.SearchAttributeUpdate) temporal.SearchAttributes {
	more = append(more, systemAttribute.ValueSet(s.System), planAttribute.ValueSet(s.Digest))
	return temporal.NewSearchAttributes(more...)
}

// left forgets a chain that does not run any more. Orders that it has not done are begun again.
func (f *planFlow) left(first int, c *running) {
	if c == nil || f.Running[first] != c {
		return
	}
	delete(f.Running, first)
	f.dirty = true
	undone := false
	for _, place := range c.Places {
		if !f.isFinished(place) {
			delete(f.Tried, place)
			undone = true
		}
	}
	if undone {
		f.Lost++
	}
}

// reported handles what a chain reports.
func (f *planFlow) reported(r report) {
	if r.Fatal != "" {
		f.end(r.Fatal, r.Command)
	}
	if r.Problem != "" || r.Sent {
		f.Problem = r.Problem
	}
	if r.Stopped && !f.stops() { // as an earlier run of the plan wanted
		r.Outcome, r.Health = "", ""
	}
	if !r.Ended || r.Outcome != "" {
		f.judged(r)
	}
	c := f.Running[r.Chain]
	switch {
	case c == nil:
	case r.Ended:
		f.left(r.Chain, c)
	case r.Outcome != "":
		c.Sent = false
		if at := slices.Index(c.Places, r.Place) + 1; at > 0 && at < len(c.Places) {
			f.Tried[c.Places[at]] = ""
		}
	default:
		c.Sent = c.Sent || r.Sent
		f.dirty = f.dirty || f.Left > 0
	}
}

// judged notes the health and the outcome of an order.
func (f *planFlow) judged(r report) {
	if health, ok := f.Tried[r.Place]; (ok || r.Health != "") && health != r.Health {
		f.Tried[r.Place] = r.Health
		f.dirty = true
	}
	if r.Outcome == "" {
		return
	}
	f.finish(r.Place, r.Outcome)
	if r.Health == "" || !f.Judging {
		delete(f.Tried, r.Place)
	}
}

// finish notes that an order is done. A chain that was begun twice may report it twice.
func (f *planFlow) finish(place int, o protocol.Outcome) {
	if f.isFinished(place) {
		return
	}
	p := f.Outcomes[o]
	p.Add(place)
	f.Outcomes[o] = p
}

func (f *planFlow) isFinished(place int) bool {
	for _, o := range protocol.Outcomes() {
		if f.Outcomes[o].Has(place) {
			return true
		}
	}
	return false
}

// forget forgets the judgments of orders that are done. No canary needs them.
func (f *planFlow) forget() {
	for _, place := range workflow.DeterministicKeys(f.Tried) {
		if f.isFinished(place) {
			delete(f.Tried, place)
		}
	}
}

// setControl changes the control of the plan and of all its chains.
func (f *planFlow) setControl(by control) {
	was := f.Control
	if f.Control = f.Control.change(by); f.Control != was {
		f.Control.Version = max(was.Version+1, workflow.Now(f.ctx).UnixMicro())
		f.dirty = true
		f.tellAll(f.Control)
	}
}

func (f *planFlow) tellAll(c control) {
	for _, first := range workflow.DeterministicKeys(f.Running) {
		if !f.Running[first].begins { // otherwise it gets it when it has begun
			f.tell(first, c)
		}
	}
}

// tell signals a chain. An empty control changes nothing, but shows whether the chain is still there.
func (f *planFlow) tell(first int, by control) {
	c := f.Running[first]
	sent := workflow.SignalExternalWorkflow(f.ctx, f.Setup.chainID(first), "", controlSignal, by)
	f.asked++
	f.news.AddFuture(sent, func(sent workflow.Future) {
		f.asked--
		if sent.Get(f.ctx, nil) != nil {
			f.left(first, c)
		}
	})
}

// counts counts the orders by outcome.
func (f *planFlow) counts() map[protocol.Outcome]int {
	counts := make(map[protocol.Outcome]int)
	for _, o := range protocol.Outcomes() {
		if n := f.Outcomes[o].Len(); n > 0 {
			counts[o] = n
		}
	}
	return counts
}

func (f *planFlow) result() result {
	r := result{Counts: f.counts(), Error: f.Fatal, Command: f.Command}
	rest := f.Total
	for _, o := range workflow.DeterministicKeys(r.Counts) {
		rest -= r.Counts[o]
	}
	if rest > 0 {
		r.Counts[protocol.NotStarted] += rest
	}
	return r
}

func (f *planFlow) status() Status {
	s := Status{
		State: f.Control.State, Rate: f.Control.Rate, Total: f.Total, Outcomes: f.counts(), Chains: len(f.Running),
		Canary: f.Canary, Problem: f.Problem, Error: f.Fatal,
	}
	for _, first := range workflow.DeterministicKeys(f.Running) {
		if f.Running[first].Sent {
			s.Verifying++
		}
	}
	return s
}
