package temporal

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// fake has the activities of a plan of orders that are each a chain, or in pairs.
type fake struct {
	mu       sync.Mutex
	total    int
	together int // orders in a chain
	judging  bool
	attempts map[string]int
	looks    map[string]int
	rates    []float64
	attempt  func(id string, n int) (stepOutput, error)
	verify   func(id string, n int) (stepOutput, error)
	now      func() time.Time // of the environment, which skips time
	readyErr error
	readies  int
}

func (f *fake) ready(_ context.Context, in readyInput) (out resubmit.Ready, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readies++
	if f.readyErr != nil {
		return out, f.readyErr
	}
	out.Judging = f.judging
	for first := 0; first < f.total; first += max(f.together, 1) {
		var c resubmit.NextChain
		begun := false
		for place := first; place < min(first+max(f.together, 1), f.total); place++ {
			if slices.ContainsFunc(protocol.Outcomes(), func(o protocol.Outcome) bool { return in.Done[o].Has(place) }) {
				continue
			}
			_, tried := in.Tried[place]
			begun = begun || tried
			c.Places, c.IDs = append(c.Places, place), append(c.IDs, fmt.Sprint("id-", place))
		}
		switch {
		case begun || len(c.IDs) == 0:
		case len(out.Chains) < in.Most:
			out.Chains = append(out.Chains, c)
		default:
			out.Left++
		}
	}
	return out, nil
}

func (f *fake) step(in stepInput, calls map[string]int, do func(string, int) (stepOutput, error)) (stepOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls[in.OrderID]++
	f.rates = append(f.rates, in.Rate)
	return do(in.OrderID, calls[in.OrderID])
}

var completed = stepOutput{Outcome: protocol.Completed, Done: true}

// environment returns a test environment with a plan of the fake.
func environment(t *testing.T, f *fake) (*testsuite.TestWorkflowEnvironment, planInput) {
	t.Helper()
	f.attempts, f.looks = make(map[string]int), make(map[string]int)
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute}) // on a busy machine
	f.now = env.Now
	register(env)
	env.RegisterActivityWithOptions(f.ready, activity.RegisterOptions{Name: readyActivity})
	env.RegisterActivityWithOptions(func(_ context.Context, in stepInput) (stepOutput, error) {
		return f.step(in, f.attempts, f.attempt)
	}, activity.RegisterOptions{Name: attemptActivity})
	env.RegisterActivityWithOptions(func(_ context.Context, in stepInput) (stepOutput, error) {
		return f.step(in, f.looks, f.verify)
	}, activity.RegisterOptions{Name: verifyActivity})
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: planID(digest), TaskQueue: "q"})
	if f.attempt == nil {
		f.attempt = func(string, int) (stepOutput, error) { return completed, nil }
	}
	if f.verify == nil {
		f.verify = mustPush
	}
	return env, planInput{
		Setup: setup{Digest: digest, PushTimeout: 2 * time.Minute, SettleDelay: 4 * time.Minute, Queue: "q"}, Total: f.total,
		Control: control{State: resubmit.StateRunning},
	}
}

// run runs the plan and returns its result.
func run(t *testing.T, env *testsuite.TestWorkflowEnvironment, in planInput) result {
	t.Helper()
	env.ExecuteWorkflow(planWorkflow, in)
	require.True(t, env.IsWorkflowCompleted())
	require.NoError(t, env.GetWorkflowError())
	var r result
	require.NoError(t, env.GetWorkflowResult(&r))
	return r
}

func TestPlanHandlesEveryOrder(t *testing.T) {
	t.Parallel()
	f := &fake{total: 100, together: 3}
	f.attempt = func(string, int) (stepOutput, error) {
		return stepOutput{Outcome: protocol.Progressing, Again: f.now().Add(10 * time.Second)}, nil
	}
	f.verify = func(_ string, n int) (stepOutput, error) {
		if n < 3 {
			return stepOutput{Outcome: protocol.Progressing, Again: f.now().Add(time.Hour)}, nil
		}
		return completed, nil
	}
	env, in := environment(t, f)
	require.Equal(t, result{Counts: map[protocol.Outcome]int{protocol.Completed: 100}}, run(t, env, in))
	for i := range 100 {
		require.Equal(t, 1, f.attempts[fmt.Sprint("id-", i)])
		require.Equal(t, 3, f.looks[fmt.Sprint("id-", i)])
	}
	require.Less(t, f.readies, 60)
}

