package temporal

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// The names that histories of watching have. They never change.
const (
	watchWorkflow   = "ResubmitWatch"
	onceWorkflow    = "ResubmitWatchOnce"
	nextActivity    = "ResubmitNext"
	makeActivity    = "ResubmitMakePlan"
	askActivity     = "ResubmitAsk"
	approveActivity = "ResubmitApprove"
	decisionSignal  = "decision"
	refusedType     = "refused" // of an error that refuses an approval
)

const (
	// shortWait is how long to wait at least before orders that must wait are planned again.
	shortWait = time.Minute
	// askWait is how long to wait before Config.Approve is asked again.
	askWait = 15 * time.Minute
	// mostText is the length of texts in the status and in the history.
	mostText = 500
)

// watchInput is the input of the workflow that watches a system, and what it hands to its next run.
type watchInput struct {
	System     string         `json:"system"`
	Queue      string         `json:"queue"`
	Attributes bool           `json:"attributes,omitempty"`
	Rate       float64        `json:"rate,omitempty"`
	Once       bool           `json:"once,omitempty"` // ends when no maintenance is to be handled
	History    watch.History  `json:"history"`
	Open       *openPlan      `json:"open,omitempty"`
	Failures   int            `json:"failures,omitempty"` // in a row
	Problem    string         `json:"problem,omitempty"`
	Last       *watch.Episode `json:"last,omitempty"`
}

// openPlan is a plan that waits for an approval or is being applied.
type openPlan struct {
	Episode  watch.Episode `json:"episode"`
	Plan     madePlan      `json:"plan"`
	Approved bool          `json:"approved,omitempty"`
	MadeAt   time.Time     `json:"madeAt"`
	AskAt    time.Time     `json:"askAt"` // when to ask Config.Approve
}

// decision is the payload of the signal that approves or rejects a plan.
type decision struct {
	Digest    string `json:"digest"`
	Rejected  bool   `json:"rejected,omitempty"`
	By        string `json:"by,omitempty"`
	Why       string `json:"why,omitempty"`
	Signature string `json:"signature,omitempty"` // the line of the signature file
}

// watchFlow is the workflow that watches a system.
type watchFlow struct {
	watchInput

	ctx       workflow.Context
	decisions workflow.ReceiveChannel
	now       watch.Next
	refused   string
	closed    bool // an episode
}

// runWatch handles one maintenance after the other, each in a run of its own.
func runWatch(ctx workflow.Context, in watchInput) (watch.History, error) {
	f := &watchFlow{watchInput: in, ctx: ctx, decisions: workflow.GetSignalChannel(ctx, decisionSignal)}
	err := workflow.SetQueryHandler(ctx, statusQuery, func() (WatchStatus, error) { return f.status(), nil })
	for err == nil {
		f.drain()
		switch {
		case ctx.Err() != nil && f.Once:
			return f.History, nil // for the next night
		case ctx.Err() != nil:
			err = ctx.Err()
		case f.Once && f.Open == nil && f.now.Phase == watch.PhaseIdle:
			return f.History, nil
		case f.closed || f.long():
			err = workflow.NewContinueAsNewError(ctx, watchWorkflow, f.watchInput)
		default:
			err = f.step()
		}
	}
	return f.History, err
}

func (f *watchFlow) long() bool {
	info := workflow.GetInfo(f.ctx)
	return info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > mostEvents
}

// step does what is due. An error ends the workflow.
func (f *watchFlow) step() error {
	var err error
	switch {
	case f.Open == nil:
		err = f.look()
	case !f.Open.Approved:
		err = f.await()
	default:
		err = f.apply()
	}
	if err == nil || f.ctx.Err() != nil {
		return f.ctx.Err()
	}
	f.problem(err.Error())
	f.now.Phase = watch.PhaseError
	pause := min(30*time.Second<<min(f.Failures, 10), 10*time.Minute)
	f.Failures++
	return f.wait(pause)
}

