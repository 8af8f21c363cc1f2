package temporal

import (
	"cmp"
	"errors"
	"slices"
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
	// mostEvents is from which length of its history on a plan continues as a new run.
	mostEvents = 4000
)

// planInput is the input of the workflow of a plan, and what it hands to its next run.
type planInput struct {
	Setup    setup                                `json:"setup"`
	Total    int                                  `json:"total"`
	Control  control                              `json:"control"`
	Outcomes map[protocol.Outcome]resubmit.Places `json:"outcomes,omitempty"`
	Tried    map[int]resubmit.Health              `json:"tried,omitempty"`
	Running  map[int]*running                     `json:"running,omitempty"` // by the first place
	Canary   []resubmit.CanaryStatus              `json:"canary,omitempty"`
	Left     int                                  `json:"left,omitempty"`
	Problem  string                               `json:"problem,omitempty"`
	Fatal    string                               `json:"fatal,omitempty"`
}

// running is a chain that runs.
type running struct {
	Places []int `json:"places"` // of its orders
	Sent   bool  `json:"sent,omitempty"`
	begins bool  // the server has not confirmed that it runs
}

// planFlow is the workflow of a plan.
type planFlow struct {
	planInput
	ctx     workflow.Context // is not cancelled with the workflow, which then cancels its chains first
	dirty   bool             // something may begin
	judging bool             // by the canary
	asked   int              // chains and signals that the server has not confirmed yet
	news    workflow.Selector
	wake    workflow.Channel // the control has changed
}

// result is the result of the workflow of a plan.
type result struct {
	Counts map[protocol.Outcome]int `json:"counts"`
	Error  string                   `json:"error,omitempty"`
}

func runPlan(ctx workflow.Context, in planInput) (result, error) {
	f := &planFlow{planInput: in, dirty: true}
	f.ctx, _ = workflow.NewDisconnectedContext(ctx)
	if f.Outcomes == nil {
		f.Outcomes = make(map[protocol.Outcome]resubmit.Places)
		f.Tried, f.Running = make(map[int]resubmit.Health), make(map[int]*running)
	}
	if err := f.handle(ctx.Done()); err != nil {
		return result{}, err
	}
	for !f.done() {
		if f.drain(); f.asked == 0 && f.long() && ctx.Err() == nil {
			return result{}, workflow.NewContinueAsNewError(ctx, planWorkflow, f.planInput)
		}
		if f.mayBegin() {
			f.begin()
			continue
		}
		f.news.Select(f.ctx)
		f.drain()
	}
	return f.result(), nil
}

// long reports whether the history is so long that the plan must continue as a new run.
func (f *planFlow) long() bool {
	info := workflow.GetInfo(f.ctx)
	return info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > mostEvents
}

// handle registers what the workflow answers.
func (f *planFlow) handle(cancelled workflow.ReceiveChannel) error {
	err := errors.Join(
		workflow.SetQueryHandler(f.ctx, statusQuery, func() (Status, error) { return f.status(), nil }),
		workflow.SetQueryHandler(f.ctx, outcomesQuery, func() (map[protocol.Outcome]resubmit.Places, error) {
			return f.Outcomes, nil
		}))
	f.news = workflow.NewSelector(f.ctx)
	f.news.AddReceive(workflow.GetSignalChannel(f.ctx, reportSignal), func(ch workflow.ReceiveChannel, _ bool) {
		var r report // a fresh one: JSON merges into what is there
		ch.Receive(f.ctx, &r)
		f.reported(r)
	})
	f.wake = workflow.NewBufferedChannel(f.ctx, 1)
	f.news.AddReceive(f.wake, func(ch workflow.ReceiveChannel, _ bool) { ch.Receive(f.ctx, nil) })
	workflow.Go(f.ctx, func(ctx workflow.Context) { // also while the plan waits for something else
		for {
			var by control
			workflow.GetSignalChannel(ctx, controlSignal).Receive(ctx, &by)
			f.setControl(by)
		}
	})
	workflow.Go(f.ctx, func(ctx workflow.Context) {
		cancelled.Receive(ctx, nil)
		f.setControl(control{State: resubmit.StateCancelled})
	})
	f.watch()
	return err
}

// drain handles the signals that are there.
func (f *planFlow) drain() {
	for f.news.HasPending() {
		f.news.Select(f.ctx)
	}
	for {
		var by control
		if !workflow.GetSignalChannel(f.ctx, controlSignal).ReceiveAsync(&by) {
			return
		}
		f.setControl(by)
	}
}

// watch looks from time to time whether the chains are still there.
func (f *planFlow) watch() {
	f.news.AddFuture(workflow.NewTimer(f.ctx, lookAgain), func(workflow.Future) {
		f.dirty = true
		f.tellAll(control{})
		f.watch()
	})
}

// done reports whether nothing is left to do.
func (f *planFlow) done() bool {
	return len(f.Running) == 0 && (f.stops() || !f.dirty && f.Left == 0)
}

