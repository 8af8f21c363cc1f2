package ordermanager_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
)

const (
	operations = "https://mn.example.net:8440"
	apsToken   = "c2VjcmV0LWFwcy10b2tlbi0xMjM0NQ==" // that of testdata/get_user_token.xml
)

// tokenOf asks an Operations that is a function for the token of user 1.
func tokenOf(t *testing.T, answer func(*http.Request) (*http.Response, error), opts ...ordermanager.Option) (string,
	error) {
	t.Helper()
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(answer)
	opts = append([]ordermanager.Option{
		ordermanager.WithHTTPClient(&http.Client{Transport: mock}), ordermanager.WithMaxTries(1),
	}, opts...)
	fetch, err := ordermanager.UserToken(operations, 1, opts...)
	require.NoError(t, err)
	return fetch(t.Context())
}

func TestUserTokenAsksOperations(t *testing.T) {
	t.Parallel()
	const password = "hunter2 hunter2"
	for _, opts := range [][]ordermanager.Option{nil, {ordermanager.WithOperationsLogin("operator", password)}} {
		got, err := tokenOf(t, func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			require.NoError(t, err)
			require.Equal(t, golden(t, "get_user_token_request.xml"), string(body))
			require.Equal(t, "POST https://mn.example.net:8440/RPC2", r.Method+" "+r.URL.String())
			require.Equal(t, "text/xml; charset=utf-8", r.Header.Get("Content-Type"))
			_, given, ok := r.BasicAuth()
			require.Equal(t, opts != nil, ok)
			if ok {
				require.Equal(t, password, given)
			}
			return httpmock.NewStringResponse(200, golden(t, "get_user_token.xml")), nil
		}, opts...)
		require.NoError(t, err)
		require.Equal(t, apsToken, got)
	}
}

// response is an answer of Operations with these members.
func response(members string) string {
	return `<?xml version="1.0"?><methodResponse><params><param><value><struct>` + members +
		`</struct></value></param></params></methodResponse>`
}

func TestUserTokenErrors(t *testing.T) {
	t.Parallel()
	const where = " (POST https://mn.example.net:8440/RPC2)"
	for _, tc := range []struct {
		name     string
		status   int
		body     string
		want     string
		is       error
		delivery commerce.Delivery
	}{
		{"a status that is not 0", 200, golden(t, "get_user_token_refused.xml"),
			"HTTP 200 OK: module_id OpenAPI, extype_id 21: The user cannot be used. (User #1 does not exist.)" + where, nil,
			commerce.DeliveryRefused},
		{"a status without words", 200, response(`<member><name>status</name><value><i4>7</i4></value></member>`),
			"HTTP 200 OK: the status is 7, and no message says why" + where, nil, commerce.DeliveryRefused},
		{"no status", 200, response(``), "the answer has no status", nil, commerce.DeliveryRefused},
		{"no token", 200, response(`<member><name>status</name><value><i4>0</i4></value></member>`),
			"the answer has no aps_token", nil, commerce.DeliveryRefused},
		{"a fault", 200,
			`<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>3</int></value></member>` +
				`<member><name>faultString</name><value>no such method</value></member></struct></value></fault></methodResponse>`,
			"HTTP 200 OK: fault 3: no such method" + where, nil, commerce.DeliveryRefused},
		{"an answer that is no struct", 200, `<methodResponse><params><param><value>` + apsToken +
			`</value></param></params></methodResponse>`,
			"is not as Operations speaks XML-RPC: check host and port", commerce.ErrUnavailable, commerce.DeliveryUnknown},
		{"a token out of place", 200, response(`<member><name>status</name><value>` + apsToken +
			`<i4>0</i4></value></member>`),
			"its text is not shown, since it may hold a token", commerce.ErrUnavailable, commerce.DeliveryUnknown},
		{"a page", 200, `<html>maintenance</html>`, "byte 0 of the answer", commerce.ErrUnavailable,
			commerce.DeliveryUnknown},
		{"no access", 401, ``, "Operations wants another user name and password: see WithOperationsLogin",
			commerce.ErrUnauthorized,
			commerce.DeliveryRefused},
		{"no access from here", 403, ``, "check its allowed networks", commerce.ErrForbidden, commerce.DeliveryUnknown},
		{"an error of the server", 500, `oops`, `HTTP 500 Internal Server Error: the body starts "oops"`,
			commerce.ErrUnavailable, commerce.DeliveryUnknown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := tokenOf(t, answers(tc.status, tc.body))
			require.Empty(t, got)
			require.ErrorContains(t, err, "commerce: get user token: ")
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), apsToken)
			require.NotContains(t, err.Error(), "\n")
			e := commerceError(t, err)
			require.Equal(t, tc.delivery, e.Delivery)
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
		})
	}
}

