package faults_test

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

	"github.com/cloudblue-go/cloudblue/internal/faults"
)

// counted is a handler that counts its calls and answers "0123456789".
type counted struct{ calls atomic.Int64 }

func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.calls.Add(1)
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Body", string(body))
	_, _ = io.WriteString(w, "0123456789")
}

func call(t *testing.T, client *http.Client, method, url, body string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer func() { require.NoError(t, resp.Body.Close()) }()
	data, err := io.ReadAll(resp.Body)
	return resp, string(data), err
}

func TestEachKindOnARealServerAndWithoutASocket(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		fault  faults.Fault
		status int // 0: no answer at all
		body   string
		cut    bool
		calls  int64
		header map[string]string
	}{
		{name: "a reset loses the call", fault: faults.Fault{Kind: faults.Reset}},
		{name: "a reset after the action loses the answer only", fault: faults.Fault{Kind: faults.Reset, After: true}, calls: 1},
		{name: "a status answers instead", fault: faults.Fault{Kind: faults.Status, Status: 503},
			status: 503, body: "Service Unavailable\n"},
		{name: "a status after the action", fault: faults.Fault{Kind: faults.Status, Status: 500, After: true},
			status: 500, body: "Internal Server Error\n", calls: 1},
		{name: "429 carries Retry-After, rounded up", fault: faults.Fault{Kind: faults.Status, Status: 429, RetryAfter: 1500 * time.Millisecond},
			status: 429, body: "Too Many Requests\n", header: map[string]string{"Retry-After": "2"}},
		{name: "a truncated body ends early", fault: faults.Fault{Kind: faults.Truncate},
			status: 200, body: "01234", cut: true, calls: 1},
		{name: "an answer that holds the text is spoilt", fault: faults.Fault{Kind: faults.Truncate, Holds: "345"},
			status: 200, body: "01234", cut: true, calls: 1},
		{name: "an answer that does not hold the text goes out as it is", fault: faults.Fault{Kind: faults.Reset, After: true, Holds: "543"},
			status: 200, body: "0123456789", calls: 1},
		{name: "an HTML page with status 200", fault: faults.Fault{Kind: faults.HTML},
			status: 200, header: map[string]string{"Content-Type": "text/html; charset=utf-8"}},
		{name: "a delay only delays", fault: faults.Fault{Kind: faults.Delay, Delay: time.Millisecond},
			status: 200, body: "0123456789", calls: 1},
		{name: "a delay after the action", fault: faults.Fault{Kind: faults.Delay, Delay: time.Millisecond, After: true},
			status: 200, body: "0123456789", calls: 1},
	}
	for _, tt := range tests {
		for _, socket := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, socket %t", tt.name, socket), func(t *testing.T) {
				t.Parallel()
				var set faults.Set
				handler := &counted{}
				require.NoError(t, set.Add(tt.fault))
				client, url := &http.Client{Transport: faults.Transport(set.Wrap(handler))}, "http://in.memory/x"
				if socket {
					server := httptest.NewServer(set.Wrap(handler))
					t.Cleanup(server.Close)
					client, url = server.Client(), server.URL+"/x"
				}
				resp, body, err := call(t, client, http.MethodPost, url, "sent")
				require.Equal(t, tt.calls, handler.calls.Load(), "how often the action was done")
				if tt.status == 0 {
					require.Error(t, err)
					return
				}
				require.NotNil(t, resp)
				require.Equal(t, tt.status, resp.StatusCode)
				for k, v := range tt.header {
					require.Equal(t, v, resp.Header.Get(k))
				}
				if tt.cut {
					require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				} else {
					require.NoError(t, err)
				}
				if tt.body != "" {
					require.Equal(t, tt.body, body)
				}
			})
		}
	}
}

