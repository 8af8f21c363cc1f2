package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/rest"
)

const base = "https://host.example/api"

var (
	get  = rest.Request{Op: "read thing", Method: http.MethodGet, Path: "things", Safety: rest.Read}
	post = rest.Request{Op: "push thing", Method: http.MethodPost, Path: "things", Body: []byte(`{}`)}
)

// client makes a client whose answers come from a function, one call a try.
func client(t *testing.T, answer func(n int, r *http.Request) (*http.Response, error),
	set ...func(*rest.Config)) (*rest.Client, *atomic.Int64) {
	t.Helper()
	var calls atomic.Int64
	mock := httpmock.NewMockTransport()
	mock.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
		return answer(int(calls.Add(1)), r)
	})
	cfg := rest.Config{BaseURL: base, HTTP: &http.Client{Transport: mock}}
	for _, f := range set {
		f(&cfg)
	}
	c, err := rest.New(cfg)
	require.NoError(t, err)
	return c, &calls
}

func status(code int, body string) *http.Response { return httpmock.NewStringResponse(code, body) }

func withHeader(r *http.Response, name, value string) *http.Response {
	r.Header.Set(name, value)
	return r
}

func restError(t *testing.T, err error) *rest.Error {
	t.Helper()
	e, ok := errors.AsType[*rest.Error](err)
	require.True(t, ok, "%v", err)
	return e
}

func TestNewRejectsBadBaseURLs(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ url, want string }{
		{"", "is missing"},
		{"host.example/api", "must start with https://"},
		{"ftp://host.example", "must start with https://"},
		{"https://", "names no host"},
		{"https://:443/x", "names no host"},
		{"https://user:hunter2@host.example", "must not carry credentials"},
		{"https://user:hun/ter2@host.example", "cannot be read"},
		{"https://host.example/?a=b", "must not have a query"},
		{"https://host.example/#", "must not have a query or a fragment"},
	} {
		_, err := rest.New(rest.Config{BaseURL: tc.url})
		require.ErrorContains(t, err, tc.want, tc.url)
		require.NotContains(t, err.Error(), "hun")
	}
	_, err := rest.New(rest.Config{BaseURL: base, MaxTries: -1})
	require.ErrorContains(t, err, "negative")
}

func TestDoSendsTheRequest(t *testing.T) {
	t.Parallel()
	for _, baseURL := range []string{"https://host.example", "https://host.example/", "https://host.example/a%2Fb/"} {
		var got *http.Request
		c, _ := client(t, func(_ int, r *http.Request) (*http.Response, error) {
			got = r
			return status(200, "[]"), nil
		}, func(cfg *rest.Config) {
			cfg.BaseURL = baseURL
			cfg.UserAgent = "tester/1"
			cfg.Header = http.Header{"X-Fixed": {"1"}, "Accept": {"text/plain"}}
		})
		id, err := rest.PathEscape("a/b c?")
		require.NoError(t, err)
		resp, err := c.Do(t.Context(), rest.Request{
			Op: "x", Method: http.MethodGet, Safety: rest.Read, Path: "things/" + id + "/",
			RawQuery: "in(a,(b,c%20d))&like(e,*f+)", Header: http.Header{"X-Own": {"2"}},
		})
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, strings.TrimRight(baseURL, "/")+"/things/a%2Fb%20c%3F/?in(a,(b,c%20d))&like(e,*f+)",
			got.URL.String())
		require.Equal(t, "tester/1", got.Header.Get("User-Agent"))
		require.Equal(t, "text/plain", got.Header.Get("Accept"))
		require.Equal(t, "1", got.Header.Get("X-Fixed"))
		require.Equal(t, "2", got.Header.Get("X-Own"))
		require.Empty(t, got.Header.Get("Content-Type"))
	}
}

