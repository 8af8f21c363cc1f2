package commercetest_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
)

// pusher is a client and the id by which it identifies an order.
type pusher struct {
	push   func(t *testing.T, id string, to commerce.Status) error
	id     func(commercetest.Order) string
	origin commercetest.Origin
}

func billingID(o commercetest.Order) string { return o.BillingID }

func newBilling(t *testing.T, base string, creds billing.Auth, opts ...billing.Option) *billing.Client {
	t.Helper()
	c, err := billing.New(commercetest.URLsAt(base).Billing, creds, opts...)
	require.NoError(t, err)
	return c
}

func newSimple(t *testing.T, base string) *simpleapi.Client {
	t.Helper()
	c, err := simpleapi.New(commercetest.URLsAt(base).SimpleAPI,
		simpleapi.GatewayToken(commercetest.DefaultSimpleKey, simpleapi.GatewayLogin{
			User: commercetest.DefaultSimpleUser, Password: commercetest.DefaultSimplePassword, Marketplace: "us",
		}))
	require.NoError(t, err)
	return c
}

// apis are the three APIs that push, each through its client.
func apis(t *testing.T, r *rig) map[string]pusher {
	t.Helper()
	om, err := ordermanager.New(r.base, ordermanager.Token(commercetest.DefaultToken))
	require.NoError(t, err)
	bill, simple := newBilling(t, r.base, billing.NoLogin()), newSimple(t, r.base)
	return map[string]pusher{
		"the Order Management": {func(t *testing.T, id string,
			to commerce.Status) error {
			return om.Push(t.Context(), id, to)
		},
			func(o commercetest.Order) string { return o.ID }, commercetest.OriginOrderManager},
		"Billing": {func(t *testing.T, id string, to commerce.Status) error { return bill.Push(t.Context(), id, to) },
			billingID, commercetest.OriginBilling},
		"Simple API": {func(t *testing.T, id string, to commerce.Status) error { return simple.Push(t.Context(), id, to) },
			billingID, commercetest.OriginSimpleAPI},
	}
}

func TestViolationsThroughEveryAPI(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"the Order Management", "Billing", "Simple API"} {
		for _, test := range []struct {
			rule commercetest.Rule
			do   func(t *testing.T, r *rig, open *atomic.Bool, p func(commercetest.Order))
		}{
			{commercetest.RulePushedOnce, func(_ *testing.T, r *rig, _ *atomic.Bool, p func(commercetest.Order)) {
				o := r.failed(commercetest.OrderSpec{})
				p(o)
				r.step()
				p(o)
			}},
			{commercetest.RuleStaleEvent, func(_ *testing.T, r *rig, _ *atomic.Bool, p func(commercetest.Order)) {
				o := r.sys.Place(commercetest.OrderSpec{FailWith: "x"})
				r.step()
				p(o)
			}},
			{commercetest.RuleMaintenance, func(_ *testing.T, r *rig, open *atomic.Bool, p func(commercetest.Order)) {
				o := r.failed(commercetest.OrderSpec{})
				open.Store(true)
				p(o)
			}},
			{commercetest.RuleOldestFirst, func(_ *testing.T, r *rig, _ *atomic.Bool, p func(commercetest.Order)) {
				a := r.failed(commercetest.OrderSpec{Subscription: "42"})
				b := r.failed(commercetest.OrderSpec{Type: "CH", Subscription: "42"})
				p(a)
				p(b)
			}},
			{commercetest.RuleForbidden, func(t *testing.T, r *rig, _ *atomic.Bool, p func(commercetest.Order)) {
				o := r.failed(commercetest.OrderSpec{})
				require.NoError(t, r.sys.ForbidPush(o.ID, "the vendor rejected it"))
				p(o)
			}},
		} {
			t.Run(string(test.rule)+" through "+name, func(t *testing.T) {
				t.Parallel()
				var open atomic.Bool
				r := newRig(t, func(c *commercetest.Config) {
					c.InMaintenance = open.Load
					if test.rule == commercetest.RulePushedOnce {
						c.StaleReadsFor = time.Minute // a second push is accepted only then
					}
				})
				api := apis(t, r)[name]
				good := r.failed(commercetest.OrderSpec{})
				require.NoError(t, api.push(t, api.id(good), commerce.StatusPaid))
				require.Empty(t, r.sys.Violations())
				test.do(t, r, &open, func(o commercetest.Order) {
					require.NoError(t, api.push(t, api.id(o), commerce.StatusPaid))
				})
				require.Equal(t, []commercetest.Rule{test.rule}, rules(r))
				for _, call := range r.sys.Pushes() {
					require.Equal(t, api.origin, call.Origin)
					require.True(t, call.Accepted)
					require.Equal(t, http.StatusOK, call.HTTPStatus)
				}
			})
		}
	}
}

func TestRefusedPushIsRecordedThroughEveryAPI(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	o := r.failed(commercetest.OrderSpec{})
	for name, api := range apis(t, r) {
		before := len(r.sys.Pushes())
		require.Error(t, api.push(t, api.id(o), commerce.StatusCompleted), name)
		require.Error(t, api.push(t, "4711", commerce.StatusPaid), name)
		for _, call := range r.sys.Pushes()[before:] {
			require.Equal(t, api.origin, call.Origin)
			require.False(t, call.Accepted)
		}
	}
	require.Zero(t, r.order(o.ID).Pushes)
}

func TestEveryAPIReturnsTheSameOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	want := r.failed(commercetest.OrderSpec{VendorAccount: "20", Customer: "30", Subscription: "40",
		Comments: "Zażółć <&>"})
	om, err := ordermanager.New(r.base, ordermanager.Token(commercetest.DefaultToken))
	require.NoError(t, err)
	for name, read := range map[string]func() (*commerce.Order, error){
		"the Order Management": func() (*commerce.Order, error) { return om.Order(t.Context(), want.ID) },
		"Billing": func() (*commerce.Order, error) {
			return newBilling(t, r.base, billing.NoLogin()).Order(t.Context(), want.BillingID)
		},
		"Simple API": func() (*commerce.Order, error) { return newSimple(t, r.base).Order(t.Context(), want.BillingID) },
	} {
		got, err := read()
		require.NoError(t, err, name)
		require.Equal(t, want.BillingID, got.BillingID, name)
		require.Equal(t, want.Number, got.Number, name)
		require.Equal(t, want.Type, got.Type, name)
		require.Equal(t, want.Status, got.Status, name)
		require.True(t, want.PlacedAt.Equal(got.PlacedAt), name)
		require.Equal(t, want.Customer, got.CustomerID, name)
		require.True(t, want.Total.Amount.Equal(got.Total.Amount), name)
		require.Equal(t, want.Total.Currency, got.Total.Currency, name)
	}
}

func TestFaultsHaveTheFormatOfTheAPI(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	require.NoError(t, r.sys.AddFault(commercetest.Fault{Kind: commercetest.FaultStatus,
		Status: http.StatusTooManyRequests, RetryAfter: 7 * time.Second}))
	for path, says := range map[string]string{
		orders:             `"error":"Fault"`,
		"/billing/RPC2":    "injected fault",
		"/operations/RPC2": "injected fault",
		"/simple/orders":   `"statusCode":429`,
		"/auth/realms/x":   `"statusCode":429`,
	} {
		res, body := r.send(http.MethodPost, path, "", nil)
		require.Equal(t, http.StatusTooManyRequests, res.Status, path)
		require.Equal(t, "7", res.Header.Get("Retry-After"), path)
		require.Contains(t, body, says, path)
		simple := strings.HasPrefix(path, "/simple") || strings.HasPrefix(path, "/auth")
		require.Equal(t, simple, res.Header.Get("X-Correlation-ID") != "", path)
	}
}

func TestHandlersMountedAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	o := r.failed(commercetest.OrderSpec{})
	require.NoError(t, r.sys.AddFault(commercetest.Fault{Path: "/orders/*", Times: 1, Kind: commercetest.FaultStatus,
		Status: 503}))
	for path, h := range map[string]http.Handler{"/RPC2": r.sys.Billing(), "/": r.sys.Billing()} {
		res := serveBody(t, h, http.MethodPost, path, execute("GetOrder_API", "<i4>"+o.BillingID+"</i4>"), nil)
		require.Contains(t, res, o.Number)
	}
	require.Contains(t, serveBody(t, r.sys.Operations(), http.MethodPost, "/RPC2", userToken("1"), nil), "aps_token")
	require.Contains(t, serveBody(t, r.sys.SimpleAPI(), http.MethodGet, "/orders/1", "", nil), `"statusCode":503`)
	require.Contains(t, serveBody(t, r.sys.SimpleAPI(), http.MethodGet, "/orders/1", "", nil), "X-Subscription-Key")
}

func TestConfigRejectsInvalidLogins(t *testing.T) {
	t.Parallel()
	for says, cfg := range map[string]commercetest.Config{
		"BillingUser and BillingPassword":       {BillingLogin: commercetest.LoginBasic, BillingUser: "u"},
		"OperationsUser and OperationsPassword": {OperationsPassword: "p"},
		"ConsumerKey and ConsumerSecret":        {ConsumerKey: "k"},
		`BillingLogin is "token"`:               {BillingLogin: "token", BillingUser: "u", BillingPassword: "p"},
		"LoginNone takes none":                  {BillingUser: "u", BillingPassword: "p"},
		"need a BillingUser":                    {BillingLogin: commercetest.LoginInCall},
		"TokenUserID -1":                        {TokenUserID: -1},
		"TokenLifetime -1s":                     {TokenLifetime: -time.Second},
		"SimpleTokenLifetime -1s":               {SimpleTokenLifetime: -time.Second},
		`Precision of "USD"`:                    {Precision: map[string]int{"USD": 11}},
	} {
		_, err := commercetest.New(cfg)
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "\n")
	}
}

// rpc posts an XML-RPC call.
func (r *rig) rpc(path, body string, header map[string]string) string {
	r.t.Helper()
	res, answer := r.send(http.MethodPost, path, body, header)
	require.Equal(r.t, http.StatusOK, res.Status, answer)
	require.Equal(r.t, "text/xml; charset=utf-8", res.Header.Get("Content-Type"))
	return answer
}

func basicAuth(user, password string) map[string]string {
	return map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}
}

// requireGolden compares an answer with a file, except for the port.
func requireGolden(t *testing.T, file, got string) {
	t.Helper()
	want, err := os.ReadFile("testdata/" + file)
	require.NoError(t, err)
	got = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(got, "HOST")
	require.Equal(t, strings.TrimSpace(string(want)), strings.TrimSpace(got))
}

func usd(amount string) commerce.Money {
	return commerce.Money{Amount: decimal.RequireFromString(amount), Currency: "USD"}
}

func execute(method, params string, members ...string) string {
	values := ""
	for param := range strings.SplitSeq(params, " ") {
		if param != "" {
			values += "<value>" + param + "</value>"
		}
	}
	return fmt.Sprintf(`<?xml version="1.0"?><methodCall><methodName>Execute</methodName><params><param><value><struct>`+
		`<member><name>Server</name><value><string>BM</string></value></member>`+
		`<member><name>Method</name><value><string>%s</string></value></member>%s`+
		`<member><name>Params</name><value><array><data>%s</data></array></value></member>`+
		`</struct></value></param></params></methodCall>`, method, strings.Join(members, ""), values)
}
