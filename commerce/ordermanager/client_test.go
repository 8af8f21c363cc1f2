package ordermanager_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/internal/testkit/clientkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

var (
	_ resubmit.OrderLister = (*ordermanager.Client)(nil)
	_ resubmit.OrderReader = (*ordermanager.Client)(nil)
	_ resubmit.Pusher      = (*ordermanager.Client)(nil)
)

var (
	commerceError = clientkit.CommerceError
	golden        = clientkit.Golden
)

const (
	base  = "https://mn.example.net:6308"
	id    = "32542b3c-6f91-4037-abe5-ecf5f0752eef"
	token = "very-secret-token"
)

// calls are the requests that a mock saw, as "METHOD path?query body".
type calls []string

// client makes a client for a server that is a function.
func client(t *testing.T, answer func(*http.Request) (*http.Response, error),
	opts ...ordermanager.Option) (*ordermanager.Client, *calls) {
	t.Helper()
	var seen calls
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
		body := ""
		if r.Body != nil {
			content, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			body = " " + string(content)
		}
		seen = append(seen, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+body))
		return answer(r)
	})
	opts = append([]ordermanager.Option{ordermanager.WithHTTPClient(&http.Client{Transport: mock})}, opts...)
	c, err := ordermanager.New(base, ordermanager.Token(token), opts...)
	require.NoError(t, err)
	return c, &seen
}

func answers(status int, body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return httpmock.NewStringResponse(status, body), nil }
}

func collect(ctx context.Context, c *ordermanager.Client, q commerce.Query) ([]*commerce.Order, error) {
	var orders []*commerce.Order
	for o, err := range c.Orders(ctx, q) {
		if err != nil {
			return orders, err
		}
		orders = append(orders, o)
	}
	return orders, nil
}