func TestDoRejectsUnescapedRequests(t *testing.T) {
	t.Parallel()
	c, calls := client(t, func(int, *http.Request) (*http.Response, error) { return status(200, ""), nil })
	for _, req := range []rest.Request{
		{Method: http.MethodGet, Path: "a?b", Safety: rest.Read},
		{Method: http.MethodGet, Path: "a%zz", Safety: rest.Read},
		{Method: http.MethodGet, Path: "a", RawQuery: "a b", Safety: rest.Read},
		{Method: http.MethodGet, Path: "a", RawQuery: `"`, Safety: rest.Read},
		{Method: http.MethodGet, Path: "a"}, // unsafe, but net/http would replay it
	} {
		_, err := c.Do(t.Context(), req)
		require.True(t, restError(t, err).NotSent)
	}
	require.Zero(t, calls.Load())
	for _, elem := range []string{"", ".", ".."} {
		_, err := rest.PathEscape(elem)
		require.Error(t, err)
	}
}

func TestReadsAreRetried(t *testing.T) {
	t.Parallel()
	for _, code := range []int{0, 408, 429, 500, 502, 503, 504} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, calls := client(t, func(n int, _ *http.Request) (*http.Response, error) {
					if n < 3 && code == 0 {
						return nil, errors.New("connection reset")
					}
					if n < 3 {
						return status(code, "no"), nil
					}
					return status(200, `{"ok":true}`), nil
				})
				began := time.Now()
				var out struct{ OK bool }
				_, err := c.JSON(t.Context(), get, &out)
				require.NoError(t, err)
				require.True(t, out.OK)
				require.EqualValues(t, 3, calls.Load())
				require.LessOrEqual(t, time.Since(began), 3*time.Second, "1 s and 2 s at most")
			})
		})
	}
}

func TestNoRetry(t *testing.T) {
	t.Parallel()
	for _, code := range []int{301, 400, 401, 403, 404, 409, 501} {
		c, calls := client(t, func(int, *http.Request) (*http.Response, error) { return status(code, "no"), nil })
		_, err := c.Do(t.Context(), get)
		require.Equal(t, code, restError(t, err).Status)
		require.EqualValues(t, 1, calls.Load(), code)
	}
	for _, code := range []int{0, 429, 500, 502, 503, 504} {
		c, calls := client(t, func(int, *http.Request) (*http.Response, error) {
			if code == 0 {
				return nil, errors.New("connection reset")
			}
			return withHeader(status(code, "no"), "Retry-After", "1"), nil
		})
		_, err := c.Do(t.Context(), post)
		e := restError(t, err)
		require.Equal(t, code, e.Status)
		require.False(t, e.NotSent)
		require.EqualValues(t, 1, calls.Load(), "an unsafe call is sent once")
	}
}