func TestPlanWaitsForTheCanary(t *testing.T) {
	t.Parallel()
	f := &fake{total: 3, judging: true}
	f.attempt = func(string, int) (stepOutput, error) {
		return stepOutput{Outcome: protocol.Progressing, Again: f.now().Add(10 * time.Second)}, nil
	}
	healths := []resubmit.Health{"", "good", "good"}
	f.verify = func(_ string, n int) (stepOutput, error) {
		if n <= len(healths) {
			return stepOutput{Outcome: protocol.Progressing, Health: healths[n-1], Again: f.now().Add(time.Minute)}, nil
		}
		return stepOutput{Outcome: protocol.Progressing, Health: "good", Done: true}, nil
	}
	env, in := environment(t, f)
	require.Equal(t, map[protocol.Outcome]int{protocol.Progressing: 3}, run(t, env, in).Counts)
	require.Greater(t, f.readies, 1, "a new judgment may let others begin")
}

// An activity whose worker is lost has one attempt, and the next activity finds out what became of it.
func TestChainContinuesAfterALostActivity(t *testing.T) {
	t.Parallel()
	f := &fake{total: 1}
	f.attempt = func(_ string, n int) (stepOutput, error) {
		if n < 6 {
			return stepOutput{}, errors.New("the worker is gone")
		}
		return stepOutput{Outcome: protocol.Unknown, Again: f.now().Add(time.Minute)}, nil
	}
	f.verify = func(_ string, n int) (stepOutput, error) {
		if n <= 6 {
			return stepOutput{Outcome: protocol.NotMoved, Push: true}, nil
		}
		return completed, nil
	}
	env, in := environment(t, f)
	problem := ""
	env.RegisterDelayedCallback(func() {
		v, err := env.QueryWorkflow(statusQuery)
		require.NoError(t, err)
		var s Status
		require.NoError(t, v.Get(&s))
		problem = s.Problem
	}, 20*time.Second)
	require.Equal(t, map[protocol.Outcome]int{protocol.Completed: 1}, run(t, env, in).Counts)
	require.Equal(t, 7, f.attempts["id-0"], "a push that is proven to have changed nothing is followed by another attempt")
	require.Contains(t, problem, "the worker is gone")
}

func TestPlanEndsBecauseOfAnError(t *testing.T) {
	t.Parallel()
	f := &fake{total: 50}
	f.attempt = func(id string, _ int) (stepOutput, error) {
		if id == "id-3" {
			return stepOutput{}, temporal.NewNonRetryableApplicationError("refused credentials", endedType, nil)
		}
		return stepOutput{Outcome: protocol.NotStarted, Why: "paused"}, nil
	}
	env, in := environment(t, f)
	r := run(t, env, in)
	require.Equal(t, "refused credentials", r.Error)
	require.Equal(t, map[protocol.Outcome]int{protocol.NotStarted: 50}, r.Counts)
}

func TestPlanEndsIfItCannotBeOpened(t *testing.T) {
	t.Parallel()
	f := &fake{total: 50, readyErr: temporal.NewNonRetryableApplicationError("the plan is stale", endedType, nil)}
	env, in := environment(t, f)
	r := run(t, env, in)
	require.Equal(t, "the plan is stale", r.Error)
	require.Equal(t, map[protocol.Outcome]int{protocol.NotStarted: 50}, r.Counts)
}

