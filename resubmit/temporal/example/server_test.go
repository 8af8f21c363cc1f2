package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/sqljournal"
	"github.com/cloudblue-go/cloudblue/resubmit/temporal"
)

var (
	program  = flag.String("server", "", "the program of resubmit/temporal/testserver; .ci/nightly temporal builds it")
	orders   = flag.Int("orders", 2000, "how many orders the killed workers complete")
	kills    = flag.Int("kills", 40, "how many workers are killed")
	restarts = flag.Int("restarts", 1, "how often the server is killed")
	record   = flag.String("record", "", "a directory in which histories are kept")
)

func TestMain(m *testing.M) {
	if settings := os.Getenv(programVariable); settings != "" {
		os.Exit(runWorker(settings))
	}
	flag.Parse()
	os.Exit(m.Run())
}

// stage is a world, a Temporal server, workers, and a plan that is started.
type stage struct {
	*world
	t       *testing.T
	server  *server
	client  client.Client
	journal *sqljournal.Journal
	plan    *plan.Plan

	workers []*process
}

func newStage(t *testing.T, count, workers int, rate float64) *stage {
	t.Helper()
	return newStageWith(t, count, 1, workers, rate)
}

// newStageWith is newStage with some orders that share a subscription.
func newStageWith(t *testing.T, count, long, workers int, rate float64) *stage {
	t.Helper()
	require.NotEmpty(t, *program, "give -server; .ci/nightly temporal does")
	dir := t.TempDir()
	w, err := newWorld(t.Context(), dir, count, long)
	require.NoError(t, err)
	t.Cleanup(w.close)
	s := &stage{world: w, t: t, server: &server{program: *program, file: filepath.Join(dir, "temporal.db")}}
	require.NoError(t, s.server.start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() { s.server.process.kill() })
	s.settings.Temporal, s.settings.Rate = s.server.address(), rate
	s.settings.Canary = []int{} // on a slow machine, pushes without an answer would stop it
	s.client, err = s.server.dial(t.Context())
	require.NoError(t, err)
	t.Cleanup(s.client.Close)
	journal, closeJournal, err := s.settings.journal(t.Context())
	require.NoError(t, err)
	t.Cleanup(closeJournal)
	s.journal = journal
	s.plan, err = s.world.plan(t.Context(), journal)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.plan.Close()) })
	for range workers {
		s.workers = append(s.workers, s.worker())
	}
	t.Cleanup(func() {
		for _, p := range s.workers {
			p.kill()
		}
	})
	s.mu.Lock()
	s.calls = nil // those of the planner
	s.mu.Unlock()
	require.NoError(t, temporal.Start(t.Context(), s.client, s.plan, temporal.StartOptions{}))
	return s
}

func (s *stage) worker() *process {
	s.t.Helper()
	p, err := startProcess(context.WithoutCancel(s.t.Context()), s.settings)
	require.NoError(s.t, err)
	return p
}

// replace kills a worker and starts another one.
func (s *stage) replace(i int) {
	s.t.Helper()
	s.workers[i].kill()
	s.workers[i] = s.worker()
}

// until waits until a condition holds, which is asked for ten times a second.
func (s *stage) until(what string, most time.Duration, holds func() bool) {
	s.t.Helper()
	require.Eventually(s.t, holds, most, 100*time.Millisecond, what)
}

// wait waits until the plan has ended.
func (s *stage) wait(most time.Duration) map[protocol.Outcome]int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), most)
	defer cancel()
	go func() {
		for rest(ctx, 20*time.Second) == nil {
			status, err := temporal.GetStatus(ctx, s.client, s.plan.Digest())
			s.t.Logf("%+v %v", status, err)
		}
	}()
	counts, err := temporal.Wait(ctx, s.client, s.plan.Digest())
	require.NoError(s.t, err)
	report, err := resubmit.RecordedReport(ctx, s.journal, s.plan)
	require.NoError(s.t, err)
	for _, i := range report.Items {
		if i.Outcome != protocol.Completed {
			s.t.Log(i.Number, i.Outcome, i.Why)
		}
	}
	return counts
}

// since returns the calls after a time.
func (w *world) since(t time.Time) (calls []call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if c.at.After(t) {
			calls = append(calls, c)
		}
	}
	return calls
}

func pushes(calls []call) (n int) {
	for _, c := range calls {
		if c.push {
			n++
		}
	}
	return n
}

// lastPush returns how long after a time the last push was; 0 if there was none.
func (w *world) lastPush(t time.Time) (after time.Duration) {
	for _, c := range w.since(t) {
		if c.push {
			after = c.at.Sub(t)
		}
	}
	return after
}

