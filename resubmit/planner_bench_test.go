package resubmit_test

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// localSource makes orders as they are asked for, so that they need no memory.
type localSource struct{ n int }

var benchFailures = []commerce.Failure{
	failed(textTransient), failed(textPermanent), failed(textProvisioned), failed(textOther), {},
}

func (s localSource) Orders(_ context.Context, _ commerce.Query) iter.Seq2[*commerce.Order, error] {
	transitions := []commerce.Transition{{To: commerce.StatusCancelled}, {To: commerce.StatusPaid}}
	total := commerce.Money{Amount: decimal.RequireFromString("12.50"), Currency: "USD"}
	types := []commerce.OrderType{commerce.TypeSales, commerce.TypeChange, commerce.TypeRenewal, commerce.TypeCancellation}
	return func(yield func(*commerce.Order, error) bool) {
		start := at("21 12:00")
		for i := range s.n {
			id := strconv.Itoa(1_000_000 + i)
			o := &commerce.Order{
				ID: "8f5b1c1e-0000-4000-8000-00000" + id, Number: "SO" + id,
				Type: types[i%len(types)], Status: commerce.StatusProvisioningFailed,
				ProvisioningStatus: commerce.ProvisioningFailed,
				PlacedAt:           start.Add(time.Duration(i) * 100 * time.Millisecond),
				VendorAccountID:    "1", Channel: commerce.ChannelDirect, CustomerID: id, CustomerName: "Customer",
				SubscriptionIDs: []string{id}, Total: total, Failure: benchFailures[i%len(benchFailures)], Transitions: transitions,
			}
			if !yield(o, nil) {
				return
			}
		}
	}
}

func benchConfig(t testing.TB, n int) resubmit.PlanConfig {
	return resubmit.PlanConfig{
		Journal:   new(resubmit.MemoryJournal),
		RateLimit: -1,
		Systems:   systemsOf(resubmit.Systems{Lister: localSource{n}}), Calendar: nights(t), IgnoreConnect: true,
		Filter: filter.And(
			filter.Types(commerce.TypeSales, commerce.TypeChange, commerce.TypeRenewal, commerce.TypeCancellation),
			filter.PlacedBetween(at("20 00:00"), at("30 00:00")),
			filter.Not(filter.MessageLike("*never*")),
		),
	}
}

// BenchmarkPlan plans b.N orders into a file, then opens it. Its baseline encodes
// the same entries with encoding/json and does nothing else. For the budget, a
// million orders in 4 s and 128 MiB, run it with -benchtime 1000000x.
func BenchmarkPlan(b *testing.B) {
	path := filepath.Join(b.TempDir(), "plan.jsonl")
	var p *plan.Plan
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		forgetMemory()
		counts, err := resubmit.WritePlanFile(b.Context(), benchConfig(b, b.N), path)
		require.NoError(b, err)
		require.Equal(b, b.N, counts.Total)
		reportMemory(b)
	})
	b.Run("open", func(b *testing.B) {
		_, err := resubmit.WritePlanFile(b.Context(), benchConfig(b, b.N), path)
		require.NoError(b, err)
		b.ReportAllocs()
		forgetMemory()
		b.ResetTimer()
		p, err = plan.Open(path)
		require.NoError(b, err)
		b.StopTimer()
		require.Equal(b, b.N, p.Counts().Total)
		b.Cleanup(func() { _ = p.Close() })
		reportMemory(b)
	})
	b.Run("entries", func(b *testing.B) {
		_, err := resubmit.WritePlanFile(b.Context(), benchConfig(b, b.N), path)
		require.NoError(b, err)
		plan, err := plan.Open(path)
		require.NoError(b, err)
		defer func() { _ = plan.Close() }()
		b.ReportAllocs()
		b.ResetTimer()
		for _, err := range plan.Entries() {
			require.NoError(b, err)
		}
	})
	b.Run("baseline-encoding-json", func(b *testing.B) {
		plan, err := resubmit.BuildPlan(b.Context(), benchConfig(b, 1000))
		require.NoError(b, err)
		entries := entriesOf(b, plan)
		enc := json.NewEncoder(io.Discard)
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			require.NoError(b, enc.Encode(entries[i%len(entries)]))
		}
	})
}

// forgetMemory has the peak begin again, on Linux.
func forgetMemory() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600)
}

// reportMemory reports the most memory that the process had since forgetMemory, or ever, where the
// system tells.
func reportMemory(b *testing.B) {
	if peak, ok := peakMemory(); ok {
		b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
	}
}

var vmHWM = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

func peakMemory() (bytes int64, ok bool) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	found := vmHWM.FindSubmatch(status)
	if found == nil {
		return 0, false
	}
	kb, err := strconv.ParseInt(string(found[1]), 10, 64)
	return kb << 10, err == nil
}

// The memory that planning holds at once must not depend on how many orders there
// are. What is measured is what lives between two batches.
func TestPlannerMemoryDoesNotGrowWithOrders(t *testing.T) {
	live := func(n int) uint64 {
		var most uint64
		cfg := benchConfig(t, n)
		cfg.Lister = watched{cfg.Lister, func(i int) {
			if i%(n/4) == n/8 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}}
		counts, err := resubmit.WritePlan(t.Context(), cfg, io.Discard)
		require.NoError(t, err)
		require.Equal(t, n, counts.Total)
		return most
	}
	live(2_000) // whatever is made once
	small, large := live(4_000), live(40_000)
	require.Less(t, large, small+8<<20, "bytes live")
}

type watched struct {
	resubmit.OrderLister
	each func(i int)
}

func (w watched) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		i := 0
		for o, err := range w.OrderLister.Orders(ctx, q) {
			w.each(i)
			i++
			if !yield(o, err) {
				return
			}
		}
	}
}
