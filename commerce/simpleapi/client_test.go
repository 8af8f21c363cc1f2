package simpleapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/internal/testkit/clientkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

var (
	_ resubmit.OrderLister = (*simpleapi.Client)(nil)
	_ resubmit.OrderReader = (*simpleapi.Client)(nil)
	_ resubmit.Pusher      = (*simpleapi.Client)(nil)
)

var (
	commerceError = clientkit.CommerceError
	golden        = clientkit.Golden
)

const (
	base  = "https://gateway.example.net/marketplace"
	key   = "very-secret-subscription-key"
	token = "very-secret-token"
)

// calls are the requests that a mock saw, as "METHOD path?query body".
type calls struct {
	mu   sync.Mutex
	seen []string
}

func (c *calls) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string{}, c.seen...)
}

type answer = func(*http.Request) (*http.Response, error)

// server is an HTTP client whose other side is a function.
func server(answer answer) (*http.Client, *calls) {
	seen := &calls{}
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(strings.NewReader(string(content)))
		seen.mu.Lock()
		seen.seen = append(seen.seen, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(content)))
		seen.mu.Unlock()
		return answer(r)
	})
	return &http.Client{Transport: mock}, seen
}

func client(t *testing.T, answer answer, opts ...simpleapi.Option) (*simpleapi.Client, *calls) {
	t.Helper()
	return clientWith(t, simpleapi.Token(key, token), answer, opts...)
}

func clientWith(t *testing.T, auth simpleapi.Auth, answer answer, opts ...simpleapi.Option) (*simpleapi.Client,
	*calls) {
	t.Helper()
	h, seen := server(answer)
	c, err := simpleapi.New(base, auth, append([]simpleapi.Option{simpleapi.WithHTTPClient(h)}, opts...)...)
	require.NoError(t, err)
	return c, seen
}

func answers(status int, body string) answer {
	return func(*http.Request) (*http.Response, error) { return httpmock.NewStringResponse(status, body), nil }
}

