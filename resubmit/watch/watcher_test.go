package watch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// upgrade returns a window of two hours that begins an hour from now.
func upgrade() maintenance.Window {
	start := time.Now().UTC().Add(time.Hour)
	return maintenance.Window{ID: "CHG-1", Title: "Upgrade", Start: start, End: start.Add(2 * time.Hour)}
}

// announced returns a site with one window, held as announced, and n orders that fail in it.
func announced(n int) (*site, maintenance.Window) {
	s, w := newSite(), upgrade()
	s.notices = []notice{{window: w}}
	s.down = []maintenance.Span{w.Span()}
	for i := range n {
		s.breaks(w.Start.Add(time.Duration(10+i)*time.Minute), outage)
	}
	return s, w
}

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// in runs a test in a synctest bubble.
func in(t *testing.T, story func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, story)
}

func TestWatcherResubmitsAfterMaintenance(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(3)
		s.breaks(w.Start.Add(30*time.Minute), "the vendor has rejected the request")
		dir := filepath.Join(t.TempDir(), "state")
		p := s.start(t, dir, nil, nil)
		pass(24 * time.Hour)
		p.stop(t)
		require.Equal(t, 3, s.pushes())
		for _, l := range s.ledger {
			require.False(t, l.at.Before(w.End.Add(defaultSettle)))
		}
		require.Len(t, s.episodes(), 1)
		require.Equal(t, watch.EpisodeApplied, s.episodes()[0].State)
		run := s.runOf(s.episodes()[0].ID)
		require.Equal(t, 3, run.Report.Result.Completed)
		require.Equal(t, s.episodes()[0].Run, run.ID)
		require.Equal(t, s.episodes()[0].ID, run.For)
		info, err := os.Stat(filepath.Join(dir, "watcher.json"))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	})
}

// An order that waits for Connect when the maintenance begins may fail too. Not every client tells when an order failed.
func TestWatcherCanResubmitOrdersThatWereWaiting(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(2)
		waiting := s.breaks(w.Start.Add(-2*time.Minute), outage)
		old := s.breaks(w.Start.Add(-25*time.Hour), outage)
		for _, o := range s.orders {
			o.FailedAt = time.Time{}
		}
		p := &process{site: s, dir: filepath.Join(t.TempDir(), "state"), ended: make(chan struct{})}
		s.run(t, p, nil, func(c *watch.Config) {
			plan := c.Plan
			c.Plan = func(ctx context.Context, e watch.Episode) (resubmit.PlanConfig, error) {
				cfg, err := plan(ctx, e)
				cfg.Filter = filter.AffectedBy(failure.AttributorConfig{}, e.Windows...)
				return cfg, err
			}
		})
		pass(24 * time.Hour)
		p.stop(t)
		require.Equal(t, 3, s.pushes())
		require.Equal(t, 1, s.accepted(waiting.ID))
		require.Zero(t, s.accepted(old.ID))
	})
}

// The service is killed at each point, one after the other.
func TestWatcherResumesAfterCrash(t *testing.T) {
	t.Parallel()
	for n := 1; ; n += testkit.Scale(1, 15) {
		killed := true
		t.Run(fmt.Sprintf("at_point_%d", n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := announced(2)
				s.answer([]watch.Approval{{}}) // later
				left := n
				p := s.start(t, filepath.Join(t.TempDir(), "state"), nil, func(string) bool { left--; return left == 0 })
				select {
				case <-p.ended:
					p = s.start(t, p.dead, p.stop(t), nil)
				case <-time.After(24 * time.Hour):
					killed = false
				}
				pass(24 * time.Hour)
				p.stop(t)
				for id := range s.orders {
					require.LessOrEqual(t, s.accepted(id), 1)
					require.True(t, s.accepted(id) == 1 || s.left(id) != "", "order %s is forgotten", id)
				}
				episodes := p.watcher.Episodes()
				require.Len(t, episodes, 1)
				require.Equal(t, watch.EpisodeApplied, episodes[0].State, "%s", s.log())
				run := s.runOf(episodes[0].ID)
				require.Equal(t, episodes[0].Run, run.ID)
				require.Contains(t, s.questions(), run.Digest)
			})
		})
		if !killed || t.Failed() {
			require.Greater(t, n, 25)
			return
		}
	}
}