func (f *planFlow) stops() bool { return rank(f.Control.State) > rank(resubmit.StatePaused) }

// mayBegin reports whether it is worth looking for what may begin.
func (f *planFlow) mayBegin() bool {
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
	f.rest(gather)
	f.drain()
	if f.Control.State != resubmit.StateRunning {
		return
	}
	var ready resubmit.Ready
	ctx := workflow.WithActivityOptions(f.ctx, workflow.ActivityOptions{
		TaskQueue: f.Setup.Queue, StartToCloseTimeout: 10 * time.Minute, HeartbeatTimeout: heartbeatTimeout,
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 3, MaximumInterval: time.Second},
	})
	f.dirty = false
	in := readyInput{Digest: f.Setup.Digest, Done: f.finished(), Tried: f.Tried, Most: ahead, Rate: f.Control.Rate}
	if err := workflow.ExecuteActivity(ctx, readyActivity, in).Get(ctx, &ready); err != nil {
		f.failed(err)
		return
	}
	f.Problem, f.Canary, f.Left = "", ready.Canary, ready.Left
	if f.judging = ready.Judging; !f.judging {
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
		f.dirty = true
		f.rest(10 * time.Second)
	}
}

// failed handles an activity that found nothing to begin.
func (f *planFlow) failed(err error) {
	if fatal, ok := errors.AsType[*temporal.ApplicationError](err); ok && fatal.Type() == endedType {
		f.end(fatal.Message())
		return
	}
	f.Problem, f.dirty = err.Error(), true
	f.rest(10 * time.Second)
}

// rest waits. The context is never cancelled.
func (f *planFlow) rest(d time.Duration) { _ = workflow.Sleep(f.ctx, d) }

// end ends the run of the plan because of an error.
func (f *planFlow) end(why string) {
	f.Fatal = cmp.Or(f.Fatal, why)
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
		Setup: f.Setup, Chain: next, Judge: f.judging, Control: f.Control,
	})
	begun := child.GetChildWorkflowExecution()
	f.asked++
	f.news.AddFuture(begun, func(begun workflow.Future) {
		f.asked--
		err := begun.Get(f.ctx, nil)
		c.begins = false
		_, already := errors.AsType[*temporal.ChildWorkflowExecutionAlreadyStartedError](err)
		switch {
		case err != nil && !already:
			f.lost(first)
		case already || f.Control != told:
			f.tell(first, f.Control)
		}
	})
	f.news.AddFuture(child, func(child workflow.Future) {
		if begun.IsReady() && child.Get(f.ctx, nil) == nil {
			return // it has reported
		}
		if _, already := errors.AsType[*temporal.ChildWorkflowExecutionAlreadyStartedError](child.Get(f.ctx, nil)); !already {
			f.lost(first)
		}
	})
}

// attributes returns the search attributes of all workflows of a plan, and more.
func (s *setup) attributes(more ...temporal.SearchAttributeUpdate) temporal.SearchAttributes {
	more = append(more, systemAttribute.ValueSet(s.System), planAttribute.ValueSet(s.Digest))
	return temporal.NewSearchAttributes(more...)
}

// lost forgets a chain that does not run any more and has not said so, so that it is begun again.
func (f *planFlow) lost(first int) {
	c := f.Running[first]
	if c == nil {
		return
	}
	delete(f.Running, first)
	for _, place := range c.Places {
		if !f.isFinished(place) {
			delete(f.Tried, place)
		}
	}
	f.dirty = true
}

// reported handles what a chain reports.
func (f *planFlow) reported(r report) {
	f.Problem = cmp.Or(r.Problem, f.Problem)
	if r.Fatal != "" {
		f.end(r.Fatal)
	}
	if health, ok := f.Tried[r.Place]; (ok || r.Health != "") && health != r.Health {
		f.Tried[r.Place] = r.Health
		f.dirty = true
	}
	if r.Outcome != "" {
		f.finish(r.Place, r.Outcome)
		if r.Health == "" || !f.judging {
			delete(f.Tried, r.Place)
		}
	}
	c := f.Running[r.Chain]
	switch {
	case c == nil:
	case r.Ended:
		f.lost(r.Chain)
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

// finished returns the orders that are done.
func (f *planFlow) finished() (done resubmit.Places) {
	for _, o := range protocol.Outcomes() {
		for i, b := range f.Outcomes[o] {
			if i == len(done) {
				done = append(done, 0)
			}
			done[i] |= b
		}
	}
	return done
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
		f.dirty = true
		f.tellAll(f.Control)
		f.wake.SendAsync(true)
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
func (f *planFlow) tell(first int, c control) {
	sent := workflow.SignalExternalWorkflow(f.ctx, f.Setup.chainID(first), "", controlSignal, c)
	f.asked++
	f.news.AddFuture(sent, func(sent workflow.Future) {
		f.asked--
		if sent.Get(f.ctx, nil) != nil {
			f.lost(first)
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
	r := result{Counts: f.counts(), Error: f.Fatal}
	if rest := f.Total - f.finished().Len(); rest > 0 {
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
