package resubmit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// stalling is a way in that now and then holds a call up, as a machine does that has
// other things to do, right when it may go.
type stalling struct{ *shop }

func (s stalling) Push(ctx context.Context, id string, to commerce.Status) error {
	err := s.shop.Push(ctx, id, to)
	<-time.After(time.Duration(rand.IntN(30)) * time.Millisecond)
	return err
}

func TestRateWindowCatchesUpWithoutExceedingASecond(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{10, 100, 1000} {
		t.Run(fmt.Sprintf("%v a second", rate), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := manyOrders(20 + int(rate))
				for _, o := range orders {
					o.fates = []fate{{status: "CP"}}
				}
				s := newShop(orders...)
				slots := max(2, int(rate)/50) // three calls take about 15 ms
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.RateLimit, c.Pusher, c.MinRateFraction, c.Concurrency, c.Verify.InitialInterval = rate, stalling{s}, -1, slots,
						-1
				})
				_, err := r.Apply(t.Context(), planFor(t, orders...))
				require.NoError(t, err)
				require.LessOrEqual(t, mostInASecond(s.calls, time.Time{}, time.Now()), int(rate))
				took := s.calls[len(s.calls)-1].Sub(s.calls[0]).Seconds()
				require.InEpsilon(t, float64(len(s.calls)-1)/rate, took, 0.01)
			})
		})
	}
}