func TestPauseResumeAndRate(t *testing.T) {
	t.Parallel()
	f := &fake{total: 10}
	f.attempt = func(_ string, n int) (stepOutput, error) {
		if n < 30 {
			return stepOutput{Outcome: protocol.NotStarted, Again: f.now().Add(time.Second)}, nil
		}
		return completed, nil
	}
	env, in := environment(t, f)
	var paused, later int
	total := func() (n int) {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, c := range f.attempts {
			n += c
		}
		return n
	}
	signal := func(c control) func() { return func() { env.SignalWorkflow(controlSignal, c) } }
	env.RegisterDelayedCallback(signal(control{State: resubmit.StatePaused}), 20*time.Second)
	env.RegisterDelayedCallback(func() { paused = total() }, 25*time.Second)
	env.RegisterDelayedCallback(func() { later = total() }, 2*time.Hour)
	env.RegisterDelayedCallback(signal(control{Rate: 7}), 2*time.Hour)
	env.RegisterDelayedCallback(signal(control{State: resubmit.StateRunning}), 2*time.Hour+time.Minute)
	require.Equal(t, map[protocol.Outcome]int{protocol.Completed: 10}, run(t, env, in).Counts)
	require.Positive(t, paused)
	require.Equal(t, paused, later, "nothing is attempted during a pause")
	require.Contains(t, f.rates, 0.)
	require.Contains(t, f.rates, 7.)
	require.InDelta(t, 7, f.rates[len(f.rates)-1], 0)
}

// Signals of the plan to a chain may overtake each other.
func TestChainFollowsTheLatestControl(t *testing.T) {
	t.Parallel()
	f := &fake{total: 1}
	env, in := chainEnvironment(t, f, func(report) error { return nil })
	in.Control.State = resubmit.StatePaused
	env.RegisterDelayedCallback(func() {
		env.SignalWorkflow(controlSignal, control{State: resubmit.StateRunning, Version: 3})
		env.SignalWorkflow(controlSignal, control{State: resubmit.StatePaused, Version: 2})
	}, time.Second)
	start := env.Now()
	env.ExecuteWorkflow(chainWorkflow, in)
	require.NoError(t, env.GetWorkflowError())
	require.Less(t, env.Now().Sub(start), time.Minute)
}

func TestPlanNumbersItsControls(t *testing.T) {
	t.Parallel()
	f := &fake{total: 100}
	f.attempt = func(_ string, n int) (stepOutput, error) {
		if n == 1 {
			return stepOutput{Outcome: protocol.NotStarted, Again: f.now().Add(time.Minute)}, nil
		}
		return completed, nil
	}
	env, in := environment(t, f)
	var versions []int64
	env.SetOnChildWorkflowStartedListener(func(_ *workflow.Info, _ workflow.Context, args converter.EncodedValues) {
		var in chainInput
		require.NoError(t, args.Get(&in))
		if len(versions) == 0 || in.Control.Version != versions[len(versions)-1] {
			versions = append(versions, in.Control.Version)
		}
	})
	for i := range 4 {
		env.RegisterDelayedCallback(func() { env.SignalWorkflow(controlSignal, control{Rate: float64(i + 1)}) },
			time.Duration(i)*time.Minute+30*time.Second)
	}
	run(t, env, in)
	require.Greater(t, len(versions), 2)
	require.IsIncreasing(t, versions)
}

