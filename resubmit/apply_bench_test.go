package resubmit_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

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

// BenchmarkApply compares Apply, with the durable journal and all guards, with bare net/http that makes the same calls
// over as many connections to a server in another process, and reports the share that it reaches. For the budgets run
// it with -benchtime 7x.
func BenchmarkApply(b *testing.B) {
	for _, calls := range []int{16, 128} {
		b.Run(fmt.Sprintf("calls=%d", calls), func(b *testing.B) { benchmarkApply(b, calls) })
	}
}

// The orders are enough that the steps of the canary, which go one after the other,
// are as small a part as in a night's work. Each turn is bare and applied, the one that
// goes first being another one each time, and what is left over from one is swept up
// before the other. The share is the median of the turns. As the machine may have other things to do,
// the time of the processors is reported too.
func benchmarkApply(b *testing.B, calls int) {
	const orders = 10000
	l := newLoopbackProcess(b, calls)
	all := loopbackOrders(orders)
	ids := make([]string, orders)
	entries := make([]*plan.Entry, orders)
	for i, o := range all {
		ids[i], entries[i] = o.ID, entryFor(o)
	}
	require.NoError(b, l.bare(b.Context(), ids, calls)) // opens the connections
	var bare, applied spent
	var shares []float64
	for b.Loop() {
		before := [2]time.Duration{bare.wall, applied.wall}
		for i := range 2 {
			l.forget(b)
			if i == len(shares)%2 {
				bare.spend(func() { require.NoError(b, l.bare(b.Context(), ids, calls)) })
				continue
			}
			j, err := journal.Open(filepath.Join(b.TempDir(), "journal"))
			require.NoError(b, err)
			lease, err := j.Begin(b.Context(), resubmit.JournalUse{System: testSystem})
			require.NoError(b, err)
			p, _ := writtenPlan(b, plan.Header{System: testSystem, Windows: []maintenance.Window{}, Journal: lease.Position},
				entries...)
			applied.spend(func() { applyAll(b, l, p, calls/2, j) }) // pushes, and as many reads beside them
			require.NoError(b, j.Close())
		}
		shares = append(shares, 100*float64(bare.wall-before[0])/float64(applied.wall-before[1]))
	}
	slices.Sort(shares)
	n := float64(b.N * orders)
	b.ReportMetric(n/bare.wall.Seconds(), "bare-orders/s")
	b.ReportMetric(n/applied.wall.Seconds(), "orders/s")
	b.ReportMetric(shares[len(shares)/2], "%-of-bare")
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
				l.forget(b)
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