func TestWhichCallsAreHit(t *testing.T) {
	t.Parallel()
	status := func(f faults.Fault) faults.Fault { f.Kind, f.Status = faults.Status, 500; return f }
	tests := []struct {
		name  string
		fault faults.Fault
		calls []string // "METHOD path body"
		want  string   // x for each that is hit
	}{
		{"every call", status(faults.Fault{}), []string{"GET /a", "POST /b"}, "xx"},
		{"one method", status(faults.Fault{Method: "post"}), []string{"GET /a", "POST /a"}, ".x"},
		{"one path", status(faults.Fault{Path: "/a"}), []string{"GET /a", "GET /ab", "GET /b/a"}, "x.."},
		{"a path with a star", status(faults.Fault{Path: "/o/*/push"}), []string{"GET /o/1/push", "GET /o/1", "GET /x/o/1/push", "GET /o/1/2/push"}, "x..x"},
		{"two stars", status(faults.Fault{Path: "*/o/*"}), []string{"GET /v/o/1", "GET /v/p/1"}, "x."},
		{"text in the body", status(faults.Fault{Contains: "StatusChange"}), []string{"POST / OrderStatusChange_API", "POST / GetOrder_API"}, "x."},
		{"the first two", status(faults.Fault{Times: 2}), []string{"GET /", "GET /", "GET /", "GET /"}, "xx.."},
		{"all but the first", status(faults.Fault{Skip: 1}), []string{"GET /", "GET /", "GET /"}, ".xx"},
		{"each second", status(faults.Fault{Every: 2}), []string{"GET /", "GET /", "GET /", "GET /"}, "x.x."},
		{"each second from the second, once", status(faults.Fault{Every: 2, Skip: 1, Times: 1}), []string{"GET /", "GET /", "GET /", "GET /"}, ".x.."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var set faults.Set
			require.NoError(t, set.Add(tt.fault))
			client := &http.Client{Transport: faults.Transport(set.Wrap(&counted{}))}
			var got strings.Builder
			for _, line := range tt.calls {
				parts := append(strings.SplitN(line, " ", 3), "")
				resp, _, err := call(t, client, parts[0], "http://in.memory"+parts[1], parts[2])
				require.NoError(t, err)
				if resp.StatusCode == http.StatusOK {
					got.WriteByte('.')
					require.Equal(t, parts[2], resp.Header.Get("X-Body"), "the handler still gets the whole body")
				} else {
					got.WriteByte('x')
				}
			}
			require.Equal(t, tt.want, got.String())
			require.Equal(t, strings.Count(tt.want, "x"), set.Counts()[0].Hits)
		})
	}
}

func TestTheFirstFaultThatIsDueWinsAndClearEndsThem(t *testing.T) {
	t.Parallel()
	var set faults.Set
	set.Answer = func(w http.ResponseWriter, _ *http.Request, status int) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "own words")
	}
	require.NoError(t, set.Add(faults.Fault{Kind: faults.Status, Status: 401, Times: 1}))
	require.NoError(t, set.Add(faults.Fault{Kind: faults.Status, Status: 502}))
	client := &http.Client{Transport: faults.Transport(set.Wrap(&counted{}))}
	for _, want := range []int{401, 502, 502} {
		resp, body, err := call(t, client, http.MethodGet, "http://in.memory/", "")
		require.NoError(t, err)
		require.Equal(t, want, resp.StatusCode)
		require.Equal(t, "own words", body)
	}
	set.Clear()
	resp, _, err := call(t, client, http.MethodGet, "http://in.memory/", "")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Empty(t, set.Counts())
}

func TestADelayIsAsLongAsItSaysAndEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var set faults.Set
		require.NoError(t, set.Add(faults.Fault{Kind: faults.Delay, Delay: time.Hour}))
		client := &http.Client{Transport: faults.Transport(set.Wrap(&counted{}))}
		start := time.Now()
		_, _, err := call(t, client, http.MethodGet, "http://in.memory/", "")
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

func TestConcurrentCallsAreCountedExactly(t *testing.T) {
	t.Parallel()
	var set faults.Set
	require.NoError(t, set.Add(faults.Fault{Kind: faults.Reset, Every: 3, Times: 10}))
	handler := &counted{}
	client := &http.Client{Transport: faults.Transport(set.Wrap(handler))}
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

func TestARecorderSeesTheAbortOfNetHTTP(t *testing.T) {
	t.Parallel()
	var set faults.Set
	require.NoError(t, set.Add(faults.Fault{Kind: faults.Reset}))
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		set.Wrap(&counted{}).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	})
}

func TestAPanicOfTheHandlerIsAnErrorOfTheTransport(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: faults.Transport(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(errors.New("broken"))
	}))}
	_, _, err := call(t, client, http.MethodGet, "http://in.memory/", "")
	require.ErrorContains(t, err, "the handler panicked: broken")
}