// wait waits, or until a decision about the plan arrives.
func (f *watchFlow) wait(pause time.Duration) error {
	_, err := workflow.AwaitWithTimeout(f.ctx, max(pause, time.Second), func() bool {
		return f.Open != nil && f.decisions.Len() > 0
	})
	return err
}

func (f *watchFlow) problem(why string) {
	f.Problem = text.Excerpt(text.OneLine(why), mostText)
	workflow.GetLogger(f.ctx).Warn("watching failed", "system", f.System, "error", f.Problem)
}

// do executes an activity, which may be repeated.
func (f *watchFlow) do(most time.Duration, name string, in, out any) error {
	ctx := workflow.WithActivityOptions(f.ctx, workflow.ActivityOptions{
		TaskQueue: f.Queue, StartToCloseTimeout: most, HeartbeatTimeout: heartbeatTimeout,
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 3, MaximumInterval: 10 * time.Second},
	})
	return workflow.ExecuteActivity(ctx, name, in).Get(ctx, out)
}

// look looks whether a maintenance is to be handled, and makes a plan if it is time to.
func (f *watchFlow) look() error {
	var out nextOutput
	if err := f.do(10*time.Minute, nextActivity, nextInput{System: f.System, History: f.History}, &out); err != nil {
		return err
	}
	f.History, f.now = out.History, out.Next
	if f.now.Phase == watch.PhasePlanning {
		return f.makePlan(*f.now.Episode)
	}
	f.Failures, f.Problem = 0, ""
	if f.Once && f.now.Phase == watch.PhaseIdle {
		return nil
	}
	return workflow.Sleep(f.ctx, max(f.now.Pause, time.Second))
}

// makePlan makes a plan for an episode.
func (f *watchFlow) makePlan(e watch.Episode) error {
	var p madePlan
	in := makeInput{System: f.System, Episode: e, Queue: f.Queue, Attributes: f.Attributes, Rate: f.Rate}
	if err := f.do(6*time.Hour, makeActivity, in, &p); err != nil {
		return err
	}
	now := workflow.Now(f.ctx)
	e.State = watch.EpisodeOpen
	f.Open = &openPlan{Episode: e, Plan: p, Approved: len(p.Reasons) == 0, MadeAt: now, AskAt: now}
	switch {
	case p.Input.Total > 0:
	case p.Waits:
		f.Open = nil
		f.History.PlanAt = now.Add(shortWait)
		if p.Due.After(f.History.PlanAt) {
			f.History.PlanAt = p.Due
		}
	default:
		f.close(watch.EpisodeEmpty, "there is no order to resubmit: "+p.Counts)
	}
	return nil
}

// await waits for a decision about a plan, which drain handles. The plan is dropped if the next maintenance has begun,
// or nobody has decided in time: then another one is made.
func (f *watchFlow) await() error {
	o, now := f.Open, workflow.Now(f.ctx)
	again := o.MadeAt.Add(o.Plan.ApprovalTime)
	switch {
	case !now.Before(o.Episode.End().Add(o.Plan.MaxAge)):
		f.close(watch.EpisodeExpired, "nobody decided about the plan in time")
		return nil
	case !now.Before(again):
		f.drop("nobody has decided about the plan")
		return nil
	case o.Plan.Asks && !now.Before(o.AskAt):
		return f.ask()
	}
	var out nextOutput
	in := nextInput{System: f.System, History: f.History}
	in.History.Episodes = append(slices.Clone(in.History.Episodes), o.Episode)
	if err := f.do(10*time.Minute, nextActivity, in, &out); err != nil {
		return err
	}
	f.Failures, f.Problem = 0, ""
	switch out.Next.Phase {
	case watch.PhaseAwaitingApproval:
	case watch.PhaseNoCalendar: // the worker has just started
		return f.wait(out.Next.Pause)
	default:
		f.drop("the next maintenance began before a decision")
		return nil
	}
	pause := min(o.Plan.Refresh, again.Sub(now))
	if o.Plan.Asks {
		pause = min(pause, o.AskAt.Sub(now))
	}
	return f.wait(pause)
}

