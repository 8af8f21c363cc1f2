package journal_test

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

func TestAHoldIsKeptOverACrash(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	until := time.Date(2026, 11, 23, 4, 0, 0, 123456789, time.FixedZone("", 3600))
	require.ErrorContains(t, j.PutHold(until), "call Begin before")
	require.NoError(t, j.Begin(plan))
	holds := func(want time.Time) {
		t.Helper()
		for _, j := range []*journal.Journal{j, open(t, leftBehind(t, path)), open(t, leftBehind(t, path), journal.ReadOnly())} {
			got, err := j.Hold()
			require.NoError(t, err)
			require.True(t, want.Equal(got), got)
			require.NoError(t, j.Check())
		}
	}
	holds(time.Time{})
	require.NoError(t, j.PutHold(time.Time{}))
	holds(time.Time{})
	for _, step := range []struct{ put, want time.Time }{
		{until, until},
		{until.Add(-time.Hour), until},
		{until.Add(time.Nanosecond), until.Add(time.Nanosecond)},
		{time.Time{}, time.Time{}},
		{until.Add(-time.Hour), until.Add(-time.Hour)},
	} {
		require.NoError(t, j.PutLater(record("1", resubmit.RecordPushed)))
		require.NoError(t, j.PutHold(step.put))
		holds(step.want)
	}
	require.Error(t, j.PutHold(time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)), "a time that cannot be written")
	require.ErrorContains(t, open(t, leftBehind(t, path), journal.ReadOnly()).PutHold(until), "for reading only")
}

func TestAHoldIsPutBesideRecords(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path, journal.NoSync())
	require.NoError(t, j.Begin(plan))
	until := time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)
	var all sync.WaitGroup
	for n := range 50 {
		all.Go(func() {
			if err := j.PutHold(until.Add(time.Duration(n) * time.Second)); err != nil {
				t.Error(err)
			}
		})
	}
	fill(t, j, 1000)
	all.Wait()
	left := open(t, leftBehind(t, path))
	got, err := left.Hold()
	require.NoError(t, err)
	require.Equal(t, until.Add(49*time.Second), got)
	s, err := left.Summary()
	require.NoError(t, err)
	require.Equal(t, 1000, s.Records)
	require.NoError(t, left.Check())
}

func TestAHoldOfAJournalThatIsClosedIsNotKnown(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(filled(t, 1))
	require.NoError(t, err)
	require.NoError(t, j.Close())
	_, err = j.Hold()
	require.Error(t, err)
	require.Error(t, j.PutHold(time.Now()))
}