func TestMaxTries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, calls := client(t, func(int, *http.Request) (*http.Response, error) { return status(502, "<html>"), nil },
			func(cfg *rest.Config) { cfg.MaxTries = 5 })
		_, err := c.Do(t.Context(), get)
		require.EqualError(t, err,
			`read thing: HTTP 502 Bad Gateway: the body starts "<html>" (GET https://host.example/api/things)`)
		require.EqualValues(t, 5, calls.Load())
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		header func() string
		wait   time.Duration
		calls  int64
	}{
		{"in seconds", func() string { return "7" }, 7 * time.Second, 2},
		{"as a date", func() string { return time.Now().Add(9 * time.Second).UTC().Format(http.TimeFormat) }, 9 * time.Second,
			2},
		{"with a fraction", func() string { return "1.5" }, 1500 * time.Millisecond, 2},
		{"with a unit", func() string { return "8s" }, 8 * time.Second, 2},
		{"with a unit in words", func() string { return "20 Seconds" }, 20 * time.Second, 2},
		{"in milliseconds", func() string { return "1500 ms" }, 1500 * time.Millisecond, 2},
		{"in minutes", func() string { return "0.25 minutes" }, 15 * time.Second, 2},
		{"in minutes gives up at once", func() string { return "2 min" }, 0, 1},
		{"in hours and minutes gives up at once", func() string { return "1h30m" }, 0, 1},
		{"as another date", func() string { return time.Now().Add(9 * time.Second).UTC().Format(time.RFC3339) },
			9 * time.Second, 2},
		{"several times counts the longest", func() string { return "3\x0011s\x00-7" }, 11 * time.Second, 2},
		{"with a unit that is none", func() string { return "3 weeks" }, 30 * time.Second, 2},
		{"that cannot be read", func() string { return "soon" }, 30 * time.Second, 2},
		{"longer than the longest wait gives up at once", func() string { return "31" }, 0, 1},
		{"absurdly long gives up at once", func() string { return "99999999999999999" }, 0, 1},
		{"beyond all numbers gives up at once", func() string { return "99999999999999999999999" }, 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, calls := client(t, func(n int, _ *http.Request) (*http.Response, error) {
					if n == 1 {
						busy := status(429, "")
						busy.Header["Retry-After"] = strings.Split(tc.header(), "\x00")
						return busy, nil
					}
					return status(200, "1"), nil
				})
				began := time.Now()
				_, err := c.JSON(t.Context(), get, nil)
				require.Equal(t, tc.wait, time.Since(began))
				require.Equal(t, tc.calls, calls.Load())
				if tc.calls == 1 {
					require.Greater(t, restError(t, err).RetryAfter, 30*time.Second)
				} else {
					require.NoError(t, err)
				}
			})
		})
	}
}

func TestCancelledWaitReturnsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := client(t, func(int, *http.Request) (*http.Response, error) {
			return withHeader(status(503, ""), "Retry-After", "20"), nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		_, err := c.Do(ctx, get)
		require.Equal(t, 3*time.Second, time.Since(began))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 503, restError(t, err).Status)
		require.NotContains(t, err.Error(), "\n")
	})
}

func TestTimeoutIsRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, calls := client(t, func(n int, r *http.Request) (*http.Response, error) {
			if n == 1 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return status(200, "1"), nil
		}, func(cfg *rest.Config) { cfg.Timeout = 5 * time.Second; cfg.MaxTries = 2 })
		_, err := c.JSON(t.Context(), get, nil)
		require.NoError(t, err)
		require.EqualValues(t, 2, calls.Load())

		calls.Store(0)
		_, err = c.Do(t.Context(), post)
		require.ErrorContains(t, err, "no whole answer within 5s")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.False(t, restError(t, err).NotSent)
		require.EqualValues(t, 1, calls.Load())
	})
}

func TestCancelledContextSendsNothing(t *testing.T) {
	t.Parallel()
	c, calls := client(t, func(int, *http.Request) (*http.Response, error) { return status(200, ""), nil })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Do(ctx, post)
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, restError(t, err).NotSent)
	require.Zero(t, calls.Load())
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	c, calls := client(t, func(int, *http.Request) (*http.Response, error) {
		return withHeader(status(302, ""), "Location", "https://login.example/?session=hunter2"), nil
	})
	_, err := c.Do(t.Context(), get)
	require.ErrorContains(t, err, "redirected to https://login.example: redirects are not followed, set the base URL")
	require.NotContains(t, err.Error(), "hunter2")
	require.EqualValues(t, 1, calls.Load())
}