// drop forgets the plan, so that another one is made.
func (f *watchFlow) drop(why string) {
	workflow.GetLogger(f.ctx).Info("plan dropped", "system", f.System, "plan", f.Open.digest(), "detail", why)
	f.Open = nil
}

func (o *openPlan) digest() string { return o.Plan.Input.Setup.Digest }

// ask asks Config.Approve about the plan.
func (f *watchFlow) ask() error {
	var out askOutput
	in := askInput{System: f.System, Episode: f.Open.Episode, Digest: f.Open.digest()}
	if err := f.do(10*time.Minute, askActivity, in, &out); err != nil {
		return err
	}
	if f.Open.AskAt = out.Again; !out.Again.After(workflow.Now(f.ctx)) {
		f.Open.AskAt = workflow.Now(f.ctx).Add(askWait)
	}
	if out.Decision.Digest != "" {
		f.drain() // what a person has decided meanwhile
		f.decide(out.Decision, true)
	}
	return nil
}

// drain handles the decisions that were signalled.
func (f *watchFlow) drain() {
	for {
		var d decision
		if !f.decisions.ReceiveAsync(&d) {
			return
		}
		f.decide(d, false)
	}
}

// decide acts on a decision, of Config.Approve if it was asked, otherwise of a person.
func (f *watchFlow) decide(d decision, asked bool) {
	by := text.Short(cmp.Or(d.By, "somebody"))
	switch {
	case f.Open == nil || f.Open.Approved:
		f.refuse(&d, "no plan waits for a decision")
	case d.Digest != f.Open.digest():
		f.refuse(&d, "the plan that waits is "+f.Open.digest())
	case d.Rejected:
		f.close(watch.EpisodeRejected, "the plan "+d.Digest+" was rejected by "+by+": "+cmp.Or(d.Why, "no reason given"))
	default:
		in := approveInput{System: f.System, Decision: d, Asked: asked}
		if err := f.do(time.Hour, approveActivity, in, nil); err != nil {
			f.refuse(&d, err.Error())
			return
		}
		if f.drain(); f.Open == nil || f.Open.Approved {
			return // a person has rejected it meanwhile, or approved it again
		}
		f.Open.Approved = true
		workflow.GetLogger(f.ctx).Info("plan approved", "system", f.System, "plan", d.Digest, "by", by)
	}
}

func (f *watchFlow) refuse(d *decision, why string) {
	f.refused = text.Excerpt(text.OneLine(fmt.Sprintf("the decision of %s about the plan %s: %s",
		cmp.Or(d.By, "somebody"), text.Short(d.Digest), why)), mostText)
	workflow.GetLogger(f.ctx).Warn("decision refused", "system", f.System, "detail", f.refused)
}

// apply applies the plan, and waits for the end of its workflow. If that ended early because of an error, the
// maintenance is planned again.
func (f *watchFlow) apply() error {
	child := f.child(&f.Open.Plan.Input)
	if err := workflow.Await(f.ctx, child.IsReady); err != nil { // the workflow is stopped
		return err
	}
	var r result
	err := child.Get(f.ctx, &r)
	_, already := errors.AsType[*temporal.ChildWorkflowExecutionAlreadyStartedError](err)
	switch {
	case already: // started again after its end, it would undo a command to cancel it
		f.close(watch.EpisodeApplied, "somebody else has started the plan "+f.Open.digest()+"; see its status")
	case err != nil:
		f.close(watch.EpisodeApplied, "the plan "+f.Open.digest()+" was ended: "+err.Error())
	case r.Command:
		f.close(watch.EpisodeApplied, "the plan "+f.Open.digest()+" was ended: "+r.Error+": "+r.text())
	case r.Error != "":
		f.drop("it ended early: " + r.Error)
		return errors.New(r.Error)
	default:
		f.close(watch.EpisodeApplied, "the plan "+f.Open.digest()+" was applied: "+r.text())
	}
	return nil
}

