package rest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/testkit/wiretest"
)

// replayClient speaks the server's protocol through a transport of its own, or through
// one that is wrapped.
func replayClient(t *testing.T, s *wiretest.Server, wrap bool, timeout time.Duration) *rest.Client {
	t.Helper()
	cfg := rest.Config{BaseURL: s.URL, MaxTries: 2, MaxWait: time.Millisecond, Timeout: timeout}
	transport := &http.Transport{TLSClientConfig: s.TLS, ForceAttemptHTTP2: true, IdleConnTimeout: 10 * time.Second}
	cfg.HTTP = &http.Client{Transport: transport}
	if wrap {
		cfg.HTTP.Transport = struct{ http.RoundTripper }{transport}
	}
	c, err := rest.New(cfg)
	require.NoError(t, err)
	return c
}

// A transport of the user may send a request again if its body can be rewound, and hides that from the client.
func TestBodyCannotBeRewound(t *testing.T) {
	t.Parallel()
	for _, safety := range []rest.Safety{rest.Read, rest.Unsafe} {
		c, calls := client(t, func(_ int, r *http.Request) (*http.Response, error) {
			require.Nil(t, r.GetBody)
			return status(http.StatusOK, `{}`), nil
		})
		_, err := c.JSON(t.Context(), rest.Request{
			Op: "push thing", Method: http.MethodPost, Path: "things", Safety: safety, Body: []byte(`{}`),
		}, nil)
		require.NoError(t, err)
		require.EqualValues(t, 1, calls.Load())
	}
}

// Every request on the wire is a try that counts, by GET and by POST.
func TestRead(t *testing.T) {
	t.Parallel()
	query := rest.Request{Op: "read thing", Method: http.MethodPost, Path: "things", Safety: rest.Read, Body: []byte(`{}`)}
	for _, protocol := range []string{wiretest.HTTP1, wiretest.HTTP1TLS, wiretest.HTTP2} {
		for _, mode := range wiretest.Modes(protocol) {
			for _, req := range []rest.Request{get, query} {
				for _, wrap := range []bool{false, true} {
					name := "sends no more requests than tries/" + strings.Join([]string{protocol, mode.Name, req.Method}, "/")
					if wrap {
						name += "/wrapped"
					}
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						s := wiretest.New(t, protocol, `{}`)
						timeout := 30 * time.Second
						if mode.Slow {
							timeout = 200 * time.Millisecond
						}
						c := replayClient(t, s, wrap, timeout)
						_, err := c.JSON(t.Context(), req, nil)
						require.NoError(t, err)
						s.Fail(mode, 0)
						_, err = c.JSON(t.Context(), req, nil)
						require.Error(t, err)
						require.False(t, restError(t, err).NotSent)
						require.Equal(t, 2, s.Seen(), "%v", err)
					})
				}
			}
		}
	}
}

// A server that closes its connections after each answer, without having said so.
func TestUnsafe(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{wiretest.HTTP1, wiretest.HTTP1TLS} {
		t.Run("arrives when the server closes connections after answers/"+protocol, func(t *testing.T) {
			t.Parallel()
			s := wiretest.New(t, protocol, `{}`)
			s.CloseAfterAnswer()
			c := replayClient(t, s, false, 30*time.Second)
			fresh := get
			fresh.Fresh = true
			lost := 0
			for range 100 {
				resp, err := c.JSON(t.Context(), fresh, nil)
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
				}
				require.NoError(t, err)
				resp, err = c.Do(t.Context(), post)
				if err == nil {
					require.NoError(t, resp.Body.Close())
				} else if !restError(t, err).NotSent {
					lost++ // it was written before the end of the connection came
				}
			}
			t.Logf("%d of 100 were lost", lost)
			require.LessOrEqual(t, lost, 20)
		})
	}
}
