package resubmit_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// watchedRun applies a plan, calls look while it runs, and returns when it ended.
func watchedRun(t *testing.T, r *resubmit.Runner, windows []maintenance.Window, orders []*shopOrder,
	look func(time.Duration, resubmit.Status)) time.Time {
	t.Helper()
	p := planFor(t, orders...)
	if windows != nil {
		entries := entriesOf(t, p)
		p = planWith(t, windows, entries...)
	}
	start, ended := time.Now(), make(chan time.Time)
	go func() {
		_, err := r.Apply(t.Context(), p)
		if err != nil {
			t.Error(err)
		}
		ended <- time.Now()
	}()
	for {
		select {
		case end := <-ended:
			return end
		case <-time.After(time.Second):
			look(time.Since(start), r.Status())
		}
	}
}

func outageOrders(n int, sub func(int) string) []*shopOrder {
	orders := make([]*shopOrder, n)
	for i := range orders {
		orders[i] = outageOrder(i, sub(i))
	}
	return orders
}

func ownSubscription(i int) string { return fmt.Sprint(i) }

// requireNear requires that all estimates from a time on are within a part of the time that was left, and a few seconds.
func requireNear(t *testing.T, estimates map[time.Duration]time.Time, start, end time.Time, share float64,
	slack time.Duration) {
	t.Helper()
	require.NotEmpty(t, estimates)
	for at, estimate := range estimates {
		left := end.Sub(start.Add(at))
		most := time.Duration(share*float64(left)) + slack
		require.WithinDuration(t, end, estimate, most, "estimated %v after the start, %v before the end", at, left)
	}
}

func TestEndOfARunIsEstimated(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		orders []*shopOrder
		config func(*resubmit.Config)
		fate   fate
		share  float64
		slack  time.Duration
	}{
		"at the rate limit": {outageOrders(400, ownSubscription), func(c *resubmit.Config) { c.RateLimit = 4 }, completes, 0.15, 30 * time.Second},
		"of a long chain": {
			outageOrders(60, func(int) string { return "one" }), nil, fate{after: 20 * time.Second, status: "CP"}, 0.05,
			30 * time.Second,
		},
		"of a canary": {
			outageOrders(40, ownSubscription), func(c *resubmit.Config) { c.Canary.Steps = nil },
			fate{after: 3 * time.Minute, status: "CP"}, 0.8, 6 * time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for _, o := range tc.orders { // in the time of the bubble
					o.PlacedAt = time.Now().Add(-time.Hour)
				}
				s := newShop(tc.orders...)
				s.fate = func(*shopOrder) fate { return tc.fate }
				estimates, start := make(map[time.Duration]time.Time), time.Now()
				r := runnerFor(t, s, func(c *resubmit.Config) {
					if tc.config != nil {
						tc.config(c)
					}
				})
				end := watchedRun(t, r, nil, tc.orders, func(at time.Duration, st resubmit.Status) {
					if !st.End.IsZero() {
						require.True(t, at >= 30*time.Second || st.Result.Completed >= 10, "nothing is known after %v", at)
						estimates[at] = st.End
					}
					if at > time.Minute && st.Done > 0 && st.Done < st.Total {
						require.False(t, st.End.IsZero(), "after %v", at)
						require.Equal(t, start, st.Started)
					}
				})
				requireNear(t, estimates, start, end, tc.share, tc.slack)
			})
		})
	}
}

func TestEndOfARunThatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := outageOrders(400, ownSubscription)
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.RateLimit, c.Guard = 4, -1 })
		window := windowAt(2*time.Minute, 12*time.Minute)
		opens := window.End.Add(resubmit.Config{}.WithDefaults().SettleDelay)
		start, estimates := time.Now(), make(map[time.Duration]time.Time)
		end := watchedRun(t, r, []maintenance.Window{window}, orders, func(at time.Duration, st resubmit.Status) {
			switch {
			case at == time.Minute:
				require.NotZero(t, st.CallRate)
				require.LessOrEqual(t, st.CallRate, 4.5)
				r.Pause()
			case at == 61*time.Second:
				require.True(t, st.End.IsZero(), "nobody knows when it is resumed")
				r.Resume()
			case at == 10*time.Minute:
				require.Contains(t, st.Gate, "in the maintenance")
				require.WithinDuration(t, window.Start, st.Since, 3*time.Minute)
				require.WithinDuration(t, opens, st.Until, time.Second)
				require.Zero(t, st.CallRate)
				require.True(t, st.End.After(opens))
				estimates[at] = st.End
			case at > 18*time.Minute && !st.End.IsZero():
				require.True(t, st.Since.IsZero())
				estimates[at] = st.End
			}
		})
		require.Greater(t, len(estimates), 10)
		requireNear(t, estimates, start, end, 0.2, 30*time.Second)
	})
}

// Orders that wait for a person are not part of the estimate, nor is a run without a known rate.
func TestNoEndIsEstimatedWithoutARate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := outageOrders(30, ownSubscription)
		s := newShop(orders...)
		s.fate = func(*shopOrder) fate { return fate{after: 10 * time.Minute, status: "CP"} }
		r := runnerFor(t, s, nil)
		watchedRun(t, r, nil, orders, func(at time.Duration, st resubmit.Status) {
			if at < 30*time.Second {
				require.True(t, st.End.IsZero())
				require.Equal(t, "30 sent, 0 verified, 0 to go", st.Progress())
			}
		})
	})
}

func TestSessionHasAStatus(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := outageOrders(3, ownSubscription)
		r := runnerFor(t, newShop(orders...), nil)
		session, err := r.Open(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		defer session.Close()
		_, err = session.AttemptID(t.Context(), "id-1")
		require.NoError(t, err)
		require.Equal(t, "0 sent, 1 verified, 2 to go", session.Status().Progress())
		require.Equal(t, r.Status(), session.Status())
	})
}
