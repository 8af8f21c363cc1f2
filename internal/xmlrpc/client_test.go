package xmlrpc_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dial starts a server and makes a client of it.
func dial(t testing.TB, h http.Handler) *xmlrpc.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	auth, err := rest.StaticAuth("Authorization", "Basic c2VjcmV0LXNlY3JldA==")
	require.NoError(t, err)
	c, err := rest.New(rest.Config{BaseURL: server.URL, HTTP: &http.Client{Transport: transport}, Auth: auth,
		MaxWait: time.Millisecond})
	require.NoError(t, err)
	return &xmlrpc.Client{HTTP: c, Path: "RPC2"}
}

// served answers each call by its result. An error that is or wraps a [*xmlrpc.Fault] is answered as
// that fault, any other as fault 1 with its text.
func served(call func(context.Context, xmlrpc.Call) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "XML-RPC is spoken by POST", http.StatusMethodNotAllowed)
			return
		}
		body, err := answered(r, call)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		_, _ = w.Write(body) // a caller who is gone is no concern
	})
}

func answered(r *http.Request, call func(context.Context, xmlrpc.Call) (any, error)) ([]byte, error) {
	c, err := xmlrpc.DecodeCall(r.Body, xmlrpc.DecodeOptions{})
	if err != nil {
		return xmlrpc.EncodeFault(&xmlrpc.Fault{Code: 1, Message: err.Error()})
	}
	result, err := call(r.Context(), c)
	if f, ok := errors.AsType[*xmlrpc.Fault](err); ok {
		return xmlrpc.EncodeFault(f)
	}
	if err != nil {
		return xmlrpc.EncodeFault(&xmlrpc.Fault{Code: 1, Message: err.Error()})
	}
	return xmlrpc.EncodeResponse(xmlrpc.EncodeOptions{}, result)
}

func TestAClientCallsAServer(t *testing.T) {
	t.Parallel()
	h := served(func(_ context.Context, c xmlrpc.Call) (any, error) {
		switch c.Method {
		case "echo":
			return c.Params, nil
		case "fault":
			return nil, &xmlrpc.Fault{Code: 7, Message: "no"}
		default:
			return nil, errors.New("there is no method " + c.Method)
		}
	})
	c := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/RPC2" || r.Header.Get("Content-Type") != "text/xml; charset=utf-8" ||
			r.Header.Get("Accept") != "text/xml" {
			http.Error(w, "not as agreed", http.StatusBadRequest)
			return
		}
		h.ServeHTTP(w, r)
	}))
	var out []any
	require.NoError(t, c.Call(t.Context(), "echo", rest.Read, "echo", &out, 1, "x"))
	require.Equal(t, []any{1, "x"}, out)
	err := c.Call(t.Context(), "fault", rest.Unsafe, "fault", &out)
	require.Equal(t, &xmlrpc.Fault{Code: 7, Message: "no"}, err)
	err = c.Call(t.Context(), "foo", rest.Unsafe, "foo", nil)
	require.Equal(t, &xmlrpc.Fault{Code: 1, Message: "there is no method foo"}, err)
	err = c.Call(t.Context(), "echo", rest.Unsafe, "echo", nil, make(chan int))
	require.ErrorAs(t, err, new(*xmlrpc.Error))
	require.ErrorContains(t, err, "params[0]: a chan int cannot be sent")
}

func TestAnAnswerThatIsNotGoodIsARestError(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"a page": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<!DOCTYPE html><html>") },
			"read: HTTP 200 OK: xmlrpc: byte 0: the document is an HTML page"},
		"an error": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusBadGateway) },
			"read: HTTP 502 Bad Gateway"},
		"a broken body": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "<methodResponse>")
		}, "the answer broke off"},
		"an echo of credentials": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, answer("<value>"+strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")+"</value>"))
		}, "[redacted]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out int
			err := dial(t, test.answer).Call(t.Context(), "read", rest.Unsafe, "m", &out)
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "c2VjcmV0LXNlY3JldA")
			e, ok := err.(*rest.Error) //nolint:errorlint // the outermost is meant
			require.True(t, ok, "%T", err)
			require.False(t, e.NotSent)
			require.Contains(t, e.URL, "/RPC2")
		})
	}
}

func TestReadsAreRepeatedAndUnsafeCallsAreNot(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	calls := 0
	h := served(func(context.Context, xmlrpc.Call) (any, error) { return 1, nil })
	c := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		calls++
		first := calls%2 == 1
		mu.Unlock()
		if first {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, r)
	}))
	require.NoError(t, c.Call(t.Context(), "read", rest.Read, "m", nil))
	require.Equal(t, 2, calls)
	require.Error(t, c.Call(t.Context(), "push", rest.Unsafe, "m", nil))
	require.Equal(t, 3, calls)
}

// With calls that wait for each other, one call at a time would never end.
func TestManyCallsAreUnderWayAtOnce(t *testing.T) {
	t.Parallel()
	const n = 64
	var together sync.WaitGroup
	together.Add(n)
	c := dial(t, served(func(_ context.Context, c xmlrpc.Call) (any, error) {
		together.Done()
		together.Wait()
		return c.Params[0], nil
	}))
	var wg sync.WaitGroup
	errs := make([]error, n)
	got := make([]int, n)
	for i := range n {
		wg.Go(func() { errs[i] = c.Call(t.Context(), "wait", rest.Read, "wait", &got[i], i) })
	}
	wg.Wait()
	for i := range n {
		require.NoError(t, errs[i])
		require.Equal(t, i, got[i])
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, head)
		_ = http.NewResponseController(w).Flush()
		cancel()
		<-r.Context().Done()
	}))
	require.ErrorIs(t, c.Call(ctx, "wait", rest.Read, "wait", nil), context.Canceled)
}

func TestAServerAnswersWhatItCannotReadOrWrite(t *testing.T) {
	t.Parallel()
	h := served(func(context.Context, xmlrpc.Call) (any, error) { return make(chan int), nil })
	ask := func(method, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/RPC2", strings.NewReader(body)))
		return w
	}
	require.Equal(t, http.StatusMethodNotAllowed, ask(http.MethodGet, "").Code)
	w := ask(http.MethodPost, "<methodCall>")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "text/xml; charset=utf-8", w.Header().Get("Content-Type"))
	require.ErrorContains(t, xmlrpc.DecodeResponse(w.Body, xmlrpc.DecodeOptions{}, nil),
		"fault 1: xmlrpc: byte 12: the document ends too early")
	w = ask(http.MethodPost, "<methodCall><methodName>m</methodName></methodCall>")
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Contains(t, w.Body.String(), "a chan int cannot be sent")
}

// BenchmarkCallsAtOnce: each call waits 10 ms at the server; 64 at once take little more.
func BenchmarkCallsAtOnce(b *testing.B) {
	c := dial(b, served(func(ctx context.Context, _ xmlrpc.Call) (any, error) {
		timer := time.NewTimer(10 * time.Millisecond)
		defer timer.Stop()
		select {
		case <-timer.C:
			return 1, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}))
	for name, n := range map[string]int{"1": 1, "64": 64} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var wg sync.WaitGroup
				for range n {
					wg.Go(func() {
						if err := c.Call(b.Context(), "wait", rest.Read, "wait", nil); err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
			}
		})
	}
}
