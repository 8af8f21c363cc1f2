package resubmit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// loopback is an order system on a real socket, as fast as it can be: a push
// completes the order at once.
type loopback struct {
	server *httptest.Server
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
	l.note()
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
	o := &commerce.Order{ID: id, Status: body.Status,
		Failure: commerce.Failure{Messages: map[string]string{"en_US": body.Reason}}}
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

// applyAll applies a plan with all guards on, at a rate that this machine hardly reaches.
func applyAll(tb testing.TB, l *loopback, plan *plan.Plan, slots int, j resubmit.Journal) {
	r, err := resubmit.NewRunner(resubmit.Config{
		Systems: systemsOf(resubmit.Systems{Reader: l, Pusher: l}), Journal: j, RateLimit: 1e5, Concurrency: slots,
		Verify: resubmit.VerifyConfig{InitialInterval: -1}, OmitItems: true,
	})
	require.NoError(tb, err)
	report, err := r.Apply(tb.Context(), plan)
	require.NoError(tb, err)
	require.Equal(tb, resubmit.OutcomeCounts{Completed: plan.Counts().Resubmit}, report.Result)
}

// BenchmarkApply compares Apply with bare net/http that makes the same calls over
// as many connections, turn by turn, and reports the share that it reaches.
func BenchmarkApply(b *testing.B) {
	b.Run("memory-journal", func(b *testing.B) {
		benchmarkApply(b, 8, func() resubmit.Journal { return new(resubmit.MemoryJournal) })
	})
	b.Run("durable-journal", func(b *testing.B) {
		n := 0
		// More orders at once share a write to the disk.
		benchmarkApply(b, 128, func() resubmit.Journal {
			n++
			j, err := journal.Open(filepath.Join(b.TempDir(), strconv.Itoa(n)))
			require.NoError(b, err)
			b.Cleanup(func() { _ = j.Close() })
			return j
		})
	})
}

// The orders are enough that the steps of the canary, which go one after the other,
// are as small a part as in a night's work. Each turn is bare and applied, the one that
// goes first being another one each time, and what is left over from one is swept up
// before the other. Both, and the server, are this process: beside the time that passes
// it is the time of the processors that tells, on a machine that has other things to do.
func benchmarkApply(b *testing.B, slots int, open func() resubmit.Journal) {
	const orders = 10000
	flight := 2 * slots // as many calls at once as Apply may have: pushes, and looks beside them
	l := newLoopback(b, 2*slots)
	all := loopbackOrders(orders)
	ids := make([]string, orders)
	entries := make([]*plan.Entry, orders)
	for i, o := range all {
		ids[i], entries[i] = o.ID, entryFor(o)
	}
	require.NoError(b, l.bare(b.Context(), ids, flight)) // opens the connections
	var bare, applied spent
	turn := 0
	for b.Loop() {
		first := turn % 2
		for i := range 2 {
			l.pushed.Clear()
			if i == first {
				bare.spend(func() { require.NoError(b, l.bare(b.Context(), ids, flight)) })
				continue
			}
			j := open()
			lease, err := j.Begin(b.Context(), resubmit.JournalUse{System: testSystem})
			require.NoError(b, err)
			p, _ := writtenPlan(b, plan.Header{System: testSystem, Windows: []maintenance.Window{}, Journal: lease.Position},
				entries...)
			applied.spend(func() { applyAll(b, l, p, slots, j) })
		}
		turn++
	}
	n := float64(b.N * orders)
	b.ReportMetric(n/bare.wall.Seconds(), "bare-orders/s")
	b.ReportMetric(n/applied.wall.Seconds(), "orders/s")
	b.ReportMetric(100*float64(bare.wall)/float64(applied.wall), "%-of-bare")
	b.ReportMetric(100*float64(bare.cpu)/float64(applied.cpu), "%-of-bare-by-cpu")
	b.ReportMetric(float64((applied.cpu-bare.cpu).Microseconds())/n, "cpu-µs-more/order")
	b.ReportMetric((float64(applied.allocs)-float64(bare.allocs))/n, "allocs-more/order")
	b.ReportMetric((float64(applied.bytes)-float64(bare.bytes))/n, "bytes-more/order")
	b.ReportMetric(0, "ns/op")
}

// spent is what something cost.
type spent struct {
	wall, cpu     time.Duration
	allocs, bytes uint64
}

func (s *spent) spend(on func()) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	cpu, start := cpuTime(), time.Now()
	on()
	s.wall += time.Since(start)
	s.cpu += cpuTime() - cpu
	runtime.ReadMemStats(&after)
	s.allocs += after.Mallocs - before.Mallocs
	s.bytes += after.TotalAlloc - before.TotalAlloc
}

// BenchmarkPace shows what the pace is worth on real sockets and real clocks, as the
// server sees it: the calls a second, in percent of the limit, and the most in any
// second. TestRateLimitHoldsInEverySecond holds it to the limit.
func BenchmarkPace(b *testing.B) {
	for _, rate := range []int{1, 10, 100, 1000} {
		b.Run(strconv.Itoa(rate), func(b *testing.B) {
			l := newLoopback(b, 16)
			orders := max(2, rate) // three calls each, which take three seconds
			shopOrders := loopbackOrders(orders)
			require.NoError(b, l.bare(b.Context(), []string{"id-0", "id-1"}, 2)) // opens the connections
			for b.Loop() {
				l.pushed.Clear()
				l.calls = make([]time.Time, 0, 3*orders)
				newJournal(b)
				plan := planFor(b, shopOrders...)
				r, err := resubmit.NewRunner(resubmit.Config{
					Systems: systemsOf(resubmit.Systems{Reader: l, Pusher: l}), RateLimit: float64(rate), MinRateFraction: -1,
					Concurrency: 8, Verify: resubmit.VerifyConfig{InitialInterval: -1}, Journal: journalOf(b),
				})
				require.NoError(b, err)
				_, err = r.Apply(b.Context(), plan)
				require.NoError(b, err)
			}
			took := l.calls[len(l.calls)-1].Sub(l.calls[0]).Seconds()
			b.ReportMetric(100*float64(len(l.calls)-1)/took/float64(rate), "%-of-limit")
			b.ReportMetric(float64(mostInASecond(l.calls, time.Time{}, time.Now())), "most-in-a-second")
		})
	}
}

// The test is not parallel, so that it sees only what it starts itself.
func TestApplyOnRealSocketsLeavesNoGoroutine(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("apply", func(t *testing.T) {
		l := newLoopback(t, 4)
		all := loopbackOrders(100)
		applyAll(t, l, planFor(t, all...), 2, journalOf(t))
		require.EqualValues(t, 100, l.pushes.Load())
	})
}
