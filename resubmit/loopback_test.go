package resubmit_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// loopback is an order system on a real socket, as fast as it can be: a push
// completes the order at once.
type loopback struct {
	url    string
	client *http.Client
	pushed sync.Map
	pushes atomic.Int64

	mu    sync.Mutex
	calls []time.Time // when they came, if that is asked for
}

func (l *loopback) note() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calls != nil {
		l.calls = append(l.calls, time.Now())
	}
}

func newLoopback(tb testing.TB, connections int) *loopback {
	l := new(loopback)
	server := httptest.NewServer(l)
	tb.Cleanup(server.Close)
	l.connect(tb, server.URL, connections)
	return l
}

// newLoopbackProcess is newLoopback with the server in a process of its own.
func newLoopbackProcess(tb testing.TB, connections int) *loopback {
	c := exec.CommandContext(context.WithoutCancel(tb.Context()), os.Args[0]) // it ends with its input
	c.Env = append(os.Environ(), loopbackVariable+"=1")
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	require.NoError(tb, err)
	out, err := c.StdoutPipe()
	require.NoError(tb, err)
	require.NoError(tb, c.Start())
	tb.Cleanup(func() {
		require.NoError(tb, in.Close())
		require.NoError(tb, c.Wait())
	})
	url, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(tb, err)
	l := new(loopback)
	l.connect(tb, strings.TrimSpace(url), connections)
	return l
}

const loopbackVariable = "RESUBMIT_TEST_LOOPBACK"

// TestMain runs the tests, or the server of newLoopbackProcess until its standard input ends.
func TestMain(m *testing.M) {
	if os.Getenv(loopbackVariable) == "" {
		testkit.Hurry()
		os.Exit(m.Run())
	}
	server := httptest.NewServer(new(loopback))
	fmt.Println(server.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
	server.CloseClientConnections()
}

func (l *loopback) connect(tb testing.TB, url string, connections int) {
	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}
	l.url, l.client = url, &http.Client{Transport: transport, Timeout: time.Minute}
	tb.Cleanup(transport.CloseIdleConnections)
}

// forget has the server forget all pushes.
func (l *loopback) forget(tb testing.TB) {
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodDelete, l.url, nil)
	require.NoError(tb, err)
	resp, err := l.client.Do(req)
	require.NoError(tb, err)
	require.NoError(tb, resp.Body.Close())
}

// ServeHTTP reads an order, pushes one, or forgets all pushes.
func (l *loopback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Path
	switch r.Method {
	case http.MethodDelete:
		l.pushed.Clear()
		return
	case http.MethodPost:
		l.note()
		_, _ = io.Copy(io.Discard, r.Body)
		l.pushed.Store(id, true)
		l.pushes.Add(1)
		return
	}
	l.note()
	status := "PF"
	if _, ok := l.pushed.Load(id); ok {
		status = "CP"
	}
	_, _ = fmt.Fprintf(w, `{"status":%q,"reason":%q,"offers":["CL","PD"]}`, status, outage)
}

func (l *loopback) Order(ctx context.Context, id string) (*commerce.Order, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url+"/"+id, nil)
	if err != nil {
		return nil, err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var body struct {
		Status commerce.Status
		Reason string
		Offers []commerce.Status
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return nil, err
	}
	o := &commerce.Order{ID: id, Status: body.Status,
		Failure: commerce.Failure{Messages: map[string]string{"en_US": body.Reason}}}
	for _, to := range body.Offers {
		o.Transitions = append(o.Transitions, commerce.Transition{To: to})
	}
	return o, nil
}

func (l *loopback) Push(ctx context.Context, id string, to commerce.Status) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url+"/"+id, strings.NewReader(string(to)))
	if err != nil {
		return err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// bare makes the calls of an apply, and nothing else.
func (l *loopback) bare(ctx context.Context, ids []string, connections int) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	for range connections {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(ids) {
					return
				}
				_, err := l.Order(ctx, ids[i])
				if err == nil {
					err = l.Push(ctx, ids[i], commerce.StatusPaid)
				}
				if err == nil {
					_, err = l.Order(ctx, ids[i])
				}
				if err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