func TestApproveIsCalledUntilDecision(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(1)
		tomorrow := w.End.Add(24 * time.Hour)
		s.answer([]watch.Approval{{}, {AskAgainAt: tomorrow, Why: "the person sleeps"},
			{State: watch.Rejected, Why: "by hand"}})
		p := s.start(t, t.TempDir(), nil, nil)
		pass(3*time.Hour + 30*time.Minute)
		status := p.watcher.Status()
		require.Equal(t, watch.PhaseAwaitingApproval, status.Phase)
		require.Contains(t, status.String(),
			"is not decided yet: the person sleeps. It has 1 order to resubmit. The next check is at 2000-01-02 03:00 UTC.")
		remembered := p.stop(t)
		p = s.start(t, p.dir, remembered, nil) // which asks at once
		pass(time.Minute)
		p.stop(t)
		require.Len(t, s.questions(), 3)
		require.Equal(t, s.questions()[0], s.questions()[2], "another plan")
		require.Equal(t, askedAfter, s.questionTimes()[1].Sub(s.questionTimes()[0]))
		require.Equal(t, watch.EpisodeRejected, s.episodes()[0].State)
		require.Zero(t, s.pushes())
	})
}

// Defaults of the watcher and the runner.
const (
	askedAfter    = 15 * time.Minute
	defaultSettle = 240 * time.Second
)

func TestWakeCallsApproveAtOnce(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(1)
		s.answer([]watch.Approval{{AskAgainAt: w.End.Add(24 * time.Hour)}})
		p := s.start(t, t.TempDir(), nil, nil)
		pass(5 * time.Hour)
		require.Zero(t, s.pushes())
		p.watcher.Wake()
		pass(time.Second)
		require.Equal(t, 1, s.pushes())
		p.stop(t)
	})
}

func TestUndecidedPlanIsReplacedAfterNextMaintenance(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(1)
		next := maintenance.Window{ID: "CHG-2", Title: "Database", Start: w.End.Add(5 * time.Hour),
			End: w.End.Add(6 * time.Hour)}
		s.notices = append(s.notices, notice{window: next})
		s.down = append(s.down, next.Span())
		s.breaks(next.Start.Add(time.Minute), outage)
		s.answer([]watch.Approval{{AskAgainAt: w.End.Add(48 * time.Hour)}})
		p := s.start(t, t.TempDir(), nil, nil)
		pass(24 * time.Hour)
		p.stop(t)
		require.Len(t, s.episodes(), 1)
		require.Equal(t, 2, s.runOf(s.episodes()[0].ID).Counts.Resubmit)
		require.Equal(t, 2, s.pushes())
		require.Contains(t, s.log(), "the next maintenance began before a decision")
	})
}

func TestMaintenanceWhileServiceWasDown(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(1)
		p := s.start(t, t.TempDir(), nil, nil)
		pass(time.Minute)
		remembered := p.stop(t)
		recent := maintenance.Window{ID: "CHG-2", Start: w.End.AddDate(0, 0, 10), End: w.End.AddDate(0, 0, 10).Add(time.Hour)}
		s.notices = append(s.notices, notice{window: recent})
		s.breaks(recent.Start.Add(time.Minute), outage)
		pass(14 * 24 * time.Hour)
		p = s.start(t, p.dir, remembered, nil)
		pass(time.Hour)
		p.stop(t)
		require.Len(t, s.episodes(), 2)
		require.Equal(t, watch.EpisodeExpired, s.episodes()[0].State)
		require.Equal(t, "CHG-1", s.episodes()[0].Windows[0].ID)
		require.Equal(t, watch.EpisodeApplied, s.episodes()[1].State)
		require.Equal(t, 1, s.pushes())
		require.Contains(t, s.log(),
			`"Upgrade" (CHG-1), 2000-01-01 01:00 to 03:00 UTC: it ended more than 7 days ago`)
	})
}

func TestWindowExtendedAfterPlan(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(1)
		longer := w
		longer.ActualStart, longer.ActualEnd = w.Start, w.End.Add(2*time.Hour)
		s.notices = []notice{{until: w.End.Add(3 * time.Hour), window: w}, {from: w.End.Add(3 * time.Hour), window: longer}}
		late := s.breaks(w.End.Add(time.Hour), outage) // Connect answered its probes, and failed this
		p := s.start(t, t.TempDir(), nil, nil)
		pass(24 * time.Hour)
		p.stop(t)
		require.Len(t, s.episodes(), 2)
		require.True(t, s.episodes()[0].End().Equal(s.episodes()[1].Windows[0].ActualStart))
		require.Equal(t, 2, s.pushes())
		require.Equal(t, 1, s.accepted(late.ID))
	})
}

