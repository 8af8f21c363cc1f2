package watch_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// operator is another process that uses the state directory of a watcher.
type operator struct {
	*state.Dir
	t *testing.T
}

// shared starts a watcher whose calls take a minute each, for five orders. change may modify its configuration.
func shared(t *testing.T, change func(*watch.Config)) (*site, *process, operator) {
	t.Helper()
	s, _ := announced(5)
	p, o := s.shared(t, change)
	return s, p, o
}

func (s *site) shared(t *testing.T, change func(*watch.Config)) (*process, operator) {
	t.Helper()
	p := &process{site: s, dir: t.TempDir(), ended: make(chan struct{})}
	var cfg state.Config
	s.run(t, p, nil, func(c *watch.Config) {
		c.State.Journal, c.State.Runner.RateLimit, c.State.Plan.RateLimit = s.journal, 1.0/60, -1
		c.Refresh = time.Minute
		change(c)
		cfg = c.State
	})
	cfg.Plan = resubmit.PlanConfig{Filter: filter.Everything(), IgnoreConnect: true, RateLimit: -1}
	dir, err := state.Open(t.Context(), p.dir, cfg)
	require.NoError(t, err)
	return p, operator{dir, t}
}

func (o operator) status() state.Status {
	o.t.Helper()
	s, err := o.Status()
	require.NoError(o.t, err)
	return s
}

func (o operator) control(a state.Action) {
	o.t.Helper()
	require.NoError(o.t, o.Control(state.Command{Action: a, By: "ana", Why: "a test"}))
}

const applying = 3*time.Hour + 7*time.Minute // the maintenance is over, and some orders were pushed

func TestOtherProcessControlsTheRunOfTheWatcher(t *testing.T) {
	t.Parallel()
	t.Run("pause_and_resume", func(t *testing.T) {
		in(t, func(t *testing.T) {
			s, p, o := shared(t, func(*watch.Config) {})
			pass(applying)
			before := o.status()
			require.True(t, before.Busy)
			require.Equal(t, p.watcher.Status().Episode.ID, before.Run.For)
			require.Equal(t, 5, p.watcher.Status().Run.Total)
			o.control(state.ActionPause)
			pass(2 * time.Minute)
			pushed := s.pushes()
			require.Less(t, pushed, 5)
			pass(3 * time.Hour)
			require.Equal(t, pushed, s.pushes())
			require.Equal(t, "ana", o.status().Run.Paused.By)
			remembered := p.stop(t)

			p = s.start(t, p.dir, remembered, nil)
			pass(90 * time.Minute)
			require.Equal(t, watch.PhasePaused, p.watcher.Status().Phase)
			require.Contains(t, p.watcher.Status().Text, "the run is paused: by ana")
			require.False(t, o.status().Busy, "no lock is held while waiting")
			o.control(state.ActionResume)
			pass(2 * time.Hour)
			p.stop(t)
			require.Equal(t, 5, s.pushes())
			require.Equal(t, watch.EpisodeApplied, s.episodes()[0].State)
		})
	})
	t.Run("rate", func(t *testing.T) {
		in(t, func(t *testing.T) {
			s, p, o := shared(t, func(c *watch.Config) { c.State.Limits.MaxRate = 100 })
			pass(applying)
			require.Less(t, s.pushes(), 5)
			require.NoError(t, o.Control(state.Command{Action: state.ActionRate, Rate: 100}))
			pass(5 * time.Minute)
			require.Equal(t, 5, s.pushes())
			p.stop(t)
		})
	})
	t.Run("drain", func(t *testing.T) {
		in(t, func(t *testing.T) {
			s, p, o := shared(t, func(*watch.Config) {})
			pass(applying)
			o.control(state.ActionDrain)
			pass(24 * time.Hour)
			p.stop(t)
			require.Less(t, s.pushes(), 5)
			require.Len(t, s.episodes(), 1)
			require.Equal(t, watch.EpisodeApplied, s.episodes()[0].State)
			require.Contains(t, s.episodes()[0].Note, "; drained: ")
			require.Equal(t, state.EndDrained, s.runOf(s.episodes()[0].ID).End)
		})
	})
	t.Run("cancel_before_an_approval", func(t *testing.T) {
		in(t, func(t *testing.T) {
			s, p, o := shared(t, func(c *watch.Config) { c.Approve = nil })
			pass(applying)
			require.False(t, o.status().Busy, "no lock is held while waiting")
			o.control(state.ActionCancel)
			pass(2 * time.Minute)
			p.stop(t)
			require.Zero(t, s.pushes())
			require.Equal(t, watch.EpisodeRejected, s.episodes()[0].State)
			require.Contains(t, s.episodes()[0].Note, "was cancelled by ana: a test")
		})
	})
}