func TestUserTokenRejectsBadArguments(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		url  string
		user int
		opt  ordermanager.Option
		want string
	}{
		{"a URL without scheme", "mn.example.net:8440", 1, nil, "Operations: the base URL must start with https://"},
		{"a URL with the path", operations + "/RPC2/", 1, nil, "must end before /RPC2"},
		{"no user", operations, 0, nil, "the user id is 0: it must be 1 to 2147483647"},
		{"a page size", operations, 1, ordermanager.WithPageSize(5), "WithPageSize is for New"},
		{"a provider", operations, 1, ordermanager.WithProviderAccount("1"), "WithProviderAccount is for New"},
		{"a subscription", operations, 1, ordermanager.WithSubscriptionHeader("1"), "WithSubscriptionHeader is for New"},
		{"fields", operations, 1, ordermanager.WithCustomFields(nil), "WithCustomFields is for New"},
		{"server filters", operations, 1, ordermanager.WithoutServerFilters(), "WithoutServerFilters is for New"},
		{"a literal plus", operations, 1, ordermanager.WithLiteralPlus(), "WithLiteralPlus is for New"},
		{"a password with a line break", operations, 1, ordermanager.WithOperationsLogin("operator", "hunter2\n"),
			"was it read with its line break?"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var opts []ordermanager.Option
			if tc.opt != nil {
				opts = append(opts, tc.opt)
			}
			_, err := ordermanager.UserToken(tc.url, tc.user, opts...)
			require.ErrorContains(t, err, "ordermanager: ")
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

// house is Operations and the Order Management behind one transport: tokens are
// numbered, and only the newest is good.
type house struct {
	mu      sync.Mutex
	valid   string
	fetched int
	calls   atomic.Int64
	delay   time.Duration
}

func (h *house) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.URL.String(), operations) {
		<-time.After(h.delay)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.fetched++
		h.valid = fmt.Sprintf("secret-token-%d", h.fetched)
		return httpmock.NewStringResponse(200, response(`<member><name>status</name><value><i4>0</i4></value></member>`+
			`<member><name>result</name><value><struct><member><name>aps_token</name><value>`+h.valid+
			`</value></member></struct></value></member>`)), nil
	}
	h.calls.Add(1)
	<-time.After(h.delay)
	h.mu.Lock()
	defer h.mu.Unlock()
	if got := r.Header.Get("APS-Token"); got != h.valid {
		return httpmock.NewStringResponse(401, `{"error":"Unauthorized","message":"`+got+` has expired"}`), nil
	}
	return httpmock.NewStringResponse(200, `{"orderId":"1"}`), nil
}

func (h *house) expire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.valid = ""
}

func TestTokenIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const callers = 64
		h := &house{delay: time.Second}
		over := ordermanager.WithHTTPClient(&http.Client{Transport: h})
		fetch, err := ordermanager.UserToken(operations, 1, over)
		require.NoError(t, err)
		c, err := ordermanager.New(base, ordermanager.TokenFunc(fetch), over)
		require.NoError(t, err)
		everybody := func() {
			errs := make(chan error, callers)
			for range callers {
				go func() {
					_, err := c.Order(t.Context(), "1")
					errs <- err
				}()
			}
			for range callers {
				require.NoError(t, <-errs)
			}
		}
		everybody()
		require.Equal(t, 1, h.fetched)
		require.EqualValues(t, callers, h.calls.Load())

		h.expire()
		everybody()
		require.Equal(t, 2, h.fetched, "one renewal for all")
		require.EqualValues(t, 3*callers, h.calls.Load(), "each was refused once and tried once more")

		h.expire()
		require.ErrorIs(t, c.Push(t.Context(), "1", commerce.StatusPaid), commerce.ErrUnauthorized,
			"a push is never sent twice")
		require.Equal(t, 3, h.fetched)
		_, err = c.Order(t.Context(), "1")
		require.NoError(t, err)
		require.Equal(t, 3, h.fetched, "the next call has the new token")
	})
}

