package resubmit_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// controlDiary writes down the states of the run and of its gate.
type controlDiary struct {
	states []resubmit.RunState
	gate   []string
	last   string
}

func (d *controlDiary) on(e resubmit.Event) {
	switch e := e.(type) {
	case resubmit.RunStateChange:
		d.states, d.last = append(d.states, e.State), "control"
	case resubmit.GateClosed:
		d.gate = append(d.gate, e.Why)
	case resubmit.GateOpened:
		d.gate = append(d.gate, "open")
	case resubmit.RunFinished:
		d.last = "finished"
	}
}

func TestDrainFinishesOpenOrders(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prepare func(s *shop, r *resubmit.Runner) []maintenance.Window
		result  resubmit.OutcomeCounts
		pushes  int
	}{
		"at the gate": {func(_ *shop, r *resubmit.Runner) []maintenance.Window {
			time.AfterFunc(time.Minute, r.Drain)
			return []maintenance.Window{windowAt(-time.Minute, time.Hour)}
		}, resubmit.OutcomeCounts{NotStarted: 5}, 0},
		"while paused": {func(_ *shop, r *resubmit.Runner) []maintenance.Window {
			r.Pause()
			time.AfterFunc(time.Minute, r.Drain)
			return nil
		}, resubmit.OutcomeCounts{NotStarted: 5}, 0},
		"while an order is read again": {func(s *shop, r *resubmit.Runner) []maintenance.Window {
			s.orders["id-0"].onRead = func(*shopOrder) { r.Drain() }
			return nil
		}, resubmit.OutcomeCounts{NotStarted: 5}, 0},
		"while an order is pushed": {func(s *shop, r *resubmit.Runner) []maintenance.Window {
			s.onPush = func(context.Context, string) { r.Drain() }
			return nil
		}, resubmit.OutcomeCounts{Completed: 1, NotStarted: 4}, 1},
		"between two tries": {func(s *shop, r *resubmit.Runner) []maintenance.Window {
			s.orders["id-0"].pushFaults = []fault{limited} // so that it is not read before the end of the run
			time.AfterFunc(500*time.Millisecond, r.Drain)
			return nil
		}, resubmit.OutcomeCounts{NotStarted: 4, Unknown: 1}, 1},
		"while an order is verified": {func(s *shop, r *resubmit.Runner) []maintenance.Window {
			s.orders["id-0"].fates = []fate{{after: 10 * time.Minute, status: "CP"}}
			time.AfterFunc(time.Minute, r.Drain)
			return nil
		}, resubmit.OutcomeCounts{Completed: 1, NotStarted: 4}, 1},
		"when all is done already": {func(_ *shop, r *resubmit.Runner) []maintenance.Window {
			time.AfterFunc(time.Hour, r.Drain)
			return nil
		}, resubmit.OutcomeCounts{Completed: 5}, 5},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var orders []*shopOrder
				for n := range 5 {
					orders = append(orders, outageOrder(n, "s"))
				}
				s := newShop(orders...)
				seen := new(controlDiary)
				r := runnerFor(t, s, func(c *resubmit.Config) { c.Concurrency, c.OnEvent, c.MaxOpenOrders = 1, seen.on, 4 })
				windows := tt.prepare(s, r)
				var entries []*plan.Entry
				for _, o := range orders {
					entries = append(entries, entryFor(o))
				}
				plan := planWith(t, windows, entries...)
				report, err := r.Apply(t.Context(), plan)
				require.Equal(t, tt.result, report.Result)
				require.Equal(t, tt.pushes, s.pushes())
				if tt.result.NotStarted == 0 {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, resubmit.ErrDrained)
				require.Equal(t, err.Error(), report.Err)
				require.Contains(t, itemOf(t, report, 4).Why, "not started: resubmit: the run was drained")
				require.Contains(t, seen.states, resubmit.StateDraining)
				require.Equal(t, "finished", seen.last)

				// The same plan and journal do the rest, and no drain is left over.
				r.Resume()
				s.onPush, s.orders["id-0"].onRead = nil, nil
				report, err = r.Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Completed: 5}, report.Result)
			})
		})
	}
}

func TestCancelEndsTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := manyOrders(5)
		for _, o := range orders {
			o.fates = []fate{{after: time.Hour, status: "CP"}}
		}
		s := newShop(orders...)
		seen := new(controlDiary)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.OnEvent = seen.on })
		r.Cancel() // nothing runs: nothing happens
		time.AfterFunc(time.Minute, r.Cancel)
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.ErrorIs(t, err, resubmit.ErrCancelled)
		require.Equal(t, resubmit.OutcomeCounts{Progressing: 5}, report.Result)
		require.Equal(t, time.Minute, time.Since(start))
		require.Equal(t, []resubmit.RunState{resubmit.StateCancelled}, seen.states)
		require.Equal(t, "finished", seen.last)
		require.Equal(t, resubmit.Status{}, r.Status())
	})
}

