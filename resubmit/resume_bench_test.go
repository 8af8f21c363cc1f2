package resubmit_test

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// firstCall is a Commerce that ends the run at the first call.
type firstCall struct {
	once sync.Once
	end  context.CancelFunc
	id   string
	at   time.Time
}

func (f *firstCall) Order(_ context.Context, id string) (*commerce.Order, error) {
	f.once.Do(func() {
		f.id, f.at = id, time.Now()
		f.end()
	})
	return nil, errors.New("the run is over")
}

func (f *firstCall) Push(context.Context, string, commerce.Status) error {
	return errors.New("nothing is pushed")
}

// BenchmarkResume measures how long a plan of b.N orders takes to its first call
// when it is opened again with the journal of a run that was killed before the last
// order: the journal is opened, the plan is opened and hashed, and all other orders are
// passed over. For the budget, a million orders in 2 s, run it with
// -benchtime 1000000x; filling the journal takes longer than that.
func BenchmarkResume(b *testing.B) {
	all := benchFailures
	benchFailures = all[:1] // all are to be resubmitted
	defer func() { benchFailures = all }()
	folder := b.TempDir()
	planPath, journalPath := filepath.Join(folder, "plan.jsonl"), filepath.Join(folder, "journal")
	counts, err := resubmit.WritePlanFile(b.Context(), benchConfig(b, b.N), planPath)
	require.NoError(b, err)
	require.Equal(b, b.N, counts.Resubmit)
	fillJournal(b, planPath, journalPath)

	b.ReportAllocs()
	b.ResetTimer()
	start, cpu := time.Now(), cpuTime()
	j, err := journal.Open(journalPath)
	require.NoError(b, err)
	defer func() { require.NoError(b, j.Close()) }()
	plan, err := plan.Open(planPath)
	require.NoError(b, err)
	defer func() { require.NoError(b, plan.Close()) }()
	opened := time.Now()
	ctx, cancel := context.WithCancel(b.Context())
	commerce := &firstCall{end: cancel}
	runner, err := resubmit.NewRunner(resubmit.Config{
		Systems: systemsOf(resubmit.Systems{Reader: commerce, Pusher: commerce}), Journal: j, RateLimit: -1, OmitItems: true,
	})
	require.NoError(b, err)
	report, err := runner.Apply(ctx, plan)
	b.StopTimer()
	require.ErrorIs(b, err, context.Canceled)
	require.Equal(b, b.N, report.Result.Total())
	require.Equal(b, lastOrder(b.N), commerce.id)
	b.ReportMetric((cpuTime() - cpu).Seconds(), "cpu-s")
	b.ReportMetric(opened.Sub(start).Seconds(), "s-to-open-plan")
	b.ReportMetric(commerce.at.Sub(start).Seconds(), "s-to-first-call")
	reportMemory(b)
}

func lastOrder(n int) string { return "8f5b1c1e-0000-4000-8000-00000" + strconv.Itoa(1_000_000+n-1) }

// fillJournal writes that all orders of a plan but the last one have completed.
func fillJournal(tb testing.TB, planPath, journalPath string) {
	plan, err := plan.Open(planPath)
	require.NoError(tb, err)
	defer func() { require.NoError(tb, plan.Close()) }()
	j, err := journal.Open(journalPath)
	require.NoError(tb, err)
	defer func() { require.NoError(tb, j.Close()) }()
	require.NoError(tb, j.Begin(plan.Digest()))
	records := make(chan resubmit.Record)
	var writers sync.WaitGroup
	for range 1024 { // that many share a sync
		writers.Go(func() {
			for r := range records {
				if err := j.Put(r); err != nil {
					tb.Error(err)
				}
			}
		})
	}
	left := plan.Counts().Total
	for e, err := range plan.Entries() {
		require.NoError(tb, err)
		if left--; left == 0 {
			break
		}
		records <- resubmit.Record{
			OrderID: e.OrderID, Fingerprint: e.Fingerprint, State: resubmit.RecordCompleted, Attempt: 1,
			Target: commerce.StatusPaid, Seen: commerce.StatusCompleted, At: time.Now(),
			Why: "completed in Commerce and approved in Connect",
		}
	}
	close(records)
	writers.Wait()
}
