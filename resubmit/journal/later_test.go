package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

func TestPutLaterIsReadableAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j, err := journal.Open(path)
	require.NoError(t, err)
	require.ErrorContains(t, j.PutLater(record("1", resubmit.RecordPushed)), "call Begin before")
	require.NoError(t, j.Begin(plan))
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			for i := range 20 {
				id := fmt.Sprintf("id-%d-%d", n, i)
				for _, state := range []resubmit.RecordState{resubmit.RecordSending, resubmit.RecordPushed,
					resubmit.RecordCompleted} {
					if err := j.PutLater(record(id, state)); err != nil {
						t.Errorf("%s: %v", id, err)
					}
					if rec, _, err := j.Get(id); err != nil || rec.State != state {
						t.Errorf("%s is %s and not %s: %v", id, rec.State, state, err)
					}
				}
			}
		})
	}
	all.Wait()
	require.Error(t, j.PutLater(record("id-0-0", resubmit.RecordSending)), "an intent is refused as by Put")
	require.NoError(t, j.PutLater(record("last", resubmit.RecordSkipped)))
	require.NoError(t, j.Close())
	require.Error(t, j.PutLater(record("1", resubmit.RecordPushed)))

	j = open(t, path)
	require.NoError(t, j.Check())
	s, err := j.Summary()
	require.NoError(t, err)
	require.Equal(t, 321, s.Records)
	require.Equal(t, map[resubmit.RecordState]int{resubmit.RecordCompleted: 320, resubmit.RecordSkipped: 1}, s.States)
}

func TestPutLaterIsWrittenInTheBackground(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	require.NoError(t, j.Begin(plan))
	before := j.Commits()
	for n := range 50 {
		require.NoError(t, j.PutLater(record(fmt.Sprintf("id-%d", n), resubmit.RecordPushed)))
	}
	require.NoError(t, j.Sync())
	require.Less(t, j.Commits(), before+50)
	require.NoError(t, j.PutLater(record("alone", resubmit.RecordPushed)))
	require.Eventually(t, func() bool {
		s, err := journal.Inspect(leftBehind(t, path))
		return err == nil && s.Records == 51
	}, time.Minute, time.Millisecond)
}

func TestCloseReturnsPutLaterError(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j, err := journal.Open(path)
	require.NoError(t, err)
	require.NoError(t, j.Begin(plan))
	require.NoError(t, os.Truncate(path, 2*4096))
	require.NoError(t, j.PutLater(record("1", resubmit.RecordPushed)))
	require.Eventually(t, j.Failed, time.Minute, time.Millisecond)
	require.Error(t, j.Close(), "nobody was told that the record is lost")
}

func TestRejectedIntentsTakeNoMemory(t *testing.T) {
	t.Parallel()
	j := open(t, filepath.Join(t.TempDir(), "journal"), journal.NoSync())
	require.NoError(t, j.Begin(plan))
	const orders = 30_000
	for n := range orders {
		require.NoError(t, j.PutLater(record(strconv.Itoa(n), resubmit.RecordPushed)))
	}
	require.NoError(t, j.Check())
	for n := range orders {
		require.Error(t, j.Put(record(strconv.Itoa(n), resubmit.RecordSending)))
	}
	require.Less(t, j.Held(), 1<<20)
}

func TestPutLaterErrorIsReturnedByNextCall(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(filled(t, 100))
	require.NoError(t, err)
	require.NoError(t, j.Begin(plan))
	require.NoError(t, j.File().Close())
	require.NoError(t, j.PutLater(record("1", resubmit.RecordPushed)))
	require.Error(t, j.Sync())
	require.Error(t, j.PutLater(record("1", resubmit.RecordPushed)))
	require.Error(t, j.Put(record("2", resubmit.RecordSending)))
	_ = j.Close() // it has no file to close any more
}
