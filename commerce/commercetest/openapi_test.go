package commercetest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
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

// TestOrderManagerAndClientFitTheDocument checks all requests of the client, with each way to sign
// in, and the answers of the System.
func TestOrderManagerAndClientFitTheDocument(t *testing.T) {
	t.Parallel()
	const key, secret, base = "key", "secret-of-consumer", "http://localhost"
	r := shop(t, func(c *commercetest.Config) {
		c.ConsumerKey, c.ConsumerSecret, c.OAuthSkew = key, secret, -1
	})
	checked := openapitest.New(t, "testdata/ordermanager.yaml", r.sys.Transport())
	h := &http.Client{Transport: checked}
	userToken, err := ordermanager.UserToken(base+"/operations", 1,
		ordermanager.WithHTTPClient(&http.Client{Transport: r.sys.Transport()})) // XML-RPC is not in the document
	require.NoError(t, err)
	first := r.order("SO000001")
	for _, auth := range []ordermanager.Auth{
		ordermanager.Token(commercetest.DefaultToken), ordermanager.TokenFunc(userToken), ordermanager.OAuth1(key, secret),
	} {
		client, err := ordermanager.New(base, auth, ordermanager.WithHTTPClient(h), ordermanager.WithPageSize(2))
		require.NoError(t, err)
		requireOrdersFit(t, client, &first)
	}
	client, err := ordermanager.New(base, ordermanager.Token("wrong"), ordermanager.WithHTTPClient(h))
	require.NoError(t, err)
	_, err = client.Order(t.Context(), first.ID)
	require.ErrorIs(t, err, commerce.ErrUnauthorized)

	header := map[string]string{"APS-Token": commercetest.DefaultToken, "Content-Type": "application/json"}
	for path, want := range map[string]int{
		"/aps/2/resources/1/orders/" + first.ID:        http.StatusOK,
		orders + "?select(orderDetails),limit(0,1000)": http.StatusOK,
		orders + "?eq(nosuch,1)":                       http.StatusBadRequest,
	} {
		reply, err := testkit.Send(t.Context(), h, http.MethodGet, base+path, "", header)
		require.NoError(t, err)
		require.Equal(t, want, reply.Status, path)
	}
	client, err = ordermanager.New(base, ordermanager.TokenFunc(userToken), ordermanager.WithHTTPClient(h))
	require.NoError(t, err)
	require.NoError(t, client.Push(t.Context(), first.ID, "PD"))
	require.Len(t, checked.Calls, 5, "%v", checked.Calls)
}

// requireOrdersFit lists and reads orders, and pushes one as it may not.
func requireOrdersFit(t *testing.T, client *ordermanager.Client, first *commercetest.Order) {
	t.Helper()
	for _, q := range []commerce.Query{
		{},
		{Statuses: []commerce.Status{"PF", "LO"}, Types: []commerce.OrderType{"SO"}, Account: "1"},
		{Sort: commerce.NewestFirst},
		{PlacedFrom: first.PlacedAt, PlacedTo: first.PlacedAt.AddDate(0, 0, 1), NumberLike: "SO*"},
		{Numbers: []string{"SO000001", "a:b/c~d, (e) & f=g"}},
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
	_, err := client.Order(t.Context(), "404")
	require.ErrorIs(t, err, commerce.ErrNotFound)
	require.Error(t, client.Push(t.Context(), first.ID, "ZZ"))
}
