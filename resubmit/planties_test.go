package resubmit_test

import (
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// A change that is sent before its purchase fails again, or undoes a later one.
func TestPlanSortsOrdersOfTheSameTimeByID(t *testing.T) {
	t.Parallel()
	order := func(number, billingID string) *commerce.Order {
		o := failedOrder(1)
		o.ID, o.Number, o.BillingID = "id-"+number, number, billingID
		return o
	}
	older, younger := failedOrder(0), failedOrder(2)
	older.BillingID, younger.BillingID = "900", "1"
	for name, ties := range map[string][]*commerce.Order{
		"by the id in Billing":           {order("SO9", "98"), order("CH8", "99"), order("CH7", "100"), order("CH6", "1000")},
		"with leading zeros":             {order("SO9", "0098"), order("CH8", "99"), order("CH7", "00100")},
		"an id that has no digits":       {order("SO8", "x"), order("CH9", "3"), order("CH10", "1")},
		"by the number without an id":    {order("SO000009", ""), order("CH000010", ""), order("CH000100", "")},
		"by the number if one has no id": {order("SO000009", "7"), order("CH000010", ""), order("CH000100", "6")},
		"first those without digits":     {order("SO", ""), order("CH000010", "5"), order("CH000100", "3")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want []string
			for _, o := range ties {
				want = append(want, o.ID)
			}
			for seed := range uint64(20) {
				shuffled := append([]*commerce.Order(nil), ties...)
				rand.New(rand.NewPCG(seed, 1)).Shuffle(len(ties), func(i, j int) {
					shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
				})
				listed := append(append([]*commerce.Order{older}, shuffled...), younger)
				var got []string
				for _, e := range planned(t, resubmit.PlanConfig{
					RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: &planSource{orders: listed}, Requests: noRequests}),
				}) {
					got = append(got, e.OrderID)
				}
				require.Equal(t, append(append([]string{older.ID}, want...), younger.ID), got)
			}
		})
	}
}

// The server orders what was placed in the same second differently in each answer.
func TestPlanSortsOrdersOfAServerThatDoesNotSortByID(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	system, err := commercetest.New(commercetest.Config{
		Now: func() time.Time { return at }, ShuffleTies: true, MaxPageSize: 5, PollInterval: time.Nanosecond,
	})
	require.NoError(t, err)
	var want []string
	for range 12 {
		want = append(want, system.Place(commercetest.OrderSpec{Type: commerce.TypeSales}).Number)
	}
	require.NoError(t, system.Step(t.Context()))
	client := &http.Client{Transport: system.Transport()}
	orders, err := ordermanager.New("https://commerce.example.net", ordermanager.Token(commercetest.DefaultToken),
		ordermanager.WithHTTPClient(client))
	require.NoError(t, err)
	login := simpleapi.GatewayToken(commercetest.DefaultSimpleKey, simpleapi.GatewayLogin{
		User: commercetest.DefaultSimpleUser, Password: commercetest.DefaultSimplePassword, Marketplace: "us",
	})
	simple, err := simpleapi.New(commercetest.URLsAt("https://commerce.example.net").SimpleAPI, login,
		simpleapi.WithHTTPClient(client))
	require.NoError(t, err)
	for name, source := range map[string]resubmit.OrderLister{"Order Management": orders, "Simple API": simple} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 5 {
				var got []string
				for _, e := range planned(t, resubmit.PlanConfig{
					RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source, Requests: noRequests}),
				}) {
					got = append(got, e.Number)
				}
				require.Equal(t, want, got)
			}
		})
	}
}
