package resubmit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// windowAt is a window that begins and ends that long from now.
func windowAt(from, to time.Duration) maintenance.Window {
	now := time.Now()
	return maintenance.Window{ID: "w", Title: "Release", Start: now.Add(from), End: now.Add(to)}
}

func TestGateHoldsPushesAroundAWindow(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		window     func() maintenance.Window
		config     func(*resubmit.Config)
		pushedFrom time.Duration // how long after the start the push goes out
		why        string
	}{
		"long before a window it is open": {
			window: func() maintenance.Window { return windowAt(time.Hour, 2*time.Hour) },
		},
		"right before the guard time it is open": {
			window: func() maintenance.Window { return windowAt(5*time.Minute, time.Hour) },
		},
		"within the guard time it waits for the end of the window and the settle time": {
			window:     func() maintenance.Window { return windowAt(5*time.Minute-1, time.Hour) },
			pushedFrom: time.Hour + 240*time.Second, why: "begins at",
		},
		"in a window it waits for its end and the settle time": {
			window:     func() maintenance.Window { return windowAt(-time.Minute, 10*time.Minute) },
			pushedFrom: 14 * time.Minute, why: `in the maintenance "Release" (w)`,
		},
		"right after a window it waits for the settle time": {
			window:     func() maintenance.Window { return windowAt(-time.Hour, -time.Minute) },
			pushedFrom: 3 * time.Minute, why: "has only just ended",
		},
		"when the settle time is over it is open": {
			window: func() maintenance.Window { return windowAt(-time.Hour, -4*time.Minute) },
		},
		"without guard time it is open until the window begins": {
			window: func() maintenance.Window { return windowAt(1, time.Minute) },
			config: func(c *resubmit.Config) { c.Guard = -1 },
		},
		"with hardly any settle time it is open when the window ends": {
			window: func() maintenance.Window { return windowAt(-time.Minute, 0) },
			config: func(c *resubmit.Config) { c.SettleDelay = time.Millisecond }, pushedFrom: time.Millisecond,
			why: "has only just ended",
		},
		"a window that is cancelled does not hold": {
			window: func() maintenance.Window {
				w := windowAt(-time.Minute, time.Minute)
				w.Cancelled = true
				return w
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				o := outageOrder(1, "s1")
				s := newShop(o)
				seen := new(diary)
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.OnEvent = seen.on
					if tt.config != nil {
						tt.config(c)
					}
				})
				_, err := r.Apply(t.Context(), planWith(t, []maintenance.Window{tt.window()}, entryFor(o)))
				require.NoError(t, err)
				require.Len(t, s.ledger, 1)
				require.Equal(t, tt.pushedFrom, s.ledger[0].at.Sub(start))
				require.Equal(t, tt.pushedFrom, s.calls[0].Sub(start), "the order is read only when it can be pushed")
				if tt.why == "" {
					require.Empty(t, seen.closed)
					return
				}
				require.Contains(t, seen.closed[0].Why, tt.why)
				require.Equal(t, tt.pushedFrom, seen.closed[0].Until.Sub(start))
				require.Equal(t, tt.pushedFrom, seen.opened[0].Waited)
			})
		})
	}
}

func TestGateFollowsWindowsThatMoveOrHaveNoEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		o := outageOrder(1, "s1")
		s := newShop(o)
		overrun := maintenance.Window{ID: "w", Start: start.Add(-time.Hour), End: start.Add(-time.Minute),
			ActualStart: start.Add(-time.Hour)}
		ended := overrun
		ended.ActualEnd = start.Add(20 * time.Minute)
		calendar := func() *maintenance.Calendar {
			w := overrun
			if !time.Now().Before(ended.ActualEnd) {
				w = ended
			}
			c, err := maintenance.NewCalendar([]maintenance.Window{w})
			require.NoError(t, err)
			return c
		}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Calendar, c.MaxPlanAge = calendar, -1 })
		_, err := r.Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.Equal(t, 24*time.Minute, s.ledger[0].at.Sub(start))
	})
}

func TestGateHoldsAPushIfAWindowOpensAfterTheRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		o := outageOrder(1, "s1")
		s := newShop(o)
		none, err := maintenance.NewCalendar(nil)
		require.NoError(t, err)
		sudden, err := maintenance.NewCalendar([]maintenance.Window{windowAt(0, time.Hour)})
		require.NoError(t, err)
		now := none
		o.onRead = func(o *shopOrder) { now, o.onRead = sudden, nil }
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Calendar = func() *maintenance.Calendar { return now } })
		report, err := r.Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
		require.Equal(t, 1, itemOf(t, report, 1).Attempts)
		require.Equal(t, time.Hour+240*time.Second, s.ledger[0].at.Sub(start))
	})
}

func TestGateHoldsPushesInALaterWeeklyWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now().UTC()
		o := outageOrder(1, "s1")
		s := newShop(o)
		weekly := maintenance.Weekly{ // its next one begins within the guard time, its last one was a week ago
			ID: "weekly", Weekday: start.Weekday(), Time: start.Add(4 * time.Minute).Format("15:04"), Duration: time.Hour,
			Zone: "UTC",
		}
		_, err := runnerFor(t, s, nil).Apply(t.Context(), planWithWeekly(t, weekly, entryFor(o)))
		require.NoError(t, err)
		require.Equal(t, time.Hour+8*time.Minute, s.ledger[0].at.Sub(start))
	})
}

