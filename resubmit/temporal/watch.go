package temporal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

var (
	// ErrWatching means that a workflow already watches the system.
	ErrWatching = errors.New("temporal: a workflow already watches the system")
	// ErrNotWatching means that no workflow watches the system.
	ErrNotWatching = errors.New("temporal: no workflow watches the system")
	// ErrNotWaiting means that the plan does not wait for a decision: it was replaced, is decided, or was never made.
	ErrNotWaiting = errors.New("temporal: the plan does not wait for a decision")
)

// WatchOptions are the options of StartWatch and WatchOnce.
type WatchOptions struct {
	// System is the name of the systems that the workers have, see [resubmit.Systems]. Required.
	System string
	// TaskQueue is that of the workers. Default DefaultQueue.
	TaskQueue string
	// Rate is that of the plans, see StartOptions.
	Rate float64
	// From leaves out maintenance that ended before, for instance what was decided before StopWatch. Zero: that of the
	// last Options.Watch.MaxAge is handled.
	From time.Time
	// OmitSearchAttributes starts workflows without search attributes, which then need not be registered.
	OmitSearchAttributes bool
}

func (o *WatchOptions) input() (in watchInput, err error) {
	if o.System == "" {
		return in, errors.New("temporal: WatchOptions.System is empty; give the name of the workers' Systems")
	}
	if o.Rate != 0 {
		err = checkRate(o.Rate)
	}
	queue := o.TaskQueue
	if queue == "" {
		queue = DefaultQueue
	}
	return watchInput{
		System: o.System, Queue: queue, Attributes: !o.OmitSearchAttributes, Rate: o.Rate,
		History: watch.History{From: o.From.Round(0)},
	}, err
}

// watchID is the id of the workflow that watches a system.
func watchID(system string) string { return "resubmit-watch-" + system }

// StartWatch starts the workflow that watches a system: after each maintenance it plans, waits for an approval if the
// plan is beyond the limits, and applies the plan. It runs until StopWatch. The workers need Options.Watch. The error
// matches ErrWatching if a workflow already watches the system.
func StartWatch(ctx context.Context, c client.Client, o WatchOptions) error {
	in, err := o.input()
	if err != nil {
		return err
	}
	_, err = c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: watchID(o.System), TaskQueue: in.Queue, WorkflowTaskTimeout: 5 * time.Second,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		TypedSearchAttributes:                    in.attributes(),
	}, watchWorkflow, in)
	if _, ok := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); ok {
		return fmt.Errorf("%w: %s", ErrWatching, o.System)
	}
	return aboutSystem(o.System, err)
}

// WatchOnce returns the action of a schedule: each time, the maintenance that has ended since the last time is handled,
// and one that is in progress is waited for. A run fails if a workflow watches the system already.
//
//	action, err := temporal.WatchOnce(temporal.WatchOptions{System: systems.Name})
//	if err != nil {
//		return err
//	}
//	_, err = c.ScheduleClient().Create(ctx, client.ScheduleOptions{
//		ID:     "resubmit-nightly",
//		Spec:   client.ScheduleSpec{CronExpressions: []string{"CRON_TZ=Europe/Berlin 0 6 * * *"}},
//		Action: action,
//	})
//
// The default of a schedule skips a night whose predecessor still runs. See [Approval] for plans that need one.
func WatchOnce(o WatchOptions) (*client.ScheduleWorkflowAction, error) {
	in, err := o.input()
	if err != nil {
		return nil, err
	}
	return &client.ScheduleWorkflowAction{
		ID: watchID(o.System) + "-once", Workflow: onceWorkflow, Args: []any{in}, TaskQueue: in.Queue,
		WorkflowTaskTimeout: 5 * time.Second, TypedSearchAttributes: in.attributes(),
	}, nil
}

