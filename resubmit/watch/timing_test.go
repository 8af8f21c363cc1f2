package watch_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// timed is a Timing whose history is kept as JSON, and read by another one each time.
type timed struct {
	*watch.Timing

	history []byte
}

func (s *site) timing(t *testing.T, change func(*watch.Config)) *timed {
	t.Helper()
	p := &process{site: s}
	cfg := p.config()
	cfg.Outages, cfg.Refresh, cfg.State.Journal, cfg.State.Anchor = nil, time.Minute, nil, nil
	if change != nil {
		change(&cfg)
	}
	timing, err := watch.NewTiming(cfg)
	require.NoError(t, err)
	return &timed{timing, []byte("{}")}
}

func (d *timed) next(t *testing.T, change func(*watch.History)) watch.Next {
	t.Helper()
	var h watch.History
	require.NoError(t, json.Unmarshal(d.history, &h))
	if change != nil {
		change(&h)
	}
	n, err := d.Next(t.Context(), &h)
	require.NoError(t, err)
	d.history, err = json.Marshal(h)
	require.NoError(t, err)
	return n
}

// episodes returns the episodes of the history.
func (d *timed) episodes(t *testing.T) []watch.Episode {
	t.Helper()
	var h watch.History
	require.NoError(t, json.Unmarshal(d.history, &h))
	return h.Episodes
}

func TestTiming(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := newSite(), upgrade()
		extended := w
		extended.End = w.End.Add(time.Hour)
		s.notices = []notice{
			{until: w.Start.Add(time.Hour), window: w}, {from: w.Start.Add(time.Hour), window: extended},
			{from: w.Start, window: maintenance.Window{
				ID: "next", Start: w.End.Add(5 * time.Hour), End: w.End.Add(6 * time.Hour),
			}},
		}
		s.down = []maintenance.Span{extended.Span()}
		d := s.timing(t, nil)
		require.Equal(t, watch.PhaseNoCalendar, d.next(t, nil).Phase)
		require.Nil(t, d.Calendar())
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go d.Run(ctx)
		pass(time.Second)
		n := d.next(t, nil)
		require.Equal(t, watch.PhaseIdle, n.Phase)
		require.LessOrEqual(t, n.Pause, time.Minute)
		require.NotNil(t, d.Calendar())

		pass(time.Until(w.Start.Add(30 * time.Minute)))
		n = d.next(t, nil)
		require.Equal(t, watch.PhaseMaintenance, n.Phase)
		require.Equal(t, w.End, n.Until.UTC())
		require.Equal(t, w.ID, n.Episode.Windows[0].ID)
		pass(time.Until(w.End.Add(time.Minute)))
		require.Equal(t, watch.PhaseMaintenance, d.next(t, nil).Phase, "it was extended")
		pass(time.Until(extended.End))
		require.Equal(t, watch.PhaseSettling, d.next(t, nil).Phase)
		s.unready = errors.New("the hub is not connected")
		pass(time.Until(extended.End.Add(defaultSettle)))
		n = d.next(t, nil)
		require.Equal(t, watch.PhaseNotReady, n.Phase)
		require.Contains(t, n.Text, "the hub is not connected")
		longer := d.next(t, nil)
		require.Greater(t, longer.Pause, n.Pause, "the history counts unready checks")
		s.mu.Lock()
		s.unready = nil
		s.mu.Unlock()
		n = d.next(t, nil)
		require.Equal(t, watch.PhasePlanning, n.Phase)
		e := *n.Episode
		require.Equal(t, extended.End, e.End().UTC())

		wait := time.Now().Add(10 * time.Minute)
		n = d.next(t, func(h *watch.History) { h.PlanAt = wait })
		require.Equal(t, watch.PhaseSettling, n.Phase, "its orders must wait")
		require.Equal(t, wait, n.Until)
		pass(10 * time.Minute)
		require.Equal(t, watch.PhasePlanning, d.next(t, nil).Phase)

		open := func(h *watch.History) {
			e.State = watch.EpisodeOpen
			h.Episodes = append(h.Episodes, e)
		}
		require.Equal(t, watch.PhaseAwaitingApproval, d.next(t, open).Phase)
		pass(time.Until(w.End.Add(5*time.Hour + time.Minute)))
		require.Equal(t, watch.PhaseMaintenance, d.next(t, nil).Phase, "the next one began before a decision")
		d.next(t, func(h *watch.History) {
			h.Episodes[0].State, h.Episodes[0].ClosedAt = watch.EpisodeApplied, time.Now()
		})
		pass(time.Until(w.End.Add(6*time.Hour + defaultSettle)))
		n = d.next(t, nil)
		require.Equal(t, watch.PhasePlanning, n.Phase)
		require.Equal(t, "next", n.Episode.Windows[0].ID, "only the one that was not handled")

		pass(7*24*time.Hour + time.Minute)
		require.Equal(t, watch.PhaseIdle, d.next(t, nil).Phase)
		require.Empty(t, d.episodes(t), "what is older than MaxAge is not kept")
		expired := s.timing(t, nil)
		go expired.Run(ctx)
		pass(time.Second)
		require.Equal(t, watch.PhaseIdle, expired.next(t, nil).Phase, "nor looked back at")
	})
}