func TestOtherProcessApprovesThePlanOfTheWatcher(t *testing.T) {
	in(t, func(t *testing.T) {
		s, p, o := shared(t, func(c *watch.Config) {
			c.Approve, c.State.Limits.MaxOrders = nil, 4
			c.State.Runner.Require, c.State.Approvers = nil, []ed25519.PublicKey{publicKey(approvalKey)}
		})
		pass(applying)
		require.Contains(t, p.watcher.Status().Text, "it resubmits 5 orders, more than 4")
		_, err := o.Once(t.Context(), state.OnceOptions{})
		require.ErrorIs(t, err, state.ErrApprovalRequired, "it is the plan of both")
		run := o.status().Run
		require.Contains(t, p.watcher.Status().Text, "sign "+run.Digest)
		require.NoError(t, o.Approve(run.Digest, "ana", approvalKey))
		pass(time.Hour)
		p.stop(t)
		require.Equal(t, 5, s.pushes())
		require.Equal(t, run.ID, s.episodes()[0].Run)
	})
}

func TestPlanWithinTheLimitsIsAppliedAtOnce(t *testing.T) {
	in(t, func(t *testing.T) {
		s, p, _ := shared(t, func(c *watch.Config) { c.State.Runner.Require = nil })
		pass(24 * time.Hour)
		p.stop(t)
		require.Empty(t, s.questions())
		require.Equal(t, 5, s.pushes())
	})
}

// The other process applies the plan of the watcher, and holds the lock meanwhile.
func TestOtherProcessContinuesTheRunOfTheWatcher(t *testing.T) {
	in(t, func(t *testing.T) {
		s, p, o := shared(t, func(*watch.Config) {})
		pass(applying)
		remembered := p.stop(t)
		require.Less(t, s.pushes(), 5)
		ended := make(chan error, 1)
		go func() {
			_, err := o.Once(t.Context(), state.OnceOptions{})
			ended <- err
		}()
		pass(time.Second)
		p = s.start(t, p.dir, remembered, nil)
		pass(time.Minute)
		require.Equal(t, watch.PhaseLocked, p.watcher.Status().Phase)
		require.NoError(t, <-ended)
		pass(2 * time.Minute)
		p.stop(t)
		require.Equal(t, 5, s.pushes())
		require.Len(t, s.episodes(), 1)
		require.Equal(t, watch.EpisodeApplied, s.episodes()[0].State)
		run := s.runOf(s.episodes()[0].ID)
		require.Nil(t, run.Report, "it is in the directory")
		require.Equal(t, 5, run.Result.Completed)
		doc, err := p.watcher.State().Document(run)
		require.NoError(t, err)
		require.Equal(t, 5, doc.Outcomes.Completed)
	})
}

func TestUnfinishedRunOfAnotherProcessIsContinuedFirst(t *testing.T) {
	in(t, func(t *testing.T) {
		s, _ := announced(5)
		s.breaks(time.Now(), outage)
		p, o := s.shared(t, func(*watch.Config) {})
		pass(5 * time.Minute)
		_, err := o.Once(t.Context(), state.OnceOptions{})
		need, ok := errors.AsType[*state.ApprovalError](err)
		require.True(t, ok, "%v", err)
		require.NoError(t, o.Approve(need.Run.Digest, "ana", approvalKey))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err = o.Once(ctx, state.OnceOptions{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		pass(24 * time.Hour)
		p.stop(t)
		require.Equal(t, 6, s.pushes())
		require.Len(t, s.episodes(), 1)
		require.Equal(t, 5, s.runOf(s.episodes()[0].ID).Counts.Resubmit, "the plan of the episode has its own orders")
		runs, err := o.Runs()
		require.NoError(t, err)
		require.Len(t, runs, 2)
		require.Equal(t, state.EndFinished, runs[0].End)
	})
}

// A plan of another process is not shown to Approve, and is not replaced.
func TestPlanOfAnotherProcessWaitsForAPerson(t *testing.T) {
	in(t, func(t *testing.T) {
		s, _ := announced(5)
		s.breaks(time.Now(), outage)
		p, o := s.shared(t, func(c *watch.Config) { c.Refresh = 10 * time.Minute })
		pass(5 * time.Minute)
		_, err := o.Once(t.Context(), state.OnceOptions{})
		require.ErrorIs(t, err, state.ErrApprovalRequired)
		pass(5 * time.Hour)
		require.Empty(t, s.questions())
		require.Equal(t, watch.PhaseAwaitingApproval, p.watcher.Status().Phase)
		require.Contains(t, p.watcher.Status().Text, o.status().Run.Digest)
		o.control(state.ActionCancel)
		pass(24 * time.Hour)
		p.stop(t)
		require.Len(t, s.questions(), 1)
		require.Equal(t, watch.EpisodeApplied, s.episodes()[0].State)
		require.Equal(t, 5, s.pushes())
	})
}

// A pause is an order of an operator, which a new plan for the next maintenance must not undo. When it ends, the plan of
// both is made.
func TestPausedPlanIsNotReplaced(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(5)
		start := w.End.Add(2 * time.Hour)
		next := maintenance.Window{ID: "CHG-2", Title: "Database", Start: start, End: start.Add(time.Hour)}
		s.notices = append(s.notices, notice{window: next})
		s.down = append(s.down, next.Span())
		s.breaks(next.Start.Add(time.Minute), outage)
		p, o := s.shared(t, func(c *watch.Config) {
			c.State.Runner.RateLimit = -1
			c.Approve = func(_ context.Context, _ watch.Episode, p *plan.Plan) (watch.Approval, error) {
				if p.Counts().Resubmit < 6 {
					return watch.Approval{}, nil
				}
				return watch.Approval{State: watch.Approved}, nil
			}
		})
		pass(applying)
		require.Equal(t, watch.PhaseAwaitingApproval, p.watcher.Status().Phase)
		o.control(state.ActionPause)
		pass(4 * time.Hour)
		require.Equal(t, watch.PhasePaused, p.watcher.Status().Phase)
		require.Zero(t, s.pushes())
		o.control(state.ActionResume)
		pass(time.Hour)
		p.stop(t)
		require.Equal(t, 6, s.pushes())
		require.Len(t, s.episodes(), 1)
		require.Equal(t, 6, s.runOf(s.episodes()[0].ID).Counts.Resubmit)
	})
}

