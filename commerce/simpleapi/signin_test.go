package simpleapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
)

const password = `very-secret p&ssword"\`

var (
	gatewayLogin  = simpleapi.GatewayLogin{User: "api@acme", Password: password, Marketplace: "us"}
	keycloakLogin = simpleapi.KeycloakLogin{
		URL: "https://brand.example.net/auth/", Realm: "sr-1 7", ClientID: "client-1", ClientSecret: "very-secret-client",
		User: "api@acme", Password: password,
	}
)

// gateway gives out tokens that live for a while, and takes only the newest.
type gateway struct {
	life    time.Duration
	mu      sync.Mutex
	fetched int
	expires time.Time
	revoked bool
	lost    int // logins to answer with 503 first
}

func (g *gateway) answer(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.Method == http.MethodPost {
		if g.lost > 0 {
			g.lost--
			return httpmock.NewStringResponse(503, ""), nil
		}
		g.fetched++
		g.revoked = false
		g.expires = time.Now().Add(g.life)
		return httpmock.NewStringResponse(200, fmt.Sprintf(`{"token":"t%d","expiresInSeconds":%d}`, g.fetched,
			int(g.life.Seconds()))), nil
	}
	if g.revoked || !time.Now().Before(g.expires) || r.Header.Get("Authorization") != fmt.Sprintf("Bearer t%d",
		g.fetched) {
		return httpmock.NewStringResponse(401, ""), nil
	}
	return httpmock.NewStringResponse(200, `{"id":1}`), nil
}

func TestGatewayToken(t *testing.T) {
	t.Parallel()
	body := golden(t, "token_gateway.json")
	c, seen := clientWith(t, simpleapi.GatewayToken(key, gatewayLogin), func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodGet {
			if r.Header.Get("Authorization") != "Bearer gateway-token-1" || r.Header.Get("X-Subscription-Key") != key {
				return nil, fmt.Errorf("the headers are %v", r.Header)
			}
			return httpmock.NewStringResponse(200, `{"id":1}`), nil
		}
		user, pass, ok := r.BasicAuth()
		if !ok || user != "api@acme" || pass != password || r.Header.Get("X-Subscription-Key") != key ||
			r.Header.Get("Content-Type") != "application/json" {
			return nil, fmt.Errorf("the headers are %v", r.Header)
		}
		return httpmock.NewStringResponse(200, body), nil
	})
	for range 2 {
		_, err := c.Order(t.Context(), "1")
		require.NoError(t, err)
	}
	require.Equal(t, []string{`POST /marketplace/token {"marketplace":"us"}`, "GET /marketplace/orders/1",
		"GET /marketplace/orders/1"}, seen.all())
}

func TestKeycloakToken(t *testing.T) {
	t.Parallel()
	body := golden(t, "token_keycloak.json")
	c, seen := clientWith(t, simpleapi.KeycloakToken(key, keycloakLogin), func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodGet {
			if r.Header.Get("Authorization") != "Bearer keycloak-token-1" || r.Header.Get("X-Subscription-Key") != key {
				return nil, fmt.Errorf("the headers are %v", r.Header)
			}
			return httpmock.NewStringResponse(200, `{"id":1}`), nil
		}
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		form, err := url.ParseQuery(string(content))
		if err != nil {
			return nil, err
		}
		want := url.Values{
			"grant_type": {"password"}, "username": {"api@acme"}, "password": {password},
			"client_id": {"client-1"}, "client_secret": {"very-secret-client"}, "scope": {"openid"},
		}
		if form.Encode() != want.Encode() || r.URL.Host != "brand.example.net" || r.Header.Get("X-Subscription-Key") != "" ||
			r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			return nil, fmt.Errorf("the login is %v %v", form, r.Header)
		}
		return httpmock.NewStringResponse(200, body), nil
	})
	_, err := c.Order(t.Context(), "1")
	require.NoError(t, err)
	require.Contains(t, seen.all()[0], "POST /auth/realms/sr-1%207/protocol/openid-connect/token ")
}

func TestTokenIsReplacedBeforeItExpires(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name       string
		life, kept time.Duration
	}{
		{"a long one 300 s before", 3600 * time.Second, 3300 * time.Second},
		{"the one of the specification 300 s before", 1500 * time.Second, 1200 * time.Second},
		{"a short one after 80 %", 300 * time.Second, 240 * time.Second},
		{"a very short one after 80 %", 10 * time.Second, 8 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := &gateway{life: tc.life}
				c, _ := clientWith(t, simpleapi.GatewayToken(key, gatewayLogin), g.answer)
				ask := func() {
					_, err := c.Order(t.Context(), "1")
					require.NoError(t, err)
				}
				ask()
				wait(tc.kept - time.Nanosecond)
				ask()
				require.Equal(t, 1, g.fetched)
				wait(time.Nanosecond)
				ask()
				require.Equal(t, 2, g.fetched)
			})
		})
	}
}

// wait lets the time of a synctest bubble pass.
func wait(d time.Duration) { <-time.After(d) }

func TestTokenWithoutLifetimeIsKeptUntilRefused(t *testing.T) {
	t.Parallel()
	for _, life := range []string{`null`, `0`, `-1`, `"soon"`, `1e300`} {
		synctest.Test(t, func(t *testing.T) {
			fetched := 0
			c, _ := clientWith(t, simpleapi.GatewayToken(key, gatewayLogin), func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodPost {
					fetched++
					return httpmock.NewStringResponse(200, `{"token":"t","expiresInSeconds":`+life+`}`), nil
				}
				return httpmock.NewStringResponse(200, `{"id":1}`), nil
			})
			for range 3 {
				_, err := c.Order(t.Context(), "1")
				require.NoError(t, err)
				wait(30 * 24 * time.Hour)
			}
			require.Equal(t, 1, fetched)
		})
	}
}

func TestLoginIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{life: time.Hour}
		c, _ := clientWith(t, simpleapi.GatewayToken(key, gatewayLogin), g.answer)
		all := func() {
			var wg sync.WaitGroup
			var failed atomic.Int64
			for range 64 {
				wg.Go(func() {
					if _, err := c.Order(t.Context(), "1"); err != nil {
						failed.Add(1)
					}
				})
			}
			wg.Wait()
			require.Zero(t, failed.Load())
		}
		all()
		require.Equal(t, 1, g.fetched, "at the start")
		wait(59 * time.Minute)
		all()
		require.Equal(t, 2, g.fetched, "when it is about to expire")
		g.revoked = true
		all()
		require.Equal(t, 3, g.fetched, "when it is refused")
	})
}

func TestRefusedChangeIsNotSentAgain(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403} {
		fetched, refuse := 0, true
		c, seen := clientWith(t, simpleapi.TokenFunc(key, func(context.Context) (string, time.Duration, error) {
			fetched++
			return fmt.Sprintf("t%d", fetched), time.Hour, nil
		}), func(*http.Request) (*http.Response, error) {
			if refuse {
				refuse = false
				return httpmock.NewStringResponse(status, `{"message":"no"}`), nil
			}
			return httpmock.NewStringResponse(200, `{"id":1}`), nil
		})
		require.Equal(t, commerce.DeliveryRefused, commerceError(t, c.Push(t.Context(), "1", "PD")).Delivery)
		require.Len(t, seen.all(), 1)
		require.NoError(t, c.Push(t.Context(), "1", "PD"), "the next call has a new token")
		require.Len(t, seen.all(), 2)
		require.Equal(t, 2, fetched)
	}
}

func TestLoginIsRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{life: time.Hour, lost: 2}
		c, seen := clientWith(t, simpleapi.GatewayToken(key, gatewayLogin), g.answer)
		_, err := c.Order(t.Context(), "1")
		require.NoError(t, err)
		require.Len(t, seen.all(), 4)

		g = &gateway{life: time.Hour, lost: 100}
		c, seen = clientWith(t, simpleapi.GatewayToken(key, gatewayLogin), g.answer)
		err = c.Push(t.Context(), "1", "PD")
		require.ErrorIs(t, err, commerce.ErrUnavailable)
		require.Equal(t, commerce.DeliveryNotSent, commerceError(t, err).Delivery, "the push itself never went out")
		require.Len(t, seen.all(), 3)
	})
}

func TestLoginErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		answer answer
		is     error
		want   string
	}{
		{"a wrong password", answers(401, `{"error":"invalid_grant","error_description":"Invalid user credentials"}`),
			commerce.ErrUnauthorized,
			"get token: HTTP 401 Unauthorized: invalid_grant: Invalid user credentials: the login was refused: check user, " +
				"password, client and subscription key"},
		{"too many logins", withHeader(answers(429, ""), "Retry-After", "120"), commerce.ErrRateLimited, "HTTP 429"},
		{"no connection", fails(errors.New("no route to host")), commerce.ErrUnavailable, "no route to host"},
		{"a page", answers(200, "<html>very-secret-token"), commerce.ErrUnavailable,
			"the answer has no token: is the URL right?"},
		{"half an answer", answers(200, `{"token":"very-secret-token`), commerce.ErrUnavailable, "the answer has no token"},
		{"another answer", answers(200, `["very-secret-token"]`), nil, "the answer has no token"},
		{"an odd token", answers(200, `{"token":["very-secret-token"]}`), nil, "the answer has no token"},
		{"an odd life", answers(200, `{"token":"very-secret-token","expires_in":{}}`), nil, "the answer has no token"},
		{"a token with a line break", answers(200, `{"token":"very-secret-token\n"}`), nil,
			"was it read with its line break?"},
		{"an empty token", answers(200, `{"token":""}`), nil, "the answer has no token"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for _, auth := range []simpleapi.Auth{simpleapi.GatewayToken(key, gatewayLogin),
					simpleapi.KeycloakToken(key, keycloakLogin)} {
					c, _ := clientWith(t, auth, withHeader(tc.answer, "X-Correlation-ID", "corr-9"))
					err := c.Push(t.Context(), "1", "PD")
					require.ErrorContains(t, err, tc.want)
					e := commerceError(t, err)
					require.Equal(t, commerce.DeliveryNotSent, e.Delivery)
					if tc.is != nil {
						require.ErrorIs(t, err, tc.is)
					}
					if errors.Is(err, commerce.ErrRateLimited) {
						require.Equal(t, 2*time.Minute, e.RetryAfter)
						require.Equal(t, "corr-9", e.CorrelationID)
					}
					require.NotContains(t, fmt.Sprintf("%+v %q", e, err), "very-secret")
				}
			})
		})
	}
}