func TestWatcherWaitsForConnect(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(1)
		s.mu.Lock()
		s.unready = errors.New("hub HB-1 last reported 12m0s ago, more than 10m10s")
		s.mu.Unlock()
		p := s.start(t, t.TempDir(), nil, nil)
		pass(8 * time.Hour)
		status := p.watcher.Status()
		require.Equal(t, watch.PhaseNotReady, status.Phase)
		require.Contains(t, status.Text, `Connect is not ready after "Upgrade" (CHG-1)`)
		require.Contains(t, status.Text, "hub HB-1 last reported 12m0s ago")
		require.Contains(t, status.Text, "for more than 3h0m0s")
		// The observed outage begins earlier than the announced window.
		require.True(t, slices.ContainsFunc(status.Episode.Windows,
			func(known maintenance.Window) bool { return known.ID == w.ID }))
		require.Zero(t, s.pushes())
		require.Less(t, len(s.readies), 60, "it checks too often")
		s.mu.Lock()
		s.unready = nil
		s.mu.Unlock()
		pass(11 * time.Minute)
		p.stop(t)
		require.Equal(t, 1, s.pushes())
		require.Equal(t, 2, strings.Count(s.log(), "is not ready after"), "once, and once more when it is late")
	})
}

func TestFailedStepIsRetriedAndLoggedOnce(t *testing.T) {
	in(t, func(t *testing.T) {
		s, _ := announced(1)
		s.mu.Lock()
		s.planErr = errors.New("Commerce does not answer")
		s.mu.Unlock()
		p := s.start(t, t.TempDir(), nil, nil)
		pass(8 * time.Hour)
		status := p.watcher.Status()
		require.Equal(t, watch.PhaseError, status.Phase)
		require.ErrorIs(t, status.Err, s.planErr)
		require.Equal(t, 1, strings.Count(s.log(), "Commerce does not answer"))
		s.mu.Lock()
		s.planErr = nil
		s.mu.Unlock()
		pass(11 * time.Minute)
		p.stop(t)
		require.Equal(t, 1, s.pushes())
	})
}

func TestFailedSourceKeepsKnownWindows(t *testing.T) {
	in(t, func(t *testing.T) {
		s, _ := announced(1)
		p := s.start(t, t.TempDir(), nil, nil)
		pass(time.Minute)
		s.mu.Lock()
		s.broken = errors.New("the page is HTML")
		s.mu.Unlock()
		pass(24 * time.Hour)
		p.stop(t)
		require.Equal(t, 1, s.pushes())
		require.Equal(t, 1, strings.Count(s.log(), "the page is HTML"))

		other := newSite()
		other.broken = errors.New("the page is HTML")
		p = other.start(t, t.TempDir(), nil, nil)
		pass(time.Hour)
		require.Equal(t, watch.PhaseNoCalendar, p.watcher.Status().Phase)
		require.Contains(t, p.watcher.Status().String(), "the page is HTML")
		p.stop(t)
	})
}

func TestEpisodeWithoutOrdersIsClosed(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(0)
		s.breaks(w.Start.Add(time.Minute), "the vendor has rejected the request")
		p := s.start(t, t.TempDir(), nil, nil)
		pass(24 * time.Hour)
		p.stop(t)
		require.Empty(t, s.questions())
		require.Len(t, s.episodes(), 1)
		require.Equal(t, "there is no order to resubmit: 1 order, quarantine 1", s.episodes()[0].Note)
	})
}

func TestNewRejectsDamagedState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, _ := announced(1)
		p := s.start(t, dir, nil, nil)
		pass(24 * time.Hour)
		p.stop(t)
	})
	path := filepath.Join(dir, "watcher.json")
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	damaged := map[string]string{
		"cut off":          string(good[:len(good)/2]),
		"empty":            "",
		"two in one":       string(good) + string(good),
		"another program":  `{"kind":"other"}`,
		"a later version":  strings.Replace(string(good), `"version": 1`, `"version": 2`, 1),
		"an unknown key":   strings.Replace(string(good), `"from"`, `"form"`, 1),
		"an unknown state": strings.Replace(string(good), `"state": "applied"`, `"state": "done"`, 1),
		"a foreign path":   strings.Replace(string(good), `"id": "maintenance-`, `"id": "../maintenance-`, 1),
		"no windows": `{"kind":"cloudblue-resubmit-watcher","version":1,"note":"","from":"2026-01-01T00:00:00Z",` +
			`"episodes":[{"id":"maintenance-1","windows":[],"state":"applied"}]}`,
	}
	p := &process{site: newSite(), dir: dir, tracker: new(availability.Tracker)}
	for name, text := range damaged {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := watch.New(t.Context(), p.config())
		require.ErrorContains(t, err, path, name)
		require.ErrorContains(t, err, "put back a copy", name)
		require.NotContains(t, err.Error(), "\n", name)
	}
	require.NoError(t, os.WriteFile(path, good, 0o600))
	_, err = watch.New(t.Context(), p.config())
	require.NoError(t, err)
}

