package connecttest_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
)

const catalogPurchase = `{"type":"purchase","asset":{"external_id":"1000042","external_uid":"uid-1",
	"product":{"id":"PRD-1","name":"Mail"},"params":[{"id":"domain","value":"old"}],
	"tiers":{"customer":{"id":"TA-1","name":"Acme"},"tier1":{"id":"TA-2","name":"Reseller"}}}}`

func TestAnswersHaveTheTypesOfTheDocument(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{})
	c := serve(t, sys)
	r := c.post("/requests", catalogPurchase)
	require.Equal(t, http.StatusCreated, r.Status, r.Body)
	var made struct{ ID, Asset json.RawMessage }
	require.NoError(t, json.Unmarshal([]byte(r.Body), &made))
	for path, want := range map[string]string{
		"/requests":                  `"answered":true`,
		"/requests/" + trim(made.ID): `"assignee":""`,
		"/accounts":                  `"type":"provider"`,
		"/hubs":                      `"description":"`,
		"/hubs/HB-0000-0001":         `"description":"`,
		"/requests?select(asset.product.capabilities)": `"capabilities":{}`,
	} {
		r := c.get(path)
		require.Equal(t, http.StatusOK, r.Status, path)
		require.Contains(t, r.Body, want, path)
	}
	require.NotContains(t, c.get("/requests").Body, "capabilities")
	require.NotContains(t, c.get("/requests?select(-asset.product.capabilities)").Body, "capabilities")
	for _, field := range []string{"activation_key", "template", "asset.configuration", "asset.items"} {
		require.Equal(t, http.StatusOK, c.find("/requests", "select("+field+")").Status, field)
		require.Equal(t, http.StatusOK, c.find("/requests", "select(-"+field+")").Status, field)
	}
}

func trim(raw json.RawMessage) string { return string(raw[1 : len(raw)-1]) }

func TestCatalog(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{Vendor: leave})
	c := serve(t, sys)
	require.Empty(t, c.get("/products").ids(t))
	r := c.post("/requests", catalogPurchase)
	require.Equal(t, http.StatusCreated, r.Status, r.Body)
	require.Equal(t, http.StatusCreated, c.post("/requests", `{"type":"purchase","asset":{"external_uid":"uid-2",
		"product":{"id":"PRD-1"},"tiers":{"customer":{"id":"TA-3"},"tier1":{"id":"TA-2"}}}}`).Status)
	for path, want := range map[string][]string{
		"/products": {"PRD-1"}, "/products/": {"PRD-1"}, "/tier/accounts": {"TA-1", "TA-2", "TA-3"},
		"/tier/accounts/?eq(id,TA-2)": {"TA-2"}, "/tier/configs/": {"TC-2-1"}, "/subscriptions/requests": {},
		"/products/PRD-1/connections?eq(hub.instance.id," + connecttest.DefaultInstanceID + ")": {"CT-0000-0000-0001"},
		"/products/PRD-1/connections?eq(hub.instance.id,other)":                                 {},
	} {
		got := c.get(path)
		require.Equal(t, http.StatusOK, got.Status, "%s %s", path, got.Body)
		require.ElementsMatch(t, want, got.ids(t), path)
	}
	require.Len(t, c.get("/assets/").ids(t), 2)
	require.Equal(t, c.get("/assets").Body, c.get("/subscriptions/assets").Body)
	for path, status := range map[string]int{
		"/products/PRD-1": 200, "/products/PRD-2": 404, "/tier/accounts/TA-1": 200, "/tier/accounts/TA-9": 404,
		"/tier/configs/TC-2-1": 200, "/tier/configs/TC-1": 404, "/subscriptions/assets/AS-0": 404, "/hubs/HB-0000-0001/": 200,
	} {
		require.Equal(t, status, c.get(path).Status, path)
	}
}

func TestUpdateRequest(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{Vendor: leave})
	c := serve(t, sys)
	require.Equal(t, http.StatusCreated, c.post("/requests", catalogPurchase).Status)
	id := c.get("/requests").ids(t)[0]
	put := func(body string) reply { return c.do(http.MethodPut, "/requests/"+id, body) }
	r := put(`{"note":"new","asset":{"params":[{"id":"domain","value":"acme.example"}]}}`)
	require.Equal(t, http.StatusOK, r.Status, r.Body)
	require.Contains(t, r.Body, `"note":"new"`)
	require.Contains(t, c.get("/requests/"+id).Body, `{"id":"domain","value":"acme.example"}`)
	r = put(`{"asset":{"params":[{"id":"other"}]}}`)
	c.requireProblem(r, http.StatusBadRequest, "VAL_001", `no parameter "other"`)
	c.requireProblem(put(`{`), http.StatusBadRequest, "VAL_001", "not a valid request")
	require.Equal(t, http.StatusNotFound, c.do(http.MethodPut, "/requests/PR-0", `{}`).Status)
	require.NoError(t, sys.Answer(id, connecttest.VendorAnswer{Action: connecttest.VendorApprove}))
	c.requireProblem(put(`{"note":"late"}`), http.StatusBadRequest, "REQ_001", string(connect.StatusApproved))
}
