//go:build unix

package resubmit_test

import (
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

// cost is what the process has used so far.
type cost struct {
	cpu    time.Duration
	allocs uint64
	bytes  uint64
}

func costNow(tb testing.TB) cost {
	tb.Helper()
	var used syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return cost{time.Duration(used.Utime.Nano() + used.Stime.Nano()), memory.Mallocs, memory.TotalAlloc}
}

// since adds what was used since then.
func (c *cost) since(tb testing.TB, then cost) {
	tb.Helper()
	now := costNow(tb)
	c.cpu += now.cpu - then.cpu
	c.allocs += now.allocs - then.allocs
	c.bytes += now.bytes - then.bytes
}

// BenchmarkApplyCost reports what one order costs beyond its HTTP calls, with all
// guards on: what Apply uses less what the same calls use by themselves. The server is
// in the same process, and so in both.
func BenchmarkApplyCost(b *testing.B) {
	b.Run("memory-journal", func(b *testing.B) {
		benchmarkCost(b, func(string) (resubmit.Journal, func() error) {
			return new(resubmit.MemoryJournal), func() error { return nil }
		})
	})
	b.Run("durable-journal", func(b *testing.B) {
		benchmarkCost(b, func(path string) (resubmit.Journal, func() error) {
			j, err := journal.Open(path)
			require.NoError(b, err)
			return j, j.Close
		})
	})
}

func benchmarkCost(b *testing.B, open func(path string) (j resubmit.Journal, end func() error)) {
	const orders, slots = 10000, 64
	l := newLoopback(b, 2*slots)
	all := loopbackOrders(orders)
	plan := planFor(b, all...)
	ids := make([]string, orders)
	for i, o := range all {
		ids[i] = o.ID
	}
	require.NoError(b, l.bare(b.Context(), ids, 2*slots)) // opens the connections
	var bare, applied cost
	n := 0
	for b.Loop() {
		l.pushed.Clear()
		then := costNow(b)
		require.NoError(b, l.bare(b.Context(), ids, 2*slots))
		bare.since(b, then)

		n++
		j, end := open(filepath.Join(b.TempDir(), strconv.Itoa(n)))
		l.pushed.Clear()
		then = costNow(b)
		applyAll(b, l, plan, slots, j)
		applied.since(b, then)
		require.NoError(b, end())
	}
	each := float64(b.N * orders)
	b.ReportMetric(float64((applied.cpu-bare.cpu).Microseconds())/each, "cpu-µs/order")
	b.ReportMetric(float64(applied.allocs-bare.allocs)/each, "allocs/order")
	b.ReportMetric(float64(applied.bytes-bare.bytes)/each, "B/order")
	b.ReportMetric(float64(bare.cpu.Microseconds())/each, "bare-cpu-µs/order")
	b.ReportMetric(0, "ns/op")
}
