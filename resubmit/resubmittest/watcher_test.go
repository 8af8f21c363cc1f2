package resubmittest_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"iter"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/conformance"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// counter is a Commerce with one order, which fails in a maintenance and completes when it is pushed.
type counter struct{ order *commerce.Order }

func (c *counter) System() string { return "counter" }

func (c *counter) BaseURL() string { return "" }

func (c *counter) Capabilities() commerce.Capabilities {
	return commerce.Capabilities{Failure: true, Transitions: true}
}

func (c *counter) Order(context.Context, string) (*commerce.Order, error) { return new(*c.order), nil }

func (c *counter) Push(context.Context, string, commerce.Status) error {
	c.order.Status, c.order.Transitions = commerce.StatusCompleted, nil
	return nil
}

func (c *counter) Orders(_ context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		if q.Match(c.order) {
			yield(new(*c.order), nil)
		}
	}
}

func readiness(ready bool) availability.Readiness {
	check := availability.Check{Name: availability.CheckAnswer, State: availability.StateReady}
	if !ready {
		check.State = availability.StateNotReady
	}
	return availability.Readiness{Checks: []availability.Check{check}}
}

// watcherConfig configures a watcher of a maintenance from now on for an hour, in which an order fails.
func watcherConfig(t *testing.T, answers ...watch.Approval) watch.Config {
	t.Helper()
	return watcherFrom(t, time.Now(), answers...)
}

func watcherFrom(t *testing.T, start time.Time, answers ...watch.Approval) watch.Config {
	t.Helper()
	window := maintenance.Window{ID: "W", Start: start, End: start.Add(time.Hour)}
	calendar, err := maintenance.NewCalendar([]maintenance.Window{window})
	require.NoError(t, err)
	failedAt := window.Start.Add(time.Minute)
	system := &counter{&commerce.Order{
		ID: "1", Number: "SO000001", Type: commerce.TypeSales, Status: commerce.StatusProvisioningFailed,
		PlacedAt: failedAt, FailedAt: failedAt, SubscriptionIDs: []string{"1000042"},
		Failure:     commerce.Failure{Messages: map[string]string{"en_US": "503 Service Unavailable"}},
		Transitions: []commerce.Transition{{To: commerce.StatusPaid}},
	}}
	asked := 0
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	return watch.Config{
		Dir: t.TempDir(), Windows: maintenance.NewCalendarSource(calendar),
		Ready: func(context.Context, time.Time) availability.Readiness { asked++; return readiness(asked > 3) },
		Plan: func(context.Context, watch.Episode) (resubmit.PlanConfig, error) {
			return resubmit.PlanConfig{IgnoreConnect: true}, nil
		},
		Approve: func(context.Context, watch.Episode, *plan.Plan) (watch.Approval, error) {
			answer := answers[0]
			answers = answers[1:]
			return answer, nil
		},
		ApprovalKey: key,
		State: state.Config{
			Systems: resubmit.SystemsOf(system, system), Journal: new(resubmit.MemoryJournal),
			Anchor: state.FileAnchor(filepath.Join(t.TempDir(), "anchor")),
			Runner: resubmit.Config{Require: []ed25519.PublicKey{ed25519.PublicKey(key[ed25519.SeedSize:])}},
		},
	}
}

func TestWatcherKeepsItsPromises(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answers []watch.Approval
		want    watch.EpisodeState
	}{
		"approved": {[]watch.Approval{{State: watch.Pending}, {State: watch.Approved}}, watch.EpisodeApplied},
		"rejected": {[]watch.Approval{{State: watch.Rejected}}, watch.EpisodeRejected},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := watcherConfig(t, tc.answers...)
				ctx, stop := context.WithTimeout(t.Context(), 24*time.Hour)
				defer stop()
				var end watch.Episode
				cfg.OnClosed = func(e watch.Episode, _ *state.Run) { end = e; stop() }
				w, err := watch.New(ctx, resubmittest.CheckWatcher(t)(cfg))
				require.NoError(t, err)
				require.ErrorIs(t, w.Run(ctx), context.Canceled)
				require.Equal(t, tc.want, end.State)
			})
		})
	}
}

