package commercetest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
)

// login signs in and returns the headers for calls.
func (r *rig) login() map[string]string {
	r.t.Helper()
	header := basicAuth(commercetest.DefaultSimpleUser, commercetest.DefaultSimplePassword)
	header["X-Subscription-Key"] = commercetest.DefaultSimpleKey
	res, body := r.send(http.MethodPost, "/simple/token", `{"marketplace":"us"}`, header)
	require.Equal(r.t, http.StatusOK, res.Status, body)
	var answer struct{ Token string }
	require.NoError(r.t, json.Unmarshal([]byte(body), &answer))
	return map[string]string{"X-Subscription-Key": commercetest.DefaultSimpleKey,
		"Authorization": "Bearer " + answer.Token}
}

func simpleNumbers(t *testing.T, body string) (found []string, total int) {
	t.Helper()
	var answer struct {
		Data       []struct{ OrderNumber string }
		Pagination struct{ Total int }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &answer), body)
	found = []string{}
	for _, o := range answer.Data {
		found = append(found, o.OrderNumber)
	}
	return found, answer.Pagination.Total
}

func TestSimpleListParameters(t *testing.T) {
	t.Parallel()
	r := shop(t, nil)
	header := r.login()
	const so1, ch2, bo3, so4 = "SO000001", "CH000002", "BO000003", "SO000004"
	for path, want := range map[string][]string{
		"/orders":                                       {so1, ch2, bo3, so4},
		"/orders?status=error":                          {so1, ch2},
		"/orders?status=completed":                      {bo3},
		"/orders?status=processing":                     {so4},
		"/orders?status=submitted":                      {},
		"/orders?status=cancelled":                      {},
		"/orders?statusCode=PF":                         {so1, ch2},
		"/orders?status=error&statusCode=PR":            {},
		"/orders?customerId=10":                         {so1, bo3},
		"/orders?subscriptionId=99":                     {ch2},
		"/orders?orderNumber=SO000004":                  {so4},
		"/orders?creationTimeFrom=2026-03-07T02:05:00Z": {ch2, bo3, so4},
		"/orders?creationTimeTo=2026-03-07T02:05:00Z":   {so1, ch2},
		"/orders?creationTimeFrom=2026-03-07T02:05:00Z&creationTimeTo=2026-03-07T02:05:00Z":        {ch2},
		"/orders?creationTimeFrom=2026-03-07T03:05:00%2B01:00&creationTimeTo=2026-03-07T02:05:00Z": {ch2},
		"/resellers/2/orders":              {ch2, so4},
		"/resellers/2/orders?status=error": {ch2},
		"/resellers/1/orders":              {so1, bo3},
	} {
		res, body := r.send(http.MethodGet, "/simple"+path, "", header)
		require.Equal(t, http.StatusOK, res.Status, "%s: %s", path, body)
		require.NotEmpty(t, res.Header.Get("X-Correlation-ID"))
		found, total := simpleNumbers(t, body)
		require.Equal(t, want, found, path)
		require.Equal(t, len(want), total, path)
	}
}

func TestSimplePages(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		query                string
		maxPage, count       int
		offset, limit, total int
	}{
		{"", 0, 10, 0, 10, 12},
		{"?limit=100", 0, 12, 0, 100, 12},
		{"?limit=5", 0, 5, 0, 5, 12},
		{"?offset=10&limit=5", 0, 2, 10, 5, 12},
		{"?offset=99", 0, 0, 99, 10, 12},
		{"?limit=100", 3, 3, 0, 3, 12},
	} {
		r := newRig(t, func(c *commercetest.Config) { c.MaxPageSize = test.maxPage })
		for range 12 {
			r.sys.Place(commercetest.OrderSpec{})
		}
		_, body := r.send(http.MethodGet, "/simple/orders"+test.query, "", r.login())
		var answer struct {
			Data       []any
			Pagination struct{ Offset, Limit, Total int }
		}
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
		require.NotNil(t, answer.Data, "an empty list is not null")
		require.Len(t, answer.Data, test.count)
		require.Equal(t, test.offset, answer.Pagination.Offset)
		require.Equal(t, test.limit, answer.Pagination.Limit)
		require.Equal(t, test.total, answer.Pagination.Total)
	}
}

