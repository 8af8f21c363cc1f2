package journal_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

func TestFullDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path, journal.MaxSize(1<<20))
	require.NoError(t, j.Begin(plan))
	kept := make(map[string]bool)
	var full error
	for n := 0; full == nil && n < 100; n++ {
		r := record(fmt.Sprintf("id-%d", n), resubmit.RecordSending)
		r.Why = strings.Repeat("long ", 8_000)
		if full = j.Put(r); full == nil {
			kept[r.OrderID] = true
		}
	}
	require.ErrorContains(t, full, "open the journal again to continue")
	require.ErrorContains(t, full, path)
	oneLine(t, full)
	require.Greater(t, len(kept), 5)
	require.Equal(t, full, j.Put(record("later", resubmit.RecordSending)), "what is on disk is not sure any more")
	require.NoError(t, j.Close())

	j = open(t, path)
	require.NoError(t, j.Check())
	s, err := j.Summary()
	require.NoError(t, err)
	require.Equal(t, len(kept), s.Records)
	for id := range kept {
		_, found, err := j.Get(id)
		require.NoError(t, err)
		require.True(t, found)
	}
}

func TestWriteErrorReachesAllCallers(t *testing.T) {
	t.Parallel()
	path := filled(t, 100)
	j, err := journal.Open(path)
	require.NoError(t, err)
	require.NoError(t, j.Begin(plan))
	require.NoError(t, j.File().Close())
	var all sync.WaitGroup
	errs := make([]error, 50)
	for n := range errs {
		all.Go(func() { errs[n] = j.Put(record(fmt.Sprintf("id-%d", n), resubmit.RecordSending)) })
	}
	all.Wait()
	for _, err := range errs {
		require.Error(t, err)
		oneLine(t, err)
		require.NotErrorIs(t, err, journal.ErrDamaged)
	}
	_ = j.Close() // it has no file to close any more
}

func TestLoneCallerCommitsImmediately(t *testing.T) {
	t.Parallel()
	j := open(t, filepath.Join(t.TempDir(), "journal"), journal.NoSync())
	require.NoError(t, j.Begin(plan))
	before := j.Commits()
	for n := range 50 {
		require.NoError(t, j.Put(record(fmt.Sprintf("id-%d", n), resubmit.RecordSending)))
	}
	require.Equal(t, before+50, j.Commits())
}

func TestConcurrentCallersShareASync(t *testing.T) {
	t.Parallel()
	j := open(t, filepath.Join(t.TempDir(), "journal"))
	require.NoError(t, j.Begin(plan))
	before := j.Commits()
	fill(t, j, 2000)
	require.Less(t, j.Commits()-before, 500)
	require.NoError(t, j.Check())
}