func TestStatusAndEventsShowEveryState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(3)
		s := newShop(orders...)
		seen := new(controlDiary)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.OnEvent = seen.on })
		require.Equal(t, resubmit.StateIdle, r.Status().State)
		r.Drain() // nothing runs: nothing happens
		r.Pause()
		require.Equal(t, resubmit.StatePaused, r.Status().State)
		steps := []func(){r.Resume, r.Pause, r.Pause, r.Drain, r.Drain, r.Resume}
		for i, step := range steps {
			time.AfterFunc(time.Duration(i+1)*time.Second, step)
		}
		for _, o := range orders {
			o.fates = []fate{{after: time.Minute, status: "CP"}}
		}
		time.AfterFunc(1500*time.Millisecond, func() { require.Equal(t, resubmit.StateRunning, r.Status().State) })
		time.AfterFunc(4500*time.Millisecond, func() { require.Equal(t, resubmit.StateDraining, r.Status().State) })
		_, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, []resubmit.RunState{
			resubmit.StateRunning, resubmit.StatePaused, resubmit.StateDraining, resubmit.StateDraining,
		}, seen.states)
	})
}

func TestGateEventsAreInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(400)
		s := newShop(orders...)
		seen := new(controlDiary)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.OnEvent, c.Concurrency, c.RateLimit = seen.on, 16, 100 })
		for i := range 40 {
			time.AfterFunc(time.Duration(2*i)*100*time.Millisecond, r.Pause)
			time.AfterFunc(time.Duration(2*i+1)*100*time.Millisecond, r.Resume)
		}
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 400}, report.Result)
		require.Greater(t, len(seen.gate), 10)
		for i, what := range seen.gate {
			require.Equal(t, map[bool]string{true: "paused", false: "open"}[i%2 == 0], what, "event %d", i)
		}
	})
}

func TestGateLeavesTimeForAPush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := manyOrders(100)
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Concurrency, c.Guard = 1, time.Minute
			c.Pusher = lengthyPusher{s, 20 * time.Second}
		})
		window := windowAt(10*time.Minute, time.Hour)
		var entries []*plan.Entry
		for _, o := range orders {
			entries = append(entries, entryFor(o))
		}
		report, err := r.Apply(t.Context(), planWith(t, []maintenance.Window{window}, entries...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 100}, report.Result)
		last, first := time.Duration(0), time.Hour*99
		for _, l := range s.ledger {
			if at := l.at.Sub(start); at < 10*time.Minute {
				last = max(last, at)
			} else {
				first = min(first, at)
			}
		}
		require.LessOrEqual(t, last, 9*time.Minute, "what was begun is over when the guard time begins")
		require.Greater(t, last, 8*time.Minute)
		require.Equal(t, time.Hour+240*time.Second+20*time.Second, first, fmt.Sprint(first))
	})
}

func TestDrainDoesNotWaitForRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := manyOrders(10)
		for _, o := range orders[:4] { // any of them may be the first
			o.pushFaults = []fault{limited}
		}
		s := newShop(orders...)
		s.retryAfter = 10 * time.Hour
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Concurrency, c.RateLimit = 4, 1 })
		time.AfterFunc(time.Hour, r.Drain)
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.ErrorIs(t, err, resubmit.ErrDrained)
		require.Equal(t, 10, report.Result.Total())
		require.Len(t, s.ledger, 1)
		require.Equal(t, time.Hour, time.Since(start))
	})
}

func TestStatusIsOneLine(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]resubmit.Status{
		"no run":                                {},
		"paused":                                {State: resubmit.StatePaused},
		"running: 2 sent, 0 verified, 10 to go": {State: resubmit.StateRunning, Total: 12, Open: 3, Verifying: 2},
		"draining: 3 sent, 11 verified, 1 skipped, 25 to go; pushes wait: a window is open; the rate is " +
			"reduced: HTTP 429": {
			State: resubmit.StateDraining, Total: 40, Done: 12, Open: 3, Verifying: 3,
			Result: resubmit.OutcomeCounts{Completed: 11, Skipped: 1},
			Gate:   "a window is open", Slowed: "HTTP 429",
		},
	} {
		require.Equal(t, want, s.String())
	}
}
