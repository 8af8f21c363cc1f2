package resubmit_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// bits is a Commerce that remembers of each order only whether it was pushed, so
// that what is measured is the memory of the run.
type bits struct {
	pushed  []atomic.Uint64
	began   time.Time
	onRead  func(n int)
	refuses bool // every push leads to another failure
}

func newBits(orders int) *bits {
	return &bits{pushed: make([]atomic.Uint64, orders/64+1), began: time.Now()}
}

func (s *bits) place(id string) (n int, err error) {
	return strconv.Atoi(strings.TrimPrefix(id, "id-"))
}

func (s *bits) Order(_ context.Context, id string) (*commerce.Order, error) {
	n, err := s.place(id)
	if err != nil {
		return nil, err
	}
	if s.onRead != nil {
		s.onRead(n)
	}
	o := s.order(n)
	switch pushed := s.pushed[n/64].Load()&(1<<(n%64)) != 0; {
	case pushed && s.refuses:
		o.Failure.Messages = map[string]string{"en_US": "Vendor has failed request PR-1"}
	case pushed:
		o.Status = commerce.StatusCompleted
	}
	return o, nil
}

func (s *bits) order(n int) *commerce.Order {
	o := &outageOrder(n, strconv.Itoa(n)).Order
	o.PlacedAt = s.began.Add(time.Duration(n) * time.Millisecond)
	return o
}

func (s *bits) Push(_ context.Context, id string, _ commerce.Status) error {
	n, err := s.place(id)
	if err == nil {
		s.pushed[n/64].Or(1 << (n % 64))
	}
	return err
}

// planOf writes a plan of many orders to a file.
func (s *bits) planOf(tb testing.TB, n int) *plan.Plan {
	path := filepath.Join(tb.TempDir(), fmt.Sprintf("plan-%d.jsonl", n))
	file, err := os.Create(path)
	require.NoError(tb, err)
	w, err := plan.NewWriter(file, plan.Header{
		CreatedAt: s.began, System: testSystem, View: "Failed Orders", Filter: "everything()",
		Windows: []maintenance.Window{}})
	require.NoError(tb, err)
	for i := range n {
		require.NoError(tb, w.Write(entryFor(&shopOrder{Order: *s.order(i)})))
	}
	_, _, err = w.Close()
	require.NoError(tb, err)
	require.NoError(tb, file.Close())
	plan, err := plan.Open(path)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = plan.Close() })
	return plan
}

// forgetful is a journal that keeps nothing.
type forgetful struct{}

func (forgetful) Begin(string) error                        { return nil }
func (forgetful) Put(resubmit.Record) error                 { return nil }
func (forgetful) Get(string) (resubmit.Record, bool, error) { return resubmit.Record{}, false, nil }

func (s *bits) apply(tb testing.TB, plan *plan.Plan, change func(*resubmit.Config)) {
	cfg := resubmit.Config{
		Systems: systemsOf(resubmit.Systems{Reader: s, Pusher: s}), Journal: forgetful{}, RateLimit: 1e7, Concurrency: 64,
		Verify:    resubmit.VerifyConfig{InitialInterval: -1},
		OmitItems: true,
	}
	change(&cfg)
	r, err := resubmit.NewRunner(cfg)
	require.NoError(tb, err)
	report, err := r.Apply(tb.Context(), plan)
	require.NoError(tb, err)
	want := resubmit.OutcomeCounts{Completed: plan.Counts().Resubmit}
	if s.refuses {
		want = resubmit.OutcomeCounts{FailedAgain: 1, Skipped: plan.Counts().Resubmit - 1}
	}
	require.Equal(tb, want, report.Result)
}

// BenchmarkApplyMemory applies a plan of b.N orders with all guards on. For the
// budget, a million orders in 256 MiB, run it with -benchtime 1000000x. The peak is
// that of the whole process, the plan's making included.
func BenchmarkApplyMemory(b *testing.B) {
	for name, change := range map[string]func(b *testing.B, s *bits, c *resubmit.Config){
		"engine":             func(*testing.B, *bits, *resubmit.Config) {},
		"canary-stops-early": func(_ *testing.B, s *bits, _ *resubmit.Config) { s.refuses = true },
		"durable-journal": func(b *testing.B, _ *bits, c *resubmit.Config) {
			j, err := journal.Open(filepath.Join(b.TempDir(), "journal"))
			require.NoError(b, err)
			b.Cleanup(func() { _ = j.Close() })
			c.Journal = j
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := newBits(b.N)
			plan := s.planOf(b, b.N)
			b.ReportAllocs()
			b.ResetTimer()
			s.apply(b, plan, func(c *resubmit.Config) { change(b, s, c) })
			b.StopTimer()
			reportMemory(b)
		})
	}
}

// The memory that a run holds must not depend on how many orders there are, also
// while the canary holds nearly all of them back.
func TestApplyHoldsNoMoreMemoryForMoreOrders(t *testing.T) {
	live := func(n int) (least uint64) {
		s := newBits(n)
		plan := s.planOf(t, n)
		least = math.MaxUint64
		var mu sync.Mutex
		reads := 0
		s.onRead = func(int) {
			mu.Lock()
			defer mu.Unlock()
			if reads++; reads < n || reads%(n/10) != 0 {
				return
			}
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			least = min(least, m.HeapAlloc) // the others go on, and what they leave is no matter
		}
		s.apply(t, plan, func(c *resubmit.Config) { c.MaxOpenOrders = 500 })
		return least
	}
	live(2_000) // whatever is made once
	small, large := live(testkit.Scale(10_000, 4_000)), live(testkit.Scale(100_000, 30_000))
	require.Less(t, large, small+uint64(testkit.Scale(3<<20, 1<<20)), "bytes live, when many more orders are done")
}
