package resubmit_test

import (
	"context"
	"fmt"
	"iter"
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
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
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
func (s *bits) planOf(tb testing.TB, n int, j resubmit.Journal) *plan.Plan {
	lease, err := j.Begin(tb.Context(), resubmit.JournalUse{System: testSystem})
	require.NoError(tb, err)
	path := filepath.Join(tb.TempDir(), fmt.Sprintf("plan-%d.jsonl", n))
	file, err := os.Create(path)
	require.NoError(tb, err)
	w, err := plan.NewWriter(file, plan.Header{
		CreatedAt: s.began, System: testSystem, View: "Failed Orders", Filter: "everything()",
		Windows: []maintenance.Window{}, Journal: lease.Position,
	})
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

func (forgetful) Begin(context.Context, resubmit.JournalUse) (resubmit.Lease, error) {
	return resubmit.Lease{Position: plan.Position{Journal: "j", Sequence: 1, Hash: "h"}, Epoch: 1}, nil
}

func (forgetful) Put(context.Context, resubmit.Durability, ...protocol.Record) (uint64, error) {
	return 2, nil
}

func (forgetful) Get(context.Context, protocol.Key) (protocol.Record, error) {
	return protocol.Record{}, nil
}

func (forgetful) Records(context.Context) iter.Seq2[protocol.Record, error] {
	return func(func(protocol.Record, error) bool) {}
}

func (forgetful) Flush(context.Context) (plan.Position, error) { return plan.Position{}, nil }

func (s *bits) apply(tb testing.TB, plan *plan.Plan, j resubmit.Journal, change func(*resubmit.Config)) {
	cfg := resubmit.Config{
		Systems: systemsOf(resubmit.Systems{Reader: s, Pusher: s}), Journal: j, RateLimit: 1e5, Concurrency: 64,
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
		want.FailedAgain = want.Completed
		if want.Completed >= 5 { // smaller groups have no canary
			want.FailedAgain = 2
		}
		want.Completed, want.NotStarted = 0, want.Completed-want.FailedAgain
	}
	require.Equal(tb, want, report.Result)
}

// BenchmarkApplyMemory applies a plan of b.N orders with all guards on. For the
// budget, a million orders in 256 MiB, run it with -benchtime 1000000x. The peak is
// that of the whole process, the plan's making included.
func BenchmarkApplyMemory(b *testing.B) {
	for name, open := range map[string]func(b *testing.B, s *bits) resubmit.Journal{
		"engine": func(*testing.B, *bits) resubmit.Journal { return forgetful{} },
		"canary-stops-early": func(_ *testing.B, s *bits) resubmit.Journal {
			s.refuses = true
			return forgetful{}
		},
		"durable-journal": func(b *testing.B, _ *bits) resubmit.Journal {
			j, err := journal.Open(filepath.Join(b.TempDir(), "journal"))
			require.NoError(b, err)
			b.Cleanup(func() { _ = j.Close() })
			return j
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := newBits(b.N)
			j := open(b, s)
			plan := s.planOf(b, b.N, j)
			b.ReportAllocs()
			b.ResetTimer()
			s.apply(b, plan, j, func(*resubmit.Config) {})
			b.StopTimer()
			reportMemory(b)
		})
	}
}

// A run holds the index of its plan, 44 bytes for each order, and how far it got with each. All else must not depend on
// how many orders there are, also while the canary holds nearly all of them back.
func TestApplyHoldsFewBytesForEachOrder(t *testing.T) {
	live := func(n int) (least uint64) {
		s := newBits(n)
		plan := s.planOf(t, n, forgetful{})
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
		s.apply(t, plan, forgetful{}, func(c *resubmit.Config) { c.MaxOpenOrders = 500 })
		return least
	}
	live(2_000) // whatever is made once
	few, many := testkit.Scale(10_000, 2_000), testkit.Scale(100_000, 15_000)
	small, large := live(few), live(many)
	require.Less(t, float64(large)-float64(small), 80*float64(many-few), "bytes live, when many more orders are done")
}