// fullest returns the most calls in any second.
func fullest(calls []call) (most int) {
	slices.SortFunc(calls, func(a, b call) int { return a.at.Compare(b.at) })
	first := 0
	for i, c := range calls {
		for c.at.Sub(calls[first].at) >= time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// stalest returns the longest time between a push and the read of the order before it, at the server.
func (w *world) stalest() (most time.Duration) {
	read := make(map[string]time.Time)
	for _, c := range w.since(time.Time{}) {
		if c.push {
			most = max(most, c.at.Sub(read[c.order]))
		} else {
			read[c.order] = c.at
		}
	}
	return most
}

// requireSafe requires that no failure was pushed twice, that nothing was sent late, and that the orders of a
// subscription were pushed in their order.
func (s *stage) requireSafe() {
	s.t.Helper()
	require.NoError(s.t, s.checkPushes())
	require.Less(s.t, s.stalest(), protocol.MaxReadAge+2*time.Second, "a push was sent late")
	accepted := make(map[string]int)
	for i, p := range s.commerce.Pushes() {
		if p.Accepted {
			accepted[p.Number] = i + 1
		}
	}
	for i, number := range s.numbers {
		if place, ok := s.before(i); ok && accepted[number] > 0 {
			before := accepted[s.numbers[place]]
			require.Positive(s.t, before, number)
			require.Less(s.t, before, accepted[number], number)
		}
	}
}

// longest returns the length of the longest history, and how many workflows there were.
func (s *stage) longest() (events int64, workflows int) {
	s.t.Helper()
	var page []byte
	for {
		list, err := s.client.ListWorkflow(s.t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
			Query: "ResubmitPlan = '" + s.plan.Digest() + "'", NextPageToken: page,
		})
		require.NoError(s.t, err)
		for _, e := range list.Executions {
			events, workflows = max(events, e.HistoryLength), workflows+1
		}
		if page = list.NextPageToken; len(page) == 0 {
			return events, workflows
		}
	}
}

// keep keeps the history of a workflow for the replay test, with all runs as which it continued. It returns how many
// there were.
func (s *stage) keep(name, workflow string) (runs int) {
	s.t.Helper()
	run := s.events(workflow, "")[0].GetWorkflowExecutionStartedEventAttributes().GetFirstExecutionRunId()
	for ; run != ""; runs++ {
		events := s.events(workflow, run)
		if *record != "" {
			file := fmt.Sprintf("%s-%d.json", name, runs+1)
			b, err := protojson.Marshal(&history.History{Events: events})
			require.NoError(s.t, err)
			require.NoError(s.t, os.WriteFile(filepath.Join(*record, file), b, 0o600))
		}
		run = events[len(events)-1].GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
	}
	return runs
}

// events returns the history of a run; "" is the last one.
func (s *stage) events(workflow, run string) (events []*history.HistoryEvent) {
	s.t.Helper()
	all := s.client.GetWorkflowHistory(s.t.Context(), workflow, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for all.HasNext() {
		e, err := all.Next()
		require.NoError(s.t, err)
		events = append(events, e)
	}
	return events
}

func planWorkflow(digest string) string {
	return "resubmit-plan-" + strings.TrimPrefix(digest, "sha256:")
}

func chainWorkflow(digest, place string) string {
	return "resubmit-chain-" + strings.TrimPrefix(digest, "sha256:")[:32] + "-" + place
}

// TestHistories makes the histories that the replay test has: a plan that was cancelled, and one with a pause, another
// rate, the kill of a worker, and a chain of many orders. The plan and that chain continue as new runs.
func TestHistories(t *testing.T) {
	s := newStageWith(t, 150, 20, 2, 40)
	digest := s.plan.Digest()
	s.until("pushes begin", time.Minute, func() bool { return pushes(s.since(time.Time{})) > 5 })
	require.NoError(t, temporal.Cancel(t.Context(), s.client, digest))
	counts := s.wait(2 * time.Minute)
	require.Positive(t, counts[protocol.NotStarted], counts)
	s.keep("plan-cancelled", planWorkflow(digest))

	require.NoError(t, temporal.Start(t.Context(), s.client, s.plan, temporal.StartOptions{}))
	time.Sleep(3 * time.Second)
	require.NoError(t, temporal.Pause(t.Context(), s.client, digest))
	require.NoError(t, temporal.SetRate(t.Context(), s.client, digest, 30))
	s.replace(0)
	time.Sleep(3 * time.Second)
	require.NoError(t, temporal.Resume(t.Context(), s.client, digest))
	counts = s.wait(5 * time.Minute)
	require.Equal(t, map[protocol.Outcome]int{protocol.Completed: 150}, counts)
	s.requireSafe()
	require.Greater(t, s.keep("plan", planWorkflow(digest)), 1)
	require.Greater(t, s.keep("chain-long", chainWorkflow(digest, "0")), 1)
	for _, place := range []string{"24", "30", "45"} {
		s.keep("chain-"+place, chainWorkflow(digest, place))
	}
}

// TestKills kills workers and the server until the orders are completed.
func TestKills(t *testing.T) {
	s := newStage(t, *orders, 3, 20)
	began := time.Now()
	killed, restarted := 0, 0
	for tick := time.NewTicker(4 * time.Second); killed < *kills && s.left() > 0; killed++ {
		<-tick.C
		s.replace(rand.N(len(s.workers)))
		if restarted < *restarts && killed == *kills/2 {
			restarted++
			s.server.process.kill()
			require.NoError(t, s.server.start(context.WithoutCancel(t.Context())))
			_, err := s.server.dial(t.Context())
			require.NoError(t, err)
		}
		if killed == 3 {
			err := temporal.Start(t.Context(), s.client, s.plan, temporal.StartOptions{})
			require.ErrorIs(t, err, temporal.ErrRunning)
		}
	}
	counts := s.wait(20 * time.Minute)
	events, workflows := s.longest()
	t.Logf("%d orders, %d kills, %d restarts: %s, %d workflows, the longest history has %d events, outcomes %v", *orders,
		killed, restarted, s.speed(began), workflows, events, counts)
	s.requireSafe()
	require.Less(t, events, int64(10_000))
	require.LessOrEqual(t, fullest(s.since(time.Time{})), 22)
	report, err := temporal.Report(t.Context(), s.client, s.journal, s.plan)
	require.NoError(t, err)
	for o, n := range counts {
		require.Equal(t, n, report.Result.Of(o), "%v: %v", o, report.Result)
	}
	require.Equal(t, map[protocol.Outcome]int{protocol.Completed: *orders}, counts, "%d are not completed", s.left())
}

// speed returns how fast the orders were completed.
func (w *world) speed(began time.Time) string {
	calls, n, took := w.since(time.Time{}), float64(len(w.numbers)), time.Since(began).Seconds()
	return fmt.Sprintf("%.0f s, %.1f orders/s, %.2f calls to Commerce per order, at most %d in a second", took, n/took,
		float64(len(calls))/n, fullest(calls))
}

// TestSpeed compares the workflows with the Runner, without faults.
func TestSpeed(t *testing.T) {
	const count = 300
	for _, rate := range []float64{20, 1000} {
		s := newStage(t, count, 3, rate)
		began := time.Now()
		require.Equal(t, map[protocol.Outcome]int{protocol.Completed: count}, s.wait(5*time.Minute))
		t.Logf("%d orders at %.0f/s, workflows: %s", count, rate, s.speed(began))
		s.requireSafe()
		for _, p := range s.workers {
			p.kill()
		}
		s.server.process.kill()

		w, err := newWorld(t.Context(), t.TempDir(), count, 1)
		require.NoError(t, err)
		t.Cleanup(w.close)
		w.settings.Rate, w.settings.Canary = rate, []int{}
		journal, closeJournal, err := w.settings.journal(t.Context())
		require.NoError(t, err)
		t.Cleanup(closeJournal)
		p, err := w.plan(t.Context(), journal)
		require.NoError(t, err)
		calendar, err := w.settings.calendar()
		require.NoError(t, err)
		cfg := w.settings.runner(calendar)
		cfg.Systems, err = w.settings.systems(journal)
		require.NoError(t, err)
		cfg.Journal, cfg.Logger = journal, nil
		r, err := resubmit.NewRunner(cfg)
		require.NoError(t, err)
		w.mu.Lock()
		w.calls = nil // those of the planner
		w.mu.Unlock()
		began = time.Now()
		report, err := r.Apply(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, count, report.Result.Of(protocol.Completed))
		t.Logf("%d orders at %.0f/s, Runner: %s", count, rate, w.speed(began))
		require.NoError(t, p.Close())
	}
}

// TestTerminatedPlan terminates the workflow of a plan, which cannot stop its chains.
func TestTerminatedPlan(t *testing.T) {
	s := newStage(t, 150, 2, 20)
	digest := s.plan.Digest()
	s.until("pushes begin", time.Minute, func() bool { return pushes(s.since(time.Time{})) > 20 })
	require.NoError(t, s.client.TerminateWorkflow(t.Context(), planWorkflow(digest), "", "test"))
	asked := time.Now()
	time.Sleep(15 * time.Second)
	t.Logf("the last push was %v after the end of the plan", s.lastPush(asked))
	require.Zero(t, pushes(s.since(asked.Add(5*time.Second))), "a push after the end of the plan")
	s.until("the chains end", time.Minute, func() bool {
		running, err := s.client.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{
			Query: "ResubmitPlan = '" + digest + "' AND ExecutionStatus = 'Running'",
		})
		return err == nil && running.Count == 0
	})
	require.Positive(t, s.left())
	require.NoError(t, temporal.Start(t.Context(), s.client, s.plan, temporal.StartOptions{}))
	require.Equal(t, map[protocol.Outcome]int{protocol.Completed: 150}, s.wait(5*time.Minute))
	s.requireSafe()
}

// TestRateAndControl changes the rate, pauses, resumes and cancels.
func TestRateAndControl(t *testing.T) {
	s := newStage(t, 600, 3, 20)
	digest := s.plan.Digest()
	s.until("pushes begin", time.Minute, func() bool { return pushes(s.since(time.Time{})) > 20 })
	time.Sleep(5 * time.Second)
	all := s.since(time.Time{})
	require.LessOrEqual(t, fullest(all), 21)
	t.Logf("at 20/s, %d calls, at most %d in a second", len(all), fullest(all))

	require.NoError(t, temporal.SetRate(t.Context(), s.client, digest, 8))
	time.Sleep(5 * time.Second)
	slow := time.Now()
	time.Sleep(5 * time.Second)
	require.LessOrEqual(t, fullest(s.since(slow)), 9)
	require.Positive(t, pushes(s.since(slow)))

	require.NoError(t, temporal.Pause(t.Context(), s.client, digest))
	asked := time.Now()
	time.Sleep(5 * time.Second)
	paused := time.Now()
	time.Sleep(10 * time.Second)
	t.Logf("the last push was %v after the pause", s.lastPush(asked))
	require.Zero(t, pushes(s.since(paused)), "a push during a pause")
	status, err := temporal.GetStatus(t.Context(), s.client, digest)
	require.NoError(t, err)
	require.Equal(t, resubmit.StatePaused, status.State)

	require.NoError(t, temporal.SetRate(t.Context(), s.client, digest, 20))
	require.NoError(t, temporal.Resume(t.Context(), s.client, digest))
	s.until("pushes continue", 10*time.Second, func() bool { return pushes(s.since(paused)) > 0 })
	time.Sleep(5 * time.Second)

	require.NoError(t, temporal.Cancel(t.Context(), s.client, digest))
	asked = time.Now()
	counts := s.wait(time.Minute)
	require.Positive(t, counts[protocol.NotStarted], counts)
	t.Logf("the last push was %v after the cancellation, whose run ended after %v", s.lastPush(asked), time.Since(asked))
	time.Sleep(10 * time.Second)
	require.Less(t, s.lastPush(asked), 5*time.Second, "a push after the cancellation")

	require.NoError(t, temporal.Start(t.Context(), s.client, s.plan, temporal.StartOptions{Rate: 200}))
	counts = s.wait(5 * time.Minute)
	status, err = temporal.GetStatus(t.Context(), s.client, digest)
	require.NoError(t, err)
	require.Zero(t, counts[protocol.NotStarted], "a plan that was cancelled continues: %+v", status)
	s.requireSafe()
	require.Zero(t, s.left())
}

// TestWorkersDown has no worker for longer than an attempt waits for one.
func TestWorkersDown(t *testing.T) {
	s := newStage(t, 150, 2, 20)
	s.until("pushes begin", time.Minute, func() bool { return pushes(s.since(time.Time{})) > 20 })
	for _, p := range s.workers {
		p.kill()
	}
	down := time.Now()
	time.Sleep(40 * time.Second)
	require.Empty(t, s.since(down.Add(time.Second)))
	for i := range s.workers {
		s.workers[i] = s.worker()
	}
	counts := s.wait(5 * time.Minute)
	require.Equal(t, map[protocol.Outcome]int{protocol.Completed: 150}, counts)
	s.requireSafe()
}

// TestSuspendedWorker stops a worker for longer than the deadline of its attempts.
func TestSuspendedWorker(t *testing.T) {
	s := newStage(t, 200, 2, 20)
	s.until("pushes begin", time.Minute, func() bool { return pushes(s.since(time.Time{})) > 20 })
	worker := s.workers[0].cmd.Process
	for range 3 {
		require.NoError(t, worker.Signal(syscall.SIGSTOP))
		time.Sleep(15 * time.Second)
		require.NoError(t, worker.Signal(syscall.SIGCONT))
		time.Sleep(time.Second)
	}
	require.NoError(t, worker.Signal(syscall.SIGSTOP))
	time.Sleep(45 * time.Second) // longer than the timeout of an attempt
	require.NoError(t, worker.Signal(syscall.SIGCONT))
	counts := s.wait(5 * time.Minute)
	require.Equal(t, map[protocol.Outcome]int{protocol.Completed: 200}, counts)
	s.requireSafe()
}
