package resubmit_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// paceDiary keeps the changes of pace and when they were told.
type paceDiary struct {
	mu      sync.Mutex
	changes []resubmit.RateChange
}

func (d *paceDiary) on(e resubmit.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e, ok := e.(resubmit.RateChange); ok {
		d.changes = append(d.changes, e)
	}
}

func (d *paceDiary) rates() (rates []float64) {
	for _, c := range d.changes {
		rates = append(rates, c.Rate)
	}
	return rates
}

// mostInASecond is the most calls in any second that begins with a call in [from, to).
func mostInASecond(calls []time.Time, from, to time.Time) (most int) {
	end := 0
	for i, first := range calls {
		if first.Before(from) || !first.Before(to) {
			continue
		}
		for end = max(end, i); end < len(calls) && calls[end].Sub(first) < time.Second; end++ {
		}
		most = max(most, end-i)
	}
	return most
}

func manyOrders(n int) []*shopOrder {
	orders := make([]*shopOrder, n)
	for i := range orders {
		orders[i] = outageOrder(i, fmt.Sprint(i))
	}
	return orders
}

func TestRateDropsWithOverloadAndRecovers(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]struct {
		change func(o *shopOrder)
		why    string
	}{
		"a server that is not available": {func(o *shopOrder) { o.readFaults = []fault{broken} },
			"Commerce answered 503, unavailable"},
		"a server that has enough": {func(o *shopOrder) { o.pushFaults = []fault{limited} },
			"Commerce answered 429, too many calls"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := manyOrders(300)
				trouble.change(orders[0])
				s := newShop(orders...)
				s.retryAfter = 0
				seen := new(paceDiary)
				r := runnerFor(t, s, func(c *resubmit.Config) { c.RateLimit, c.OnEvent, c.Concurrency = 10, seen.on, 1 })
				time.AfterFunc(5*time.Second, func() {
					status := r.Status()
					require.InDelta(t, 5.0, status.Rate, 1e-9)
					require.Equal(t, trouble.why, status.Slowed)
				})
				start := time.Now()
				report, err := r.Apply(t.Context(), planFor(t, orders...))
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Completed: 300}, report.Result)
				require.InDeltaSlice(t, []float64{5, 6, 7, 8, 9, 10}, seen.rates(), 1e-9)
				require.Equal(t, trouble.why, seen.changes[0].Why)
				require.Empty(t, seen.changes[5].Why)
				require.Equal(t, 5, mostInASecond(s.calls, start.Add(time.Second), start.Add(9*time.Second)))
				require.Equal(t, 10, mostInASecond(s.calls, start.Add(51*time.Second), start.Add(time.Hour)))
			})
		})
	}
}

func TestRateHasAMinimumAndCanBeKept(t *testing.T) {
	t.Parallel()
	for slowTo, lowest := range map[float64]float64{0: 1, 0.4: 4, -1: 10} {
		synctest.Test(t, func(t *testing.T) {
			orders := manyOrders(40)
			for i := 1; i < 40; i += 2 { // not so many in a row that it is an outage
				orders[i].readFaults = []fault{broken}
			}
			s := newShop(orders...)
			seen := new(paceDiary)
			r := runnerFor(t, s, func(c *resubmit.Config) { c.RateLimit, c.MinRateFraction, c.OnEvent = 10, slowTo, seen.on })
			_, err := r.Apply(t.Context(), planFor(t, orders...))
			require.NoError(t, err)
			low := 10.0
			for _, rate := range seen.rates() {
				low = min(low, rate)
			}
			require.InDelta(t, lowest, low, 1e-9)
		})
	}
}

// tardyReader takes a time that may change.
type tardyReader struct {
	*shop
	takes func() time.Duration
}

func (r tardyReader) Order(ctx context.Context, id string) (*commerce.Order, error) {
	<-time.After(r.takes())
	return r.shop.Order(ctx, id)
}

func TestRateDropsWhenCallsTakeLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := manyOrders(100)
		s := newShop(orders...)
		seen := new(paceDiary)
		slow := tardyReader{s, func() time.Duration {
			if since := time.Since(start); since > 10*time.Second && since < 30*time.Second {
				return 2 * time.Second
			}
			return 100 * time.Millisecond
		}}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.RateLimit, c.OnEvent, c.Reader = 5, seen.on, slow })
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 100}, report.Result)
		require.Equal(t, "calls of Commerce take much longer than 100ms", seen.changes[0].Why)
		require.InDelta(t, 2.5, seen.changes[0].Rate, 1e-9)
		require.InDelta(t, 5, seen.changes[len(seen.changes)-1].Rate, 1e-9, "and comes back")
	})
}

func TestSetLimitsAppliesToTheNextCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := manyOrders(1000)
		orders[50].pushFaults = []fault{limited}
		s := newShop(orders...)
		s.retryAfter = 3 * time.Second
		seen := new(paceDiary)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.RateLimit, c.Concurrency, c.OnEvent, c.MinRateFraction = 100, 8, seen.on, -1
		})
		after := func(d time.Duration, rate float64) {
			time.AfterFunc(d, func() { require.NoError(t, r.SetLimits(rate, 0)) })
		}
		after(10*time.Second, 3)
		after(20*time.Second, 200)
		after(22*time.Second, 20)
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1000}, report.Result)
		require.InDeltaSlice(t, []float64{3, 200, 20}, seen.rates(), 1e-9)
		for _, part := range []struct {
			from, to time.Duration
			most     int
		}{{0, 9 * time.Second, 100}, {9 * time.Second, 10 * time.Second, 100}, {10*time.Second + 1, 19 * time.Second, 3},
			{20 * time.Second, 22 * time.Second, 200}, {22*time.Second + 1, time.Hour, 20}} {
			most := mostInASecond(s.calls, start.Add(part.from), start.Add(part.to))
			require.LessOrEqual(t, most, part.most, "from %v to %v", part.from, part.to)
			require.GreaterOrEqual(t, most, part.most*9/10)
		}
		requireSilence(t, s, 3*time.Second)
	})
}

// requireSilence looks for a pause of that length after the one refusal.
func requireSilence(t *testing.T, s *shop, d time.Duration) {
	t.Helper()
	for _, l := range s.ledger {
		if l.accepted {
			continue
		}
		for _, at := range s.calls {
			since := at.Sub(l.at)
			require.False(t, since > 0 && since < d, "a call %v after a server asked for %v", since, d)
		}
		return
	}
	require.Fail(t, "nothing was refused")
}

func TestRetryAfterOfAYearEndsTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(3)
		orders[0].pushFaults = []fault{limited}
		s := newShop(orders...)
		s.retryAfter = 365 * 24 * time.Hour
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Concurrency = 1 })
		plan := planFor(t, orders...)
		start := time.Now()
		report, err := r.Apply(t.Context(), plan)
		require.ErrorIs(t, err, resubmit.ErrRetryAfterTooLong)
		require.ErrorContains(t, err, "Commerce asks for a pause until 2000-12-31T00:00:00Z")
		require.Equal(t, resubmit.OutcomeCounts{NotStarted: 2, Unknown: 1}, report.Result,
			"nobody may look what the refused push did")
		require.Len(t, s.calls, 2)
		require.Less(t, time.Since(start), time.Second)

		report, err = r.Apply(t.Context(), plan)
		require.Nil(t, report)
		require.ErrorIs(t, err, resubmit.ErrRetryAfterTooLong)
		require.Len(t, s.calls, 2)

		<-time.After(s.retryAfter)
		report, err = r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 3}, report.Result)
	})
}

func TestSetLimitsValidates(t *testing.T) {
	t.Parallel()
	r := runnerFor(t, newShop(), nil)
	require.ErrorContains(t, r.SetLimits(-2, 0), "the rate is -2")
	require.ErrorContains(t, r.SetLimits(0, -1), "a concurrency of -1")
}
