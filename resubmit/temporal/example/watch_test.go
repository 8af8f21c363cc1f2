package main

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/cloudblue-go/cloudblue/resubmit/temporal"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// TestWatch watches through an outage: the end of the maintenance is put off, Connect comes back later than announced,
// the plan waits for an approval while the workers are replaced, and is applied. Then a schedule watches.
func TestWatch(t *testing.T) {
	require.NotEmpty(t, *program, "give -server; .ci/nightly temporal does")
	dir := t.TempDir()
	end := time.Now().Add(20 * time.Second).UTC().Truncate(time.Second)
	w, err := newOutage(t.Context(), dir, 24, 0, end)
	require.NoError(t, err)
	t.Cleanup(w.close)
	require.NoError(t, w.settings.announce(end))
	s := &stage{world: w, t: t, server: &server{program: *program, file: filepath.Join(dir, "temporal.db")}}
	require.NoError(t, s.server.start(context.WithoutCancel(t.Context())))
	t.Cleanup(func() { s.server.process.kill() })
	s.settings.Temporal, s.settings.Watch, s.settings.Canary = s.server.address(), true, []int{}
	s.client, err = s.server.dial(t.Context())
	require.NoError(t, err)
	t.Cleanup(s.client.Close)
	journal, closeJournal, err := s.settings.journal(t.Context())
	require.NoError(t, err)
	t.Cleanup(closeJournal)
	systems, err := s.settings.systems(journal)
	require.NoError(t, err)
	s.workers = []*process{s.worker(), s.worker()}
	t.Cleanup(func() {
		for _, p := range s.workers {
			p.kill()
		}
	})

	o := temporal.WatchOptions{System: systems.Name}
	require.NoError(t, temporal.StartWatch(t.Context(), s.client, o))
	require.ErrorIs(t, temporal.StartWatch(t.Context(), s.client, o), temporal.ErrWatching)
	phase := func(p watch.Phase) func(temporal.WatchStatus) bool {
		return func(s temporal.WatchStatus) bool { return s.Phase == p }
	}
	status := s.untilWatch(systems.Name, time.Minute, phase(watch.PhaseMaintenance))
	require.NotNil(t, status.Episode)
	end = time.Now().Add(10 * time.Second).UTC().Truncate(time.Second)
	require.NoError(t, s.settings.announce(end))
	s.untilWatch(systems.Name, time.Minute, phase(watch.PhaseNotReady))
	require.True(t, time.Now().After(end.Add(settle)))
	s.connect.SetMaintenance(false)
	s.connect.TouchHealthCheck()

	status = s.untilWatch(systems.Name, 2*time.Minute, phase(watch.PhaseAwaitingApproval))
	require.Equal(t, 24, status.Orders)
	require.Equal(t, []string{"it resubmits 24 orders, more than 5"}, status.Reasons)
	for i := range s.workers { // between the plan and its approval
		s.replace(i)
	}
	decide := func(f func(context.Context, client.Client, temporal.Approval) error, digest string) error {
		return f(t.Context(), s.client, temporal.Approval{System: systems.Name, Digest: digest, By: "ana"})
	}
	other := "sha256:" + status.Digest[len("sha256:")+1:] + "0"
	s.untilWatch(systems.Name, time.Minute, func(s temporal.WatchStatus) bool { return s.Digest == status.Digest })
	require.ErrorIs(t, decide(temporal.ApprovePlan, other), temporal.ErrNotWaiting)
	require.ErrorIs(t, decide(temporal.RejectPlan, other), temporal.ErrNotWaiting)
	require.NoError(t, s.client.SignalWorkflow(t.Context(), "resubmit-watch-"+systems.Name, "", "decision",
		map[string]string{"digest": other, "by": "eva"}))
	s.untilWatch(systems.Name, time.Minute, func(s temporal.WatchStatus) bool { return s.Refused != "" })
	require.Zero(t, pushes(s.since(time.Time{})))
	require.NoError(t, decide(temporal.ApprovePlan, status.Digest))

	status = s.untilWatch(systems.Name, 10*time.Minute, func(s temporal.WatchStatus) bool { return s.Last != nil })
	require.Equal(t, watch.EpisodeApplied, status.Last.State)
	require.Contains(t, status.Last.Note, "24 completed")
	require.NoError(t, s.check())
	s.requireSafe()
	s.keep("watch", "resubmit-watch-"+systems.Name)
	s.untilWatch(systems.Name, time.Minute, phase(watch.PhaseIdle))
	require.NoError(t, temporal.StopWatch(t.Context(), s.client, systems.Name))
	require.Error(t, s.client.GetWorkflow(t.Context(), "resubmit-watch-"+systems.Name, "").Get(t.Context(), nil))
	s.watchOnce(o)
}

// watchOnce watches twice by a schedule: the first run looks back and finds nothing to resubmit, the second one knows
// that.
func (s *stage) watchOnce(o temporal.WatchOptions) {
	s.t.Helper()
	action, err := temporal.WatchOnce(o)
	require.NoError(s.t, err)
	h, err := s.client.ScheduleClient().Create(s.t.Context(), client.ScheduleOptions{
		ID: "nightly", Spec: client.ScheduleSpec{CronExpressions: []string{"0 6 1 1 *"}}, Action: action,
	})
	require.NoError(s.t, err)
	var before watch.History
	for i := range 2 {
		require.NoError(s.t, h.Trigger(s.t.Context(), client.ScheduleTriggerOptions{}))
		var ids []string
		s.until("the run of the schedule begins", time.Minute, func() bool {
			d, err := h.Describe(s.t.Context())
			ids = nil
			if err == nil {
				for _, a := range d.Info.RecentActions {
					ids = append(ids, a.StartWorkflowResult.WorkflowID)
				}
			}
			return len(ids) == i+1
		})
		var handled watch.History
		require.NoError(s.t, s.client.GetWorkflow(s.t.Context(), ids[i], "").Get(s.t.Context(), &handled))
		require.Len(s.t, handled.Episodes, 1)
		require.Equal(s.t, watch.EpisodeEmpty, handled.Episodes[0].State)
		if i == 1 {
			require.Equal(s.t, before.Episodes, handled.Episodes, "it was not handled again")
			s.keep("watch-once", ids[i])
		}
		before = handled
	}
}

// untilWatch waits until the status of the workflow that watches is as required.
func (s *stage) untilWatch(
	system string, most time.Duration, holds func(temporal.WatchStatus) bool,
) (status temporal.WatchStatus) {
	s.t.Helper()
	defer func() {
		s.t.Logf("%+v", status)
		if status.Phase == watch.PhaseApplying {
			applied, err := temporal.GetStatus(s.t.Context(), s.client, status.Digest)
			s.t.Logf("%+v %v, %d pushes", applied, err, pushes(s.since(time.Time{})))
		}
	}()
	s.until("the status of watching", most, func() bool {
		now, err := temporal.GetWatchStatus(s.t.Context(), s.client, system)
		if err == nil {
			status = now
		}
		return err == nil && holds(now)
	})
	return status
}