// text describes the outcomes.
func (r *result) text() string {
	var parts []string
	for _, o := range protocol.Outcomes() {
		if n := r.Counts[o]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, o))
		}
	}
	return strings.Join(parts, ", ")
}

// child starts the workflow of a plan. It neither is cancelled nor ends with this one.
func (f *watchFlow) child(in *planInput) workflow.ChildWorkflowFuture {
	ctx, _ := workflow.NewDisconnectedContext(f.ctx)
	options := workflow.ChildWorkflowOptions{
		WorkflowID: planID(in.Setup.Digest), TaskQueue: f.Queue, WorkflowTaskTimeout: 5 * time.Second,
		ParentClosePolicy:     enums.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
	}
	if f.Attributes {
		options.TypedSearchAttributes = in.Setup.attributes()
	}
	return workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, options), planWorkflow, *in)
}

// close closes the episode.
func (f *watchFlow) close(how watch.EpisodeState, note string) {
	e := f.Open.Episode
	e.State, e.Note, e.ClosedAt = how, text.Excerpt(text.OneLine(note), mostText), workflow.Now(f.ctx).UTC()
	f.History.Episodes = append(f.History.Episodes, e)
	f.History.PlanAt, f.Open, f.Last, f.closed, f.Failures, f.Problem = time.Time{}, nil, &e, true, 0, ""
	workflow.GetLogger(f.ctx).Info("episode closed", "system", f.System, "episode", e.ID, "state", string(how),
		"detail", e.Note)
}

func (f *watchFlow) status() WatchStatus {
	s := WatchStatus{
		Phase: f.now.Phase, Text: f.now.Text, Until: f.now.Until, Episode: f.now.Episode, Problem: f.Problem,
		Refused: f.refused, Last: f.Last,
	}
	if f.Open == nil {
		return s
	}
	s.Episode, s.Digest, s.Orders, s.Until = &f.Open.Episode, f.Open.digest(), f.Open.Plan.Input.Total, time.Time{}
	s.Phase, s.Text = watch.PhaseApplying, "Resubmitting "+text.Orders(s.Orders)+"."
	if !f.Open.Approved {
		s.Phase, s.Reasons = watch.PhaseAwaitingApproval, f.Open.Plan.Reasons
		s.Text = "The plan waits for approval: " + strings.Join(s.Reasons, ", ") + "."
	}
	return s
}

// runOnce watches once, for a schedule: until no maintenance is to be handled. What was done is handed from one run of
// the schedule to the next.
func runOnce(ctx workflow.Context, in watchInput) (h watch.History, err error) {
	in.Once = true
	if workflow.HasLastCompletionResult(ctx) {
		if err := workflow.GetLastCompletionResult(ctx, &in.History); err != nil {
			return h, err
		}
	}
	options := workflow.ChildWorkflowOptions{
		WorkflowID: watchID(in.System), TaskQueue: in.Queue, WorkflowTaskTimeout: 5 * time.Second,
		ParentClosePolicy:     enums.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
		WorkflowIDReusePolicy: enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		TypedSearchAttributes: in.attributes(),
	}
	err = workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, options), watchWorkflow, in).Get(ctx, &h)
	if _, already := errors.AsType[*temporal.ChildWorkflowExecutionAlreadyStartedError](err); already {
		err = temporal.NewNonRetryableApplicationError(ErrWatching.Error(), refusedType, err)
	}
	return h, err
}

// attributes returns the search attributes.
func (in *watchInput) attributes() temporal.SearchAttributes {
	if !in.Attributes {
		return temporal.SearchAttributes{}
	}
	return temporal.NewSearchAttributes(systemAttribute.ValueSet(in.System))
}