func TestCancelAndDrain(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		stop      func(*testsuite.TestWorkflowEnvironment)
		completed int
	}{
		"cancel": {func(e *testsuite.TestWorkflowEnvironment) {
			e.SignalWorkflow(controlSignal, control{State: resubmit.StateCancelled})
		}, 0},
		"cancelled by Temporal": {func(e *testsuite.TestWorkflowEnvironment) { e.CancelWorkflow() }, 0},
		"drain": {func(e *testsuite.TestWorkflowEnvironment) {
			e.SignalWorkflow(controlSignal, control{State: resubmit.StateDraining})
		}, 5},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{total: 10}
			f.attempt = func(id string, _ int) (stepOutput, error) {
				if id < "id-5" {
					return stepOutput{Outcome: protocol.Progressing, Again: f.now().Add(time.Minute)}, nil
				}
				return stepOutput{Outcome: protocol.NotStarted, Again: f.now().Add(time.Hour)}, nil
			}
			f.verify = func(_ string, n int) (stepOutput, error) {
				if n < 8 {
					return stepOutput{Outcome: protocol.Progressing, Again: f.now().Add(time.Minute)}, nil
				}
				return completed, nil
			}
			env, in := environment(t, f)
			env.RegisterDelayedCallback(func() { tt.stop(env) }, 90*time.Second)
			env.RegisterDelayedCallback(func() {
				env.SignalWorkflow(controlSignal, control{State: resubmit.StateRunning}) // changes nothing
			}, 100*time.Second)
			r := run(t, env, in)
			require.Equal(t, tt.completed, r.Counts[protocol.Completed], r.Counts)
			require.Equal(t, 5, r.Counts[protocol.NotStarted], r.Counts)
			require.Empty(t, r.Error)
		})
	}
}

func TestPlanContinuesAsANewRun(t *testing.T) {
	t.Parallel()
	f := &fake{total: 40, together: 2, judging: true}
	env, in := environment(t, f)
	f.attempt = func(string, int) (stepOutput, error) {
		return stepOutput{Outcome: protocol.Progressing, Again: f.now().Add(time.Minute)}, nil
	}
	f.verify = func(string, int) (stepOutput, error) { return completed, nil } // the environment waits for that
	env.RegisterDelayedCallback(func() {
		env.SetCurrentHistoryLength(mostEvents + 1)
		env.SignalWorkflow(reportSignal, report{Place: 1})
	}, 20*time.Second)
	env.ExecuteWorkflow(planWorkflow, in)
	again, ok := errors.AsType[*workflow.ContinueAsNewError](env.GetWorkflowError())
	require.True(t, ok, env.GetWorkflowError())
	require.Equal(t, planWorkflow, again.WorkflowType.Name)
	var next planInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &next))
	require.True(t, next.Recalled)
	require.True(t, next.Judging)
	require.Len(t, next.Running, 20)
}

// An attempt whose worker is lost just when the plan ends may have pushed the order, so somebody looks.
func TestOrdersOfLostAttemptsAreCounted(t *testing.T) {
	t.Parallel()
	sent := func(string, int) (stepOutput, error) { return stepOutput{Outcome: protocol.Progressing}, nil }
	lost := func(string, int) (stepOutput, error) { return stepOutput{}, errors.New("the worker is gone") }
	tests := map[string]struct {
		state  resubmit.RunState
		verify func(string, int) (stepOutput, error)
		want   protocol.Outcome
	}{
		"cancel, sent":         {resubmit.StateCancelled, sent, protocol.Progressing},
		"cancel, not sent":     {resubmit.StateCancelled, mustPush, protocol.NotStarted},
		"cancel, not known":    {resubmit.StateCancelled, lost, protocol.Unknown},
		"cancel, interrupted":  {resubmit.StateCancelled, func(string, int) (stepOutput, error) { return stepOutput{}, nil }, protocol.Unknown},
		"drain, sent":          {resubmit.StateDraining, func(string, int) (stepOutput, error) { return completed, nil }, protocol.Completed},
		"drain, not sent":      {resubmit.StateDraining, mustPush, protocol.NotStarted},
		"drain, no look works": {resubmit.StateDraining, lost, protocol.Unknown},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{total: 1, verify: tt.verify}
			env, in := environment(t, f)
			f.attempt = func(string, int) (stepOutput, error) {
				env.SignalWorkflow(controlSignal, control{State: tt.state})
				return stepOutput{}, errors.New("the worker is gone")
			}
			require.Equal(t, map[protocol.Outcome]int{tt.want: 1}, run(t, env, in).Counts)
			require.Equal(t, 1, f.attempts["id-0"])
		})
	}
}

func mustPush(string, int) (stepOutput, error) {
	return stepOutput{Outcome: protocol.NotStarted, Push: true}, nil
}

