package temporal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
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
			if in.Done.Has(place) {
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
		if n == 1 {
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
	f := &fake{total: 40, together: 2}
	f.attempt = func(string, int) (stepOutput, error) {
		return stepOutput{Outcome: protocol.NotStarted, Again: f.now().Add(time.Minute)}, nil
	}
	env, in := environment(t, f)
	env.SetContinueAsNewSuggested(true)
	env.ExecuteWorkflow(planWorkflow, in)
	again, ok := errors.AsType[*workflow.ContinueAsNewError](env.GetWorkflowError())
	require.True(t, ok, env.GetWorkflowError())
	require.Equal(t, planWorkflow, again.WorkflowType.Name)
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
	}
}
