package watch_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
		cfg, err := d.PlanConfig(t.Context(), watch.Episode{ID: "maintenance-1", Windows: []maintenance.Window{w}})
		require.NoError(t, err)
		require.NotNil(t, cfg.Filter)
		require.NotNil(t, cfg.Reader)
		s.planErr = errors.New("no filter today")
		_, err = d.PlanConfig(t.Context(), watch.Episode{ID: "maintenance-1", Windows: []maintenance.Window{w}})
		require.ErrorIs(t, err, s.planErr)
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