func TestBrokenWatchersAreCaught(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var p *plan.Plan // with one order to resubmit
	var empty *plan.Plan
	episode := watch.Episode{Windows: []maintenance.Window{{ID: "W", Start: time.Now().Add(-2 * time.Hour),
		End: time.Now().Add(-time.Hour)}}}
	cfg := watcherFrom(t, episode.Windows[0].Start)
	calendar, err := maintenance.NewCalendar(episode.Windows)
	require.NoError(t, err)
	for to, which := range map[**plan.Plan]filter.Filter{&p: filter.Everything(), &empty: filter.Numbers("SO999999")} {
		*to, err = resubmit.BuildPlan(ctx, resubmit.PlanConfig{Systems: cfg.State.Systems, Journal: cfg.State.Journal,
			Calendar: calendar, IgnoreConnect: true, Filter: which})
		require.NoError(t, err)
	}
	require.Equal(t, 1, p.Counts().Resubmit)
	windows := func(c watch.Config) { _, _ = c.Windows.Windows(ctx, time.Time{}, time.Now()) }
	for name, tc := range map[string]struct {
		promise string
		run     func(c watch.Config)
	}{
		"asks before the windows are known": {"waits for the first complete answer", func(c watch.Config) {
			c.Ready(ctx, time.Time{})
		}},
		"plans before Connect is ready": {"plans only after Ready", func(c watch.Config) {
			windows(c)
			_, _ = c.Plan(ctx, episode)
		}},
		"plans during a maintenance": {"plans only for maintenance that has ended", func(c watch.Config) {
			windows(c)
			for range 4 {
				c.Ready(ctx, time.Time{})
			}
			_, _ = c.Plan(ctx, watch.Episode{Windows: []maintenance.Window{{ID: "W", Start: time.Now(),
				End: time.Now().Add(time.Hour)}}})
		}},
		"asks for approval of nothing": {"asks for approval", func(c watch.Config) {
			windows(c)
			_, _ = c.Approve(ctx, episode, empty)
		}},
		"applies what was rejected": {"applies nothing that was rejected", func(c watch.Config) {
			windows(c)
			_, _ = c.Approve(ctx, episode, p)
			_ = c.State.Runner.Audit(resubmit.RunStarted{Digest: p.Digest()})
		}},
		"closes an episode that is not over": {"calls OnClosed with a final state", func(c watch.Config) {
			c.OnClosed(watch.Episode{State: watch.EpisodeOpen}, nil)
		}},
		"reports on a plan that was rejected": {"calls OnClosed with a final state", func(c watch.Config) {
			c.OnClosed(watch.Episode{State: watch.EpisodeRejected}, &state.Run{Report: new(resubmit.Report)})
		}},
		"breaks a promise of the Runner": {"emits RunStarted first", func(c watch.Config) {
			c.State.Runner.OnEvent(resubmit.OrderDone{})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := conformance.Failures(t, func(tb testing.TB) {
				tc.run(resubmittest.CheckWatcher(tb)(watcherConfig(t, watch.Approval{State: watch.Rejected})))
			})
			require.Len(t, found, 1, "%q", found)
			require.Contains(t, found[0], "broken promise: "+tc.promise)
		})
	}
	t.Run("a source that fails is no answer", func(t *testing.T) {
		t.Parallel()
		found := conformance.Failures(t, func(tb testing.TB) {
			cfg := watcherConfig(t)
			cfg.Windows = failingSource{}
			cfg = resubmittest.CheckWatcher(tb)(cfg)
			windows(cfg)
			cfg.Ready(ctx, time.Time{})
		})
		require.Len(t, found, 1)
	})
	t.Run("a rejection is remembered by the next process", func(t *testing.T) {
		t.Parallel()
		require.Len(t, conformance.Failures(t, func(tb testing.TB) {
			check := resubmittest.CheckWatcher(tb)
			first := check(watcherConfig(t, watch.Approval{State: watch.Rejected}))
			windows(first)
			_, _ = first.Approve(ctx, episode, p)
			_ = check(watcherConfig(t)).State.Runner.Audit(resubmit.RunStarted{Digest: p.Digest()})
		}), 1)
	})
}

type failingSource struct{}

func (failingSource) Windows(context.Context, time.Time, time.Time) ([]maintenance.Window, error) {
	return nil, errors.New("the page is down")
}
