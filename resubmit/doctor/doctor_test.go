package doctor_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/doctor"
)

// The wire is what makes sure of it, whatever a client does.
func TestNoClientCanPushThroughTheWire(t *testing.T) {
	t.Parallel()
	system, err := commercetest.New(commercetest.Config{})
	require.NoError(t, err)
	order := system.Place(commercetest.OrderSpec{})
	server := httptest.NewServer(system)
	defer server.Close()
	urls := commercetest.URLsAt(server.URL)

	var wire doctor.Wire
	orders, err := ordermanager.New(urls.OrderManager, ordermanager.Token(commercetest.DefaultToken),
		ordermanager.WithMiddleware(wire.Wrap))
	require.NoError(t, err)
	bills, err := billing.New(urls.Billing, billing.NoLogin(), billing.WithMiddleware(wire.Wrap))
	require.NoError(t, err)
	login := simpleapi.GatewayLogin{
		User: commercetest.DefaultSimpleUser, Password: commercetest.DefaultSimplePassword, Marketplace: "us",
	}
	simple, err := simpleapi.New(urls.SimpleAPI, simpleapi.GatewayToken(commercetest.DefaultSimpleKey, login),
		simpleapi.WithMiddleware(wire.Wrap))
	require.NoError(t, err)
	for _, c := range []struct {
		id     string
		client resubmit.Client
	}{{order.ID, orders}, {order.BillingID, bills}, {order.BillingID, simple}} {
		_, err := c.client.Order(t.Context(), c.id)
		require.NoError(t, err, c.client.System())
		require.ErrorIs(t, c.client.Push(t.Context(), c.id, commerce.StatusPaid), doctor.ErrWrite, c.client.System())
	}
	require.Empty(t, system.Pushes())
	require.Empty(t, system.Violations())
}

type sent struct{ bodies []string }

func (s *sent) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(content)
	}
	s.bodies = append(s.bodies, body)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

func TestOnlyCallsThatReadPassTheWire(t *testing.T) {
	t.Parallel()
	execute := func(methods ...string) string {
		body := "<methodCall><methodName>Execute</methodName><params><param><value><struct>"
		for _, m := range methods {
			body += "<member><name>Method</name><value><string>" + m + "</string></value></member>"
		}
		return body + "</struct></value></param></params></methodCall>"
	}
	for name, c := range map[string]struct {
		method, path, body string
		passes             bool
	}{
		"a list":              {http.MethodGet, "/orders", "", true},
		"a probe":             {http.MethodHead, "/public/v1", "", true},
		"a sign-in":           {http.MethodPost, "/marketplace/token", `{"marketplace":"us"}`, true},
		"a row of Billing":    {http.MethodPost, "/RPC2", execute("GetOrder_API"), true},
		"a token":             {http.MethodPost, "/RPC2", "<methodName>pem.APS.getUserToken</methodName>", true},
		"a push":              {http.MethodPost, "/orders/1/push", `{"ofStatus":"PD"}`, false},
		"a push of Billing":   {http.MethodPost, "/RPC2", execute("OrderStatusChange_API"), false},
		"both":                {http.MethodPost, "/RPC2", execute("GetOrder_API", "OrderStatusChange_API"), false},
		"two calls":           {http.MethodPost, "/RPC2", execute("GetOrder_API") + execute("GetOrder_API"), false},
		"an event":            {http.MethodPost, "/RPC2", execute("PostEvent"), false},
		"a task":              {http.MethodPost, "/RPC2", "<methodName>pem.tasks.rescheduleTask</methodName>", false},
		"a push by PATCH":     {http.MethodPatch, "/orders/1", `{"statusCode":"PD"}`, false},
		"a deletion":          {http.MethodDelete, "/orders/1", "", false},
		"a request":           {http.MethodPost, "/public/v1/requests", "{}", false},
		"a call without body": {http.MethodPost, "/requests/1/approve", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var next sent
			var body io.Reader
			if c.body != "" {
				body = io.NopCloser(strings.NewReader(c.body)) // without GetBody, as clients send it
			}
			r, err := http.NewRequestWithContext(t.Context(), c.method, "https://system.example.net"+c.path, body)
			require.NoError(t, err)
			resp, err := new(doctor.Wire).Wrap(&next).RoundTrip(r)
			if !c.passes {
				require.ErrorIs(t, err, doctor.ErrWrite)
				require.ErrorContains(t, err, c.method+" "+c.path)
				require.Empty(t, next.bodies)
				return
			}
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, []string{c.body}, next.bodies)
		})
	}
}

func TestCheckNeedsItsConfiguration(t *testing.T) {
	t.Parallel()
	_, err := doctor.Check(t.Context(), doctor.Config{})
	require.EqualError(t, err,
		"doctor: Config needs Systems with Lister and Reader, Wire, Connect and ConnectWire")
}

// A client reads the end of a list again, so a few short pages are no sign of a server that makes pages smaller.
func TestCheckAcceptsListsOfAnyLength(t *testing.T) {
	t.Parallel()
	const asked = 20
	for _, c := range []struct {
		orders, most int
		state        doctor.State
	}{
		{1, 0, doctor.OK}, {3, 0, doctor.OK}, {15, 0, doctor.OK}, {20, 0, doctor.OK}, {21, 0, doctor.OK}, {45, 0, doctor.OK},
		{3, 5, doctor.OK}, {15, 5, doctor.Differs}, {45, 15, doctor.Differs},
	} {
		t.Run(fmt.Sprintf("%d orders in pages of %d", c.orders, c.most), func(t *testing.T) {
			t.Parallel()
			system, err := commercetest.New(commercetest.Config{MaxPageSize: c.most})
			require.NoError(t, err)
			for range c.orders {
				system.Place(commercetest.OrderSpec{})
			}
			orders := httptest.NewServer(system)
			t.Cleanup(orders.Close)
			requests := httptest.NewServer(connecttest.New(connecttest.Config{}))
			t.Cleanup(requests.Close)

			cfg := doctor.Config{Wire: new(doctor.Wire), ConnectWire: new(doctor.Wire)}
			client, err := ordermanager.New(commercetest.URLsAt(orders.URL).OrderManager,
				ordermanager.Token(commercetest.DefaultToken), ordermanager.WithMiddleware(cfg.Wire.Wrap),
				ordermanager.WithPageSize(asked))
			require.NoError(t, err)
			cfg.Systems = resubmit.SystemsOf(client, client)
			cfg.Connect, err = connect.New(requests.URL+"/public/v1", connect.APIKey(connecttest.DefaultKey),
				connect.WithMiddleware(cfg.ConnectWire.Wrap), connect.WithPageSize(asked))
			require.NoError(t, err)
			findings, err := doctor.Check(t.Context(), cfg)
			require.NoError(t, err)
			i := slices.IndexFunc(findings, func(f doctor.Finding) bool { return f.System == "Commerce" && f.Check == "paging" })
			require.GreaterOrEqual(t, i, 0, "%v", findings)
			require.Equal(t, c.state, findings[i].State, findings[i].Text)
		})
	}
}
