package rest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/internal/testkit/wiretest"
)

func TestNotSent(t *testing.T) {
	t.Parallel()
	// The first server reads the push and gives no answer. The second one is not trusted.
	t.Run("is not concluded from the second server of a wrapper", func(t *testing.T) {
		t.Parallel()
		for _, protocol := range []string{wiretest.HTTP1, wiretest.HTTP2} {
			first := wiretest.New(t, protocol, `{}`)
			for _, mode := range wiretest.Modes(protocol) {
				if mode.Name == "closed after the request" {
					first.Fail(mode, 0)
				}
			}
			second := httptest.NewUnstartedServer(nil)
			second.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains about the handshake, rightly
			second.StartTLS()
			t.Cleanup(second.Close)
			one := &http.Transport{TLSClientConfig: first.TLS, ForceAttemptHTTP2: true}
			other := &http.Transport{}
			failover := testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
				if resp, err := one.RoundTrip(r); err == nil {
					return resp, nil
				}
				again := r.Clone(r.Context())
				again.URL.Scheme, again.URL.Host, again.Body = "https", second.Listener.Addr().String(), http.NoBody
				return other.RoundTrip(again)
			})
			c, err := rest.New(rest.Config{BaseURL: first.URL, HTTP: &http.Client{Transport: failover}})
			require.NoError(t, err)
			_, err = c.Do(t.Context(), post)
			require.Equal(t, 1, first.Seen())
			require.False(t, restError(t, err).NotSent, "%s: %v", protocol, err)
		}
	})
}

func TestClient(t *testing.T) {
	t.Parallel()
	// Nobody but the client can close its connections, since it copies the transport.
	closesIdle := func(t *testing.T, req rest.Request, idle time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan time.Time, 1)
			dial := func(context.Context, string, string) (net.Conn, error) {
				near, far := net.Pipe()
				go func() {
					r := bufio.NewReader(far)
					for {
						if _, err := http.ReadRequest(r); err != nil {
							ended <- time.Now()
							return
						}
						_, _ = fmt.Fprint(far, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
					}
				}()
				return near, nil
			}
			c, err := rest.New(rest.Config{
				BaseURL: "http://h.example", HTTP: &http.Client{Transport: &http.Transport{DialContext: dial}},
			})
			require.NoError(t, err)
			_, err = c.JSON(t.Context(), req, nil)
			require.NoError(t, err)
			began := time.Now()
			select {
			case at := <-ended:
				require.Equal(t, idle, at.Sub(began))
			case <-time.After(time.Hour):
				require.Fail(t, "the connection is still open after an hour")
			}
		})
	}
	fresh := get
	fresh.Fresh = true
	for name, test := range map[string]struct {
		req  rest.Request
		idle time.Duration
	}{
		"of reads": {get, 90 * time.Second}, "of reads before pushes": {fresh, 2 * time.Second}, "of pushes": {post, 2 * time.Second},
	} {
		t.Run("closes idle connections "+name, func(t *testing.T) {
			t.Parallel()
			closesIdle(t, test.req, test.idle)
		})
	}
	t.Run("pushes on the connection of the read before", func(t *testing.T) {
		t.Parallel()
		var mu sync.Mutex
		var from []string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			from = append(from, r.RemoteAddr)
			_, _ = io.WriteString(w, "{}")
		}))
		t.Cleanup(server.Close)
		c, err := rest.New(rest.Config{BaseURL: server.URL})
		require.NoError(t, err)
		for _, req := range []rest.Request{fresh, get, post, get, post} {
			_, err := c.JSON(t.Context(), req, nil)
			require.NoError(t, err)
		}
		require.Equal(t, []string{from[0], from[1], from[0], from[1], from[0]}, from)
		require.NotEqual(t, from[0], from[1])
	})
	t.Run("takes the timeout of the HTTP client if it is shorter", func(t *testing.T) {
		t.Parallel()
		for given, want := range map[time.Duration]time.Duration{
			0: 10 * time.Second, 2 * time.Second: 2 * time.Second, time.Minute: 10 * time.Second,
		} {
			synctest.Test(t, func(t *testing.T) {
				hang := testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
					<-r.Context().Done()
					return nil, r.Context().Err()
				})
				c, err := rest.New(rest.Config{
					BaseURL: base, Timeout: 10 * time.Second, HTTP: &http.Client{Transport: hang, Timeout: given},
				})
				require.NoError(t, err)
				began := time.Now()
				_, err = c.Do(t.Context(), post)
				require.Equal(t, want, time.Since(began))
				require.ErrorContains(t, err, "no whole answer within "+want.String())
			})
		}
	})
}

// fakeAuth sends a secret.
func fakeAuth(t *testing.T) rest.Auth {
	t.Helper()
	auth, err := rest.StaticAuth("Authorization", "secret-of-the-test")
	require.NoError(t, err)
	return auth
}

func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	through := func(base, proxy string, set ...func(*rest.Config)) error {
		u, err := url.Parse(proxy)
		require.NoError(t, err)
		cfg := rest.Config{
			BaseURL: base, Auth: fakeAuth(t), HTTP: &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(u)}},
		}
		for _, f := range set {
			f(&cfg)
		}
		_, err = rest.New(cfg)
		return err
	}
	t.Run("rejects a proxy on another host", func(t *testing.T) {
		t.Parallel()
		for _, base := range []string{"http://LocalHost:1", "http://127.0.0.1:1", "http://[::1]"} {
			err := through(base, "http://user:password@proxy.example:3128")
			require.ErrorContains(t, err, "the proxy proxy.example:3128 would get the credentials for ")
			require.NoError(t, through(base, "http://proxy.example:3128", func(c *rest.Config) { c.PlainHTTP = true }))
			require.NoError(t, through(base, "http://proxy.example:3128", func(c *rest.Config) { c.Auth = nil }))
			require.NoError(t, through(base, "http://127.0.0.1:3128"))
		}
		require.NoError(t, through("https://h.example", "http://proxy.example:3128"))
	})
	t.Run("rejects hosts that only look like this one", func(t *testing.T) {
		t.Parallel()
		for _, host := range []string{
			"127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0", "[::]", "127.0.0.1%2eevil.example",
			"2130706433", "localhost.",
		} {
			_, err := rest.New(rest.Config{BaseURL: "http://" + host, Auth: fakeAuth(t)})
			require.Error(t, err, host)
		}
	})
}
