package temporal

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

var otherDigest = "sha256:" + strings.Repeat("f", 64)

// watchFake has the activities of the workflow that watches, and the workflow of the plan.
type watchFake struct {
	mu       sync.Mutex
	env      *testsuite.TestWorkflowEnvironment
	window   maintenance.Window
	ready    time.Time // when Connect is
	second   time.Time // when another maintenance begins; zero if none does
	plan     madePlan
	due      time.Time // of orders that wait
	nextErrs int
	unknown  int // how often the worker that looks does not know the windows
	answers  []askOutput
	refuses  error

	made, asks, applied int
	madeAt              []time.Time
	approvals           []decision
	meanwhile           func() // called while an approval is handled
	results             []result
	takes               time.Duration // a plan
}

func (f *watchFake) next(_ context.Context, in nextInput) (nextOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out, now := nextOutput{History: in.History}, f.env.Now()
	if f.nextErrs > 0 {
		f.nextErrs--
		return out, temporal.NewNonRetryableApplicationError("no windows", "", nil)
	}
	if len(in.History.Episodes) > 0 && f.unknown > 0 {
		f.unknown--
		out.Next = watch.Next{Phase: watch.PhaseNoCalendar, Pause: time.Minute}
		return out, nil
	}
	w := f.window
	if !f.second.IsZero() && !now.Before(f.second) {
		w.End = f.second.Add(time.Hour)
	}
	e := &watch.Episode{ID: "maintenance-1", Windows: []maintenance.Window{w}}
	handled := slices.ContainsFunc(in.History.Episodes, func(h watch.Episode) bool { return h.End().Equal(w.End) })
	open := len(in.History.Episodes) > 0 && in.History.Episodes[len(in.History.Episodes)-1].State == watch.EpisodeOpen
	switch {
	case handled && open:
		out.Next = watch.Next{Phase: watch.PhaseAwaitingApproval, Pause: 5 * time.Minute}
	case handled:
		out.Next = watch.Next{Phase: watch.PhaseIdle, Pause: time.Hour}
	case now.Before(w.End):
		out.Next = watch.Next{Phase: watch.PhaseMaintenance, Episode: e, Pause: time.Minute}
	case now.Before(f.ready):
		out.Next = watch.Next{Phase: watch.PhaseNotReady, Episode: e, Pause: time.Minute}
	case now.Before(in.History.PlanAt):
		out.Next = watch.Next{Phase: watch.PhaseSettling, Episode: e, Pause: time.Minute}
	default:
		out.Next = watch.Next{Phase: watch.PhasePlanning, Episode: e}
	}
	return out, nil
}

// newWatch returns an environment in which a maintenance ends in an hour.
func newWatch(t *testing.T) *watchFake {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute}) // on a busy machine
	env.SetStartTime(time.Date(2026, 6, 1, 20, 0, 0, 0, time.UTC))
	f := &watchFake{env: env, results: []result{{Counts: map[protocol.Outcome]int{protocol.Completed: 7}}}}
	f.window = maintenance.Window{ID: "W", Start: env.Now().Add(-time.Hour), End: env.Now().Add(time.Hour)}
	f.plan = madePlan{
		Counts: "9 orders, resubmit 7, hold 2", ApprovalTime: 12 * time.Hour, MaxAge: 7 * 24 * time.Hour,
		Refresh: 5 * time.Minute, Input: planInput{Setup: setup{Digest: digest, System: "shop", Queue: "q"}, Total: 7},
	}
	for name, activityFunc := range map[string]any{
		nextActivity: f.next, makeActivity: f.make, askActivity: f.ask, approveActivity: f.approve,
	} {
		env.RegisterActivityWithOptions(activityFunc, activity.RegisterOptions{Name: name})
	}
	env.RegisterWorkflowWithOptions(runWatch, workflow.RegisterOptions{Name: watchWorkflow})
	env.RegisterWorkflowWithOptions(runOnce, workflow.RegisterOptions{Name: onceWorkflow})
	env.RegisterWorkflowWithOptions(f.apply, workflow.RegisterOptions{Name: planWorkflow})
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: watchID("shop"), TaskQueue: "q"})
	return f
}

