package state_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// busyShop counts pushes and calls onPush before each.
type busyShop struct {
	shop
	mu     sync.Mutex
	pushes map[string]int
	onPush func(ctx context.Context, id string) error
}

func (s *busyShop) Push(ctx context.Context, id string, to commerce.Status) error {
	if s.onPush != nil {
		if err := s.onPush(ctx, id); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushes[id]++
	return s.shop.Push(ctx, id, to)
}

func (s *busyShop) Order(ctx context.Context, id string) (*commerce.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shop.Order(ctx, id)
}

// newBusyShop returns a shop whose orders failed in the maintenance that ended long ago, and a directory for it with
// the default settings.
func newBusyShop(t *testing.T, ended time.Duration) (*busyShop, string, state.Config) {
	t.Helper()
	s := &busyShop{shop: newShop(), pushes: make(map[string]int)}
	end := time.Now().Add(-ended)
	for _, o := range s.shop {
		o.PlacedAt, o.FailedAt = end.Add(-30*time.Minute), end.Add(-10*time.Minute)
	}
	calendar, err := maintenance.NewCalendar([]maintenance.Window{{ID: "w", Start: end.Add(-time.Hour), End: end}})
	require.NoError(t, err)
	dir := t.TempDir()
	systems := s.systems()
	systems.Pusher, systems.Reader = s, s
	return s, filepath.Join(dir, "state"), state.Config{
		Systems: systems, Plan: resubmit.PlanConfig{Filter: filter.Everything(), IgnoreConnect: true},
		Calendar: func() *maintenance.Calendar { return calendar },
		Anchor:   state.FileAnchor(filepath.Join(dir, "anchor.json")),
	}
}

func open(t *testing.T, dir string, cfg state.Config) *state.Dir {
	t.Helper()
	d, err := state.Open(t.Context(), dir, cfg)
	require.NoError(t, err)
	return d
}

func TestOnceWithPlannerAndRunner(t *testing.T) {
	t.Parallel()
	t.Run("is controlled by another process and continued after a restart", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, dir, cfg := newBusyShop(t, 2*time.Hour)
			cfg.Runner.Concurrency = 1
			ctx, kill := context.WithCancel(t.Context())
			first := true
			s.onPush = func(context.Context, string) error {
				if first {
					first = false
					require.NoError(t, open(t, dir, cfg).Control(state.Command{Action: state.ActionPause, By: "ben"}))
					time.Sleep(5 * time.Second)
				}
				return nil
			}
			done := make(chan error)
			d := open(t, dir, cfg)
			go func() {
				_, err := d.Once(ctx, state.OnceOptions{})
				done <- err
			}()
			time.Sleep(time.Minute)
			d = open(t, dir, cfg)
			status, err := d.Status()
			require.NoError(t, err)
			require.Equal(t, "ben", status.Run.Paused.By)
			require.Equal(t, resubmit.StatePaused, status.Run.Live.State)
			require.Equal(t, 3, status.Run.Live.Total)
			kill()
			require.ErrorIs(t, <-done, context.Canceled)
			_, err = d.Once(t.Context(), state.OnceOptions{})
			require.ErrorIs(t, err, state.ErrPaused)
			require.Len(t, s.pushes, 1)

			require.NoError(t, d.Control(state.Command{Action: state.ActionResume}))
			r, err := d.Once(t.Context(), state.OnceOptions{})
			require.NoError(t, err)
			require.True(t, r.Runs[0].Report.OK())
			require.Equal(t, map[string]int{"1": 1, "2": 1, "3": 1}, s.pushes)
			_, err = d.VerifyAudit()
			require.NoError(t, err)
			runs, err := d.Runs()
			require.NoError(t, err)
			require.Len(t, runs, 1)
		})
	})
	t.Run("waits until the maintenance has settled", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, dir, cfg := newBusyShop(t, time.Minute)
			d := open(t, dir, cfg)
			for range 2 {
				_, err := d.Once(t.Context(), state.OnceOptions{})
				early, ok := errors.AsType[*resubmit.TooEarlyError](err)
				require.True(t, ok, "%v", err)
				require.WithinDuration(t, time.Now().Add(3*time.Minute), early.Due, 2*time.Second)
			}
			require.Empty(t, s.pushes)
			r, err := d.Once(t.Context(), state.OnceOptions{WaitUntil: time.Now().Add(time.Hour)})
			require.NoError(t, err)
			require.Equal(t, 3, r.Runs[len(r.Runs)-1].Report.Result.Completed)
			require.Len(t, s.pushes, 3)
		})
	})
	t.Run("does not send again what was sent before the journal was lost", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s, dir, cfg := newBusyShop(t, 2*time.Hour)
			d := open(t, dir, cfg)
			_, err := d.Once(t.Context(), state.OnceOptions{})
			require.NoError(t, err)
			for _, o := range s.shop { // they failed again, with the same text
				o.Status, o.Transitions = commerce.StatusProvisioningFailed, []commerce.Transition{{To: commerce.StatusPaid}}
				o.Failure = commerce.Failure{Messages: map[string]string{"en": "502 Bad Gateway"}}
			}
			require.NoError(t, os.Remove(filepath.Join(dir, "journal")))
			_, err = d.Once(t.Context(), state.OnceOptions{})
			require.ErrorIs(t, err, resubmit.ErrJournalMismatch)
			require.NoError(t, state.Recover(t.Context(), dir, cfg, "the disk broke"))
			r, err := d.Once(t.Context(), state.OnceOptions{})
			require.NoError(t, err)
			require.Equal(t, 3, r.Runs[0].Counts.Hold)
			require.Equal(t, map[string]int{"1": 1, "2": 1, "3": 1}, s.pushes)

			named := cfg.Plan
			named.Override = []string{"SO000002"}
			_, err = d.Once(t.Context(), state.OnceOptions{Plan: &named})
			early, ok := errors.AsType[*resubmit.TooEarlyError](err)
			require.True(t, ok, "a lost push may still act: %v", err)
			time.Sleep(time.Until(early.Due))
			r, err = d.Once(t.Context(), state.OnceOptions{Plan: &named})
			require.NoError(t, err)
			require.Equal(t, 1, r.Runs[0].Report.Result.Completed)
			require.Equal(t, map[string]int{"1": 1, "2": 2, "3": 1}, s.pushes)
		})
	})
}