// StopWatch stops watching. A plan that is being applied continues, see Cancel, and one that waits for an approval is
// dropped. What was decided is forgotten: StartWatch begins again with the maintenance of the last days, also if its
// plan was rejected, unless WatchOptions.From is later. Orders that were resubmitted are not sent again.
func StopWatch(ctx context.Context, c client.Client, system string) error {
	return aboutSystem(system, c.CancelWorkflow(ctx, watchID(system), ""))
}

// WatchStatus is what the workflow that watches a system does.
type WatchStatus struct {
	// Phase is that of a Watcher.
	Phase watch.Phase `json:"phase"`
	// Text describes it in a sentence. Until is when it is expected to end; zero if that is not known.
	Text  string    `json:"text,omitempty"`
	Until time.Time `json:"until,omitzero"`
	// Episode is the maintenance that is handled; nil if there is none.
	Episode *watch.Episode `json:"episode,omitempty"`
	// Digest is that of the plan that waits for an approval or is applied, see GetStatus, and Orders how many orders it
	// resubmits. Reasons are why it needs an approval.
	Digest  string   `json:"digest,omitempty"`
	Orders  int      `json:"orders,omitempty"`
	Reasons []string `json:"reasons,omitempty"`
	// Problem is the last error, "" after a success. Refused is the last decision that was refused, and why.
	Problem string `json:"problem,omitempty"`
	Refused string `json:"refused,omitempty"`
	// Last is the maintenance that was handled last.
	Last *watch.Episode `json:"last,omitempty"`
}

// GetWatchStatus returns what the workflow that watches a system does. It needs a worker, and returns an error within a
// few seconds if none answers.
func GetWatchStatus(ctx context.Context, c client.Client, system string) (s WatchStatus, err error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	v, err := c.QueryWorkflow(ctx, watchID(system), "", statusQuery)
	if err == nil {
		err = v.Get(&s)
	}
	return s, aboutSystem(system, err)
}

// aboutSystem adds to an error which system it is about.
func aboutSystem(system string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*serviceerror.NotFound](err); ok {
		return fmt.Errorf("%w: %s", ErrNotWatching, system)
	}
	return fmt.Errorf("temporal: the watch of %s: %w", system, err)
}

// Approval approves or rejects the plan that waits, see WatchStatus.Digest.
type Approval struct {
	System string
	// Digest is that of the plan that was reviewed.
	Digest string
	// By is who decides, and Why the reason; for people.
	By, Why string
	// Signature is that of the plan, from [plan.Plan.Sign]. It is required if there are Options.Watch.State.Approvers or
	// Options.Runner.Require. Options.Watch.ApprovalKey signs only what Options.Watch.Approve approves.
	Signature *plan.Signature
}

// ApprovePlan approves the plan that waits. The error matches ErrNotWaiting if it is another one. A signature that is
// not accepted is in WatchStatus.Refused.
func ApprovePlan(ctx context.Context, c client.Client, a Approval) error {
	d := decision{Digest: a.Digest, By: a.By, Why: a.Why}
	if a.Signature != nil {
		d.Signature = string(a.Signature.Line())
	}
	return decide(ctx, c, a.System, d)
}

// RejectPlan rejects the plan that waits: its orders are left as they are until the next maintenance, see StopWatch.
// The error matches ErrNotWaiting if it is another one.
func RejectPlan(ctx context.Context, c client.Client, a Approval) error {
	return decide(ctx, c, a.System, decision{Digest: a.Digest, By: a.By, Why: a.Why, Rejected: true})
}

func decide(ctx context.Context, c client.Client, system string, d decision) error {
	if err := plan.CheckDigest(d.Digest); err != nil {
		return err
	}
	s, err := GetWatchStatus(ctx, c, system)
	if err != nil {
		return err
	}
	if s.Phase != watch.PhaseAwaitingApproval || s.Digest != d.Digest {
		return fmt.Errorf("%w: %s", ErrNotWaiting, d.Digest)
	}
	return aboutSystem(system, c.SignalWorkflow(ctx, watchID(system), "", decisionSignal, d)) // bound to the digest
}
