package journal_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

// journalOf makes a journal of so many orders.
func journalOf(tb testing.TB, orders int) *journal.Journal {
	j, err := journal.Open(filepath.Join(tb.TempDir(), "journal"), journal.NoSync())
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = j.Close() })
	require.NoError(tb, j.Begin("sha256:1"))
	for i := range orders {
		require.NoError(tb, j.PutLater(resubmit.Record{
			OrderID: fmt.Sprintf("8f5b1c1e-0000-4000-8000-%012d", i), Fingerprint: "12345678901234567890123456789012",
			State: resubmit.RecordCompleted, Attempt: 1, Target: "PD", Seen: "CP", At: time.Unix(int64(i), 0).UTC(),
			Why: "completed in Commerce and approved in Connect",
		}))
	}
	return j
}

func TestHeadsMatchGet(t *testing.T) {
	for _, orders := range []int{0, 1, 63, 64, 65, 3000} {
		t.Run(fmt.Sprint(orders), func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			j := journalOf(t, orders)
			seen := make(map[string]bool)
			for r, err := range j.Heads() {
				require.NoError(t, err)
				want, found, err := j.Get(r.OrderID)
				require.NoError(t, err)
				require.True(t, found)
				require.Equal(t, want.Head(), r)
				require.False(t, seen[r.OrderID])
				seen[r.OrderID] = true
			}
			require.Len(t, seen, orders, "those that were put later too")
			for range j.Heads() {
				break // and nothing goes on behind it
			}
		})
	}
}

func TestHeadsOfClosedJournal(t *testing.T) {
	t.Parallel()
	j := journalOf(t, 3)
	require.NoError(t, j.Close())
	n := 0
	for r, err := range j.Heads() {
		require.ErrorIs(t, err, os.ErrClosed)
		require.Zero(t, r)
		n++
	}
	require.Equal(t, 1, n)
}

func TestHeadsAfterPanicOfCaller(t *testing.T) {
	t.Parallel()
	j := journalOf(t, 3)
	mine := errors.New("mine")
	require.PanicsWithError(t, "mine", func() {
		for range j.Heads() {
			panic(mine)
		}
	})
	require.NoError(t, j.Check())
}

func BenchmarkHeads(b *testing.B) {
	j := journalOf(b, b.N)
	require.NoError(b, j.Sync())
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	for _, err := range j.Heads() {
		if err != nil {
			b.Fatal(err)
		}
		n++
	}
	require.Equal(b, b.N, n)
}