func TestReadWithPlanner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, dir, cfg := newBusyShop(t, 2*time.Hour)
		d := open(t, dir, cfg)
		require.NoError(t, d.Read(t.Context()))
		require.NoFileExists(t, filepath.Join(dir, "journal"))
		_, err := d.Once(t.Context(), state.OnceOptions{})
		require.NoError(t, err)
		require.Len(t, s.pushes, 3)

		p, err := d.Overview()
		require.NoError(t, err)
		require.Equal(t, 3, p.Counts().Resubmit)
		cfg.Runner.Systems, cfg.Runner.Policy, cfg.Runner.Journal = cfg.Systems, cfg.Policy, new(resubmit.MemoryJournal)
		r, err := resubmit.NewRunner(cfg.Runner)
		require.NoError(t, err)
		_, err = r.Apply(t.Context(), p)
		require.ErrorIs(t, err, plan.ErrNoJournal)
		require.NoError(t, p.Close())
		require.NoError(t, d.Read(t.Context()))
		p, err = d.Overview()
		require.NoError(t, err)
		require.Zero(t, p.Counts().Total)
		require.NoError(t, p.Close())
	})
}

// Otherwise only applying would find it, after a plan was made and approved.
func TestOpenRejectsASettingOfTheRunner(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(*state.Config){
		"Config.Concurrency": func(c *state.Config) { c.Runner.Concurrency = -3 },
		"Config.Canary":      func(c *state.Config) { c.Runner.Canary.Steps = []int{0} },
		"SettleDelay":        func(c *state.Config) { c.Policy.SettleDelay = -5 },
	} {
		_, dir, cfg := newBusyShop(t, time.Hour)
		damage(&cfg)
		_, err := state.Open(t.Context(), dir, cfg)
		require.ErrorContains(t, err, name)
		cfg.Systems.Pusher = nil
		_, err = state.Open(t.Context(), dir, cfg)
		require.NoError(t, err, "it cannot apply, but shows runs")
	}
}