func TestNewErrors(t *testing.T) {
	t.Parallel()
	good := ordermanager.Token("t")
	for _, tc := range []struct {
		name, url string
		auth      ordermanager.Auth
		opt       ordermanager.Option
		want      string
	}{
		{"a base URL without scheme", "mn.example.net", good, nil, "must start with https://"},
		{"a base URL with the API's path", base + "/aps/2/", good, nil, "must end before /aps/2"},
		{"no auth", base, ordermanager.Auth{}, nil, "use Token, TokenFunc or OAuth1"},
		{"an empty token", base, ordermanager.Token(" "), nil, "the APS token cannot be used: the credential is empty"},
		{"a token with a line break", base, ordermanager.Token("abc\n"), nil, "at byte 3: was it read with its line break?"},
		{"no token function", base, ordermanager.TokenFunc(nil), nil, "the token function is missing"},
		{"a page of one", base, good, ordermanager.WithPageSize(1), "WithPageSize: 1 is not between 2 and 1000"},
		{"no tries", base, good, ordermanager.WithMaxTries(0), "WithMaxTries: 0 is not between 1 and 20"},
		{"no body", base, good, ordermanager.WithMaxBody(0), "WithMaxBody: 0 is not positive"},
		{"no wait", base, good, ordermanager.WithMaxWait(0), "WithMaxWait: 0s is not positive"},
		{"no time", base, good, ordermanager.WithTimeout(-1), "WithTimeout: -1ns is not positive"},
		{"an empty provider", base, good, ordermanager.WithProviderAccount(""), "is empty"},
		{"an empty subscription", base, good, ordermanager.WithSubscriptionHeader(""), "is empty"},
		{"a subscription with a line break", base, good, ordermanager.WithSubscriptionHeader("abc\r\nX-Admin: 1"),
			"Aps-Subscription-Id has a control character"},
		{"an unknown filter", base, good, ordermanager.WithoutServerFilters("colour"), `no server filter "colour"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var opts []ordermanager.Option
			if tc.opt != nil {
				opts = append(opts, tc.opt)
			}
			_, err := ordermanager.New(tc.url, tc.auth, opts...)
			require.ErrorContains(t, err, "ordermanager: ")
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "abc")
		})
	}
}

// numbered returns n numbers of orders.
func numbered(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("SO%06d", i)
	}
	return all
}

func TestOrdersAsksTheServerToFilter(t *testing.T) {
	t.Parallel()
	const sorted = "sort(+orderDate,+internalId),limit(0,100)"
	at := time.Date(2026, 11, 1, 1, 0, 0, 1, time.FixedZone("", 3600))
	for _, tc := range []struct {
		name  string
		query commerce.Query
		opts  []ordermanager.Option
		want  string
	}{
		{"nothing but the order", commerce.Query{}, nil, "/aps/2/services/order-manager/orders?" + sorted},
		{"the sample of facts 2.7", commerce.Query{Account: "88a64097", Statuses: []commerce.Status{"PF"},
			Types: []commerce.OrderType{"SO", "CH"}, Sort: commerce.NewestFirst},
			nil, "/aps/2/resources/88a64097/orders/?in(status,(PF)),in(type,(SO,CH)),sort(-orderDate,-internalId),limit(0,100)"},
		{"bounds in whole seconds that let through enough", commerce.Query{PlacedFrom: at, PlacedTo: at}, nil,
			"/aps/2/services/order-manager/orders?ge(orderDate,2026-11-01T00%3A00%3A00Z),lt(orderDate,2026-11-01T00%3A00%3A01Z)," +
				sorted},
		{"numbers", commerce.Query{Numbers: []string{"SO1", "SO 2"}, NumberLike: "*SO,0*"}, nil,
			"/aps/2/services/order-manager/orders?in(orderNumber,(SO1,SO%202)),like(orderNumber,*SO%2C0*)," + sorted},
		{"not too many numbers, and no escapes", commerce.Query{Numbers: numbered(500), NumberLike: `a\*`}, nil,
			"/aps/2/services/order-manager/orders?" + sorted},
		{"numbers that are too long", commerce.Query{Statuses: []commerce.Status{"PF"},
			Numbers: []string{strings.Repeat("é", 700)}}, nil,
			"/aps/2/services/order-manager/orders?in(status,(PF))," + sorted},
		{"a pattern that is too long", commerce.Query{NumberLike: strings.Repeat("é", 700) + "*"}, nil,
			"/aps/2/services/order-manager/orders?" + sorted},
		{"without what the installation does not know", commerce.Query{Statuses: []commerce.Status{"PF"}, PlacedFrom: at},
			[]ordermanager.Option{ordermanager.WithoutServerFilters(ordermanager.FilterPlaced), ordermanager.WithPageSize(7)},
			"/aps/2/services/order-manager/orders?in(status,(PF)),sort(+orderDate,+internalId),limit(0,7)"},
		{"an account that needs escaping", commerce.Query{Account: "a/b"}, nil, "/aps/2/resources/a%2Fb/orders/?" + sorted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, seen := client(t, answers(200, "[]"), tc.opts...)
			orders, err := collect(t.Context(), c, tc.query)
			require.NoError(t, err)
			require.Empty(t, orders)
			require.Equal(t, calls{"GET " + tc.want}, *seen)
		})
	}
}

func TestOrdersSendsItsHeadersBelowABasePath(t *testing.T) {
	t.Parallel()
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
		require.Equal(t, token, r.Header.Get("APS-Token"))
		require.Equal(t, "sub-1", r.Header.Get("APS-Subscription-ID"))
		require.Equal(t, "billing/7", r.Header.Get("User-Agent"))
		require.Equal(t, "/gate/way/aps/2/services/order-manager/orders/1", r.URL.Path)
		return httpmock.NewStringResponse(200, `{"orderId":1}`), nil
	})
	c, err := ordermanager.New(base+"/gate/way/", ordermanager.Token(token),
		ordermanager.WithHTTPClient(&http.Client{Transport: mock}),
		ordermanager.WithSubscriptionHeader("sub-1"), ordermanager.WithUserAgent("billing/7"))
	require.NoError(t, err)
	_, err = c.Order(t.Context(), "1")
	require.NoError(t, err)
}

func TestOrdersReadsTheGoldenList(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 206} {
		body := golden(t, "list.json")
		c, seen := client(t, func(r *http.Request) (*http.Response, error) {
			if strings.Contains(r.URL.RawQuery, "limit(0,") {
				return httpmock.NewStringResponse(status, body), nil
			}
			return httpmock.NewStringResponse(status, "["+body[strings.Index(body, "},\n  {")+2:]), nil
		})
		orders, err := collect(t.Context(), c, commerce.Query{})
		require.NoError(t, err)
		require.Len(t, *seen, 4, "one more request shows that a short page was the last, and a page of two is read twice")
		require.Len(t, orders, 2)

		so, ch := orders[0], orders[1]
		require.Equal(t, "12.50 USD", so.Total.String())
		require.Equal(t, commerce.ChannelDirect, so.Channel)
		require.Equal(t, []string{"1000042"}, so.SubscriptionIDs)
		require.False(t, so.HasTransitions(), "the list did not tell the transitions")
		require.Equal(t, "1000005", so.CustomerID)
		require.Contains(t, string(so.Raw), `"sourceSystem": "CCP"`)

		require.Equal(t, "1000028", ch.ID)
		require.Equal(t, time.Date(2026, 11, 19, 10, 30, 0, 0, time.UTC), ch.PlacedAt)
		require.Equal(t, commerce.ChannelReseller, ch.Channel)
		require.Equal(t, []string{"1000043", "1000044"}, ch.SubscriptionIDs)
		require.True(t, ch.Total.IsZero())
		require.Nil(t, ch.Transitions)
		require.Empty(t, ch.Failure.Message())
	}
}

func TestOrdersChecksTheServersFilter(t *testing.T) {
	t.Parallel()
	c, _ := client(t, answers(200, golden(t, "list.json")))
	orders, err := collect(t.Context(), c, commerce.Query{Types: []commerce.OrderType{"CH"}, Limit: 1})
	require.NoError(t, err)
	require.Len(t, orders, 1)
	require.Equal(t, "CH000003", orders[0].Number)
}

func TestOrdersHonorsLimitAndBreak(t *testing.T) {
	t.Parallel()
	c, seen := client(t, answers(200, golden(t, "list.json")))
	orders, err := collect(t.Context(), c, commerce.Query{Limit: 1})
	require.NoError(t, err)
	require.Len(t, orders, 1)
	for _, err := range c.Orders(t.Context(), commerce.Query{}) {
		require.NoError(t, err)
		break
	}
	require.Len(t, *seen, 2, "no page is asked for in vain")

	_, err = collect(t.Context(), c, commerce.Query{Limit: -1})
	require.ErrorContains(t, err, "must not be negative")
	_, err = collect(t.Context(), c, commerce.Query{Account: ".."})
	require.ErrorContains(t, err, "the account")
	require.Len(t, *seen, 2)
}

func TestOrderReadsTheGoldenOrder(t *testing.T) {
	t.Parallel()
	c, seen := client(t, answers(200, golden(t, "order.json")))
	o, err := c.Order(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, calls{"GET /aps/2/services/order-manager/orders/" + id}, *seen)
	require.NotEmpty(t, o.Raw)
	want := commerce.Capabilities{Failure: true, Transitions: true, Lists: true, IDSpace: "aps"}
	require.Equal(t, want, c.Capabilities())
	o.Raw = nil
	require.Equal(t, "1234567890123456.70 USD", o.Total.String(), "a float would have lost the cents")
	o.Total = commerce.Money{}
	require.Equal(t, &commerce.Order{
		ID: id, BillingID: "1000027", Number: "SO000027", Type: "SO", Status: "PF", ProvisioningStatus: "FAILED",
		PlacedAt: time.Date(2026, 11, 19, 10, 0, 0, 0, time.UTC), CustomerName: "Acme",
		TenantID: "1c378bdd-9c8a-4566-be8a-bd90a51aa42a", SubscriptionIDs: []string{"1000042"},
		Failure: commerce.Failure{Messages: map[string]string{"en_US": "Provisioning failed. Reason: Request to OA timed " +
			"out."}},
		Transitions: []commerce.Transition{
			{To: "CL"},
			{To: "PD", Label: map[string]string{"en_US": "Resubmit for Provisioning"}},
			{To: "RB", Label: map[string]string{"en_US": "Proceed with provisioning"}},
		},
	}, o)
}

func TestPushSendsOnce(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"", `{"ok":true}`, "Operation done."} {
		c, seen := client(t, answers(200, answer))
		require.NoError(t, c.Push(t.Context(), id, commerce.StatusPaid))
		require.Equal(t, calls{"POST /aps/2/services/order-manager/orders/" + id + `/push {"ofStatus":"PD"}`}, *seen)
	}
}

func TestPushRejectsBadArguments(t *testing.T) {
	t.Parallel()
	c, seen := client(t, answers(200, ""))
	for _, tc := range []struct {
		id   string
		to   commerce.Status
		want string
	}{
		{"", "PD", "the order's id: an empty id"},
		{"..", "PD", "the order's id"},
		{id, "", `"" is not a status`},
		{id, "P D", `"P D" is not a status`},
	} {
		err := c.Push(t.Context(), tc.id, tc.to)
		require.ErrorContains(t, err, tc.want)
		require.Equal(t, commerce.DeliveryNotSent, commerceError(t, err).Delivery)
	}
	require.Empty(t, *seen)
}

// brokenBody gives a part of an answer and then breaks off.
func brokenBody() *http.Response {
	r := httpmock.NewStringResponse(200, "")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"o`), brokenReader{}))
	return r
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestPushDelivery(t *testing.T) {
	t.Parallel()
	apsBody := `{"error":"Core::Http::Conflict","message":"Order cannot be moved"}`
	for _, tc := range []struct {
		name     string
		answer   func(*http.Request) (*http.Response, error)
		delivery commerce.Delivery
		is       error
		want     string
	}{
		{"the dial failed", fails(&net.OpError{Op: "dial", Err: errors.New("connection refused")}), commerce.DeliveryNotSent,
			commerce.ErrUnavailable, "connection refused"},
		{"the connection broke", fails(io.ErrUnexpectedEOF), commerce.DeliveryUnknown, commerce.ErrUnavailable,
			"unexpected EOF"},
		{"the answer broke off", func(*http.Request) (*http.Response, error) { return brokenBody(), nil },
			commerce.DeliveryUnknown, commerce.ErrUnavailable, "broke off"},
		{"a maintenance page as 200", answers(200, " <html>back soon"), commerce.DeliveryUnknown, commerce.ErrUnavailable,
			"the answer is a page"},
		{"a redirect after the deed", func(*http.Request) (*http.Response,
			error) {
			return httpmock.NewStringResponse(303, ""), nil
		}, commerce.DeliveryUnknown, nil, "HTTP 303 See Other: redirects are not followed"},
		{"a redirect", redirect, commerce.DeliveryUnknown, nil, "redirected to https://login.example"},
		{"a bad request", answers(400, apsBody), commerce.DeliveryRefused, nil,
			"HTTP 400 Bad Request: Core::Http::Conflict: Order cannot be moved"},
		{"a bad token", answers(401, ""), commerce.DeliveryRefused, commerce.ErrUnauthorized,
			"the APS token was refused; it has expired"},
		{"a token without the right", answers(403, apsBody), commerce.DeliveryRefused, commerce.ErrForbidden,
			"its user may not do this"},
		{"no such order", answers(404, apsBody), commerce.DeliveryRefused, commerce.ErrNotFound, "Order cannot be moved"},
		{"a timeout on the way", answers(408, ""), commerce.DeliveryUnknown, commerce.ErrUnavailable, "HTTP 408"},
		{"a conflict", answers(409, apsBody), commerce.DeliveryRefused, commerce.ErrConflict, "HTTP 409"},
		{"too fast", answers(429, "slow down"), commerce.DeliveryRefused, commerce.ErrRateLimited,
			`the body starts "slow down"`},
		{"an error of the server", answers(500, apsBody), commerce.DeliveryUnknown, commerce.ErrUnavailable, "HTTP 500"},
		{"a bad gateway", answers(502, "<html>"), commerce.DeliveryUnknown, commerce.ErrUnavailable,
			`the body starts "<html>"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, seen := client(t, tc.answer)
			err := c.Push(t.Context(), id, "PD")
			require.Len(t, *seen, 1)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, tc.delivery, commerceError(t, err).Delivery)
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
			require.NotContains(t, err.Error(), token)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func fails(err error) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

func redirect(*http.Request) (*http.Response, error) {
	r := httpmock.NewStringResponse(302, "")
	r.Header.Set("Location", "https://login.example/x")
	return r, nil
}

func TestReadErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c, _ := client(t, func(*http.Request) (*http.Response, error) {
			if n++; n < 3 {
				return httpmock.NewStringResponse(502, "<html>"), nil
			}
			return httpmock.NewStringResponse(200, `{"orderId":1}`), nil
		})
		_, err := c.Order(t.Context(), "1")
		require.NoError(t, err)
		require.Equal(t, 3, n)

		c, seen := client(t, func(*http.Request) (*http.Response, error) {
			r := httpmock.NewStringResponse(429, "")
			r.Header.Set("Retry-After", "60")
			return r, nil
		})
		_, err = c.Order(t.Context(), "1")
		require.Equal(t, time.Minute, commerceError(t, err).RetryAfter)
		require.ErrorIs(t, err, commerce.ErrRateLimited)
		require.Len(t, *seen, 1)
	})
}

func TestOrdersRejectsOtherAnswersThanLists(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ body, want string }{
		{"<html>Maintenance</html>", "is the base URL right, or is a maintenance page being served?"},
		{`{"error":"x"}`, "not what was expected"},
		{`[{"orderId":1}`, "not valid JSON"},
		{``, "the answer is empty"},
		{`null`, "the answer is null, not a list"},
	} {
		c, _ := client(t, answers(200, tc.body))
		_, err := collect(t.Context(), c, commerce.Query{})
		require.ErrorContains(t, err, tc.want)
		require.Equal(t, 200, commerceError(t, err).HTTPStatus)
		require.Equal(t, strings.HasPrefix(tc.body, "<"), errors.Is(err, commerce.ErrUnavailable))
	}
}

func TestCancelledCallIsNotUnavailable(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := client(t, func(r *http.Request) (*http.Response, error) {
		cancel()
		return nil, r.Context().Err()
	})
	err := c.Push(ctx, id, "PD")
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, commerce.ErrUnavailable)
	require.Equal(t, commerce.DeliveryUnknown, commerceError(t, err).Delivery)

	err = c.Push(ctx, id, "PD")
	require.Equal(t, commerce.DeliveryNotSent, commerceError(t, err).Delivery)
}

func TestTokenFuncIsCalledOnceMore(t *testing.T) {
	t.Parallel()
	tokens := []string{"old-token", "new-token"}
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("APS-Token") != "new-token" {
			return httpmock.NewStringResponse(401, ""), nil
		}
		return httpmock.NewStringResponse(200, `{"orderId":1}`), nil
	})
	c, err := ordermanager.New(base, ordermanager.TokenFunc(func(context.Context) (string, error) {
		if len(tokens) == 0 {
			return "", errors.New("no more tokens")
		}
		next := tokens[0]
		tokens = tokens[1:]
		return next, nil
	}), ordermanager.WithHTTPClient(&http.Client{Transport: mock}))
	require.NoError(t, err)
	require.ErrorIs(t, c.Push(t.Context(), "1", "PD"), commerce.ErrUnauthorized)
	require.Equal(t, 1, mock.GetTotalCallCount())
	require.NoError(t, c.Push(t.Context(), "1", "PD"), "the next call has the new token")
	require.Equal(t, 2, mock.GetTotalCallCount())

	c, err = ordermanager.New(base, ordermanager.TokenFunc(func(context.Context) (string, error) {
		return "",
			errors.New("vault is sealed")
	}),
		ordermanager.WithHTTPClient(&http.Client{Transport: mock}))
	require.NoError(t, err)
	err = c.Push(t.Context(), "1", "PD")
	require.ErrorContains(t, err, "the token could not be fetched: vault is sealed")
	require.Equal(t, commerce.DeliveryNotSent, commerceError(t, err).Delivery)
	require.NotErrorIs(t, err, commerce.ErrUnavailable)
}

func TestOptionsForOtherInstallations(t *testing.T) {
	t.Parallel()
	fields := func(raw json.RawMessage, o *commerce.Order) error {
		var own struct {
			Reseller string `json:"resellerId"`
			Sub      string `json:"oaSubscription"`
		}
		if err := json.Unmarshal(raw, &own); err != nil {
			return err
		}
		if own.Sub == "" {
			return errors.New("oaSubscription is missing")
		}
		o.VendorAccountID, o.SubscriptionIDs = own.Reseller, []string{own.Sub}
		return nil
	}
	c, _ := client(t, answers(200, `{"orderId":1,"resellerId":"9","oaSubscription":"7"}`),
		ordermanager.WithCustomFields(fields), ordermanager.WithProviderAccount("9"))
	o, err := c.Order(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, commerce.ChannelDirect, o.Channel)
	require.Equal(t, []string{"7"}, o.SubscriptionIDs)

	c, _ = client(t, answers(200, `{"orderId":1}`), ordermanager.WithCustomFields(fields))
	o, err = c.Order(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, []string{"oaSubscription is missing"}, o.Problems)
}

func ExampleClient_Orders() {
	mock := httpmock.NewMockTransport()
	mock.RegisterResponder(http.MethodGet, base+"/aps/2/services/order-manager/orders",
		func(r *http.Request) (*http.Response, error) {
			fmt.Println(r.URL.RawQuery)
			return httpmock.NewStringResponse(200, `[]`), nil
		})
	client, err := ordermanager.New(base, ordermanager.Token("token"),
		ordermanager.WithHTTPClient(&http.Client{Transport: mock}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for order, err := range client.Orders(context.Background(), commerce.FailedOrdersView().Query()) {
		fmt.Println(order, err)
	}
	// Output:
	// in(status,(PF)),sort(+orderDate,+internalId),limit(0,100)
}

func ExampleClient_Push() {
	mock := httpmock.NewMockTransport()
	mock.RegisterResponder(http.MethodPost, base+"/aps/2/services/order-manager/orders/"+id+"/push",
		httpmock.NewStringResponder(409, `{"error":"Conflict","message":"no such transition"}`))
	client, err := ordermanager.New(base, ordermanager.Token("token"),
		ordermanager.WithHTTPClient(&http.Client{Transport: mock}))
	if err != nil {
		fmt.Println(err)
		return
	}
	err = client.Push(context.Background(), id, commerce.StatusPaid)
	if e, ok := errors.AsType[*commerce.Error](err); ok {
		fmt.Println(e.HTTPStatus, e.Code, e.Message, "-", e.Delivery)
	}
	// Output: 409 Conflict no such transition - refused
}
