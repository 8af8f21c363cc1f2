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
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
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
// passed over. For the budget, a million orders in 4 s and 192 MiB, run it with
// -benchtime 1000000x; filling the journal takes longer than that.
func BenchmarkResume(b *testing.B) {
	all := benchFailures
	benchFailures = all[:1] // all are to be resubmitted
	defer func() { benchFailures = all }()
	folder := b.TempDir()
	planPath, journalPath := filepath.Join(folder, "plan.jsonl"), filepath.Join(folder, "journal")
	fillJournal(b, planPath, journalPath)

	b.ReportAllocs()
	forgetMemory()
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

// fillJournal makes a plan of b.N orders, and writes that all of them but the last one have completed.
func fillJournal(tb *testing.B, planPath, journalPath string) {
	j, err := journal.Open(journalPath)
	require.NoError(tb, err)
	defer func() { require.NoError(tb, j.Close()) }()
	config := benchConfig(tb, tb.N)
	config.Journal = j
	counts, err := resubmit.WritePlanFile(tb.Context(), config, planPath)
	require.NoError(tb, err)
	require.Equal(tb, tb.N, counts.Resubmit)
	plan, err := plan.Open(planPath)
	require.NoError(tb, err)
	defer func() { require.NoError(tb, plan.Close()) }()
	records := make(chan []protocol.Record)
	var writers sync.WaitGroup
	for range 1024 { // that many share a sync
		writers.Go(func() {
			for r := range records {
				if _, err := j.Put(tb.Context(), resubmit.Deferred, r...); err != nil {
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
		now := time.Now()
		all := []protocol.Record{{Key: protocol.OrderKey(e.OrderID), At: now, Order: &protocol.Order{
			Number: e.Number, Run: plan.Digest(), Epoch: 1, Fingerprint: e.Fingerprint, Lanes: e.Lanes(),
			PlacedAt: e.Before.PlacedAt, Phase: protocol.Ended, Outcome: protocol.Completed, Attempts: 1, Resubmissions: 1,
			Template: failure.Template(e.Before.Message), Target: commerce.StatusPaid, Status: commerce.StatusCompleted,
			ClaimedAt: now, FirstClaimAt: now, SentAt: now, Why: "completed in Commerce and approved in Connect",
		}}}
		for _, id := range e.Lanes() {
			all = append(all, protocol.Record{
				Key: protocol.Key{Kind: protocol.KindLane, ID: id}, At: now,
				Lane: &protocol.Lane{Newest: e.OrderID, NewestAt: e.Before.PlacedAt},
			})
		}
		records <- all
	}
	close(records)
	writers.Wait()
}