func TestJSON(t *testing.T) {
	t.Parallel()
	html := func(body string) *http.Response {
		return withHeader(status(200, body), "Content-Type", "text/html; charset=utf-8")
	}
	for _, tc := range []struct {
		name   string
		answer *http.Response
		want   string // empty: no error
	}{
		{"an object", status(200, ` {"a":1} `), ""},
		{"an object after a byte order mark", status(200, "\ufeff{}"), ""},
		{"no content", status(204, ""), ""},
		{"nothing at all", status(200, ""), "the answer is empty where JSON was expected"},
		{"a maintenance page", html("\n<html>We are\nback soon</html>"),
			`HTTP 200 OK: the answer is not JSON but text/html, starting "<html>We are back soon</html>": is the base URL ` +
				`right`},
		{"something without a type", status(200, "?"), "not JSON but something else"},
		{"a broken value", status(200, `{"a":`), "not valid JSON (byte 5: unexpected end of JSON input)"},
		{"garbage after the value", status(200, `{"a":1}<!-- debug -->`),
			"not valid JSON (byte 8: invalid character '<' after top-level value)"},
		{"another shape", status(200, `[1]`), "not what was expected: json: cannot unmarshal array"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, _ := client(t, func(int, *http.Request) (*http.Response, error) { return tc.answer, nil })
			var out struct{ A json.Number }
			resp, err := c.JSON(t.Context(), get, &out)
			if tc.want == "" {
				require.NoError(t, err)
				content, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.NotContains(t, string(content), "<")
				return
			}
			require.ErrorContains(t, err, tc.want)
			require.NotZero(t, restError(t, err).Status)
		})
	}
}

func TestMaxBody(t *testing.T) {
	t.Parallel()
	answer := func(int, *http.Request) (*http.Response, error) { return status(200, `"0123456"`), nil }
	limit := func(n int64) func(*rest.Config) { return func(cfg *rest.Config) { cfg.MaxBody = n } }
	c, _ := client(t, answer, limit(9))
	_, err := c.JSON(t.Context(), get, nil)
	require.NoError(t, err, "what just fits is not too long")

	c, calls := client(t, answer, limit(8))
	_, err = c.JSON(t.Context(), get, nil)
	require.ErrorContains(t, err, "longer than 8 bytes: ask for less at once")
	require.EqualValues(t, 1, calls.Load())

	resp, err := c.Do(t.Context(), get)
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body)
	require.ErrorContains(t, err, "longer than 8 bytes")
	require.Equal(t, 200, restError(t, err).Status)
	require.NoError(t, resp.Body.Close())
}

func TestTruncatedAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, calls := client(t, func(n int, _ *http.Request) (*http.Response, error) {
			r := status(200, "")
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"a":`), errorReader{io.ErrUnexpectedEOF}))
			if n == 2 {
				r = status(200, "{}")
			}
			return r, nil
		})
		_, err := c.JSON(t.Context(), get, nil)
		require.NoError(t, err)
		require.EqualValues(t, 2, calls.Load())

		calls.Store(0)
		_, err = c.JSON(t.Context(), post, nil)
		require.ErrorContains(t, err, "the answer broke off: unexpected EOF")
		e := restError(t, err)
		require.Equal(t, 200, e.Status)
		require.False(t, e.NotSent)
		require.EqualValues(t, 1, calls.Load())
	})
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestNotSentRequiresProof(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"a failed dial", &net.OpError{Op: "dial", Err: errors.New("connection refused")}, true},
		{"an unknown host", &net.DNSError{Err: "no such host", Name: "host.example"}, true},
		{"a failed write", &net.OpError{Op: "write", Err: errors.New("broken pipe")}, false},
		{"an error that says nothing", errors.New("EOF"), false},
	} {
		c, _ := client(t, func(int, *http.Request) (*http.Response, error) { return nil, tc.err })
		_, err := c.Do(t.Context(), post)
		require.Equal(t, tc.want, restError(t, err).NotSent, tc.name)
	}
}

func TestLogAndErrorsContainNoSecrets(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	auth, err := rest.StaticAuth("Authorization", "ApiKey SU-1:"+secret)
	require.NoError(t, err)
	for _, answer := range []*http.Response{
		withHeader(status(400, "bad key "+secret), "X-Echo", secret),
		status(200, "<html>"+secret),
	} {
		var logged bytes.Buffer
		c, _ := client(t, func(int, *http.Request) (*http.Response, error) { return answer, nil }, func(cfg *rest.Config) {
			cfg.Auth = auth
			cfg.Logger = slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		_, err := c.JSON(t.Context(), get, nil)
		e := restError(t, err)
		require.NotContains(t, fmt.Sprintf("%v %s %v", err, e.Body, e.Header), secret)
		require.Contains(t, string(e.Body), "[redacted]")
		require.NotContains(t, logged.String(), secret)

		var line map[string]any
		require.NoError(t, json.Unmarshal(logged.Bytes(), &line))
		for _, key := range []string{"op", "method", "url", "status", "attempt", "elapsed"} {
			require.Contains(t, line, key)
		}
	}
}

func TestResponseFailed(t *testing.T) {
	t.Parallel()
	auth, err := rest.StaticAuth("APS-Token", "hunter2hunter2")
	require.NoError(t, err)
	c, _ := client(t, func(int, *http.Request) (*http.Response, error) { return status(200, "x"), nil }, withAuth(auth))
	resp, err := c.Do(t.Context(), post)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	cause := errors.New("no XML")
	e := resp.Failed(cause)
	require.EqualError(t, e, "push thing: HTTP 200 OK: no XML (POST https://host.example/api/things)")
	require.ErrorIs(t, e, cause)
	require.EqualError(t, resp.Failed(errors.New("found hunter2hunter2")),
		"push thing: HTTP 200 OK: found [redacted] (POST https://host.example/api/things)")
}

func tokenFunc(tokens ...string) (func(context.Context) (string, error), *atomic.Int64) {
	var calls atomic.Int64
	return func(context.Context) (string, error) {
		n := calls.Add(1)
		return tokens[min(int(n), len(tokens))-1], nil
	}, &calls
}

// wants answers 401 unless the request carries the token.
func wants(token string) func(int, *http.Request) (*http.Response, error) {
	return func(_ int, r *http.Request) (*http.Response, error) {
		if r.Header.Get("APS-Token") != token {
			return status(401, ""), nil
		}
		return status(200, "1"), nil
	}
}

func withAuth(a rest.Auth) func(*rest.Config) { return func(cfg *rest.Config) { cfg.Auth = a } }

func TestRefusedTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	f, fetched := tokenFunc("old", "new")
	auth, err := rest.TokenAuth("APS-Token", f)
	require.NoError(t, err)
	c, calls := client(t, wants("new"), withAuth(auth))
	_, err = c.JSON(t.Context(), get, nil)
	require.NoError(t, err)
	_, err = c.JSON(t.Context(), get, nil)
	require.NoError(t, err)
	require.EqualValues(t, 3, calls.Load())
	require.EqualValues(t, 2, fetched.Load(), "the token is kept")

	c, calls = client(t, wants("another"), withAuth(auth))
	_, err = c.JSON(t.Context(), get, nil)
	require.Equal(t, 401, restError(t, err).Status)
	require.LessOrEqual(t, calls.Load(), int64(2))
}

func TestHangingTokenFunctionTimesOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fetched := 0
		auth, err := rest.TokenAuth("APS-Token", func(ctx context.Context) (string, error) {
			if fetched++; fetched > 1 {
				<-ctx.Done()
				return "", ctx.Err()
			}
			return "old", nil
		})
		require.NoError(t, err)
		c, _ := client(t, wants("new"), withAuth(auth), func(cfg *rest.Config) { cfg.Timeout = time.Minute })
		began := time.Now()
		_, err = c.Do(context.Background(), post)
		require.Equal(t, 401, restError(t, err).Status)
		require.Equal(t, time.Minute, time.Since(began))
	})
}

// breaking is an Auth that puts a line break into a header.
type breaking struct{}

func (breaking) Apply(_ context.Context, r *http.Request) error {
	r.Header.Set("Authorization", "very-secret\r\nX-Admin: 1")
	return nil
}

func (breaking) Renew(context.Context, *http.Request) bool { return true }

func TestHeaderWithLineBreakIsRejected(t *testing.T) {
	t.Parallel()
	for _, cfg := range []rest.Config{
		{BaseURL: base, Header: http.Header{"Aps-Subscription-Id": {"very-secret\n"}}},
		{BaseURL: base, UserAgent: "very-secret\r\nX-Admin: 1"},
	} {
		_, err := rest.New(cfg)
		require.ErrorContains(t, err, "has a control character in its value")
		require.NotContains(t, err.Error(), "very-secret")
	}
	c, calls := client(t, wants("x"), withAuth(breaking{}))
	for _, req := range []rest.Request{get, post} {
		_, err := c.Do(t.Context(), req)
		e := restError(t, err)
		require.True(t, e.Local && e.NotSent)
		require.ErrorContains(t, err, "the header Authorization has a control character in its value")
		require.NotContains(t, err.Error(), "very-secret")
	}
	require.Zero(t, calls.Load())
}

func TestUnsafeCallIsNotRepeatedWithNewToken(t *testing.T) {
	t.Parallel()
	f, _ := tokenFunc("old", "new")
	auth, err := rest.TokenAuth("APS-Token", f)
	require.NoError(t, err)
	c, calls := client(t, wants("new"), withAuth(auth))
	_, err = c.Do(t.Context(), post)
	require.Equal(t, 401, restError(t, err).Status)
	require.EqualValues(t, 1, calls.Load())
	_, err = c.Do(t.Context(), post)
	require.NoError(t, err, "the next call has the new token")
}

func TestConcurrentCallersRenewOnce(t *testing.T) {
	t.Parallel()
	f, fetched := tokenFunc("old", "new")
	auth, err := rest.TokenAuth("APS-Token", f)
	require.NoError(t, err)
	var first sync.WaitGroup
	first.Add(20)
	c, _ := client(t, func(n int, r *http.Request) (*http.Response, error) {
		if n <= 20 { // all are refused before any renews
			first.Done()
			first.Wait()
		}
		return wants("new")(n, r)
	}, withAuth(auth))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.JSON(t.Context(), get, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 2, fetched.Load())
}

func TestFailingTokenFunction(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		token string
		err   error
		want  string
	}{
		{"", errors.New("vault is sealed"), "the token could not be fetched: vault is sealed"},
		{" ", nil, "the token function returned no token: the credential is empty"},
		{"secret\n", nil, "at byte 6: was it read with its line break?"},
	} {
		auth, err := rest.TokenAuth("APS-Token", func(context.Context) (string, error) { return tc.token, tc.err })
		require.NoError(t, err)
		c, calls := client(t, wants("x"), withAuth(auth))
		_, err = c.Do(t.Context(), post)
		require.ErrorContains(t, err, tc.want)
		require.NotContains(t, err.Error(), "secret")
		require.True(t, restError(t, err).NotSent)
		require.Zero(t, calls.Load())
	}
	_, err := rest.TokenAuth("APS-Token", nil)
	require.Error(t, err)
	_, err = rest.StaticAuth("APS-Token", "secret\r\n")
	require.ErrorContains(t, err, "at byte 6")
}

func TestNoAuthSendsNoCredentials(t *testing.T) {
	t.Parallel()
	auth, err := rest.StaticAuth("APS-Token", "secret")
	require.NoError(t, err)
	c, _ := client(t, func(_ int, r *http.Request) (*http.Response, error) {
		require.Empty(t, r.Header.Get("APS-Token"))
		return status(401, ""), nil
	}, withAuth(auth))
	req := get
	req.NoAuth, req.Accept = true, []int{200, 401}
	resp, err := c.Do(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, 401, resp.Status)
	require.NoError(t, resp.Body.Close())
}

func TestEmptyPathIsTheBaseURL(t *testing.T) {
	t.Parallel()
	for _, given := range []string{base, base + "/"} {
		c, _ := client(t, func(_ int, r *http.Request) (*http.Response, error) {
			require.Equal(t, base, r.URL.String())
			return status(200, `{}`), nil
		}, func(cfg *rest.Config) { cfg.BaseURL = given })
		resp, err := c.Do(t.Context(), rest.Request{Op: "probe", Method: http.MethodGet, Safety: rest.Read})
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
}
