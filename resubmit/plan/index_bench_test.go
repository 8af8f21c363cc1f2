package plan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// benchPlan writes a plan of n orders to resubmit: 12 vendors, n/3 customers, a subscription each, which every tenth shares,
// and every fourth one a tenant.
func benchPlan(b *testing.B, n int) string {
	path := filepath.Join(b.TempDir(), "plan.jsonl")
	f, err := os.Create(path)
	require.NoError(b, err)
	w, err := plan.NewWriter(f, planHeader())
	require.NoError(b, err)
	for i := range n {
		e := *planEntries()[0]
		e.OrderID, e.Number = benchID(i), fmt.Sprintf("SO%07d", i)
		e.Type = []commerce.OrderType{commerce.TypeSales, commerce.TypeChange, commerce.TypeRenewal}[i%3]
		e.VendorAccountID = strconv.Itoa(1_000_000 + i%12)
		e.CustomerID = strconv.Itoa(3_000_000 + i/3)
		e.Customer = "Customer with a name (" + e.CustomerID + ")"
		e.Subscriptions = []string{strconv.Itoa(5_000_000 + i - i%10/9)}
		e.TenantID = ""
		if i%4 == 0 {
			e.TenantID = "tenant-" + e.CustomerID
		}
		e.Before.PlacedAt = planTime.Add(time.Duration(i) * time.Second / 100)
		e.Before.FailedAt = e.Before.PlacedAt.Add(time.Minute)
		e.Before.Message = fmt.Sprintf("APS Application Error: 503 Service Unavailable, see the request %d", i%3000)
		e.Attribution.Class = failure.Classes()[i%2]
		e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
		require.NoError(b, w.Write(&e))
	}
	_, _, err = w.Close()
	require.NoError(b, err)
	require.NoError(b, f.Close())
	return path
}

func benchID(i int) string { return fmt.Sprintf("8f5b1c1e-0000-4000-8000-%012d", i) }

// BenchmarkOpen measures how long it takes to open a plan of b.N orders. For the budget of a resumed run, a million in
// 4 s with 192 MiB for all of it, run it with -benchtime 1000000x.
func BenchmarkOpen(b *testing.B) {
	path := benchPlan(b, b.N)
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600) // resets the peak on Linux
	cpu := cpuTime()
	b.ResetTimer()
	p, err := plan.Open(path)
	b.StopTimer()
	require.NoError(b, err)
	b.ReportMetric((cpuTime() - cpu).Seconds(), "cpu-s")
	b.ReportMetric(peakMiB(), "peak-MiB")
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/float64(b.N), "heap-B/order")
	require.Equal(b, b.N, p.Index().Len())
	require.NoError(b, p.Close())
}

// BenchmarkIndex measures finding and reading one order.
func BenchmarkIndex(b *testing.B) {
	const n = 100_000
	p, err := plan.Open(benchPlan(b, n))
	require.NoError(b, err)
	defer func() { require.NoError(b, p.Close()) }()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = benchID(i)
	}
	b.Run("Find", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			at := i * 7919 % n
			if found, ok := p.Index().Find(ids[at]); !ok || found != at {
				b.Fatal(found, ok)
			}
		}
	})
	b.Run("Entry", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := p.Index().Entry(i * 7919 % n); err != nil {
				b.Fatal(err)
			}
		}
	})
}

var vmHWM = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// peakMiB returns the peak of the resident memory, or 0 if it is not known.
func peakMiB() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	found := vmHWM.FindSubmatch(status)
	if found == nil {
		return 0
	}
	kb, _ := strconv.Atoi(string(found[1]))
	return float64(kb) / 1024
}

// cpuTime returns the user and system time of the process on Linux, to 10 ms.
func cpuTime() time.Duration {
	stat, _ := os.ReadFile("/proc/self/stat")
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
