package resubmit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// loopback is an order system on a real socket, as fast as it can be: a push
// completes the order at once.
type loopback struct {
	server *httptest.Server
	client *http.Client
	pushed sync.Map
	pushes atomic.Int64
}

func newLoopback(tb testing.TB, connections int) *loopback {
	l := new(loopback)
	l.server = httptest.NewServer(http.HandlerFunc(l.serve))
	transport := &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}
	l.client = &http.Client{Transport: transport, Timeout: time.Minute}
	tb.Cleanup(func() {
		transport.CloseIdleConnections()
		l.server.Close()
	})
	return l
}

func (l *loopback) serve(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Path
	if r.Method == http.MethodPost {
		_, _ = io.Copy(io.Discard, r.Body)
		l.pushed.Store(id, true)
		l.pushes.Add(1)
		return
	}
	status := "PF"
	if _, ok := l.pushed.Load(id); ok {
		status = "CP"
	}
	_, _ = fmt.Fprintf(w, `{"status":%q,"reason":%q,"offers":["CL","PD"]}`, status, outage)
}

func (l *loopback) Order(ctx context.Context, id string) (*commerce.Order, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.server.URL+"/"+id, nil)
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
	o := &commerce.Order{ID: id, Status: body.Status, Failure: commerce.Failure{Text: map[string]string{"en_US": body.Reason}}}
	for _, to := range body.Offers {
		o.Transitions = append(o.Transitions, commerce.Transition{To: to})
	}
	return o, nil
}

func (l *loopback) Push(ctx context.Context, id string, to commerce.Status) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.server.URL+"/"+id, strings.NewReader(string(to)))
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

func loopbackOrders(n int) []*shopOrder {
	orders := make([]*shopOrder, n)
	for i := range orders {
		orders[i] = outageOrder(i, fmt.Sprint(i))
	}
	return orders
}

func applyAll(tb testing.TB, l *loopback, plan *resubmit.Plan, slots int) {
	r, err := resubmit.NewRunner(resubmit.Config{
		Reader: l, Pusher: l, Rate: -1, Concurrency: slots, Verify: resubmit.Verify{First: -1}, DropItems: true,
	})
	require.NoError(tb, err)
	report, err := r.Apply(tb.Context(), plan)
	require.NoError(tb, err)
	require.Equal(tb, resubmit.Result{Completed: plan.Counts().Resubmit}, report.Result)
}

// BenchmarkApply compares Apply with bare net/http that makes the same calls over
// as many connections, turn by turn, and reports the share that it reaches.
func BenchmarkApply(b *testing.B) {
	const orders, slots = 2000, 8
	const flight = 2 * slots // as many calls at once as Apply may have: pushes, and looks beside them
	l := newLoopback(b, 2*slots)
	all := loopbackOrders(orders)
	plan := planFor(b, all...)
	ids := make([]string, orders)
	for i, o := range all {
		ids[i] = o.ID
	}
	require.NoError(b, l.bare(b.Context(), ids, flight)) // opens the connections
	var bare, applied time.Duration
	for b.Loop() {
		l.pushed.Clear()
		start := time.Now()
		require.NoError(b, l.bare(b.Context(), ids, flight))
		bare += time.Since(start)

		l.pushed.Clear()
		start = time.Now()
		applyAll(b, l, plan, slots)
		applied += time.Since(start)
	}
	n := float64(b.N * orders)
	b.ReportMetric(n/bare.Seconds(), "bare-orders/s")
	b.ReportMetric(n/applied.Seconds(), "orders/s")
	b.ReportMetric(100*float64(bare)/float64(applied), "%-of-bare")
	b.ReportMetric(0, "ns/op")
}

// The test is not parallel, so that it sees only what it starts itself.
func TestApplyOnRealSocketsLeavesNoGoroutine(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("apply", func(t *testing.T) {
		l := newLoopback(t, 4)
		all := loopbackOrders(100)
		applyAll(t, l, planFor(t, all...), 2)
		require.EqualValues(t, 100, l.pushes.Load())
	})
}