func TestSimpleAPIErrors(t *testing.T) {
	t.Parallel()
	r := shop(t, nil)
	header := r.login()
	for path, says := range map[string]string{
		"/orders?state=error":                `no parameter \"state\"`,
		"/orders?status=PF":                  "submitted, processing",
		"/orders?status=error&status=error":  "given 2 times",
		"/orders?offset=-1":                  "a number from 0",
		"/orders?limit=0":                    "a number from 1",
		"/orders?limit=x":                    "a number from 1",
		"/orders?creationTimeFrom=yesterday": "must be a time",
		"/orders?a=%zz":                      "percent-encoded",
		"/resellers/2/orders?orderNumber=x":  `no parameter \"orderNumber\"`,
		"/resellers/2/orders?statusCode=PF":  `no parameter \"statusCode\"`,
		"/resellers/404/orders":              "No entity has been found",
		"/orders/404":                        "No entity has been found",
		"/orders/SO000001":                   "No entity has been found",
		"/orders/" + r.order("SO000001").ID:  "No entity has been found",
	} {
		res, body := r.send(http.MethodGet, "/simple"+path, "", header)
		require.Equal(t, http.StatusBadRequest, res.Status, path)
		require.Contains(t, body, says, path)
		require.NotEmpty(t, res.Header.Get("X-Correlation-ID"))
	}
	res, body := r.send(http.MethodGet, "/simple/reports", "", header)
	require.Equal(t, http.StatusNotFound, res.Status)
	require.Contains(t, body, "there is no GET /reports here")
	_, err := newSimple(t, r.base).Order(t.Context(), "404")
	require.ErrorIs(t, err, commerce.ErrNotFound)
}

func TestSimpleOrderJSON(t *testing.T) {
	t.Parallel()
	r := shop(t, nil)
	header := r.login()
	for file, path := range map[string]string{"simple_order.json": "/orders/1000002",
		"simple_list.json": "/orders?status=error&limit=1"} {
		_, body := r.send(http.MethodGet, "/simple"+path, "", header)
		require.NotContains(t, body, "Reason", "it has no failure")
		requireGolden(t, file, body)
	}
	res, first := r.send(http.MethodGet, "/simple/orders", "", header)
	require.Equal(t, "application/json", res.Header.Get("Content-Type"), first)
	again, _ := r.send(http.MethodGet, "/simple/orders", "", header)
	require.NotEqual(t, res.Header.Get("X-Correlation-ID"), again.Header.Get("X-Correlation-ID"))
}

func TestSimplePatch(t *testing.T) {
	t.Parallel()
	r := shop(t, nil)
	header := r.login()
	id := r.order("SO000001").BillingID
	for _, test := range []struct {
		name, id, body string
		status         int
		says           string
	}{
		{"not offered", id, `{"statusCode":"PR","creditCheck":true}`, 409, `offers no transition to \"PR\"`},
		{"no such order", "404", `{"statusCode":"PD"}`, 400, "No entity has been found"},
		{"nothing", id, `{}`, 400, "changes nothing"},
		{"no status", id, `{"statusCode":""}`, 400, "statusCode is empty"},
		{"another field", id, `{"status":"PD"}`, 400, "unknown key"},
		{"two bodies", id, `{"statusCode":"PD"}{}`, 400, "after top-level value"},
		{"no body", id, ``, 400, "not as expected"},
	} {
		res, body := r.send(http.MethodPatch, "/simple/orders/"+test.id, test.body, header)
		require.Equal(t, test.status, res.Status, test.name)
		require.Contains(t, body, test.says, test.name)
	}
	require.Len(t, r.sys.Pushes(), 7)
	require.Equal(t, http.StatusConflict, r.sys.Pushes()[0].HTTPStatus)
	require.False(t, r.order(id).CreditCheck, "a refused patch changes nothing")

	res, body := r.send(http.MethodPatch, "/simple/orders/"+id, `{"creditCheck":true}`, header)
	require.Equal(t, http.StatusOK, res.Status)
	require.Contains(t, body, `"creditCheck":true`)
	require.Len(t, r.sys.Pushes(), 7, "it is not a push")
	res, body = r.send(http.MethodPatch, "/simple/orders/404", `{"creditCheck":true}`, header)
	require.Equal(t, http.StatusBadRequest, res.Status, body)

	res, body = r.send(http.MethodPatch, "/simple/orders/"+id, `{"statusCode":"PD","creditCheck":false}`, header)
	require.Equal(t, http.StatusOK, res.Status)
	require.Contains(t, body, `"status":"processing","statusCode":"PD"`)
	require.Contains(t, body, `"creditCheck":false`)
	require.Empty(t, r.sys.Violations())
}

