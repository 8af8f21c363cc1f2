package commercetest_test

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
)

const orders = "/aps/2/services/order-manager/orders"

// shop is a rig with four orders:
//
//	1 SO000001 PF direct Acme    12.5    02:00
//	2 CH000002 PF reseller Bolt  100     02:05
//	3 BO000003 CP direct Acme    7       02:10
//	4 SO000004 PR reseller Cord  1000.10 02:10
func shop(t *testing.T, change func(*commercetest.Config)) *rig {
	t.Helper()
	r := newRig(t, change)
	eur := func(s string) commerce.Money {
		return commerce.Money{Amount: decimal.RequireFromString(s), Currency: "EUR"}
	}
	r.failed(commercetest.OrderSpec{CustomerName: "Acme", Customer: "10", Total: eur("12.5")})
	r.failed(commercetest.OrderSpec{Type: "CH", VendorAccount: "2", Customer: "20", CustomerName: "Bolt",
		Subscription: "99",
		Total:        eur("100")})
	r.sys.Place(commercetest.OrderSpec{Type: "BO", CustomerName: "Acme", Customer: "10", Total: eur("7")})
	r.sys.Place(commercetest.OrderSpec{VendorAccount: "2", Customer: "30", CustomerName: "Cord (EU), Ltd",
		Total: eur("1000.10")})
	r.step()
	return r
}

func numbers(t *testing.T, body string) []string {
	t.Helper()
	var list []struct {
		OrderNumber string `json:"orderNumber"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &list), body)
	found := []string{}
	for _, o := range list {
		found = append(found, o.OrderNumber)
	}
	return found
}

func TestListQuery(t *testing.T) {
	t.Parallel()
	r := shop(t, nil)
	const so1, ch2, bo3, so4 = "SO000001", "CH000002", "BO000003", "SO000004"
	for query, want := range map[string][]string{
		"":                              {so1, ch2, bo3, so4},
		"eq(status,PF)":                 {so1, ch2},
		"status=PF":                     {so1, ch2},
		"ne(status,PF)":                 {bo3, so4},
		"in(status,(PF,CP))":            {so1, ch2, bo3},
		"out(status,(PF,CP))":           {so4},
		"in(status,(PF)),in(type,(SO))": {so1},
		"in(status,(PF))&eq(type,CH)":   {ch2},
		"in(status,(LO))":               {},
		"like(orderNumber,*0000*)":      {so1, ch2, bo3, so4},
		"like(orderNumber,SO00000?)":    {so1, so4},
		"like(orderNumber,SO)":          {},
		"like(orderNumber,*4)":          {so4},
		"like(endCustomerName,Cord*)":   {so4},
		"eq(endCustomerName,Cord%20%28EU%29%2C%20Ltd)": {so4},
		"ge(orderDate,2026-03-07T02:05:00Z)":           {ch2, bo3, so4},
		"gt(orderDate,2026-03-07T02:05:00Z)":           {bo3, so4},
		"lt(orderDate,2026-03-07T02:05:00Z)":           {so1},
		"le(orderDate,2026-03-07T02:05:00Z)":           {so1, ch2},
		"ge(orderDate,2026-03-07)":                     {so1, ch2, bo3, so4},
		"ge(orderDate,2026-03-08)":                     {},
		"ge(internalId,1000003)":                       {bo3, so4},
		"gt(total.value,99)":                           {ch2, so4},
		"eq(total.code,EUR),lt(total.value,8)":         {bo3},
		"eq(subscriptionId,99)":                        {ch2},
		"eq(vendorAccountId,2)":                        {ch2, so4},
		"eq(customerId,10)":                            {so1, bo3},
		"eq(provisioningStatus,FAILED)":                {so1, ch2},
		"or(eq(type,BO),eq(type,CH))":                  {ch2, bo3},
		"not(eq(type,SO))":                             {ch2, bo3},
		"and(eq(type,SO),eq(status,PF))":               {so1},
		"sort(-orderDate)":                             {bo3, so4, ch2, so1},
		"sort(-orderDate,-internalId)":                 {so4, bo3, ch2, so1},
		"sort(+type)":                                  {bo3, ch2, so1, so4},
		"sort(total.value)":                            {bo3, so1, ch2, so4},
		"select(orderDetails),limit(0,1000)":           {so1, ch2, bo3, so4},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			status, body := r.call(http.MethodGet, orders+"?"+query, "")
			require.Equal(t, http.StatusOK, status, body)
			require.Equal(t, want, numbers(t, body))
		})
	}
}

func TestPartialListIs206(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		query   string
		maxPage int
		status  int
		count   int
	}{
		{"", 0, 200, 4},
		{"limit(0,4)", 0, 200, 4},
		{"limit(0)", 0, 200, 4},
		{"limit(0,3)", 0, 206, 3},
		{"limit(3,3)", 0, 206, 1},
		{"limit(4,3)", 0, 206, 0},
		{"limit(9)", 0, 206, 0},
		{"limit(0,0)", 0, 206, 0},
		{"", 3, 206, 3},
		{"limit(0,100)", 3, 206, 3},
		{"limit(2,100)", 3, 206, 2},
		{"limit(0,2)", 3, 206, 2},
		{"eq(type,BO)", 3, 200, 1},
		{"eq(type,XX)", 3, 200, 0},
	} {
		t.Run(test.query, func(t *testing.T) {
			t.Parallel()
			r := shop(t, func(c *commercetest.Config) { c.MaxPageSize = test.maxPage })
			status, body := r.call(http.MethodGet, orders+"?"+test.query, "")
			require.Equal(t, test.status, status)
			require.Len(t, numbers(t, body), test.count)
		})
	}
}

func TestListQueryErrors(t *testing.T) {
	t.Parallel()
	r := shop(t, nil)
	for query, want := range map[string]string{
		"eq(state,PF)":        `no property \"state\"`,
		"in(state,(PF))":      `no property \"state\"`,
		"sort(-when)":         `no property \"when\"`,
		"limit(a,b)":          "not a number",
		"limit(0,-1)":         "not a number",
		"limit(1,2,3)":        "limit wants",
		"between(status,a,b)": "between",
		"eq(status,PF":        "",
		"implementing(x)":     "implementing",
	} {
		status, body := r.call(http.MethodGet, orders+"?"+query, "")
		require.Equal(t, http.StatusBadRequest, status, query)
		require.Contains(t, body, want)
		var apsError struct{ Error, Message string }
		require.NoError(t, json.Unmarshal([]byte(body), &apsError))
		require.NotEmpty(t, apsError.Error)
		require.NotEmpty(t, apsError.Message)
	}
}

