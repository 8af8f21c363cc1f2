package testkit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// countingHandler counts its calls and answers "0123456789".
type countingHandler struct{ calls atomic.Int64 }

func (c *countingHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.calls.Add(1)
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Body", string(body))
	_, _ = io.WriteString(w, "0123456789")
}

func call(t *testing.T, client *http.Client, method, url, body string) (testkit.Reply, error) {
	t.Helper()
	return testkit.Send(t.Context(), client, method, url, body, nil)
}

func TestFaultKinds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		fault  testkit.Fault
		status int // 0: no answer at all
		body   string
		cut    bool
		calls  int64
		header map[string]string
	}{
		{name: "reset before the action", fault: testkit.Fault{Kind: testkit.FaultReset}},
		{name: "reset after the action", fault: testkit.Fault{Kind: testkit.FaultReset, After: true}, calls: 1},
		{name: "status before the action", fault: testkit.Fault{Kind: testkit.FaultStatus, Status: 503},
			status: 503, body: "Service Unavailable\n"},
		{name: "status after the action", fault: testkit.Fault{Kind: testkit.FaultStatus, Status: 500, After: true},
			status: 500, body: "Internal Server Error\n", calls: 1},
		{name: "Retry-After is rounded up", fault: testkit.Fault{Kind: testkit.FaultStatus, Status: 429,
			RetryAfter: 1500 * time.Millisecond},
			status: 429, body: "Too Many Requests\n", header: map[string]string{"Retry-After": "2"}},
		{name: "truncated body", fault: testkit.Fault{Kind: testkit.FaultTruncate},
			status: 200, body: "01234", cut: true, calls: 1},
		{name: "Holds matches the answer", fault: testkit.Fault{Kind: testkit.FaultTruncate, Holds: "345"},
			status: 200, body: "01234", cut: true, calls: 1},
		{name: "Holds does not match the answer", fault: testkit.Fault{Kind: testkit.FaultReset, After: true, Holds: "543"},
			status: 200, body: "0123456789", calls: 1},
		{name: "HTML page with status 200", fault: testkit.Fault{Kind: testkit.FaultHTML},
			status: 200, header: map[string]string{"Content-Type": "text/html; charset=utf-8"}},
		{name: "delay before the action", fault: testkit.Fault{Kind: testkit.FaultDelay, Delay: time.Millisecond},
			status: 200, body: "0123456789", calls: 1},
		{name: "delay after the action", fault: testkit.Fault{Kind: testkit.FaultDelay, Delay: time.Millisecond, After: true},
			status: 200, body: "0123456789", calls: 1},
	}
	for _, tt := range tests {
		for _, socket := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, socket %t", tt.name, socket), func(t *testing.T) {
				t.Parallel()
				var set testkit.Faults
				handler := &countingHandler{}
				require.NoError(t, set.Add(tt.fault))
				client, url := &http.Client{Transport: testkit.Transport(set.Wrap(handler))}, "http://in.memory/x"
				if socket {
					server := httptest.NewServer(set.Wrap(handler))
					t.Cleanup(server.Close)
					client, url = server.Client(), server.URL+"/x"
				}
				resp, err := call(t, client, http.MethodPost, url, "sent")
				require.Equal(t, tt.calls, handler.calls.Load(), "calls of the handler")
				if tt.status == 0 {
					require.Error(t, err)
					return
				}
				require.Equal(t, tt.status, resp.Status)
				for k, v := range tt.header {
					require.Equal(t, v, resp.Header.Get(k))
				}
				if tt.cut {
					require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				} else {
					require.NoError(t, err)
				}
				if tt.body != "" {
					require.Equal(t, tt.body, resp.Body)
				}
			})
		}
	}
}