func TestGateHoldsPushesWhilePaused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := []*shopOrder{outageOrder(1, "s1"), outageOrder(2, "s2")}
		s := newShop(orders...)
		r := runnerFor(t, s, nil)
		r.Pause()
		require.Equal(t, resubmit.StatePaused, r.Status().State)
		time.AfterFunc(90*time.Minute, func() {
			status := r.Status()
			require.Equal(t, resubmit.StatePaused, status.State)
			require.Equal(t, "paused", status.Gate)
			require.Equal(t, 2, status.Total)
			require.Equal(t, 2, status.Open)
			require.Equal(t, 2, status.Pushing)
			r.Resume()
		})
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 2}, report.Result)
		for _, l := range s.ledger {
			require.Equal(t, 90*time.Minute, l.at.Sub(start))
		}
		require.Equal(t, resubmit.Status{}, r.Status())
	})
}

func TestCancelAtAnyStepCountsEveryOrder(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prepare func(s *shop, cancel context.CancelFunc) []maintenance.Window
		first   protocol.Outcome
		why     string
		pushes  int
	}{
		"at the gate": {
			prepare: func(_ *shop, cancel context.CancelFunc) []maintenance.Window {
				time.AfterFunc(time.Minute, cancel)
				return []maintenance.Window{windowAt(-time.Minute, time.Hour)}
			},
			first: protocol.NotStarted, why: "not started: context canceled",
		},
		"while it is read again": {
			prepare: func(s *shop, cancel context.CancelFunc) []maintenance.Window {
				s.orders["id-1"].onRead = func(*shopOrder) { cancel() }
				return nil
			},
			first: protocol.NotStarted, why: "not started: context canceled",
		},
		"while it is pushed": {
			prepare: func(s *shop, cancel context.CancelFunc) []maintenance.Window {
				s.onPush = func(ctx context.Context, _ string) {
					cancel()
					if ctx.Err() != nil {
						s.orders["id-1"].pushFaults = []fault{lostIgnored} // never seen: the push is not cut
					}
				}
				return nil
			},
			first: protocol.Progressing, why: "pushed; the verification was stopped: context canceled", pushes: 1,
		},
		"between two tries": {
			prepare: func(s *shop, cancel context.CancelFunc) []maintenance.Window {
				s.orders["id-1"].pushFaults = []fault{limited}
				time.AfterFunc(500*time.Millisecond, cancel)
				return nil
			},
			first: protocol.Unknown, why: "context canceled; the last push was refused, and whether it moved", pushes: 1,
		},
		"while a lost answer is watched": {
			prepare: func(s *shop, cancel context.CancelFunc) []maintenance.Window {
				s.orders["id-1"].pushFaults = []fault{lostIgnored}
				time.AfterFunc(time.Minute, cancel)
				return nil
			},
			first: protocol.Unknown, why: "that was not resolved before the run ended: context canceled", pushes: 1,
		},
		"while it is verified": {
			prepare: func(s *shop, cancel context.CancelFunc) []maintenance.Window {
				s.orders["id-1"].fates = []fate{{after: 10 * time.Minute, status: commerce.StatusCompleted}}
				time.AfterFunc(time.Minute, cancel)
				return nil
			},
			first: protocol.Progressing, why: "the verification was stopped", pushes: 1,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := []*shopOrder{outageOrder(1, "s"), outageOrder(2, "s"), outageOrder(3, "s")}
				s := newShop(orders...)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				windows := tt.prepare(s, cancel)
				journal := journalOf(t)
				r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = journal })
				plan := planWith(t, windows, entryFor(orders[0]), entryFor(orders[1]), entryFor(orders[2]))
				report, err := r.Apply(ctx, plan)
				require.ErrorIs(t, err, context.Canceled)
				require.Equal(t, 3, report.Result.Total())
				require.Equal(t, "context canceled", report.Err)
				require.Equal(t, tt.first, itemOf(t, report, 1).Outcome, itemOf(t, report, 1).Why)
				require.Contains(t, itemOf(t, report, 1).Why, tt.why)
				require.Contains(t, itemOf(t, report, 3).Why, "not started: context canceled")
				require.Len(t, s.ledger, tt.pushes)

				// The same plan and journal go on where it stopped.
				s.onPush = nil
				s.orders["id-1"].onRead = nil
				report, err = r.Apply(t.Context(), plan)
				require.NoError(t, err)
				want := resubmit.OutcomeCounts{Completed: 3}
				if tt.first == protocol.Unknown && s.accepted("id-1") == 0 && len(s.ledger) == tt.pushes {
					want = resubmit.OutcomeCounts{Unknown: 1, Blocked: 2}
				}
				require.Equal(t, want, report.Result, report.Items)
				require.LessOrEqual(t, s.accepted("id-1"), 1)
			})
		})
	}
}