func TestTimingPlans(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := announced(1)
		d := s.timing(t, nil)
		seen := maintenance.Window{
			ID: "outage", Start: w.End.Add(time.Hour), End: w.End.Add(2 * time.Hour), Source: maintenance.SourceObserved,
		}
		e := watch.Episode{ID: "maintenance-1", Windows: []maintenance.Window{w, seen, seen}}
		_, err := d.PlanConfig(t.Context(), e)
		require.ErrorContains(t, err, "not known yet", "a plan without the windows would hold orders")
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go d.Run(ctx)
		pass(time.Second)
		cfg, err := d.PlanConfig(t.Context(), e)
		require.NoError(t, err)
		require.NotNil(t, cfg.Filter)
		require.NotNil(t, cfg.Reader)
		found, ok := cfg.Calendar.At(seen.Start.Add(time.Minute))
		require.True(t, ok, "another process has observed it")
		require.Equal(t, seen.End, found.Span().End)
		found, ok = cfg.Calendar.At(w.Start.Add(time.Minute))
		require.True(t, ok)
		require.Equal(t, w.ID, found.ID)
		s.planErr = errors.New("no filter today")
		_, err = d.PlanConfig(t.Context(), e)
		require.ErrorIs(t, err, s.planErr)
	})
}

// observed are outages that were observed.
type observed []availability.Outage

func (o observed) Outages() []availability.Outage { return o }

func (observed) Status(now time.Time) availability.TrackerStatus {
	return availability.TrackerStatus{ProbedAt: now}
}

// TestTimingOfOtherObservers: an outage that this process observed a little longer than the one that made the plan does
// not begin anew while the plan waits.
func TestTimingOfOtherObservers(t *testing.T) {
	in(t, func(t *testing.T) {
		s, w := newSite(), upgrade()
		d := s.timing(t, func(c *watch.Config) {
			c.Outages = observed{{ID: "outage-1", First: w.Start, Last: w.End.Add(-time.Minute), End: w.End}}
		})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go d.Run(ctx)
		pass(time.Until(w.End.Add(time.Hour)))
		seen := maintenance.Window{
			ID: "outage-2", Source: maintenance.SourceObserved,
			Start: w.Start.Add(2 * time.Second), End: w.End.Add(-3 * time.Second),
		}
		open := watch.Episode{ID: "maintenance-1", State: watch.EpisodeOpen, Windows: []maintenance.Window{seen}}
		n := d.next(t, func(h *watch.History) { h.Episodes = []watch.Episode{open} })
		require.Equal(t, watch.PhaseAwaitingApproval, n.Phase)
		open.Windows[0].End = w.End.Add(-30 * time.Minute)
		n = d.next(t, func(h *watch.History) { h.Episodes = []watch.Episode{open} })
		require.NotEqual(t, watch.PhaseAwaitingApproval, n.Phase, "it lasted much longer")
	})
}

func TestNewTimingRejects(t *testing.T) {
	t.Parallel()
	_, err := watch.NewTiming(watch.Config{})
	require.ErrorContains(t, err, "Config.Windows is nil")
	require.ErrorContains(t, err, "Config.Ready is nil")
	require.NotContains(t, err.Error(), "Config.Dir")
	cfg := (&process{site: newSite()}).config()
	cfg.Outages, cfg.State.Limits = nil, state.Limits{MaxOrders: -2}
	_, err = watch.NewTiming(cfg)
	require.ErrorContains(t, err, "Limits.MaxOrders is -2")
}