// Later releases read the state that earlier ones wrote.
func TestNewReadsTheStateOfVersion1(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("testdata/v1")))
	p := &process{site: newSite(), dir: dir, tracker: new(availability.Tracker)}
	w, err := watch.New(t.Context(), p.config())
	require.NoError(t, err)
	require.Len(t, w.Episodes(), 1)
	require.Equal(t, "1 order resubmitted: 1 completed", w.Episodes()[0].Note)
	require.Len(t, w.Episodes()[0].Windows, 2)
}

func FuzzWatcherState(f *testing.F) {
	f.Add(`{"kind":"cloudblue-resubmit-watcher","version":1,"note":"","from":"2026-01-01T00:00:00Z",` +
		`"episodes":[{"id":"maintenance-1",` +
		`"windows":[{"id":"a","start":"2026-01-01T00:00:00Z","end":"2026-01-01T01:00:00Z"}],"state":"open",` +
		`"after":"20260101T020000.000Z-0"}]}`)
	f.Add(`{"episodes":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "watcher.json"), []byte(text), 0o600))
		p := &process{site: newSite(), dir: dir, tracker: new(availability.Tracker)}
		w, err := watch.New(t.Context(), p.config())
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		for _, e := range w.Episodes() {
			require.NotEmpty(t, e.String())
			require.Equal(t, e.ID, filepath.Base(e.ID), "it would name a file elsewhere")
		}
	})
}

func TestNewRejectsIncompleteConfig(t *testing.T) {
	t.Parallel()
	calendar := func() *maintenance.Calendar { return nil }
	_, err := watch.New(t.Context(), watch.Config{
		MaxAge: -1, ApprovalKey: approvalKey[:10], State: state.Config{Calendar: calendar},
	})
	for _, field := range []string{
		"Dir", "Windows", "Ready", "ApprovalKey", "State.Calendar", "MaxAge", "Reader", "Pusher",
	} {
		require.ErrorContains(t, err, field)
	}
	cfg := (&process{site: newSite(), dir: t.TempDir(), tracker: new(availability.Tracker)}).config()
	cfg.ApprovalKey = otherKey
	_, err = watch.New(t.Context(), cfg)
	require.ErrorContains(t, err, "ApprovalKey is none of State.Approvers")
}

func TestRunLeavesNoGoroutinesAndRejectsSecondRun(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	synctest.Test(t, func(t *testing.T) {
		s, w := announced(1)
		p := s.start(t, t.TempDir(), nil, nil)
		pass(time.Minute)
		locked, ok := errors.AsType[*state.LockedError](p.watcher.Run(t.Context()))
		require.True(t, ok)
		require.Equal(t, os.Getpid(), locked.Holder.PID)
		pass(time.Until(w.Start.Add(time.Minute)))
		require.Equal(t, watch.PhaseMaintenance, p.watcher.Status().Phase)
		before := time.Now()
		p.stop(t)
		require.Zero(t, time.Since(before))
		require.Equal(t, watch.PhaseStopped, p.watcher.Status().Phase)
	})
}

// A step runs at the instant at which the maintenance reaches MaxAge.
func TestMaintenanceExpiresExactlyAtACheck(t *testing.T) {
	in(t, func(t *testing.T) {
		s, _ := announced(1)
		s.down = nil // nobody saw it, so that it ends with the hour
		s.mu.Lock()
		s.unready = errors.New("the hub is silent")
		s.mu.Unlock()
		p := s.start(t, t.TempDir(), nil, nil)
		pass(8 * 24 * time.Hour)
		p.stop(t)
		require.Len(t, s.episodes(), 1)
		require.Equal(t, watch.EpisodeExpired, s.episodes()[0].State)
		require.Zero(t, s.pushes())
	})
}

func TestCorrectedWindowIsHandledOnce(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(1)
		s.down = nil // nobody saw it
		short, first := w, w
		short.Start, short.End = w.End.Add(-30*time.Minute), w.End.Add(-10*time.Minute)
		first.End = w.Start.Add(time.Hour)
		five, seven := w.End.Add(2*time.Hour), w.End.Add(4*time.Hour)
		s.notices = []notice{{until: five, window: w}, {from: five, until: seven, window: short},
			{from: seven, window: first}}
		p := s.start(t, t.TempDir(), nil, nil)
		pass(24 * time.Hour)
		p.stop(t)
		require.Len(t, s.episodes(), 1, "%s", s.log())
		require.Equal(t, 1, s.pushes())
	})
}

func TestWindowBeganEarlierThanPlanned(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(1)
		earlier := w
		earlier.ActualStart, earlier.ActualEnd = w.Start.Add(-30*time.Minute), w.End
		s.notices = []notice{{until: w.End.Add(3 * time.Hour), window: w}, {from: w.End.Add(3 * time.Hour), window: earlier}}
		before := s.breaks(w.Start.Add(-20*time.Minute), outage)
		p := s.start(t, t.TempDir(), nil, nil)
		pass(24 * time.Hour)
		p.stop(t)
		require.Equal(t, 1, s.accepted(before.ID), "%s", s.log())
		require.Equal(t, 2, s.pushes())
	})
}

// A Multi tolerates failed sources, so its answer is empty if all of them fail.
func TestEmptyAnswerOfFailedSourcesIsNoCalendar(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(1)
		s.mu.Lock()
		s.broken = errors.New("the page is HTML")
		s.mu.Unlock()
		p := &process{site: s, dir: t.TempDir(), ended: make(chan struct{})}
		s.run(t, p, nil, func(cfg *watch.Config) {
			page, err := maintenance.NewMulti([]maintenance.NamedSource{{Name: "page", Source: s}})
			require.NoError(t, err)
			cfg.Windows = page
		})
		pass(30 * time.Minute)
		require.Equal(t, watch.PhaseNoCalendar, p.watcher.Status().Phase)
		require.Contains(t, p.watcher.Status().String(), "the page is HTML")
		s.mu.Lock()
		s.broken = nil
		s.mu.Unlock()
		pass(time.Until(w.Start.Add(time.Minute)))
		require.Equal(t, watch.PhaseMaintenance, p.watcher.Status().Phase)
		s.mu.Lock()
		s.broken = errors.New("the page is HTML again")
		s.mu.Unlock()
		pass(24 * time.Hour)
		p.stop(t)
		require.Equal(t, 1, s.pushes())
	})
}

func TestUnclosedMaintenanceIsLogged(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(1)
		begun, closed := w, w
		begun.ActualStart = w.Start
		closed.ActualStart, closed.ActualEnd = w.Start, w.End
		morning := w.End.Add(12 * time.Hour)
		s.notices = []notice{{until: morning, window: begun}, {from: morning, window: closed}}
		p := s.start(t, t.TempDir(), nil, nil)
		pass(time.Until(morning.Add(-time.Minute)))
		require.Contains(t, p.watcher.Status().Text,
			"should have ended at 2000-01-01 03:00 UTC. It is more than 3h0m0s late; if it is over, correct its announcement.")
		require.Equal(t, 1, strings.Count(s.log(), "correct its announcement"))
		require.Zero(t, s.pushes())
		pass(2 * time.Hour)
		p.stop(t)
		require.Equal(t, 1, s.pushes())
	})
}

func TestWindowExtendedWhileSettling(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(1)
		s.down = nil
		longer := w
		longer.End = w.End.Add(2 * time.Hour)
		changed := w.End.Add(2 * time.Minute) // and Commerce has four
		s.notices = []notice{{until: changed, window: w}, {from: changed, window: longer}}
		p := &process{site: s, dir: t.TempDir(), ended: make(chan struct{})}
		s.run(t, p, nil, func(cfg *watch.Config) { cfg.Refresh = time.Minute })
		pass(time.Until(changed.Add(-time.Second)))
		require.Equal(t, watch.PhaseSettling, p.watcher.Status().Phase)
		pass(2 * time.Second)
		require.Equal(t, watch.PhaseMaintenance, p.watcher.Status().Phase)
		pass(24 * time.Hour)
		p.stop(t)
		require.Len(t, s.episodes(), 1)
		require.Equal(t, 1, s.pushes())
		require.False(t, s.ledger[0].at.Before(longer.End.Add(defaultSettle)))
	})
}
