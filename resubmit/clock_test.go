package resubmit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// skewed is a shop whose clock differs from that of this machine, and which reports it with each answer.
type skewed struct {
	*shop
	ahead func() time.Duration // of this machine
}

func (s *shop) callCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

func (s skewed) Order(ctx context.Context, id string) (*commerce.Order, error) {
	ratelimit.ReportDate(ctx, "shop.test", time.Now().Add(-s.ahead()).Truncate(time.Second), time.Now())
	return s.shop.Order(ctx, id)
}

func TestClockDifferenceClosesTheGate(t *testing.T) {
	t.Parallel()
	for why, ahead := range map[string]time.Duration{
		"the clock of this machine is 1h0m0s ahead of that of shop.test; set it": time.Hour,
		"the clock of this machine is 2m31s behind that of shop.test; set it":    -151 * time.Second,
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				orders := manyOrders(10)
				s := newShop(orders...)
				seen := new(diary)
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.OnEvent = seen.on
					c.Reader = skewed{s, func() time.Duration {
						if time.Since(start) > time.Hour {
							return 0 // somebody has set it
						}
						return ahead
					}}
				})
				time.AfterFunc(30*time.Minute, func() {
					require.Equal(t, why, r.Status().Gate)
					require.LessOrEqual(t, s.callCount(), 40, "one call a minute")
					require.Zero(t, s.pushes())
				})
				report, err := r.Apply(t.Context(), planFor(t, orders...))
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Completed: 10}, report.Result)
				require.Equal(t, why, seen.closed[0].Why)
				require.GreaterOrEqual(t, s.ledger[0].at.Sub(start), time.Hour, "the first push too")
				require.Less(t, s.ledger[0].at.Sub(start), 75*time.Minute, "the run notices that the clock was set")
			})
		})
	}
}

func TestSmallClockDifferenceDoesNotMatter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := manyOrders(3)
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Reader = skewed{s, func() time.Duration { return 149 * time.Second }}
		})
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 3}, report.Result)
		require.Equal(t, start, s.ledger[0].at)
	})
}

// A proxy with a wrong clock, or an answer from a cache, does not hold up the run.
func TestClockDifferenceOfOneAnswerIsCheckedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := manyOrders(3)
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Reader = skewed{s, func() time.Duration {
				if s.callCount() == 0 {
					return time.Hour
				}
				return 0
			}}
		})
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 3}, report.Result)
		require.Less(t, s.ledger[0].at.Sub(start), time.Second)
	})
}