func fails(err error) answer {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

func withHeader(a answer, name, value string) answer {
	return func(r *http.Request) (*http.Response, error) {
		resp, err := a(r)
		if err == nil {
			resp.Header.Set(name, value)
		}
		return resp, err
	}
}

func collect(ctx context.Context, c *simpleapi.Client, q commerce.Query) ([]*commerce.Order, error) {
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
	good := simpleapi.Token(key, token)
	gateway := func(user, password string) simpleapi.Auth {
		return simpleapi.GatewayToken(key, simpleapi.GatewayLogin{User: user, Password: password})
	}
	keycloak := func(change func(*simpleapi.KeycloakLogin)) simpleapi.Auth {
		l := keycloakLogin
		change(&l)
		return simpleapi.KeycloakToken(key, l)
	}
	for _, tc := range []struct {
		name, url string
		auth      simpleapi.Auth
		opt       simpleapi.Option
		want      string
	}{
		{"a base URL without scheme", "gateway.example.net", good, nil, "simpleapi: the base URL must start with https://"},
		{"no auth", base, simpleapi.Auth{}, nil, "auth is missing: use GatewayToken"},
		{"no subscription key", base, simpleapi.Token("", token), nil,
			"the subscription key (X-Subscription-Key) is missing"},
		{"a subscription key with a line break", base, simpleapi.Token(key+"\n", token), nil,
			"the subscription key (X-Subscription-Key) cannot be used: the credential has a control character"},
		{"no token", base, simpleapi.Token(key, ""), nil, "the token is missing"},
		{"a token with a line break", base, simpleapi.Token(key, token+"\n"), nil, "was it read with its line break?"},
		{"no token function", base, simpleapi.TokenFunc(key, nil), nil, "the token function is missing"},
		{"a gateway login without user", base, gateway("", "p"), nil, "the user of the gateway login is missing"},
		{"a gateway login whose user has a colon", base, gateway("a:b", "p"), nil, "has a colon"},
		{"a gateway login without password", base, gateway("u", ""), nil, "the password of the gateway login is missing"},
		{"a Keycloak login without realm", base, keycloak(func(l *simpleapi.KeycloakLogin) { l.Realm = "" }), nil,
			"the realm of the Keycloak login is missing"},
		{"a Keycloak login whose realm is a path", base, keycloak(func(l *simpleapi.KeycloakLogin) { l.Realm = ".." }), nil,
			"the realm of the Keycloak login"},
		{"a Keycloak login without scheme", base, keycloak(func(l *simpleapi.KeycloakLogin) { l.URL = "brand.example.net" }),
			nil, "the Keycloak login: the base URL must start with"},
		{"a Keycloak login without password", base, keycloak(func(l *simpleapi.KeycloakLogin) { l.Password = "" }), nil,
			"the password of the Keycloak login is missing"},
		{"a page of one", base, good, simpleapi.WithPageSize(1), "WithPageSize: 1 is not between 2 and 1000"},
		{"no tries", base, good, simpleapi.WithMaxTries(0), "WithMaxTries: 0 is not between 1 and 20"},
		{"no body", base, good, simpleapi.WithMaxBody(0), "WithMaxBody: 0 is not positive"},
		{"no wait", base, good, simpleapi.WithMaxWait(0), "WithMaxWait: 0s is not positive"},
		{"no time", base, good, simpleapi.WithTimeout(-1), "WithTimeout: -1ns is not positive"},
		{"an unknown filter", base, good, simpleapi.WithoutServerFilters("colour"), `no server filter "colour"`},
		{"a word for no status", base, good, simpleapi.WithStatusWords(map[string]commerce.Status{"error": ""}),
			`the word "error" cannot stand for ""`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var opts []simpleapi.Option
			if tc.opt != nil {
				opts = append(opts, tc.opt)
			}
			_, err := simpleapi.New(tc.url, tc.auth, opts...)
			require.ErrorContains(t, err, "simpleapi: ")
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "very-secret")
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestCallsSendKeyAndToken(t *testing.T) {
	t.Parallel()
	c, seen := client(t, func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("X-Subscription-Key") != key || r.Header.Get("Authorization") != "Bearer "+token ||
			r.Header.Get("User-Agent") != "billing/7" || r.URL.Host != "gateway.example.net" {
			return nil, fmt.Errorf("the headers are %v", r.Header)
		}
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "orders") {
			return httpmock.NewStringResponse(200, golden(t, "list.json")), nil
		}
		return httpmock.NewStringResponse(200, golden(t, "order.json")), nil
	}, simpleapi.WithUserAgent("billing/7"))
	_, err := collect(t.Context(), c, commerce.Query{})
	require.NoError(t, err)
	_, err = c.Order(t.Context(), "1000027")
	require.NoError(t, err)
	require.NoError(t, c.Push(t.Context(), "1000027", commerce.StatusPaid))
	require.Equal(t, []string{
		"GET /marketplace/orders?limit=100&offset=0",
		"GET /marketplace/orders?limit=100&offset=2",
		"GET /marketplace/orders/1000027",
		`PATCH /marketplace/orders/1000027 {"statusCode":"PD"}`,
	}, seen.all())
}

func TestIDsAreEscaped(t *testing.T) {
	t.Parallel()
	c, seen := client(t, answers(200, `{"id":"a/b"}`))
	_, err := c.Order(t.Context(), "a/b")
	require.NoError(t, err)
	require.NoError(t, c.Push(t.Context(), "a?b", "PD"))
	require.Equal(t, []string{"GET /marketplace/orders/a%2Fb", `PATCH /marketplace/orders/a%3Fb {"statusCode":"PD"}`},
		seen.all())
	for _, id := range []string{"", ".", ".."} {
		_, err = c.Order(t.Context(), id)
		require.ErrorContains(t, err, "the order's id")
		require.Equal(t, commerce.DeliveryNotSent, commerceError(t, err).Delivery)
	}
	require.Len(t, seen.all(), 2)
}

func TestPatchSendsOnce(t *testing.T) {
	t.Parallel()
	c, seen := client(t, answers(200, golden(t, "order.json")))
	o, err := c.Patch(t.Context(), "1000027", simpleapi.Patch{CreditCheck: new(false)})
	require.NoError(t, err)
	require.Equal(t, "SO000027", o.Number)
	_, err = c.Patch(t.Context(), "1000027", simpleapi.Patch{CreditCheck: new(true), StatusCode: "CL"})
	require.NoError(t, err)
	require.Equal(t, []string{
		`PATCH /marketplace/orders/1000027 {"creditCheck":false}`,
		`PATCH /marketplace/orders/1000027 {"statusCode":"CL","creditCheck":true}`,
	}, seen.all())
	for want, p := range map[string]simpleapi.Patch{
		"there is nothing to change": {},
		`"P D" is not a status`:      {StatusCode: "P D"},
	} {
		_, err = c.Patch(t.Context(), "1000027", p)
		require.ErrorContains(t, err, want)
		require.Equal(t, commerce.DeliveryNotSent, commerceError(t, err).Delivery)
	}
	require.ErrorContains(t, c.Push(t.Context(), "1000027", ""), "the status is missing")
	require.Len(t, seen.all(), 2)
}

func TestPatchAnswerWithoutOrder(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "done", "{}"} {
		c, seen := client(t, withHeader(answers(200, body), "X-Correlation-ID", "corr-1"))
		require.NoError(t, c.Push(t.Context(), "1", "PD"), "a push asks for no order")
		_, err := c.Patch(t.Context(), "1", simpleapi.Patch{StatusCode: "PD"})
		require.ErrorContains(t, err, `the answer was success without the order "1"`)
		require.Equal(t, commerce.DeliveryUnknown, commerceError(t, err).Delivery)
		require.Equal(t, "corr-1", commerceError(t, err).CorrelationID)
		require.Len(t, seen.all(), 2)
	}
}