// echo answers with all that it was sent, in every spelling.
func echo(status int) answer {
	return func(r *http.Request) (*http.Response, error) {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		form, err := url.ParseQuery(string(content))
		if err != nil {
			form = url.Values{}
		}
		user, pass, _ := r.BasicAuth()
		echoed := []string{string(content), fmt.Sprint(form), user, pass, fmt.Sprint(r.Header)}
		body, err := json.Marshal(map[string]any{"message": strings.Join(echoed, " "), "code": pass})
		resp := httpmock.NewBytesResponse(status, body)
		resp.Header.Set("X-Correlation-ID", r.Header.Get("Authorization")+" "+r.Header.Get("X-Subscription-Key"))
		return resp, err
	}
}

func TestErrorsAndLogsContainNoSecret(t *testing.T) {
	t.Parallel()
	// the last is "api@acme:" in base64
	secrets := []string{"very-secret", "very+secret", "p&ssword", "p%26ssword", url.QueryEscape(password), "YXBpQGFjbWU6"}
	for name, auth := range map[string]simpleapi.Auth{
		"fixed":    simpleapi.Token(key, token),
		"gateway":  simpleapi.GatewayToken(key, gatewayLogin),
		"keycloak": simpleapi.KeycloakToken(key, keycloakLogin),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, status := range []int{400, 401, 403, 404, 409, 500} {
				var logged bytes.Buffer
				logger := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
				c, _ := clientWith(t, auth, echo(status), simpleapi.WithLogger(logger), simpleapi.WithMaxTries(1))
				_, list := collect(t.Context(), c, commerce.Query{})
				_, get := c.Order(t.Context(), "1")
				for _, err := range []error{list, get, c.Push(t.Context(), "1", "PD")} {
					require.Error(t, err)
					for cause := err; cause != nil; cause = errors.Unwrap(cause) {
						shown := fmt.Sprintf("%v %+v %#v %q", cause, cause, cause, cause)
						for _, secret := range secrets {
							require.NotContains(t, shown, secret)
						}
					}
				}
				require.NotEmpty(t, logged.String())
				for _, secret := range secrets {
					require.NotContains(t, logged.String(), secret)
					require.NotContains(t, fmt.Sprintf("%v %+v %#v", auth, auth, auth), secret)
				}
			}
		})
	}
}
