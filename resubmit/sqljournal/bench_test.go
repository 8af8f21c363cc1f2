//go:build unix

package sqljournal_test

import (
	"fmt"
	"path/filepath"
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

// claim returns the records of a claim: an order and its two lanes.
func claim(n int64) []protocol.Record {
	at := time.Date(2026, 11, 23, 3, 0, 0, 123456000, time.UTC).Add(time.Duration(n) * time.Millisecond)
	id := fmt.Sprint(10_000_000 + n)
	lane := func(lane string) protocol.Record {
		return protocol.Record{Key: protocol.Key{Kind: protocol.KindLane, ID: lane + id}, At: at, Lane: &protocol.Lane{
			Order: id, Number: "SO" + id, Newest: id, NewestAt: at,
		}}
	}
	return []protocol.Record{{Key: protocol.OrderKey(id), At: at, Order: &protocol.Order{
		Number: "SO" + id, Run: "sha256:" + strings.Repeat("0123456789abcdef", 4), Epoch: 1,
		Fingerprint: fmt.Sprintf("%032x", n), Template: fmt.Sprintf("%032x", n%100),
		Lanes: []string{"subscription " + id, "tenant " + id}, PlacedAt: at, Phase: protocol.Claimed, Attempts: 1,
		Resubmissions: 1, Target: "PD", Status: "PF", ClaimedAt: at, FirstClaimAt: at, Why: "about to be pushed",
	}}, lane("subscription "), lane("tenant ")}
}

// BenchmarkPut claims orders with two lanes each, next to the file journal.
func BenchmarkPut(b *testing.B) {
	journals := map[string]func(b *testing.B) resubmit.Journal{
		"file": func(b *testing.B) resubmit.Journal {
			j, err := journal.Open(filepath.Join(b.TempDir(), "journal"))
			require.NoError(b, err)
			b.Cleanup(func() { require.NoError(b, j.Close()) })
			return j
		},
	}
	for _, d := range dialects() {
		journals[string(d)] = func(b *testing.B) resubmit.Journal { return placeFor(b, d, b.TempDir()).journal(b) }
	}
	for name, open := range journals {
		for _, callers := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/callers=%d", name, callers), func(b *testing.B) {
				j := open(b)
				_, err := j.Begin(b.Context(), use(""))
				require.NoError(b, err)
				var next atomic.Int64
				var all sync.WaitGroup
				b.ResetTimer()
				for range callers {
					all.Go(func() {
						for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
							if _, err := j.Put(b.Context(), resubmit.Durable, claim(n)...); err != nil {
								b.Error(err)
							}
						}
					})
				}
				all.Wait()
				b.ReportMetric(3*float64(b.N)/b.Elapsed().Seconds(), "records/s")
			})
		}
	}
}
