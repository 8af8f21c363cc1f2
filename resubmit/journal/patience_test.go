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

// patience asks for a minute from a time on.
func patience(asked time.Time) resubmit.Patience {
	return resubmit.Patience{Asked: asked, Until: asked.Add(time.Minute)}
}

var asked = time.Date(2026, 11, 23, 4, 0, 0, 123456789, time.UTC)

func TestPatienceSurvivesCrash(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	require.ErrorContains(t, j.PutPatience(patience(asked)), "call Begin before")
	require.NoError(t, j.Begin(plan))
	keeps := func(want resubmit.Patience) {
		t.Helper()
		for _, j := range []*journal.Journal{j, open(t, leftBehind(t, path)),
			open(t, leftBehind(t, path), journal.ReadOnly())} {
			got, err := j.Patience()
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.NoError(t, j.Check())
		}
	}
	keeps(resubmit.Patience{})
	for _, p := range []resubmit.Patience{patience(asked), patience(asked.Add(-time.Hour)), {},
		patience(asked.Add(time.Nanosecond))} {
		require.NoError(t, j.PutLater(record("1", resubmit.RecordPushed)))
		require.NoError(t, j.PutPatience(p))
		keeps(p)
	}
	require.Error(t, j.PutPatience(patience(time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC))),
		"a time that cannot be written")
	keeps(patience(asked.Add(time.Nanosecond)))
	require.ErrorContains(t, open(t, leftBehind(t, path), journal.ReadOnly()).PutPatience(patience(asked)),
		"for reading only")
}

func TestPatienceAndRecords(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path, journal.NoSync())
	require.NoError(t, j.Begin(plan))
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if err := j.PutPatience(patience(asked)); err != nil {
				t.Error(err)
			}
		})
	}
	fill(t, j, 1000)
	all.Wait()
	left := open(t, leftBehind(t, path))
	got, err := left.Patience()
	require.NoError(t, err)
	require.Equal(t, patience(asked), got)
	s, err := left.Summary()
	require.NoError(t, err)
	require.Equal(t, 1000, s.Records)
	require.NoError(t, left.Check())
}

func TestPatienceOfClosedJournal(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(filled(t, 1))
	require.NoError(t, err)
	require.NoError(t, j.Close())
	_, err = j.Patience()
	require.Error(t, err)
	require.Error(t, j.PutPatience(patience(time.Now())))
}
