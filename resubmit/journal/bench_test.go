package journal_test

import (
	"fmt"
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

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

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

// claim returns the records of a claim: an order and its two lanes.
func claim(n int) []protocol.Record {
	id := strconv.Itoa(10_000_000 + n)
	at := time.Date(2026, 11, 23, 3, 0, 0, 123456789, time.UTC).Add(time.Duration(n) * time.Millisecond)
	subscription, tenant := "subscription "+id, "tenant "+id
	lane := func(lane string) protocol.Record {
		return protocol.Record{Key: protocol.Key{Kind: protocol.KindLane, ID: lane}, At: at, Lane: &protocol.Lane{
			Order: id, Number: "SO" + id, Newest: id, NewestAt: at,
		}}
	}
	return []protocol.Record{{Key: protocol.OrderKey(id), At: at, Order: &protocol.Order{
		Number: "SO" + id, Run: "sha256:" + strings.Repeat("0123456789abcdef", 4), Epoch: 1,
		Fingerprint: fmt.Sprintf("%032x", n), Template: fmt.Sprintf("%032x", n%100), Lanes: []string{subscription, tenant},
		PlacedAt: at, Phase: protocol.Claimed, Attempts: 1, Resubmissions: 1, Target: "PD", Status: "PF",
		ClaimedAt: at, FirstClaimAt: at, Why: "about to be pushed",
	}}, lane(subscription), lane(tenant)}
}

func BenchmarkPut(b *testing.B) {
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			j := open(b, filepath.Join(b.TempDir(), "journal"))
			begin(b, j)
			var next atomic.Int64
			var callersDone sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			for range callers {
				callersDone.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						if _, err := j.Put(b.Context(), resubmit.Durable, claim(int(n))...); err != nil {
							b.Error(err)
						}
					}
				})
			}
			callersDone.Wait()
			b.ReportMetric(3*float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

// BenchmarkOpen opens a journal of a million orders with a lane, each of which has ended, and reads all records.
func BenchmarkOpen(b *testing.B) {
	const orders = 1_000_000
	path := filepath.Join(b.TempDir(), "journal")
	j := open(b, path)
	begin(b, j)
	for n := range orders {
		records := claim(n)[:2]
		seq, err := j.Put(b.Context(), resubmit.Deferred, records...)
		require.NoError(b, err)
		records[0].Version, records[1].Version = seq, seq
		records[0].Order.Phase = protocol.Pushed
		seq, err = j.Put(b.Context(), resubmit.Deferred, records[0])
		require.NoError(b, err)
		records[0].Version, records[1].Version = seq, seq-1
		records[0].Order.Phase, records[0].Order.Outcome = protocol.Ended, protocol.Completed
		records[1].Lane.Order, records[1].Lane.Number = "", ""
		_, err = j.Put(b.Context(), resubmit.Deferred, records...)
		require.NoError(b, err)
	}
	_, err := j.Flush(b.Context())
	require.NoError(b, err)
	require.NoError(b, os.Link(path, path+".large"))
	require.NoError(b, j.Close())

	for _, suffix := range []string{".large", ""} {
		info, err := os.Stat(path + suffix)
		require.NoError(b, err)
		b.Run(fmt.Sprintf("MiB=%d", info.Size()>>20), func(b *testing.B) {
			for b.Loop() {
				began := cpu(b)
				j, err := journal.Open(path+suffix, journal.WithReadOnly())
				require.NoError(b, err)
				b.ReportMetric((cpu(b) - began).Seconds(), "cpu-s/Open")
				b.ReportMetric(heap(), "heap-MiB")
				n := 0
				began = cpu(b)
				for _, err := range j.Records(b.Context()) {
					require.NoError(b, err)
					n++
				}
				b.ReportMetric((cpu(b) - began).Seconds(), "cpu-s/Records")
				require.Equal(b, 2*orders, n)
				require.NoError(b, j.Close())
			}
		})
	}
}

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

func open(t testing.TB, path string, opts ...journal.Option) *journal.File {
	t.Helper()
	j, err := journal.Open(path, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func begin(t testing.TB, j resubmit.Journal) resubmit.Lease {
	t.Helper()
	l, err := j.Begin(t.Context(), resubmit.JournalUse{
		System: "ordermanager", BaseURL: "https://mn.example.net", IDSpace: "aps", Plan: "sha256:1", Owner: "test",
	})
	require.NoError(t, err)
	return l
}