func TestPushWithoutTokenIsNotSent(t *testing.T) {
	t.Parallel()
	mock := httpmock.NewMockTransport()
	mock.RegisterResponder(http.MethodPost, operations+"/RPC2",
		httpmock.NewStringResponder(200, golden(t, "get_user_token_refused.xml")))
	over := ordermanager.WithHTTPClient(&http.Client{Transport: mock})
	fetch, err := ordermanager.UserToken(operations, 1, over)
	require.NoError(t, err)
	c, err := ordermanager.New(base, ordermanager.TokenFunc(fetch), over)
	require.NoError(t, err)
	err = c.Push(t.Context(), "1", commerce.StatusPaid)
	require.ErrorContains(t, err, "commerce: push order: the token could not be fetched: commerce: get user token: ")
	require.ErrorContains(t, err, "User #1 does not exist.")
	require.Equal(t, commerce.DeliveryNotSent, commerceError(t, err).Delivery)
	require.NotErrorIs(t, err, commerce.ErrUnavailable)
}

// Everything that is secret, through servers that repeat what they get.
func TestAuthShowsNoSecrets(t *testing.T) {
	t.Parallel()
	const password, consumerKey, consumerSecret = "hunter2-hunter2", "consumer-key-1", "consumer-secret-1"
	for _, form := range []string{`{"error":"X","message":"got %s"}`, `<html>%s</html>`, `got %s`, `{"key":"%s`} {
		for _, status := range []int{200, 401, 403, 500} {
			var logged bytes.Buffer
			var sent []string
			echo := func(r *http.Request) (*http.Response, error) {
				got := r.Header.Get("Authorization") + " " + r.Header.Get("APS-Token")
				for _, quoted := range strings.Split(r.Header.Get("Authorization"), `"`) {
					if strings.HasSuffix(quoted, "%3D") {
						sent = append(sent, quoted) // the signature
					}
				}
				resp := httpmock.NewStringResponse(status, fmt.Sprintf(form, got))
				resp.Header.Set("X-Echo", got)
				return resp, nil
			}
			mock := httpmock.NewMockTransport()
			mock.RegisterNoResponder(echo)
			opts := []ordermanager.Option{
				ordermanager.WithHTTPClient(&http.Client{Transport: mock}), ordermanager.WithMaxTries(1),
				ordermanager.WithLogger(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))),
			}
			var errs []error
			for _, auth := range []ordermanager.Auth{
				ordermanager.OAuth1(consumerKey, consumerSecret), ordermanager.Token(apsToken),
				ordermanager.TokenFunc(func(context.Context) (string, error) { return apsToken, nil }),
			} {
				c, err := ordermanager.New(base, auth, opts...)
				require.NoError(t, err)
				_, listed := collect(t.Context(), c, commerce.FailedOrdersView().Query())
				_, read := c.Order(t.Context(), "1")
				errs = append(errs, listed, read, c.Push(t.Context(), "1", commerce.StatusPaid))
				errs = append(errs, fmt.Errorf("%+v %#v %+v %#v", auth, auth, *c, *c))
			}
			fetch, err := ordermanager.UserToken(operations, 1,
				append(opts, ordermanager.WithOperationsLogin("operator", password))...)
			require.NoError(t, err)
			_, err = fetch(t.Context())
			errs = append(errs, err)

			require.Len(t, sent, 3)
			shown := logged.String()
			for _, err := range errs {
				shown += fmt.Sprintf("\n%v %+v %#v", err, err, err)
				if e, ok := errors.AsType[*commerce.Error](err); ok {
					shown += fmt.Sprintf(" %+v", *e)
				}
			}
			require.Contains(t, shown, "/aps/2/services/order-manager/orders")
			for _, secret := range append(sent, password, consumerKey, consumerSecret, apsToken) {
				require.NotContains(t, shown, secret, "%s %d", form, status)
			}
		}
	}
}

func ExampleUserToken() {
	mock := httpmock.NewMockTransport()
	mock.RegisterResponder(http.MethodPost, operations+"/RPC2", httpmock.NewStringResponder(200, response(
		`<member><name>status</name><value><i4>0</i4></value></member>`+
			`<member><name>result</name><value><struct><member><name>aps_token</name><value>token-of-user-1</value></member>`+
			`</struct></value></member>`)))
	mock.RegisterResponder(http.MethodGet, base+"/aps/2/services/order-manager/orders/"+id,
		func(r *http.Request) (*http.Response, error) {
			fmt.Println("APS-Token:", r.Header.Get("APS-Token"))
			return httpmock.NewStringResponse(200, `{"orderId":"`+id+`","status":"PF"}`), nil
		})
	http := ordermanager.WithHTTPClient(&http.Client{Transport: mock})

	fetch, err := ordermanager.UserToken(operations, 1, http, ordermanager.WithOperationsLogin("operator", "password"))
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := ordermanager.New(base, ordermanager.TokenFunc(fetch), http)
	if err != nil {
		fmt.Println(err)
		return
	}
	order, err := client.Order(context.Background(), id)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(order.Status)
	// Output:
	// APS-Token: token-of-user-1
	// PF
}
