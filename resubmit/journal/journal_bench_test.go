package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

func record(id string, state resubmit.RecordState) resubmit.Record {
	return resubmit.Record{
		OrderID: id, Fingerprint: "0123456789abcdef0123456789abcdef", State: state, Attempt: 1,
		Target: "PD", Seen: "PF", At: time.Date(2026, 11, 23, 3, 0, 0, 123456789, time.UTC),
		Why: "Commerce accepted the push to PD",
	}
}

// BenchmarkSync is what the disk gives: one page written and synced.
func BenchmarkSync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "sync"))
	require.NoError(b, err)
	defer func() { require.NoError(b, f.Close()) }()
	page := make([]byte, 4096)
	for b.Loop() {
		_, err := f.WriteAt(page, 0)
		require.NoError(b, err)
		require.NoError(b, f.Sync())
	}
}

func BenchmarkPut(b *testing.B) {
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			j, err := journal.Open(filepath.Join(b.TempDir(), "journal"))
			require.NoError(b, err)
			defer func() { require.NoError(b, j.Close()) }()
			require.NoError(b, j.Begin("sha256:bench"))
			var next atomic.Int64
			var callersDone sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for range callers {
				callersDone.Go(func() {
					// Each order has two records: the intent and its outcome.
					for n := next.Add(2); n <= int64(b.N)+1; n = next.Add(2) {
						id := strconv.FormatInt(1_000_000+n/2, 10)
						for _, state := range []resubmit.RecordState{resubmit.RecordSending, resubmit.RecordPushed} {
							if err := j.Put(record(id, state)); err != nil {
								b.Error(err)
							}
						}
					}
				})
			}
			callersDone.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