func (f *watchFake) make(_ context.Context, in makeInput) (madePlan, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.made++; in.Episode.State != "" {
		return madePlan{}, errors.New("the episode is not a new one")
	}
	f.madeAt = append(f.madeAt, f.env.Now())
	if !f.due.IsZero() && f.env.Now().Before(f.due) {
		return madePlan{Waits: true, Due: f.due}, nil
	}
	return f.plan, nil
}

func (f *watchFake) ask(_ context.Context, in askInput) (out askOutput, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asks++
	if len(f.answers) > 0 {
		out, f.answers = f.answers[0], f.answers[1:]
	}
	return out, nil
}

func (f *watchFake) approve(_ context.Context, in approveInput) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.approvals = append(f.approvals, in.Decision)
	if f.meanwhile != nil {
		f.meanwhile()
	}
	return f.refuses
}

func (f *watchFake) apply(ctx workflow.Context, in planInput) (result, error) {
	r := f.results[min(f.applied, len(f.results)-1)]
	f.applied++
	return r, workflow.Sleep(ctx, f.takes)
}

// run runs the workflow until it has closed an episode, and returns the input of its next run.
func (f *watchFake) run(t *testing.T, in watchInput) watchInput {
	t.Helper()
	in.System, in.Queue = "shop", "q"
	f.env.ExecuteWorkflow(watchWorkflow, in)
	again, ok := errors.AsType[*workflow.ContinueAsNewError](f.env.GetWorkflowError())
	require.True(t, ok, f.env.GetWorkflowError())
	require.Equal(t, watchWorkflow, again.WorkflowType.Name)
	var next watchInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &next))
	return next
}

func (f *watchFake) status(t *testing.T) (s WatchStatus) {
	t.Helper()
	v, err := f.env.QueryWorkflow(statusQuery)
	require.NoError(t, err)
	require.NoError(t, v.Get(&s))
	return s
}

// after does something after some time.
func (f *watchFake) after(d time.Duration, do func()) { f.env.RegisterDelayedCallback(do, d) }

func (f *watchFake) signal(d decision) func() {
	return func() { f.env.SignalWorkflow(decisionSignal, d) }
}

func requireClosed(t *testing.T, in watchInput, how watch.EpisodeState, note string) {
	t.Helper()
	require.Nil(t, in.Open)
	require.Len(t, in.History.Episodes, 1)
	require.Equal(t, how, in.History.Episodes[0].State)
	require.Contains(t, in.History.Episodes[0].Note, note)
	require.Equal(t, in.History.Episodes[0], *in.Last)
}

func TestWatchAppliesAPlanWithinTheLimits(t *testing.T) {
	t.Parallel()
	f := newWatch(t)
	f.after(30*time.Minute, func() {
		require.Equal(t, watch.PhaseMaintenance, f.status(t).Phase)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.window.End = f.window.End.Add(time.Hour) // it is extended
		f.ready = f.window.End.Add(20 * time.Minute)
	})
	f.after(90*time.Minute, func() { require.Equal(t, watch.PhaseMaintenance, f.status(t).Phase) })
	f.after(130*time.Minute, func() { require.Equal(t, watch.PhaseNotReady, f.status(t).Phase) })
	in := f.run(t, watchInput{})
	requireClosed(t, in, watch.EpisodeApplied, "applied: 7 completed")
	require.Equal(t, 1, f.applied)
	require.Len(t, f.madeAt, 1)
	require.False(t, f.madeAt[0].Before(f.ready), "it is planned when Connect is ready")
	require.Empty(t, f.approvals)
}

