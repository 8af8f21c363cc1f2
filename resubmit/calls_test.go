package resubmit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

func TestConcurrencyHonorsTheLimitOfTheClient(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ bears, set, most int }{
		"one":                              {1, 0, 1},
		"two, as Billing":                  {2, 0, 2},
		"nothing said means two and two":   {0, 0, 4},
		"the user knows better: both ways": {1, 3, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := manyOrders(40)
				f := frail{newShop(orders...), newMeter(), tt.bears}
				r := runnerFor(t, f.shop, func(c *resubmit.Config) {
					c.Systems = resubmit.SystemsOf(f, nil)
					c.Concurrency, c.Verify.InitialInterval = tt.set, -1
				})
				report, err := r.Apply(t.Context(), planFor(t, orders...))
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Completed: 40}, report.Result)
				require.Equal(t, tt.most, f.busy.most)
			})
		})
	}
}

func TestConcurrencyChangesDuringARun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(100)
		s := newShop(orders...)
		busy := newMeter()
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Concurrency, c.Pusher = 2, slowPusher{s, busy} })
		at := func(d time.Duration, most, set int) {
			time.AfterFunc(d, func() {
				busy.mu.Lock()
				require.Equal(t, most, busy.most)
				busy.most = 0
				busy.mu.Unlock()
				require.NoError(t, r.SetLimits(0, set))
			})
		}
		at(3500*time.Millisecond, 2, 7)
		at(6700*time.Millisecond, 7, 1)
		time.AfterFunc(9100*time.Millisecond, func() {
			busy.mu.Lock()
			defer busy.mu.Unlock()
			require.Equal(t, 1, busy.now)
		})
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 100}, report.Result)
	})
}

// deafPusher never returns from the push of one order, whatever its context says.
type deafPusher struct {
	*shop
	release chan struct{}
}

func (p deafPusher) Push(ctx context.Context, id string, to commerce.Status) error {
	if id == "id-0" {
		<-p.release
	}
	return p.shop.Push(ctx, id, to)
}

func TestCallsOfAPusherThatHangsAreAbandoned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := manyOrders(3)
		s := newShop(orders...)
		deaf := deafPusher{s, make(chan struct{})}
		defer close(deaf.release)
		journal := journalOf(t)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Pusher, c.Journal, c.Concurrency = deaf, journal, 1 })
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.ErrorContains(t, err, "the push of order id-0 has not returned 10s after its context ended")
		require.Equal(t, 260*time.Second, time.Since(start), "the push and its grace, twice")
		require.Equal(t, resubmit.OutcomeCounts{Unknown: 1, NotStarted: 2}, report.Result)
		require.Equal(t, protocol.Unknown, itemOf(t, report, 0).Outcome)
		rec, err := journal.Get(t.Context(), protocol.OrderKey("id-0"))
		require.NoError(t, err)
		require.Equal(t, protocol.Claimed, rec.Order.Phase)
	})
}

func TestCallsOfAReaderThatHangsAreAbandoned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := manyOrders(1)
		s := newShop(orders...)
		release := make(chan struct{})
		defer close(release)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Reader = readerFunc(func(ctx context.Context, id string) (*commerce.Order, error) {
				<-release
				return s.Order(ctx, id)
			})
		})
		report, err := r.Apply(ctx, planFor(t, orders...))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Hour+10*time.Second, time.Since(start))
		require.Equal(t, resubmit.OutcomeCounts{NotStarted: 1}, report.Result)
	})
}
