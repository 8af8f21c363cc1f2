package billing_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
)

// slow answers after a second and knows how many calls were with it at once.
func slow(body string, most *atomic.Int64) func(string) (*http.Response, error) {
	var now atomic.Int64
	return func(string) (*http.Response, error) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		<-time.After(time.Second)
		return httpmock.NewStringResponse(200, body), nil
	}
}

func TestConcurrencyLimitIsShared(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		opts  []billing.Option
		calls int
		most  int64
		lasts time.Duration
	}{
		{"two at once by default", nil, 10, 2, 5 * time.Second},
		{"one at once", []billing.Option{billing.WithConcurrency(1)}, 3, 1, 3 * time.Second},
		{"64 calls take the time of one", []billing.Option{billing.WithConcurrency(64)}, 64, 64, time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var most atomic.Int64
				c, _ := client(t, billing.NoLogin(), slow(golden(t, "row19.xml"), &most), tc.opts...)
				began := time.Now()
				var wg sync.WaitGroup
				for i := range tc.calls {
					wg.Go(func() {
						var err error
						if i%2 == 0 {
							_, err = c.Order(t.Context(), "1000027")
						} else {
							err = c.Execute(t.Context(), billing.Call{Method: "X"}, nil)
						}
						require.NoError(t, err)
					})
				}
				wg.Wait()
				require.Equal(t, tc.lasts, time.Since(began))
				require.Equal(t, tc.most, most.Load())
			})
		})
	}
}

func TestConcurrencyLimitHonorsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var most atomic.Int64
		c, w := client(t, billing.NoLogin(), slow(golden(t, "row19.xml"), &most), billing.WithConcurrency(1))
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := c.Order(t.Context(), "1000027")
			require.NoError(t, err)
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		err := c.Push(ctx, "1000027", commerce.StatusPaid)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "while waiting for one of 1 calls to end (for 300ms)")
		require.Equal(t, commerce.DeliveryNotSent, commerceError(t, err).Delivery)
		wg.Wait()
		require.Len(t, w.calls, 1)
	})
}

func TestReadsAreRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c, _ := client(t, billing.NoLogin(), func(string) (*http.Response, error) {
			if calls++; calls < 3 {
				return httpmock.NewStringResponse(503, ""), nil
			}
			return httpmock.NewStringResponse(200, golden(t, "row19.xml")), nil
		}, billing.WithMaxTries(3))
		_, err := c.Order(t.Context(), "1000027")
		require.NoError(t, err)
		require.Equal(t, 3, calls)
		calls = 0
		require.ErrorIs(t, c.Execute(t.Context(), billing.Call{Method: "X"}, nil), commerce.ErrUnavailable)
		require.Equal(t, 1, calls, "only what is declared to be a read")
	})
}

func TestMaxConcurrency(t *testing.T) {
	t.Parallel()
	for want, options := range map[int][]billing.Option{2: nil, 5: {billing.WithConcurrency(5)}} {
		c, err := billing.New("http://bm.example:5224", billing.NoLogin(), options...)
		require.NoError(t, err)
		require.Equal(t, want, c.Capabilities().MaxConcurrency)
	}
}