func TestWatchWithoutOrders(t *testing.T) {
	t.Parallel()
	f := newWatch(t)
	f.plan.Input.Total, f.plan.Counts = 0, "2 orders, hold 2"
	requireClosed(t, f.run(t, watchInput{}), watch.EpisodeEmpty, "2 orders, hold 2")
	require.Zero(t, f.applied)

	f = newWatch(t)
	f.due = f.window.End.Add(3 * time.Hour)
	requireClosed(t, f.run(t, watchInput{}), watch.EpisodeApplied, "7 completed")
	require.Equal(t, 2, f.made, "orders that wait are planned again when they are due")
	require.False(t, f.madeAt[1].Before(f.due))
}

func TestWatchWaitsForAnApproval(t *testing.T) {
	t.Parallel()
	f := newWatch(t)
	f.plan.Reasons = []string{"it resubmits 7 orders, more than 5"}
	f.after(30*time.Minute, f.signal(decision{Digest: digest, By: "too early"}))
	f.after(40*time.Minute, func() { require.Contains(t, f.status(t).Refused, "no plan waits") })
	f.after(2*time.Hour, func() {
		s := f.status(t)
		require.Equal(t, watch.PhaseAwaitingApproval, s.Phase)
		require.Equal(t, digest, s.Digest)
		require.Equal(t, 7, s.Orders)
		require.Equal(t, f.plan.Reasons, s.Reasons)
	})
	f.after(2*time.Hour, f.signal(decision{Digest: otherDigest, By: "ana"}))
	f.after(3*time.Hour, func() {
		require.Contains(t, f.status(t).Refused, "the decision of ana about the plan "+otherDigest)
		require.Zero(t, f.applied)
		require.Empty(t, f.approvals)
	})
	f.after(4*time.Hour, f.signal(decision{Digest: digest, By: "ana", Signature: "{}"}))
	requireClosed(t, f.run(t, watchInput{}), watch.EpisodeApplied, "7 completed")
	require.Equal(t, 1, f.applied)
	require.Equal(t, []decision{{Digest: digest, By: "ana", Signature: "{}"}}, f.approvals)
}

func TestWatchRefusesAnInvalidSignature(t *testing.T) {
	t.Parallel()
	f := newWatch(t)
	f.plan.Reasons = []string{"every plan must be signed"}
	f.refuses = temporal.NewNonRetryableApplicationError("the signature is invalid", refusedType, nil)
	f.after(2*time.Hour, f.signal(decision{Digest: digest}))
	f.after(3*time.Hour, func() {
		require.Contains(t, f.status(t).Refused, "the signature is invalid")
		require.Zero(t, f.applied)
	})
	f.after(4*time.Hour, f.signal(decision{Digest: digest, Rejected: true, By: "ben", Why: "the bank is closed"}))
	requireClosed(t, f.run(t, watchInput{}), watch.EpisodeRejected, "rejected by ben: the bank is closed")
	require.Zero(t, f.applied)
}

// TestWatchKeepsAPlanBesideNewWorkers checks that a worker that has just started does not cost an approval.
func TestWatchKeepsAPlanBesideNewWorkers(t *testing.T) {
	t.Parallel()
	f := newWatch(t)
	f.plan.Reasons, f.unknown = []string{"too many"}, 3
	f.after(4*time.Hour, f.signal(decision{Digest: digest, By: "ana"}))
	requireClosed(t, f.run(t, watchInput{}), watch.EpisodeApplied, "7 completed")
	require.Zero(t, f.unknown)
	require.Equal(t, 1, f.made)
}

// TestRejectionWinsOverAnApprovalThatIsHandled checks that a plan is not applied that was rejected in that moment.
func TestRejectionWinsOverAnApprovalThatIsHandled(t *testing.T) {
	t.Parallel()
	f := newWatch(t)
	f.plan.Reasons = []string{"too many"}
	f.meanwhile = func() { f.env.SignalWorkflow(decisionSignal, decision{Digest: digest, Rejected: true, By: "ben"}) }
	f.after(2*time.Hour, f.signal(decision{Digest: digest, By: "ana"}))
	requireClosed(t, f.run(t, watchInput{}), watch.EpisodeRejected, "rejected by ben")
	require.Zero(t, f.applied)
}

