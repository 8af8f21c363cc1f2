//go:build unix

package sqljournal_test

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/sqljournal"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// team is three processes, as far as they know, that apply one plan: one has a state directory, and made the plan.
type team struct {
	w       *world
	leader  *state.Dir
	run     *state.Run
	workers []*resubmit.Runner
	journal resubmit.Journal
	plan    *plan.Plan

	all     sync.WaitGroup
	mu      sync.Mutex
	reports []*resubmit.Report
	errs    []error
}

// startTeam makes a plan in a directory and applies it.
func startTeam(t *testing.T, w *world, dir string) *team {
	t.Helper()
	w.program.Lease = time.Minute
	x := &team{w: w}
	ended := func(r *resubmit.Report, err error) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.reports, x.errs = append(x.reports, r), append(x.errs, err)
	}
	cfg := x.config(t)
	var err error
	x.leader, err = state.Open(t.Context(), dir, *cfg)
	require.NoError(t, err)
	applying := make(chan *state.Run, 1)
	x.all.Go(func() {
		result, err := x.leader.Once(t.Context(), state.OnceOptions{Applying: func(run *state.Run) { applying <- run }})
		ended(result.Runs[0].Report, err)
	})
	x.run, x.journal = <-applying, cfg.Journal
	x.plan, err = x.leader.OpenPlan(x.run)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.plan.Close()) })
	for range 2 {
		r, err := resubmit.NewRunner(runnerConfig(x.config(t)))
		require.NoError(t, err)
		x.workers = append(x.workers, r)
		x.all.Go(func() { ended(r.Apply(t.Context(), x.plan)) })
	}
	return x
}

// config returns the configuration of one process, with a database of its own.
func (x *team) config(t *testing.T) *state.Config {
	t.Helper()
	cfg, err := x.w.program.config(t.Context(), x.w.program.Place.open(t))
	require.NoError(t, err)
	return cfg
}

// statuses returns the status of each process.
func (x *team) statuses(t *testing.T) []resubmit.Status {
	t.Helper()
	s, err := x.leader.Status()
	require.NoError(t, err)
	all := []resubmit.Status{{}}
	if s.Run.Live != nil {
		all[0] = *s.Run.Live
	}
	for _, r := range x.workers {
		all = append(all, r.Status())
	}
	return all
}

// until waits until the status of each process is as it should be.
func (x *team) until(t *testing.T, ok func(s resubmit.Status) bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, s := range x.statuses(t) {
			if !ok(s) {
				return false
			}
		}
		return true
	}, time.Minute, 50*time.Millisecond)
}

func (x *team) wait() { x.all.Wait() }

// TestControl gives commands in one state directory, which all processes on the journal must obey.
func TestControl(t *testing.T) {
	t.Parallel()
	p := placeFor(t, sqljournal.SQLite, t.TempDir()) // the databases differ in nothing that matters here
	w := newWorld(t, p, 150)
	x := startTeam(t, w, filepath.Join(w.program.Dir, "leader"))
	elsewhere, err := state.Open(t.Context(), filepath.Join(w.program.Dir, "elsewhere"), *x.config(t))
	require.NoError(t, err)
	control := func(d *state.Dir, c state.Command) {
		t.Helper()
		c.Run, c.By, c.Why = x.run.Digest, "ana", "test "+strconv.Itoa(len(w.commerce.Pushes()))
		require.NoError(t, d.Control(c))
	}
	in := func(want resubmit.RunState) func(resubmit.Status) bool {
		return func(s resubmit.Status) bool { return s.State == want }
	}
	x.until(t, in(resubmit.StateRunning))
	for _, d := range []*state.Dir{elsewhere, x.leader} {
		control(d, state.Command{Action: state.ActionPause})
		x.until(t, in(resubmit.StatePaused))
		sent := len(w.commerce.Pushes())
		<-time.After(2 * time.Second)
		require.Len(t, w.commerce.Pushes(), sent)
		run, err := x.leader.Run(x.run.ID)
		require.NoError(t, err)
		require.Equal(t, "ana", run.Paused.By)
		control(d, state.Command{Action: state.ActionRate, Rate: 7})
		x.until(t, func(s resubmit.Status) bool { return s.Rate == 7 })
		control(d, state.Command{Action: state.ActionResume})
		x.until(t, in(resubmit.StateRunning))
		control(d, state.Command{Action: state.ActionRate, Rate: 10})
		x.until(t, func(s resubmit.Status) bool { return s.Rate == 10 })
	}
	control(elsewhere, state.Command{Action: state.ActionDrain})
	x.wait()
	for _, err := range x.errs {
		require.ErrorIs(t, err, resubmit.ErrDrained)
	}
	sent := len(w.commerce.Pushes())
	require.Positive(t, sent)
	run, err := x.leader.Run(x.run.ID)
	require.NoError(t, err)
	require.Equal(t, state.EndDrained, run.End)
	require.Equal(t, "by ana: "+run.Stop.Why, run.Stop.String())
	_, err = x.workers[0].Apply(t.Context(), x.plan)
	require.ErrorIs(t, err, resubmit.ErrDrained, "a process that is started again")

	x = startTeam(t, w, filepath.Join(w.program.Dir, "leader"))
	x.until(t, in(resubmit.StateRunning))
	control(elsewhere, state.Command{Action: state.ActionCancel})
	x.wait()
	for _, err := range x.errs {
		require.ErrorIs(t, err, resubmit.ErrCancelled)
	}
	require.Positive(t, w.left())
	err = elsewhere.Control(state.Command{Action: state.ActionPause, Run: "sha256:unknown"})
	require.ErrorIs(t, err, state.ErrNoRun)
}

// TestReport merges what several processes did.
func TestReport(t *testing.T) {
	t.Parallel()
	p := placeFor(t, sqljournal.SQLite, t.TempDir())
	w := newWorld(t, p, 30)
	x := startTeam(t, w, filepath.Join(w.program.Dir, "leader"))
	x.wait()
	require.NoError(t, errors.Join(x.errs...))
	w.check(t)
	for _, r := range x.reports {
		t.Log(r.Result, r.Earlier)
	}
	merged, err := resubmit.RecordedReport(context.WithoutCancel(t.Context()), x.journal, x.plan)
	require.NoError(t, err)
	require.Equal(t, resubmit.OutcomeCounts{Completed: 30}, merged.Result)
}