func TestSimpleResellerSeesItsOrdersOnly(t *testing.T) {
	t.Parallel()
	r := shop(t, func(c *commercetest.Config) { c.SimpleReseller = "2" })
	header := r.login()
	_, body := r.send(http.MethodGet, "/simple/orders", "", header)
	found, _ := simpleNumbers(t, body)
	require.Equal(t, []string{"CH000002", "SO000004"}, found)
	own, other := r.order("CH000002").BillingID, r.order("SO000001").BillingID
	for path, status := range map[string]int{
		"/orders/" + own: 200, "/orders/" + other: 400, "/resellers/2/orders": 200, "/resellers/1/orders": 400,
	} {
		res, _ := r.send(http.MethodGet, "/simple"+path, "", header)
		require.Equal(t, status, res.Status, path)
	}
	res, _ := r.send(http.MethodPatch, "/simple/orders/"+other, `{"statusCode":"PD"}`, header)
	require.Equal(t, http.StatusBadRequest, res.Status)
	require.Zero(t, r.order(other).Pushes)
	res, _ = r.send(http.MethodPatch, "/simple/orders/"+own, `{"statusCode":"PD"}`, header)
	require.Equal(t, http.StatusOK, res.Status)
}

func TestSimpleAPIRequiresKeyAndToken(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.SimpleTokenLifetime = time.Minute })
	header := r.login()
	get := func(change map[string]string) (int, string) {
		with := map[string]string{}
		for name, value := range header {
			with[name] = value
		}
		for name, value := range change {
			with[name] = value
		}
		res, body := r.send(http.MethodGet, "/simple/orders", "", with)
		require.NotEmpty(t, res.Header.Get("X-Correlation-ID"))
		return res.Status, body
	}
	status, _ := get(nil)
	require.Equal(t, http.StatusOK, status)
	for _, wrong := range []map[string]string{
		{"X-Subscription-Key": ""}, {"X-Subscription-Key": "x"}, {"Authorization": ""}, {"Authorization": "Bearer x"},
		{"Authorization": "Bearer " + commercetest.DefaultToken},
		{"Authorization": "Basic " + header["Authorization"][len("Bearer "):]},
	} {
		status, body := get(wrong)
		require.Equal(t, http.StatusUnauthorized, status, body)
		require.NotContains(t, body, commercetest.DefaultSimpleKey)
	}
	r.clock.Add(time.Minute)
	status, _ = get(nil)
	require.Equal(t, http.StatusUnauthorized, status, "it has expired")
	aps, _ := r.callAs(header["Authorization"][len("Bearer "):], http.MethodGet, orders, "")
	require.Equal(t, http.StatusUnauthorized, aps)

	res, body := r.send(http.MethodPost, "/simple/token", `{"marketplace":"us"}`,
		map[string]string{"X-Subscription-Key": commercetest.DefaultSimpleKey})
	require.Equal(t, http.StatusUnauthorized, res.Status)
	require.NotContains(t, body, commercetest.DefaultSimplePassword)
	login := basicAuth(commercetest.DefaultSimpleUser, commercetest.DefaultSimplePassword)
	res, _ = r.send(http.MethodPost, "/simple/token", `{"marketplace":"us"}`, login)
	require.Equal(t, http.StatusUnauthorized, res.Status, "the key is missing")
	login["X-Subscription-Key"] = commercetest.DefaultSimpleKey
	res, _ = r.send(http.MethodPost, "/simple/token", `us`, login)
	require.Equal(t, http.StatusBadRequest, res.Status)
	res, body = r.send(http.MethodPost, "/simple/token", `{"marketplace":"us"}`, login)
	require.Equal(t, http.StatusOK, res.Status)
	requireGolden(t, "simple_token.json", body)
}