func TestWatchAsksTheConfiguration(t *testing.T) {
	t.Parallel()
	f := newWatch(t)
	f.plan.Reasons, f.plan.Asks = []string{"too many"}, true
	f.answers = []askOutput{{}, {Again: f.window.End.Add(3 * time.Hour)}, {Decision: decision{Digest: digest}}}
	requireClosed(t, f.run(t, watchInput{}), watch.EpisodeApplied, "7 completed")
	require.Equal(t, 3, f.asks)
	require.GreaterOrEqual(t, f.env.Now().Sub(f.window.End), 3*time.Hour)
}

func TestUndecidedPlanIsMadeAgain(t *testing.T) {
	t.Parallel()
	f := newWatch(t)
	f.plan.Reasons = []string{"too many"}
	f.second = f.window.End.Add(5 * time.Hour)
	f.after(10*time.Hour, f.signal(decision{Digest: digest}))
	requireClosed(t, f.run(t, watchInput{}), watch.EpisodeApplied, "7 completed")
	require.Equal(t, 2, f.made, "one plan for both maintenances")
	require.False(t, f.madeAt[1].Before(f.second.Add(time.Hour)))

	f = newWatch(t)
	f.plan.Reasons = []string{"too many"}
	requireClosed(t, f.run(t, watchInput{}), watch.EpisodeExpired, "nobody decided")
	require.InDelta(t, 14, f.made, 1, "a new one every twelve hours, for seven days")
	require.Zero(t, f.applied)
}

// TestWatchPlansAgainAfterAnError checks that a plan whose run ended early is not the last word.
func TestWatchPlansAgainAfterAnError(t *testing.T) {
	t.Parallel()
	f := newWatch(t)
	f.nextErrs = 2
	refused := result{Error: "the credentials were refused"}
	f.results = append([]result{refused, refused}, f.results...)
	f.after(time.Second, func() { require.Contains(t, f.status(t).Problem, "no windows") })
	problem := ""
	f.after(time.Hour+70*time.Second, func() { problem = f.status(t).Problem })
	requireClosed(t, f.run(t, watchInput{}), watch.EpisodeApplied, "7 completed")
	require.Contains(t, problem, "the credentials were refused")
	require.Equal(t, 3, f.applied)
	require.Equal(t, 3, f.made)
	require.GreaterOrEqual(t, f.madeAt[1].Sub(f.madeAt[0]), 30*time.Second)
	require.GreaterOrEqual(t, f.madeAt[2].Sub(f.madeAt[1]), time.Minute)
}

// TestWatchContinuesWithAnOpenPlan checks a run that continues while a plan waits for an approval: nothing is planned
// again, and a decision that arrived meanwhile counts.
func TestWatchContinuesWithAnOpenPlan(t *testing.T) {
	t.Parallel()
	f := newWatch(t)
	f.plan.Reasons = []string{"too many"}
	f.after(2*time.Hour, func() { f.env.SetContinueAsNewSuggested(true) })
	in := f.run(t, watchInput{})
	require.NotNil(t, in.Open)
	require.Equal(t, digest, in.Open.digest())
	require.False(t, in.Open.Approved)

	g := newWatch(t)
	g.env.SetStartTime(f.env.Now())
	g.window = f.window
	g.after(time.Hour, g.signal(decision{Digest: digest}))
	requireClosed(t, g.run(t, in), watch.EpisodeApplied, "7 completed")
	require.Zero(t, g.made)
	require.Equal(t, 1, g.applied)
}

