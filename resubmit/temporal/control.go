package temporal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// DefaultQueue is the default of the task queue.
const DefaultQueue = "resubmit"

var (
	// ErrRunning means that the plan is already running.
	ErrRunning = errors.New("temporal: the plan is already running")
	// ErrNotRunning means that the plan was never started, or that its workflow is not known any more.
	ErrNotRunning = errors.New("temporal: the plan is not running")
)

// queryTimeout is how long a query may take. It needs a worker.
const queryTimeout = 5 * time.Second

// StartOptions are the options of Start. The zero value has the defaults.
type StartOptions struct {
	// TaskQueue is that of the workers. Default DefaultQueue.
	TaskQueue string
	// Rate is the limit in calls per second of all workers together. 0: that of the workers' configuration.
	Rate float64
	// OmitSearchAttributes starts workflows without search attributes, which then need not be registered.
	OmitSearchAttributes bool
}

// Start starts the workflow of a plan, which the plan.Store of the workers must have. It returns an error that matches
// ErrRunning if the plan is running. A plan that has ended continues: orders that were pushed are verified.
func Start(ctx context.Context, c client.Client, p *plan.Plan, o StartOptions) error {
	in, err := newPlanInput(p, o)
	if err != nil {
		return err
	}
	options := client.StartWorkflowOptions{
		ID: planID(p.Digest()), TaskQueue: in.Setup.Queue, WorkflowTaskTimeout: 5 * time.Second,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy:                 enums.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
	}
	if in.Setup.Attributes {
		options.TypedSearchAttributes = in.Setup.attributes()
	}
	_, err = c.ExecuteWorkflow(ctx, options, planWorkflow, in)
	if _, ok := errors.AsType[*serviceerror.WorkflowExecutionAlreadyStarted](err); ok {
		return fmt.Errorf("%w: %s", ErrRunning, p.Digest())
	}
	if err != nil {
		return fmt.Errorf("temporal: start the plan %s: %w", p.Digest(), err)
	}
	return nil
}

// newPlanInput returns the input of the workflow of a plan.
func newPlanInput(p *plan.Plan, o StartOptions) (in planInput, err error) {
	if o.Rate != 0 {
		if err := checkRate(o.Rate); err != nil {
			return in, err
		}
	}
	var policy protocol.Policy
	if err := json.Unmarshal(p.Header().Policy, &policy); p.Header().Policy != nil && err != nil {
		return in, fmt.Errorf("temporal: the policy of the plan: %w", err)
	}
	policy = policy.WithDefaults()
	if o.TaskQueue == "" {
		o.TaskQueue = DefaultQueue
	}
	return planInput{
		Setup: setup{
			Digest: p.Digest(), System: p.Header().System, PushTimeout: policy.PushTimeout, SettleDelay: policy.SettleDelay,
			Attributes: !o.OmitSearchAttributes, Queue: o.TaskQueue,
		},
		Total: p.Index().Len(), Control: control{State: resubmit.StateRunning, Rate: o.Rate},
	}, nil
}

// Status is how far a plan is.
type Status struct {
	State resubmit.RunState `json:"state"`
	// Rate is the limit in calls per second; 0 is that of the workers' configuration.
	Rate float64 `json:"rate,omitempty"`
	// Total is how many orders the plan marks for resubmission, Outcomes how many of them are done, by outcome.
	Total    int                      `json:"total"`
	Outcomes map[protocol.Outcome]int `json:"outcomes"`
	// Chains is how many chains run; orders that share a subscription or tenant are one. Verifying is in how many of them
	// an order was sent and is being verified.
	Chains    int                     `json:"chains"`
	Verifying int                     `json:"verifying"`
	Canary    []resubmit.CanaryStatus `json:"canary,omitempty"`
	// Problem is why orders are not attempted: activities that fail, for instance because no worker can open the plan, or
	// what the orders wait for, such as the end of a maintenance. "" if nothing is known.
	Problem string `json:"problem,omitempty"`
	// Error is why the run has ended early.
	Error string `json:"error,omitempty"`
}

