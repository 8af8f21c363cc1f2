package connecttest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/internal/testkit/openapitest"
)

// TestSystemAndClientFitTheDocument checks all requests of the client, and the answers of the System.
func TestSystemAndClientFitTheDocument(t *testing.T) {
	t.Parallel()
	sys, _ := historic(t, func(c *connecttest.Config) { c.Vendor = leave })
	sys.SetHealthCheck(time.Date(2026, 1, 10, 4, 0, 0, 0, time.UTC))
	checked := openapitest.New(t, "testdata/connect.yaml", sys.Transport())
	h := &http.Client{Transport: checked}
	client, err := connect.New("http://localhost/public/v1", connect.APIKey(connecttest.DefaultKey),
		connect.WithHTTPClient(h), connect.WithConcurrency(1), connect.WithPageSize(3))
	require.NoError(t, err)
	require.NoError(t, client.CheckAccess(t.Context()))
	at := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC)
	for _, q := range []connect.RequestQuery{
		{}, {NewestFirst: true, Limit: 2, CreatedFrom: at, CreatedTo: at.AddDate(0, 0, 2)},
		{Types: []connect.RequestType{connect.TypePurchase}, Statuses: []connect.RequestStatus{connect.StatusFailed}},
		{RQL: "in(asset.external_id,(null(),1000001))", Hubs: []string{connecttest.DefaultHubID}},
	} {
		for r, err := range client.Requests(t.Context(), q) {
			require.NoError(t, err)
			_, err = client.Request(t.Context(), r.ID)
			require.NoError(t, err)
		}
		_, err := client.CountRequests(t.Context(), q)
		require.NoError(t, err)
	}
	_, err = client.LatestRequests(t.Context(), []connect.RequestKey{
		{TenantID: "uid-a", Type: connect.TypePurchase}, {TenantID: "t", Type: connect.TypePurchase},
	})
	require.NoError(t, err)
	_, err = client.Request(t.Context(), "PR-0")
	require.ErrorIs(t, err, connect.ErrNotFound)
	for h, err := range client.Hubs(t.Context(), connecttest.DefaultInstanceID) {
		require.NoError(t, err)
		_, err = client.Hub(t.Context(), h.ID)
		require.NoError(t, err)
	}

	c := caller{t: t, base: "http://localhost/public/v1", key: "ApiKey " + connecttest.DefaultKey, http: h}
	id := c.create("purchase", "uid-new")
	require.Equal(t, http.StatusConflict, c.post("/requests", order("purchase", "uid-new")).Status)
	second := c.create("purchase", "uid-2")
	require.Equal(t, http.StatusOK, c.do(http.MethodPut, "/requests/"+second, `{"note":"n"}`).Status)
	require.Equal(t, http.StatusBadRequest, c.post("/requests/"+id+"/pend", `{}`).Status)
	asset := c.get("/assets").ids(t)[0]
	for _, path := range []string{
		"/assets/" + asset, "/assets/" + asset + "/requests", "/assets/AS-0", "/requests?select(-asset.items)&limit=1",
		"/subscriptions/assets", "/subscriptions/assets/" + asset, "/subscriptions/requests", "/products", "/tier/accounts",
		"/tier/configs", "/products/PRD-9/connections", "/requests?eq(status,null())",
	} {
		c.get(path)
	}
	require.Len(t, checked.Calls, 18, "%v", checked.Calls)
}
