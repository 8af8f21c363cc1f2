package commercetest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/internal/testkit/openapitest"
)

// TestSimpleAPIAndClientFitTheDocument checks all requests of the client, and the answers of the System.
func TestSimpleAPIAndClientFitTheDocument(t *testing.T) {
	t.Parallel()
	r := shop(t, nil)
	checked := openapitest.New(t, "testdata/simpleapi.yaml", r.sys.Transport())
	h := &http.Client{Transport: checked}
	const base = "http://localhost/simple"
	client, err := simpleapi.New(base, simpleapi.GatewayToken(commercetest.DefaultSimpleKey, simpleapi.GatewayLogin{
		User: commercetest.DefaultSimpleUser, Password: commercetest.DefaultSimplePassword, Marketplace: "us",
	}), simpleapi.WithHTTPClient(h), simpleapi.WithPageSize(2))
	require.NoError(t, err)
	first := r.order("SO000001")
	for _, q := range []commerce.Query{
		{}, {Statuses: []commerce.Status{"PF"}}, {Statuses: []commerce.Status{"PF", "LO"}, Account: "2"},
		{Numbers: []string{"SO000001"}, PlacedFrom: first.PlacedAt, PlacedTo: first.PlacedAt.AddDate(0, 0, 1)},
	} {
		n := 0
		for o, err := range client.Orders(t.Context(), q) {
			require.NoError(t, err)
			n++
			_, err = client.Order(t.Context(), o.ID)
			require.NoError(t, err)
		}
		require.Positive(t, n)
	}
	_, err = client.Order(t.Context(), "404")
	require.ErrorIs(t, err, commerce.ErrNotFound)
	require.NoError(t, client.Push(t.Context(), first.BillingID, "PD"))
	require.Error(t, client.Push(t.Context(), first.BillingID, "ZZ"))
	header := r.login()
	for _, path := range []string{"/customers", "/subscriptions?customerId=20", "/plans", "/customers?limit=0"} {
		_, err := testkit.Send(t.Context(), h, http.MethodGet, base+path, "", header)
		require.NoError(t, err)
	}
	require.Len(t, checked.Calls, 8, "%v", checked.Calls)
}