func TestOrderJSON(t *testing.T) {
	t.Parallel()
	r := shop(t, nil)
	failed := r.order("CH000002")
	golden := os.DirFS("testdata")
	for file, path := range map[string]string{
		"order.json":         orders + "/" + failed.ID,
		"order_working.json": orders + "/" + r.order("SO000004").ID,
		"list.json":          orders + "?in(status,(PF)),limit(0,1)",
		"list_details.json":  orders + "?eq(type,CH),select(orderDetails)",
	} {
		_, body := r.call(http.MethodGet, path, "")
		want, err := fs.ReadFile(golden, file)
		require.NoError(t, err)
		require.JSONEq(t, string(want), body)
	}
}

func TestListDetails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		query  string
		always bool
		want   bool
	}{
		{"eq(status,PF)", false, false},
		{"eq(status,PF)", true, true},
		{"eq(status,PF),select(orderDetails)", false, true},
		{"eq(status,PF),select(errorDetails)", false, true},
		{"eq(status,PF),select(orderNumber)", false, false},
	} {
		r := shop(t, func(c *commercetest.Config) { c.ListDetails = test.always })
		_, body := r.call(http.MethodGet, orders+"?"+test.query, "")
		if test.want {
			require.Contains(t, body, "errorDetails", test.query)
			require.Contains(t, body, "possiblePushToStatus", test.query)
			continue
		}
		require.NotContains(t, body, "errorDetails", test.query)
		require.NotContains(t, body, "possiblePushToStatus", test.query)
	}
}

func TestAccountSeesItsOrders(t *testing.T) {
	t.Parallel()
	r := shop(t, nil)
	for account, want := range map[string][]string{
		"1":  {"SO000001", "CH000002", "BO000003", "SO000004"},
		"2":  {"CH000002", "SO000004"},
		"10": {"SO000001", "BO000003"},
	} {
		for _, end := range []string{"", "/"} {
			status, body := r.call(http.MethodGet, "/aps/2/resources/"+account+"/orders"+end, "")
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, want, numbers(t, body))
		}
	}
	status, _ := r.call(http.MethodGet, "/aps/2/resources/404/orders/", "")
	require.Equal(t, http.StatusNotFound, status)

	id := r.order("CH000002").ID
	status, _ = r.call(http.MethodGet, "/aps/2/resources/2/orders/"+id, "")
	require.Equal(t, http.StatusOK, status)
	status, _ = r.call(http.MethodGet, "/aps/2/resources/10/orders/"+id, "")
	require.Equal(t, http.StatusNotFound, status)
}

func TestTokenIsRequired(t *testing.T) {
	t.Parallel()
	r := shop(t, func(c *commercetest.Config) { c.Token = "right" })
	id := r.order("SO000001").ID
	for _, token := range []string{"", "wrong", commercetest.DefaultToken} {
		for path, method := range map[string]string{
			orders:                      http.MethodGet,
			orders + "/" + id:           http.MethodGet,
			orders + "/" + id + "/push": http.MethodPost,
		} {
			status, body := r.callAs(token, method, path, `{"ofStatus":"PD"}`)
			require.Equal(t, http.StatusUnauthorized, status)
			require.Contains(t, body, `"error":"Unauthorized"`)
			require.NotContains(t, body, "right")
		}
	}
	require.Empty(t, r.sys.Pushes())
	status, _ := r.callAs("right", http.MethodGet, orders, "")
	require.Equal(t, http.StatusOK, status)
}