// An activity that fails says what it has done.
func TestOrdersOfFailedAttemptsAreCounted(t *testing.T) {
	t.Parallel()
	f := &fake{total: 1}
	env, in := environment(t, f)
	f.attempt = func(string, int) (stepOutput, error) {
		return stepOutput{}, temporal.NewApplicationError("the session was closed", "", protocol.Progressing)
	}
	f.verify = func(string, int) (stepOutput, error) {
		return stepOutput{}, temporal.NewNonRetryableApplicationError("refused", endedType, nil, protocol.Unknown)
	}
	require.Equal(t, result{Counts: map[protocol.Outcome]int{protocol.Unknown: 1}, Error: "refused"}, run(t, env, in))
	require.Equal(t, 1, f.attempts["id-0"])
}

// What an order waits for, such as clocks that differ too much, is seen in the status.
func TestStatusSaysWhatOrdersWaitFor(t *testing.T) {
	t.Parallel()
	f := &fake{total: 1}
	f.attempt = func(_ string, n int) (stepOutput, error) {
		if n > 20 {
			return stepOutput{Outcome: protocol.Progressing, Again: f.now().Add(time.Minute)}, nil
		}
		return stepOutput{Outcome: protocol.NotStarted, Why: "this call began too long ago"}, nil
	}
	f.verify = func(_ string, n int) (stepOutput, error) {
		if n > 3 {
			return completed, nil
		}
		return stepOutput{Outcome: protocol.Progressing, Again: f.now().Add(time.Minute)}, nil
	}
	env, in := environment(t, f)
	problems := make(map[time.Duration]string)
	for _, after := range []time.Duration{time.Second, time.Minute, 6 * time.Minute} {
		env.RegisterDelayedCallback(func() {
			v, err := env.QueryWorkflow(statusQuery)
			require.NoError(t, err)
			var s Status
			require.NoError(t, v.Get(&s))
			problems[after] = s.Problem
		}, after)
	}
	require.Equal(t, map[protocol.Outcome]int{protocol.Completed: 1}, run(t, env, in).Counts)
	require.Equal(t, map[time.Duration]string{
		time.Second: "", time.Minute: "orders wait: this call began too long ago", 6 * time.Minute: "",
	}, problems)
}

// chainEnvironment returns an environment with a chain whose plan answers its reports as answer says.
func chainEnvironment(t *testing.T, f *fake, answer func(report) error) (
	*testsuite.TestWorkflowEnvironment, chainInput,
) {
	t.Helper()
	env, plan := environment(t, f)
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: plan.Setup.chainID(0), TaskQueue: "q"})
	env.OnSignalExternalWorkflow(mock.Anything, planID(digest), mock.Anything, reportSignal, mock.Anything).Return(
		func(_, _, _, _ string, r any) error { return answer(r.(report)) }) //nolint:forcetypeassert // see tell
	in := chainInput{Setup: plan.Setup, Control: plan.Control}
	for i := range f.total {
		in.Chain.Places, in.Chain.IDs = append(in.Chain.Places, i), append(in.Chain.IDs, fmt.Sprint("id-", i))
	}
	return env, in
}

// The chains of a plan whose workflow was terminated end, as after a cancellation.
func TestChainsOfATerminatedPlanEnd(t *testing.T) {
	t.Parallel()
	gone := errors.New("unknown external workflow execution")
	looks := func(string, int) (stepOutput, error) { return completed, nil }
	tests := map[string]struct {
		attempt func(string, int) (stepOutput, error)
		state   resubmit.RunState
		sent    int
	}{
		"at the next report": {func(string, int) (stepOutput, error) { return completed, nil }, resubmit.StateRunning, 1},
		"at the next attempt": {func(string, int) (stepOutput, error) {
			return stepOutput{}, temporal.NewNonRetryableApplicationError("ended", stoppedType, nil)
		}, resubmit.StateRunning, 1},
		"during a pause": {nil, resubmit.StatePaused, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fake{total: 5, attempt: tt.attempt, verify: looks}
			env, in := chainEnvironment(t, f, func(report) error { return gone })
			in.Control.State = tt.state
			env.ExecuteWorkflow(chainWorkflow, in)
			require.True(t, env.IsWorkflowCompleted())
			require.NoError(t, env.GetWorkflowError())
			require.Equal(t, tt.sent, f.attempts["id-0"])
			require.Zero(t, f.attempts["id-1"])
		})
	}
}

