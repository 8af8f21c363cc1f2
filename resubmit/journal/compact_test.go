package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// TestCompact: records, versions, numbers, positions and the identity survive, and garbage does not.
func TestCompact(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	positions := []plan.Position{begin(t, j).Position}
	want := make(map[protocol.Key]protocol.Record)
	for n := range 300 {
		r := order(fmt.Sprint(n % 40))
		r.Order.Why = strings.Repeat("long ", 100)
		r.Version = want[r.Key].Version
		r.Version = put(t, j, resubmit.Deferred, r)
		want[r.Key] = r
		if n%10 == 0 {
			positions = append(positions, flush(t, j))
		}
	}
	removed := want[protocol.OrderKey("7")]
	put(t, j, resubmit.Durable, protocol.Record{Key: removed.Key, Version: removed.Version})
	delete(want, removed.Key)
	positions = append(positions, flush(t, j))
	require.NoError(t, j.Close())
	for round := range 3 {
		before, after, err := journal.Compact(path)
		require.NoError(t, err)
		if round == 0 {
			require.Less(t, after, before/4)
		}
		j = open(t, path)
		require.Len(t, want, 39)
		for k, r := range want {
			require.Equal(t, r, get(t, j, k))
		}
		n := 0
		for r, err := range j.Records(t.Context()) {
			require.NoError(t, err)
			require.Equal(t, want[r.Key], r)
			n++
		}
		require.Equal(t, len(want), n)
		require.Equal(t, positions[len(positions)-1], flush(t, j))
		for _, p := range positions {
			_, err := j.Begin(t.Context(), resubmit.JournalUse{
				System: "ordermanager", BaseURL: "https://mn.example.net", IDSpace: "aps", After: p,
			})
			require.NoError(t, err)
		}
		_, err = j.Put(t.Context(), resubmit.Durable, protocol.Record{
			Key: protocol.OrderKey("other"), Order: &protocol.Order{Number: "SO1"},
		})
		require.ErrorIs(t, err, resubmit.ErrOrderNumber)
		r := want[protocol.OrderKey("1")]
		require.Greater(t, begin(t, j).Epoch, r.Version)
		r.Version = put(t, j, resubmit.Durable, r)
		want[r.Key] = r
		positions = append(positions, flush(t, j))
		require.NoError(t, j.Close())
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
}

// TestCompactRemembersPlans: the position of a plan survives any number of positions of an anchor.
func TestCompactRemembersPlans(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path, journal.WithSync(func(*os.File) error { return nil }))
	planned := begin(t, j).Position
	r := order("1")
	var last plan.Position
	for range 17_000 {
		r.Version = put(t, j, resubmit.Deferred, r)
		last = flush(t, j)
	}
	require.NoError(t, j.Close())
	_, after, err := journal.Compact(path)
	require.NoError(t, err)
	require.Less(t, after, int64(1<<20))
	j = open(t, path)
	for _, p := range []plan.Position{planned, last} {
		_, err = j.Begin(t.Context(), resubmit.JournalUse{
			System: "ordermanager", BaseURL: "https://mn.example.net", IDSpace: "aps", After: p,
		})
		require.NoError(t, err)
	}
}

// TestCompactOfACopy: an older copy that was compacted is still an older copy.
func TestCompactOfACopy(t *testing.T) {
	t.Parallel()
	path := filled(t, 3)
	older := changed(t, content(t, path), func(b []byte) []byte { return b })
	j := open(t, path)
	put(t, j, resubmit.Durable, order("new"))
	p := flush(t, j)
	require.NoError(t, j.Close())
	j = open(t, older)
	put(t, j, resubmit.Durable, order("another"))
	flush(t, j)
	put(t, j, resubmit.Durable, order("and one more"))
	require.NoError(t, j.Close())
	for range 2 {
		_, _, err := journal.Compact(older)
		require.NoError(t, err)
		j = open(t, older)
		_, err = j.Begin(t.Context(), resubmit.JournalUse{
			System: "ordermanager", BaseURL: "https://mn.example.net", IDSpace: "aps", After: p,
		})
		require.ErrorIs(t, err, resubmit.ErrJournalMismatch)
		require.NoError(t, j.Close())
	}
}