// GetStatus returns how far a plan is. It needs a worker, and returns an error within a few seconds if none answers.
func GetStatus(ctx context.Context, c client.Client, digest string) (s Status, err error) {
	err = query(ctx, c, digest, statusQuery, &s)
	return s, err
}

func query(ctx context.Context, c client.Client, digest, name string, to any) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	v, err := c.QueryWorkflow(ctx, planID(digest), "", name)
	if err != nil {
		return about(digest, err)
	}
	return v.Get(to)
}

// about adds to an error which plan it is about.
func about(digest string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*serviceerror.NotFound](err); ok {
		return fmt.Errorf("%w: %s", ErrNotRunning, digest)
	}
	return fmt.Errorf("temporal: the plan %s: %w", digest, err)
}

// Pause sends no further push until Resume. Pushes in flight finish, and verification continues.
func Pause(ctx context.Context, c client.Client, digest string) error {
	return signal(ctx, c, digest, control{State: resubmit.StatePaused})
}

// Resume ends a Pause.
func Resume(ctx context.Context, c client.Client, digest string) error {
	return signal(ctx, c, digest, control{State: resubmit.StateRunning})
}

// SetRate changes the limit of all workers together, in calls per second.
func SetRate(ctx context.Context, c client.Client, digest string, rate float64) error {
	if err := checkRate(rate); err != nil {
		return err
	}
	return signal(ctx, c, digest, control{Rate: rate})
}

func checkRate(rate float64) error {
	if !(rate >= 0.001 && rate <= 100_000) {
		return fmt.Errorf("temporal: the rate is %v; give calls per second, 0.001 to 100000", rate)
	}
	return nil
}

// Drain sends no further push, verifies what was pushed, and then ends the run.
func Drain(ctx context.Context, c client.Client, digest string) error {
	return signal(ctx, c, digest, control{State: resubmit.StateDraining})
}

// Cancel sends no further push and ends the run. Pushes in flight finish. Start continues the plan.
func Cancel(ctx context.Context, c client.Client, digest string) error {
	return signal(ctx, c, digest, control{State: resubmit.StateCancelled})
}

func signal(ctx context.Context, c client.Client, digest string, by control) error {
	return about(digest, c.SignalWorkflow(ctx, planID(digest), "", controlSignal, by))
}

// Wait waits until the run of a plan has ended. The error is why it ended early.
func Wait(ctx context.Context, c client.Client, digest string) (map[protocol.Outcome]int, error) {
	var r result
	if err := c.GetWorkflow(ctx, planID(digest), "").Get(ctx, &r); err != nil {
		return nil, about(digest, err)
	}
	if r.Error != "" {
		return r.Counts, fmt.Errorf("temporal: the plan %s ended early: %s", digest, r.Error)
	}
	return r.Counts, nil
}

// Report returns what the journal and the workflow of a plan know of its orders, as [resubmit.RecordedReport] does;
// orders that were skipped, blocked or not started are in it too, without the reason. It is nil if the plan was never
// started.
func Report(ctx context.Context, c client.Client, j resubmit.Journal, p *plan.Plan) (*resubmit.Report, error) {
	r, err := resubmit.RecordedReport(ctx, j, p)
	if err != nil || r == nil {
		return nil, err
	}
	var outcomes map[protocol.Outcome]resubmit.OrderSet
	if err := query(ctx, c, p.Digest(), outcomesQuery, &outcomes); err != nil {
		return nil, err
	}
	known := make(map[string]bool)
	for i := range r.Items {
		known[r.Items[i].OrderID] = true
	}
	for _, o := range slices.Sorted(maps.Keys(outcomes)) {
		for place := range p.Index().Len() {
			if !outcomes[o].Has(place) {
				continue
			}
			e, err := p.Index().Entry(place)
			if err != nil {
				return nil, err
			}
			if !known[e.OrderID] {
				r.AddUnrecorded(e, o)
			}
		}
	}
	return r, nil
}