func TestFaultMatching(t *testing.T) {
	t.Parallel()
	status := func(f testkit.Fault) testkit.Fault { f.Kind, f.Status = testkit.FaultStatus, 500; return f }
	tests := []struct {
		name  string
		fault testkit.Fault
		calls []string // "METHOD path body"
		want  string   // x for each call with a fault
	}{
		{"every call", status(testkit.Fault{}), []string{"GET /a", "POST /b"}, "xx"},
		{"one method", status(testkit.Fault{Method: "post"}), []string{"GET /a", "POST /a"}, ".x"},
		{"one path", status(testkit.Fault{Path: "/a"}), []string{"GET /a", "GET /ab", "GET /b/a"}, "x.."},
		{"path with a star", status(testkit.Fault{Path: "/o/*/push"}),
			[]string{"GET /o/1/push", "GET /o/1", "GET /x/o/1/push", "GET /o/1/2/push"}, "x..x"},
		{"two stars", status(testkit.Fault{Path: "*/o/*"}), []string{"GET /v/o/1", "GET /v/p/1"}, "x."},
		{"body contains text", status(testkit.Fault{Contains: "StatusChange"}),
			[]string{"POST / OrderStatusChange_API", "POST / GetOrder_API"}, "x."},
		{"the first two", status(testkit.Fault{Times: 2}), []string{"GET /", "GET /", "GET /", "GET /"}, "xx.."},
		{"skip the first", status(testkit.Fault{Skip: 1}), []string{"GET /", "GET /", "GET /"}, ".xx"},
		{"every second", status(testkit.Fault{Every: 2}), []string{"GET /", "GET /", "GET /", "GET /"}, "x.x."},
		{"every second, from the second, once", status(testkit.Fault{Every: 2, Skip: 1, Times: 1}),
			[]string{"GET /", "GET /", "GET /", "GET /"}, ".x.."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var set testkit.Faults
			require.NoError(t, set.Add(tt.fault))
			client := &http.Client{Transport: testkit.Transport(set.Wrap(&countingHandler{}))}
			var got strings.Builder
			for _, line := range tt.calls {
				parts := append(strings.SplitN(line, " ", 3), "")
				resp, err := call(t, client, parts[0], "http://in.memory"+parts[1], parts[2])
				require.NoError(t, err)
				if resp.Status == http.StatusOK {
					got.WriteByte('.')
					require.Equal(t, parts[2], resp.Header.Get("X-Body"), "the handler gets the whole body")
				} else {
					got.WriteByte('x')
				}
			}
			require.Equal(t, tt.want, got.String())
			require.Equal(t, strings.Count(tt.want, "x"), set.Counts()[0].Hits)
		})
	}
}

func TestFaultsApplyInOrderUntilCleared(t *testing.T) {
	t.Parallel()
	var set testkit.Faults
	set.Answer = func(w http.ResponseWriter, _ *http.Request, status int) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "own words")
	}
	require.NoError(t, set.Add(testkit.Fault{Kind: testkit.FaultStatus, Status: 401, Times: 1}))
	require.NoError(t, set.Add(testkit.Fault{Kind: testkit.FaultStatus, Status: 502}))
	client := &http.Client{Transport: testkit.Transport(set.Wrap(&countingHandler{}))}
	for _, want := range []int{401, 502, 502} {
		resp, err := call(t, client, http.MethodGet, "http://in.memory/", "")
		require.NoError(t, err)
		require.Equal(t, want, resp.Status)
		require.Equal(t, "own words", resp.Body)
	}
	set.Clear()
	resp, err := call(t, client, http.MethodGet, "http://in.memory/", "")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.Status)
	require.Empty(t, set.Counts())
}

func TestFaultDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var set testkit.Faults
		require.NoError(t, set.Add(testkit.Fault{Kind: testkit.FaultDelay, Delay: time.Hour}))
		client := &http.Client{Transport: testkit.Transport(set.Wrap(&countingHandler{}))}
		start := time.Now()
		_, err := call(t, client, http.MethodGet, "http://in.memory/", "")
		require.NoError(t, err)
		require.Equal(t, time.Hour, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://in.memory/", nil)
		require.NoError(t, err)
		start = time.Now()
		_, err = client.Do(req)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Minute, time.Since(start))
	})
}

func TestFaultsCountConcurrentCalls(t *testing.T) {
	t.Parallel()
	var set testkit.Faults
	require.NoError(t, set.Add(testkit.Fault{Kind: testkit.FaultReset, Every: 3, Times: 10}))
	handler := &countingHandler{}
	client := &http.Client{Transport: testkit.Transport(set.Wrap(handler))}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://in.memory/", nil)
				if err != nil {
					t.Error(err)
					return
				}
				if resp, err := client.Do(req); err == nil {
					_ = resp.Body.Close()
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, 10, set.Counts()[0].Hits)
	require.Equal(t, int64(190), handler.calls.Load())
}

func TestFaultResetWithoutHijacker(t *testing.T) {
	t.Parallel()
	var set testkit.Faults
	require.NoError(t, set.Add(testkit.Fault{Kind: testkit.FaultReset}))
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		set.Wrap(&countingHandler{}).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	})
}

func TestTransportReturnsPanicAsError(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: testkit.Transport(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(errors.New("broken"))
	}))}
	_, err := call(t, client, http.MethodGet, "http://in.memory/", "")
	require.ErrorContains(t, err, "the handler panicked: broken")
}