func TestPushDelivery(t *testing.T) {
	t.Parallel()
	const apiBody = `{"code":"BadTransition","message":"Order cannot be moved","details":"PF -> PD"}`
	for _, tc := range []struct {
		name     string
		answer   answer
		delivery commerce.Delivery
		is       error
		want     string
	}{
		{"the dial failed", fails(&net.OpError{Op: "dial", Err: errors.New("connection refused")}), commerce.DeliveryNotSent,
			commerce.ErrUnavailable, "connection refused"},
		{"the connection broke", fails(io.ErrUnexpectedEOF), commerce.DeliveryUnknown, commerce.ErrUnavailable,
			"unexpected EOF"},
		{"the answer broke off", brokenOff, commerce.DeliveryUnknown, commerce.ErrUnavailable, "broke off"},
		{"a maintenance page as 200", answers(200, " <html>back soon"), commerce.DeliveryUnknown, commerce.ErrUnavailable,
			"the answer is a page"},
		{"a redirect", answers(302, ""), commerce.DeliveryUnknown, nil, "redirects are not followed"},
		{"a redirect after the deed", answers(303, ""), commerce.DeliveryUnknown, nil, "HTTP 303"},
		{"a bad request", answers(400, apiBody), commerce.DeliveryRefused, nil,
			"HTTP 400 Bad Request: BadTransition: Order cannot be moved: PF -> PD"},
		{"no such order", answers(400, `{"message":"No entity has been found by id 1"}`), commerce.DeliveryRefused,
			commerce.ErrNotFound, "No entity has been found by id 1: not found"},
		{"no such order, in plain text", answers(400, "no entity has been found"), commerce.DeliveryRefused,
			commerce.ErrNotFound,
			"HTTP 400 Bad Request: not found"},
		{"no such order, by the status", answers(404, ""), commerce.DeliveryUnknown, commerce.ErrNotFound, "HTTP 404"},
		{"a bad token", answers(401, `{"statusCode":401,"message":"Access denied"}`), commerce.DeliveryRefused,
			commerce.ErrUnauthorized, "Access denied: the token or the subscription key was refused"},
		{"a token without the right", answers(403, `{"message":"no"}`), commerce.DeliveryRefused, commerce.ErrForbidden,
			"the user may not do this"},
		{"a timeout on the way", answers(408, ""), commerce.DeliveryUnknown, commerce.ErrUnavailable, "HTTP 408"},
		{"a conflict", answers(409, `{"message":"Locked","details":[{"field":"status"}]}`), commerce.DeliveryRefused,
			commerce.ErrConflict, `Locked: [{"field":"status"}]`},
		{"an error in an object", answers(422, `{"error":{"code":"E1","message":"odd"}}`), commerce.DeliveryRefused, nil,
			"E1: odd"},
		{"too fast", answers(429, "slow down"), commerce.DeliveryRefused, commerce.ErrRateLimited,
			`the body starts "slow down"`},
		{"an error of the server", answers(500, apiBody), commerce.DeliveryUnknown, commerce.ErrUnavailable, "HTTP 500"},
		{"a bad gateway", answers(502, "<html>"), commerce.DeliveryUnknown, commerce.ErrUnavailable,
			`the body starts "<html>"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, seen := client(t, tc.answer)
			err := c.Push(t.Context(), "1", "PD")
			require.Len(t, seen.all(), 1)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, tc.delivery, commerceError(t, err).Delivery)
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

// brokenOff gives a part of an answer.
func brokenOff(*http.Request) (*http.Response, error) {
	r := httpmock.NewStringResponse(200, "")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"i`), brokenReader{}))
	return r, nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestErrorsHaveCorrelationID(t *testing.T) {
	t.Parallel()
	for _, a := range []answer{answers(400, "{}"), answers(200, "<html>"), answers(200, `{"data":null}`),
		answers(200, `{"id":{}}`)} {
		c, _ := client(t, withHeader(a, "X-Correlation-ID", "corr-7"), simpleapi.WithMaxTries(1))
		_, list := collect(t.Context(), c, commerce.Query{})
		_, read := c.Order(t.Context(), "1")
		_, patch := c.Patch(t.Context(), "1", simpleapi.Patch{StatusCode: "PD"})
		for _, err := range []error{list, read, patch} {
			require.Equal(t, "corr-7", commerceError(t, err).CorrelationID, "%v", err)
			require.ErrorContains(t, err, "[correlation corr-7]")
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, header string
		opts         []simpleapi.Option
		tries        int
		waited       time.Duration
		retryAfter   time.Duration // of a push, which is not sent again
	}{
		{"is waited for", "7", nil, 2, 7 * time.Second, 7 * time.Second},
		{"is 60 s where it is missing", "", nil, 2, time.Minute, time.Minute},
		{"is left to the caller where it is too long", "61", nil, 1, 0, 61 * time.Second},
		{"is left to the caller where it is longer than he said", "", []simpleapi.Option{simpleapi.WithMaxWait(time.Second)},
			1, 0, time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				refused := answers(429, "")
				if tc.header != "" {
					refused = withHeader(refused, "Retry-After", tc.header)
				}
				first := true
				c, seen := client(t, func(r *http.Request) (*http.Response, error) {
					if first {
						first = false
						return refused(r)
					}
					return httpmock.NewStringResponse(200, `{"id":1}`), nil
				}, tc.opts...)
				began := time.Now()
				_, err := c.Order(t.Context(), "1")
				require.Equal(t, tc.waited, time.Since(began))
				require.Len(t, seen.all(), tc.tries)
				if tc.tries == 1 {
					require.ErrorIs(t, err, commerce.ErrRateLimited)
					require.Equal(t, tc.retryAfter, commerceError(t, err).RetryAfter)
				} else {
					require.NoError(t, err)
				}
				first = true
				err = c.Push(t.Context(), "1", "PD")
				require.Equal(t, tc.retryAfter, commerceError(t, err).RetryAfter)
				require.Equal(t, commerce.DeliveryRefused, commerceError(t, err).Delivery)
				require.Len(t, seen.all(), tc.tries+1)
			})
		})
	}
}

func TestCancelledCallIsNotUnavailable(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := client(t, func(r *http.Request) (*http.Response, error) {
		cancel()
		return nil, r.Context().Err()
	})
	err := c.Push(ctx, "1", "PD")
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, commerce.ErrUnavailable)
	require.Equal(t, commerce.DeliveryUnknown, commerceError(t, err).Delivery)
	require.Equal(t, commerce.DeliveryNotSent, commerceError(t, c.Push(ctx, "1", "PD")).Delivery)
}

func TestCapabilities(t *testing.T) {
	t.Parallel()
	c, _ := client(t, answers(200, golden(t, "order.json")))
	require.Equal(t, commerce.Capabilities{Lists: true, IDSpace: "simpleapi"}, c.Capabilities())
	o, err := c.Order(t.Context(), "1000027")
	require.NoError(t, err)
	require.Nil(t, o.Transitions)
	require.False(t, o.HasTransitions())
	require.Empty(t, o.Failure)
}