// A plan that is started while a chain of an earlier run ends hears that it has ended, and begins it again.
func TestChainAnswersAPlanThatAsksWhileItEnds(t *testing.T) {
	t.Parallel()
	f := &fake{total: 1}
	var env *testsuite.TestWorkflowEnvironment
	var reports []report
	env, in := chainEnvironment(t, f, func(r report) error {
		if reports = append(reports, r); len(reports) == 1 {
			env.SignalWorkflow(controlSignal, control{State: resubmit.StateRunning})
		}
		return nil
	})
	env.ExecuteWorkflow(chainWorkflow, in)
	require.NoError(t, env.GetWorkflowError())
	require.Equal(t, []report{{Outcome: protocol.Completed, Ended: true}, {Ended: true}}, reports)
}

// A chain of an earlier run that was stopped is begun again by the run that does not stop.
func TestPlanBeginsChainsAgainThatAnEarlierRunHasStopped(t *testing.T) {
	t.Parallel()
	f := &fake{total: 1}
	f.attempt = func(_ string, n int) (stepOutput, error) {
		if n > 3 {
			return completed, nil
		}
		return stepOutput{Outcome: protocol.NotStarted, Again: f.now().Add(time.Minute)}, nil
	}
	env, in := environment(t, f)
	env.RegisterDelayedCallback(func() {
		err := env.SignalWorkflowByID(in.Setup.chainID(0), controlSignal, control{State: resubmit.StateCancelled})
		require.NoError(t, err)
	}, 10*time.Second)
	require.Equal(t, map[protocol.Outcome]int{protocol.Completed: 1}, run(t, env, in).Counts)
	require.Greater(t, f.readies, 1)
}

func TestChainContinuesAsANewRun(t *testing.T) {
	t.Parallel()
	f := &fake{total: 2}
	f.attempt = func(string, int) (stepOutput, error) {
		return stepOutput{Outcome: protocol.Progressing, Again: f.now().Add(time.Second), Health: "good"}, nil
	}
	f.verify = f.attempt
	env, in := chainEnvironment(t, f, func(report) error { return nil })
	env.RegisterDelayedCallback(func() { env.SignalWorkflow(controlSignal, control{Rate: 3}) }, 5*time.Second)
	env.ExecuteWorkflow(chainWorkflow, in)
	again, ok := errors.AsType[*workflow.ContinueAsNewError](env.GetWorkflowError())
	require.True(t, ok, env.GetWorkflowError())
	var next chainInput
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &next))
	in.Control.Rate = 3
	in.Order = progress{Look: true, Sent: true, Health: "good", Last: protocol.Progressing}
	require.Equal(t, in, next)
	require.Equal(t, 1, f.attempts["id-0"])
	require.Equal(t, mostSteps-1, f.looks["id-0"])
}

func TestControl(t *testing.T) {
	t.Parallel()
	states := []resubmit.RunState{
		resubmit.StateRunning, resubmit.StatePaused, resubmit.StateDraining, resubmit.StateCancelled,
	}
	for i, s := range states {
		for j, by := range states {
			want := by
			if i > 1 && j < i {
				want = s
			}
			require.Equal(t, want, control{State: s}.change(control{State: by}).State, "%s after %s", by, s)
		}
		require.Equal(t, control{State: s, Rate: 2}, control{State: s, Rate: 1}.change(control{Rate: 2}))
		old := control{State: resubmit.StatePaused, Rate: 3, Version: 1}
		require.Equal(t, control{State: s, Rate: 2, Version: 2}, control{State: s, Rate: 2, Version: 2}.change(old))
	}
}