// After ApprovalTime the plan is made again, since other orders may have failed or recovered.
func TestUndecidedPlanIsMadeAgainAfterApprovalTime(t *testing.T) {
	in(t, func(t *testing.T) {
		s, p, o := shared(t, func(c *watch.Config) {
			c.Approve, c.State.Limits.ApprovalTime, c.MaxAge, c.Refresh = nil, 2*time.Hour, 12*time.Hour, 10*time.Minute
		})
		pass(applying)
		first := o.status().Run.Digest
		pass(3 * time.Hour)
		second := o.status().Run
		require.NotEqual(t, first, second.Digest)
		require.ErrorIs(t, o.Approve(first, "ana", approvalKey), state.ErrNoRun)
		pass(12 * time.Hour)
		require.Len(t, s.episodes(), 1)
		require.Equal(t, watch.EpisodeExpired, s.episodes()[0].State)
		require.Contains(t, s.episodes()[0].Note, "nobody decided about the plan within 12h")
		_, err := o.Once(t.Context(), state.OnceOptions{Continue: true})
		require.NoError(t, err)
		require.Equal(t, state.EndCancelled, o.status().Run.End, "nobody can approve it any more")
		p.stop(t)
		require.Zero(t, s.pushes())
	})
}

func TestRevokedPlanWaitsForAPerson(t *testing.T) {
	in(t, func(t *testing.T) {
		var decided atomic.Bool
		s, p, o := shared(t, func(c *watch.Config) {
			c.Refresh = 10 * time.Minute
			c.Approve = func(context.Context, watch.Episode, *plan.Plan) (watch.Approval, error) {
				if decided.Load() {
					return watch.Approval{State: watch.Approved}, nil
				}
				return watch.Approval{}, nil
			}
		})
		pass(applying)
		o.control(state.ActionPause)
		digest := o.status().Run.Digest
		require.NoError(t, o.Approve(digest, "ana", approvalKey))
		require.NoError(t, o.Revoke(digest, "ben", "not yet"))
		decided.Store(true)
		o.control(state.ActionResume)
		pass(5 * time.Hour)
		require.Zero(t, s.pushes(), "the service does not overrule a person")
		require.Equal(t, watch.PhaseAwaitingApproval, p.watcher.Status().Phase)
		require.NoError(t, o.Approve(digest, "ana", approvalKey))
		pass(time.Hour)
		p.stop(t)
		require.Equal(t, 5, s.pushes())
	})
}

func TestWatcherIsControlled(t *testing.T) {
	in(t, func(t *testing.T) {
		s, p, o := shared(t, func(c *watch.Config) { c.State.Limits.MaxRate = 100 })
		require.ErrorIs(t, p.watcher.Control(state.Command{Action: state.ActionPause}), state.ErrNoRun)
		pass(applying)
		status := p.watcher.Status()
		require.Equal(t, 5, status.Run.Total)
		require.Contains(t, status.String(), " sent, ")
		require.Contains(t, status.String(), " to go.")
		pushed := s.pushes()
		require.NoError(t, p.watcher.Control(state.Command{Action: state.ActionPause, By: "ana"}))
		pass(time.Hour)
		require.LessOrEqual(t, s.pushes(), pushed+1)
		require.Equal(t, "ana", o.status().Run.Paused.By)
		require.NoError(t, p.watcher.Control(state.Command{Action: state.ActionRate, Rate: 100}))
		require.NoError(t, p.watcher.Control(state.Command{Action: state.ActionResume}))
		pass(10 * time.Minute)
		p.stop(t)
		require.Equal(t, 5, s.pushes())
		run := s.runOf(s.episodes()[0].ID)
		require.NotNil(t, run.Report, "OnClosed receives the report")
		doc, err := o.Document(run)
		require.NoError(t, err)
		require.Equal(t, 5, doc.Outcomes.Completed)
	})
}