func TestCompactRejects(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	_, _, err := journal.Compact(path)
	require.ErrorContains(t, err, "there is nothing to compact")
	require.NoFileExists(t, path)
	path = filled(t, 1)
	_, _, err = journal.Compact(path, journal.WithReadOnly())
	require.ErrorContains(t, err, "there is nothing to compact")
	open(t, path)
	_, _, err = journal.Compact(path, journal.WithLockTimeout(0))
	require.ErrorContains(t, err, "is held by ")
}

// TestCloseCompacts when most of a large file is garbage, and after a month.
func TestCloseCompacts(t *testing.T) {
	t.Parallel()
	t.Run("garbage", func(t *testing.T) {
		t.Parallel()
		path := filled(t, 1)
		j := open(t, path)
		r := order("large")
		r.Order.Why = strings.Repeat("x", 100_000)
		for range 30 {
			r.Version = put(t, j, resubmit.Deferred, r)
		}
		require.NoError(t, j.Close())
		require.Less(t, len(content(t, path)), 200_000)
		j = open(t, path)
		require.Equal(t, r, get(t, j, r.Key))
	})
	t.Run("age", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			size := func() int {
				j, err := journal.Open(path)
				require.NoError(t, err)
				begin(t, j)
				require.NoError(t, j.Close())
				return len(content(t, path))
			}
			size()
			before := size()
			time.Sleep(29 * 24 * time.Hour)
			require.Greater(t, size(), before)
			time.Sleep(48 * time.Hour)
			size()
			s, err := journal.Check(path)
			require.NoError(t, err)
			require.Equal(t, time.Now().UTC(), s.CompactedAt)
		})
	})
}

func TestRetention(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC()
	old, young := now.Add(-401*24*time.Hour), now.Add(-399*24*time.Hour)
	records := map[string]protocol.Record{
		"completed":          {At: old, Order: &protocol.Order{Phase: protocol.Ended, Outcome: protocol.Completed}},
		"provisioned":        {At: old, Order: &protocol.Order{Phase: protocol.Ended, Outcome: protocol.Skipped, Status: "CP"}},
		"cancelled":          {At: old, Order: &protocol.Order{Phase: protocol.Ended, Outcome: protocol.FailedAgain, Status: "CL"}},
		"keep young":         {At: young, Order: &protocol.Order{Phase: protocol.Ended, Outcome: protocol.Completed}},
		"keep failed":        {At: old, Order: &protocol.Order{Phase: protocol.Ended, Outcome: protocol.FailedAgain, Status: "PF"}},
		"keep unknown":       {At: old, Order: &protocol.Order{Phase: protocol.Ended, Outcome: protocol.Unknown}},
		"keep claimed":       {At: old, Order: &protocol.Order{Phase: protocol.Claimed}},
		"keep pushed":        {At: old, Order: &protocol.Order{Phase: protocol.Pushed, Status: "CP"}},
		"free lane":          {At: old, Lane: &protocol.Lane{Newest: "1"}},
		"keep young lane":    {At: young, Lane: &protocol.Lane{}},
		"keep busy lane":     {At: old, Lane: &protocol.Lane{Order: "1"}},
		"keep blocked lane":  {At: old, Lane: &protocol.Lane{Order: "1", Blocked: true}},
		"keep run":           {At: old, Run: &protocol.Run{Ended: old}},
		"keep system record": {At: old, System: &protocol.System{}},
	}
	for _, forever := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "journal")
		j := open(t, path)
		begin(t, j)
		for id, r := range records {
			r.ID = id
			switch {
			case r.Order != nil:
				r.Kind = protocol.KindOrder
			case r.Lane != nil:
				r.Kind = protocol.KindLane
			case r.Run != nil:
				r.Kind = protocol.KindRun
			default:
				r.Kind = protocol.KindSystem
			}
			put(t, j, resubmit.Deferred, r)
		}
		require.NoError(t, j.Close())
		var opts []journal.Option
		if forever {
			opts = append(opts, journal.WithRetention(0))
		}
		_, _, err := journal.Compact(path, opts...)
		require.NoError(t, err)
		j = open(t, path)
		kept := make(map[string]bool)
		for r, err := range j.Records(t.Context()) {
			require.NoError(t, err)
			kept[r.ID] = true
		}
		for id := range records {
			require.Equal(t, forever || strings.HasPrefix(id, "keep"), kept[id], id)
		}
	}
}
