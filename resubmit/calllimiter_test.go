package resubmit_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// busyClient makes more than one call for what it is asked, as clients do that try
// again or that read an order before they push it.
type busyClient struct {
	shop  *shop
	mu    sync.Mutex
	calls []time.Time
	asks  time.Duration // patience, asked for by the first of the calls of a push
}

func (c *busyClient) take(ctx context.Context) error {
	if err := ratelimit.Wait(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, time.Now())
	return nil
}

func (c *busyClient) Order(ctx context.Context, id string) (*commerce.Order, error) {
	for range 3 {
		if err := c.take(ctx); err != nil {
			return nil, err
		}
	}
	return c.shop.Order(ctx, id)
}

func (c *busyClient) Push(ctx context.Context, id string, to commerce.Status) error {
	if err := c.take(ctx); err != nil {
		return err
	}
	ratelimit.ReportRetryAfter(ctx, c.asks)
	c.asks = 0
	if err := c.take(ctx); err != nil {
		return &commerce.Error{Op: "push order", Delivery: commerce.DeliveryNotSent, Err: err}
	}
	return c.shop.Push(ctx, id, to)
}

func TestClientRequestsKeepTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(outageOrder(1, "a"), outageOrder(2, "b"))
		client := &busyClient{shop: s}
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Reader, c.Pusher, c.RateLimit, c.Concurrency = client, client, 2, 1
		})
		report, err := r.Apply(t.Context(), planFor(t, s.orders["id-1"], s.orders["id-2"]))
		require.NoError(t, err)
		require.Equal(t, 2, report.Result.Completed)
		require.Greater(t, len(client.calls), 12)
		for i := range client.calls[2:] {
			require.GreaterOrEqual(t, client.calls[i+2].Sub(client.calls[i]), time.Second, "three calls within a second")
		}
	})
}

func TestPushIsNotSentAfterRetryAfterOfItsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(outageOrder(1, "a"))
		client := &busyClient{shop: s, asks: time.Minute}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Reader, c.Pusher, c.Concurrency = client, client, 1 })
		began := time.Now()
		report, err := r.Apply(t.Context(), planFor(t, s.orders["id-1"]))
		require.NoError(t, err)
		require.Equal(t, 1, report.Result.Completed)
		require.Len(t, s.ledger, 1)
		require.GreaterOrEqual(t, s.ledger[0].at.Sub(began), time.Minute)
	})
}

// slowClient reads an order before it pushes it, which takes long the first time.
type slowClient struct {
	*shop
	takes time.Duration
	sent  []time.Duration // how long the pushes that were sent took until then
}

func (c *slowClient) Push(ctx context.Context, id string, to commerce.Status) error {
	began := time.Now()
	time.Sleep(c.takes)
	c.takes = 0
	if err := ratelimit.Wait(ctx); err != nil {
		return &commerce.Error{Op: "push order", Delivery: commerce.DeliveryNotSent, Err: err}
	}
	c.sent = append(c.sent, time.Since(began))
	return c.shop.Push(ctx, id, to)
}

func TestPushIsNotSentLongAfterItsClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(outageOrder(1, "a"))
		client := &slowClient{shop: s, takes: 11 * time.Second}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Pusher = client })
		report, err := r.Apply(t.Context(), planFor(t, s.orders["id-1"]))
		require.NoError(t, err)
		require.Equal(t, 1, report.Result.Completed)
		require.Len(t, client.sent, 1)
		require.Less(t, client.sent[0], 10*time.Second)
	})
}