func TestKeycloakToken(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) {
		c.SimpleTokenLifetime, c.Realm, c.ClientID, c.ClientSecret = time.Minute, "sr-9", "n8n", "s3cret-word"
	})
	o := r.failed(commercetest.OrderSpec{})
	good := url.Values{
		"grant_type": {"password"}, "username": {commercetest.DefaultSimpleUser},
		"password":  {commercetest.DefaultSimplePassword},
		"client_id": {"n8n"}, "client_secret": {"s3cret-word"}, "scope": {"openid"},
	}
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	ask := func(realm, body string) (int, string) {
		res, answer := r.send(http.MethodPost, "/auth/realms/"+realm+"/protocol/openid-connect/token", body, form)
		require.NotEmpty(t, res.Header.Get("X-Correlation-ID"))
		return res.Status, answer
	}
	status, body := ask("sr-9", good.Encode())
	require.Equal(t, http.StatusOK, status)
	requireGolden(t, "keycloak_token.json", body)
	status, body = ask("sr-1", good.Encode())
	require.Equal(t, http.StatusNotFound, status, body)
	for name, test := range map[string]struct {
		status int
		says   string
	}{
		"grant_type":    {http.StatusBadRequest, "unsupported_grant_type"},
		"client_id":     {http.StatusUnauthorized, "invalid_client"},
		"client_secret": {http.StatusUnauthorized, "invalid_client"},
		"username":      {http.StatusUnauthorized, "invalid_grant"},
		"password":      {http.StatusUnauthorized, "invalid_grant"},
	} {
		was := good.Get(name)
		good.Set(name, "x")
		status, body := ask("sr-9", good.Encode())
		good.Set(name, was)
		require.Equal(t, test.status, status, name)
		require.Contains(t, body, test.says)
		require.NotContains(t, body, "s3cret-word")
	}
	status, _ = ask("sr-9", "%zz")
	require.Equal(t, http.StatusBadRequest, status)

	urls := commercetest.URLsAt(r.base)
	c, err := simpleapi.New(urls.SimpleAPI, simpleapi.KeycloakToken(commercetest.DefaultSimpleKey, simpleapi.KeycloakLogin{
		URL: urls.Keycloak, Realm: "sr-9", ClientID: "n8n", ClientSecret: "s3cret-word",
		User: commercetest.DefaultSimpleUser, Password: commercetest.DefaultSimplePassword,
	}))
	require.NoError(t, err)
	for range 2 {
		_, err = c.Order(t.Context(), o.BillingID)
		require.NoError(t, err)
		r.clock.Add(time.Hour) // the client finds the token refused, and fetches a new one
	}
}

func FuzzSimpleQuery(f *testing.F) {
	f.Add("status=error&limit=5")
	f.Add("creationTimeFrom=2026-03-07T02:05:00Z&offset=-1")
	sys := newSystem(f, commercetest.Config{})
	sys.Place(commercetest.OrderSpec{})
	header := basicAuth(commercetest.DefaultSimpleUser, commercetest.DefaultSimplePassword)
	header["X-Subscription-Key"] = commercetest.DefaultSimpleKey
	h := sys.SimpleAPI()
	f.Fuzz(func(t *testing.T, query string) {
		var login struct{ Token string }
		require.NoError(t, json.Unmarshal([]byte(serveBody(t, h, http.MethodPost, "/token", "{}", header)), &login))
		r := newQuery(t, query)
		r.Header.Set("X-Subscription-Key", commercetest.DefaultSimpleKey)
		r.Header.Set("Authorization", "Bearer "+login.Token)
		requireListOrReason(t, h, r)
	})
}

func newQuery(t *testing.T, query string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/orders", nil)
	r.URL.RawQuery = query
	return r
}

// requireListOrReason checks that the answer is a list or an error with a message.
func requireListOrReason(t *testing.T, h http.Handler, r *http.Request) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var answer struct {
		Data    []any
		Message string
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	if w.Code == http.StatusOK {
		require.NotNil(t, answer.Data)
		return
	}
	require.Equal(t, http.StatusBadRequest, w.Code)
	require.NotEmpty(t, answer.Message)
}
