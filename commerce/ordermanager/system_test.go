package ordermanager_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// A Commerce that works: orders fail because nothing answers for Connect, and
// its pages are shorter than asked for.
func TestFailedOrderEndToEnd(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 2, 0, 0, 0, time.UTC)
	sys, err := commercetest.New(commercetest.Config{Now: func() time.Time { return now }, MaxPageSize: 7})
	require.NoError(t, err)
	for i := range 40 {
		vendor := "1"
		if i%4 == 0 {
			vendor = "1000001"
		}
		sys.Place(commercetest.OrderSpec{Type: commerce.TypeSales, VendorAccount: vendor, Customer: "1002"})
		now = now.Add(time.Second)
	}
	require.NoError(t, sys.Step(t.Context()))
	c, err := ordermanager.New("https://commerce.test", ordermanager.Token(commercetest.DefaultToken),
		ordermanager.WithHTTPClient(&http.Client{Transport: sys.Transport()}), ordermanager.WithPageSize(10))
	require.NoError(t, err)

	orders, err := collect(t.Context(), c, commerce.FailedOrdersView().Query())
	require.NoError(t, err)
	require.Len(t, orders, 40)
	direct := 0
	for i, o := range orders {
		if i > 0 {
			require.True(t, orders[i-1].PlacedAt.Before(o.PlacedAt), "oldest first")
		}
		if o.Channel == commerce.ChannelDirect {
			direct++
		}
	}
	require.Equal(t, 30, direct)

	q := commerce.FailedOrdersView().Query()
	q.PlacedFrom, q.PlacedTo = orders[10].PlacedAt, orders[20].PlacedAt
	q.Sort, q.Limit = commerce.NewestFirst, 4
	some, err := collect(t.Context(), c, q)
	require.NoError(t, err)
	require.Equal(t, ids([]*commerce.Order{orders[19], orders[18], orders[17], orders[16]}), ids(some))

	full, err := c.Order(t.Context(), orders[0].ID)
	require.NoError(t, err)
	require.NotEmpty(t, full.Failure.Reason())
	require.True(t, full.Offers(commerce.StatusPaid))

	now = now.Add(time.Hour)
	err = c.Push(t.Context(), full.ID, commerce.StatusProvisioned)
	require.ErrorIs(t, err, commerce.ErrConflict)
	require.Equal(t, commerce.DeliveryRefused, commerceError(t, err).Delivery)
	require.NoError(t, c.Push(t.Context(), full.ID, commerce.StatusPaid))
	require.Empty(t, sys.Violations())
	full, err = c.Order(t.Context(), full.ID)
	require.NoError(t, err)
	require.NotEqual(t, commerce.StatusProvisioningFailed, full.Status)

	_, err = c.Order(t.Context(), "no-such-order")
	require.ErrorIs(t, err, commerce.ErrNotFound)
}

// Planning 600 orders may take 660 calls, 600 of which read details.
func TestOrdersCallsForSixHundredOrders(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		gap   time.Duration
		calls int
	}{
		"one a second":    {time.Second, 9},
		"a hundred":       {10 * time.Millisecond, 25},
		"all at one time": {0, 16},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Date(2026, 11, 1, 2, 0, 0, 0, time.UTC)
			sys, err := commercetest.New(commercetest.Config{Now: func() time.Time { return now }})
			require.NoError(t, err)
			for range 600 {
				sys.Place(commercetest.OrderSpec{Type: commerce.TypeSales, VendorAccount: "1", Customer: "1002"})
				now = now.Add(test.gap)
			}
			require.NoError(t, sys.Step(t.Context()))
			calls := 0
			c, err := ordermanager.New("https://commerce.test", ordermanager.Token(commercetest.DefaultToken),
				ordermanager.WithHTTPClient(&http.Client{Transport: testkit.RoundTripFunc(
					func(r *http.Request) (*http.Response, error) {
						calls++
						return sys.Transport().RoundTrip(r)
					})}))
			require.NoError(t, err)
			orders, err := collect(t.Context(), c, commerce.FailedOrdersView().Query())
			require.NoError(t, err)
			require.Len(t, orders, 600)
			require.LessOrEqual(t, calls, test.calls)
		})
	}
}