func TestWatchIsStopped(t *testing.T) {
	t.Parallel()
	f := newWatch(t)
	f.plan.Reasons = []string{"too many"}
	f.after(2*time.Hour, f.env.CancelWorkflow)
	f.env.ExecuteWorkflow(watchWorkflow, watchInput{System: "shop", Queue: "q"})
	_, cancelled := errors.AsType[*temporal.CanceledError](f.env.GetWorkflowError())
	require.True(t, cancelled, f.env.GetWorkflowError())
	require.Zero(t, f.applied)

	f = newWatch(t)
	f.takes = 24 * time.Hour
	stopped := false
	f.after(2*time.Hour, func() { require.Equal(t, watch.PhaseApplying, f.status(t).Phase) })
	f.after(2*time.Hour, f.signal(decision{Digest: digest}))
	f.after(2*time.Hour, f.env.CancelWorkflow)
	f.after(3*time.Hour, func() { stopped = f.env.IsWorkflowCompleted() })
	f.env.SetOnChildWorkflowCanceledListener(func(*workflow.Info) { require.Fail(t, "the plan must continue") })
	f.env.ExecuteWorkflow(watchWorkflow, watchInput{System: "shop", Queue: "q"})
	_, cancelled = errors.AsType[*temporal.CanceledError](f.env.GetWorkflowError())
	require.True(t, cancelled, f.env.GetWorkflowError())
	require.Equal(t, 1, f.applied)
	require.True(t, stopped, "it does not wait for the plan")
}

// TestWatchLeavesAPlanThatSomebodyStarted checks that a plan that already runs is not started again after its end,
// which would undo its cancellation.
func TestWatchLeavesAPlanThatSomebodyStarted(t *testing.T) {
	t.Parallel()
	f := newWatch(t)
	starts := 0
	f.env.OnWorkflow(planWorkflow, mock.Anything, mock.Anything).Return(
		func(workflow.Context, planInput) (result, error) {
			starts++
			return result{}, &temporal.ChildWorkflowExecutionAlreadyStartedError{}
		})
	requireClosed(t, f.run(t, watchInput{}), watch.EpisodeApplied, "somebody else has started the plan")
	require.Equal(t, 1, starts)
	require.Equal(t, 1, f.made)
}

// TestWatchObeysACommandOfTheJournal checks that a plan that an operator cancelled is not made again.
func TestWatchObeysACommandOfTheJournal(t *testing.T) {
	t.Parallel()
	f := newWatch(t)
	cancelled := result{Error: "cancelled by ana", Command: true}
	f.env.OnWorkflow(planWorkflow, mock.Anything, mock.Anything).Return(cancelled, nil)
	requireClosed(t, f.run(t, watchInput{}), watch.EpisodeApplied, "cancelled by ana")
	require.Equal(t, 1, f.made)
}

// TestWatchOnceEnds checks the workflow of a schedule, with what the night before has handed over.
func TestWatchOnceEnds(t *testing.T) {
	t.Parallel()
	f := newWatch(t)
	var h watch.History
	for range 2 { // after a maintenance, it continues as a new run
		f.env.ExecuteWorkflow(watchWorkflow, watchInput{System: "shop", Queue: "q", Once: true, History: h})
		again, ok := errors.AsType[*workflow.ContinueAsNewError](f.env.GetWorkflowError())
		if !ok {
			break
		}
		var in watchInput
		require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &in))
		window := f.window
		h, f = in.History, newWatch(t)
		f.window = window
	}
	require.NoError(t, f.env.GetWorkflowError())
	require.NoError(t, f.env.GetWorkflowResult(&h))
	require.Len(t, h.Episodes, 1)

	night := newWatch(t)
	night.window = f.window
	night.env.SetStartTime(f.env.Now().Add(24 * time.Hour))
	night.env.SetLastCompletionResult(h)
	night.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "night", TaskQueue: "q"})
	night.env.ExecuteWorkflow(onceWorkflow, watchInput{System: "shop", Queue: "q"})
	require.NoError(t, night.env.GetWorkflowError())
	require.Zero(t, night.made, "the maintenance is handled")
	var again watch.History
	require.NoError(t, night.env.GetWorkflowResult(&again))
	require.Equal(t, h.Episodes[0].ID, again.Episodes[0].ID)
}
