package rest_test

import (
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/testkit/wiretest"
)

// roundTripper is a function as a transport.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestMiddleware(t *testing.T) {
	t.Parallel()
	t.Run("is around transports that were copied for their purpose", func(t *testing.T) {
		t.Parallel()
		given := &http.Transport{IdleConnTimeout: time.Hour}
		var idle []time.Duration
		_, err := rest.New(rest.Config{
			BaseURL: "https://commerce.example", HTTP: &http.Client{Transport: given},
			Wrap: func(next http.RoundTripper) http.RoundTripper {
				require.IsType(t, given, next)
				require.NotSame(t, given, next)
				idle = append(idle, next.(*http.Transport).IdleConnTimeout)
				return next
			},
		})
		require.NoError(t, err)
		require.ElementsMatch(t, []time.Duration{90 * time.Second, 2 * time.Second}, idle)
	})
	t.Run("hides nothing from the checks of the transport", func(t *testing.T) {
		t.Parallel()
		wrap := func(next http.RoundTripper) http.RoundTripper { return struct{ http.RoundTripper }{next} }
		_, err := rest.New(rest.Config{
			BaseURL: "https://commerce.example", Wrap: wrap,
			TLS: &tls.Config{InsecureSkipVerify: true},
		})
		require.ErrorContains(t, err, "InsecureSkipVerify")
	})
	t.Run("must return a transport", func(t *testing.T) {
		t.Parallel()
		_, err := rest.New(rest.Config{
			BaseURL: "https://commerce.example", Wrap: func(http.RoundTripper) http.RoundTripper { return nil },
		})
		require.EqualError(t, err, "WithMiddleware: the function returned no transport")
	})
	t.Run("is around the one before", func(t *testing.T) {
		t.Parallel()
		var order []string
		var cfg rest.Config
		for _, name := range []string{"inner", "outer"} {
			require.NoError(t, cfg.SetMiddleware(func(next http.RoundTripper) http.RoundTripper {
				return roundTripper(func(r *http.Request) (*http.Response, error) {
					order = append(order, name)
					return next.RoundTrip(r)
				})
			}))
		}
		c, _ := client(t, func(int, *http.Request) (*http.Response, error) { return status(http.StatusOK, `{}`), nil },
			func(c *rest.Config) { c.Wrap = cfg.Wrap })
		_, err := c.JSON(t.Context(), get, nil)
		require.NoError(t, err)
		require.Equal(t, []string{"outer", "inner"}, order)
	})
}

func TestMiddlewareCannotSendTwice(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{wiretest.HTTP1, wiretest.HTTP1TLS, wiretest.HTTP2} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			s := wiretest.New(t, protocol, `{}`)
			s.Fail(wiretest.Modes(protocol)[0], 0)
			c, err := rest.New(rest.Config{
				BaseURL: s.URL, HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: s.TLS, ForceAttemptHTTP2: true}},
				Timeout: 5 * time.Second,
				Wrap: func(next http.RoundTripper) http.RoundTripper {
					return roundTripper(func(r *http.Request) (*http.Response, error) {
						if resp, err := next.RoundTrip(r.Clone(r.Context())); err == nil {
							return resp, nil
						}
						return next.RoundTrip(r)
					})
				},
			})
			require.NoError(t, err)
			_, err = c.Do(t.Context(), rest.Request{Op: "push", Method: http.MethodPost, Path: "things"})
			require.Error(t, err)
			require.Equal(t, 1, s.Seen(), "%v", err)
		})
	}
}