func TestPushIsAcceptedOnlyIfOffered(t *testing.T) {
	t.Parallel()
	r := shop(t, nil)
	failed, working := r.order("SO000001"), r.order("SO000004")
	for _, test := range []struct {
		name, id, body string
		status         int
		want           string
	}{
		{"no such order", "nobody", `{"ofStatus":"PD"}`, 404, `there is no order \"nobody\"`},
		{"the number is not the id", "SO000001", `{"ofStatus":"PD"}`, 404, "no order"},
		{"nothing", failed.ID, ``, 400, "ofStatus"},
		{"no status", failed.ID, `{}`, 400, "names no status"},
		{"another field", failed.ID, `{"status":"PD"}`, 400, "unknown key"},
		{"two bodies", failed.ID, `{"ofStatus":"PD"}{"ofStatus":"PD"}`, 400, "after top-level value"},
		{"a number", failed.ID, `{"ofStatus":5}`, 400, "ofStatus"},
		{"a status that is not offered", failed.ID, `{"ofStatus":"PR"}`, 409,
			`offers no transition to \"PR\"; it offers CL, PD`},
		{"an order that offers nothing", working.ID, `{"ofStatus":"PD"}`, 409, "it offers none"},
	} {
		status, body := r.call(http.MethodPost, orders+"/"+test.id+"/push", test.body)
		require.Equal(t, test.status, status, test.name)
		require.Contains(t, body, test.want, test.name)
	}
	require.Equal(t, 1, r.order(failed.ID).Failures)
	require.Zero(t, r.order(failed.ID).Pushes)

	status, body := r.call(http.MethodPost, orders+"/"+failed.ID+"/push", `{"ofStatus":"PD"}`)
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, `"status":"PD"`)
	require.Len(t, r.sys.Pushes(), 10)
	require.Empty(t, r.sys.Violations())
}

func TestRefusedPushStatus(t *testing.T) {
	t.Parallel()
	r := shop(t, func(c *commercetest.Config) { c.RefusedPushStatus = http.StatusBadRequest })
	require.Equal(t, http.StatusBadRequest, r.push(r.order("SO000001").ID, commerce.StatusProvisioning))
}

func TestUnknownPathsAndMethods(t *testing.T) {
	t.Parallel()
	r := shop(t, nil)
	id := r.order("SO000001").ID
	for path, method := range map[string]string{
		"/":                           http.MethodGet,
		orders + "/" + id + "/push":   http.MethodGet,
		orders + "/" + id + "/cancel": http.MethodPost,
		orders:                        http.MethodDelete,
	} {
		status, body := r.call(method, path, "")
		require.Equal(t, http.StatusNotFound, status, path)
		require.Contains(t, body, `"error":"NotFound"`)
	}
}

func TestFaultLosesAnswerOfPush(t *testing.T) {
	t.Parallel()
	r := shop(t, nil)
	id := r.order("SO000001").ID
	require.NoError(t, r.sys.AddFault(commercetest.Fault{
		Method: http.MethodPost, Path: "*/push", Times: 1, Kind: commercetest.FaultStatus, Status: http.StatusBadGateway,
		After: true,
	}))
	require.Equal(t, http.StatusBadGateway, r.push(id, commerce.StatusPaid), "the answer is lost")
	require.Equal(t, 1, r.order(id).Pushes, "the push was done")
	call := r.sys.Pushes()[0]
	require.True(t, call.Accepted)
	require.Equal(t, http.StatusOK, call.HTTPStatus)
	require.Equal(t, http.StatusConflict, r.push(id, commerce.StatusPaid), "the fault is used up")
}

func TestCloseAndStartAgain(t *testing.T) {
	t.Parallel()
	r := shop(t, nil)
	require.NoError(t, r.sys.Close())
	require.NoError(t, r.sys.Close())
	var err error
	r.base, err = r.sys.Start()
	require.NoError(t, err)
	status, body := r.call(http.MethodGet, orders, "")
	require.Equal(t, http.StatusOK, status)
	require.Len(t, numbers(t, body), 4)
	require.WithinDuration(t, r.clock.Now(), r.order("SO000004").PlacedAt, time.Hour)
}

func TestShuffleTies(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.ShuffleTies = true })
	all := make([]string, 0, 20)
	for range 20 {
		all = append(all, r.sys.Place(commercetest.OrderSpec{}).Number) // all at the same time
	}
	lists := map[string]bool{}
	for range 5 {
		status, body := r.call(http.MethodGet, orders+"?sort(+orderDate,+internalId)", "")
		require.Equal(t, http.StatusOK, status)
		found := numbers(t, body)
		require.ElementsMatch(t, all, found)
		lists[body] = true
	}
	require.Greater(t, len(lists), 1, "the order never changed")
}
