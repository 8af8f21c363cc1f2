package journaltest_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/journaltest"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// inMemory opens journals in memory, wrapped.
func inMemory(wrap func(*resubmit.MemoryJournal) resubmit.Journal) journaltest.Opener {
	var journals sync.Map
	return func(dir string) (resubmit.Journal, error) {
		j, _ := journals.LoadOrStore(dir, wrap(new(resubmit.MemoryJournal)))
		return j.(resubmit.Journal), nil
	}
}

func TestMemoryJournal(t *testing.T) {
	t.Parallel()
	journaltest.Run(t, inMemory(func(j *resubmit.MemoryJournal) resubmit.Journal { return j }))
}

func TestMemoryJournalLeasesExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j resubmit.MemoryJournal
		l, err := j.Begin(t.Context(), resubmit.JournalUse{System: "s", Plan: "one"})
		require.NoError(t, err)
		require.Equal(t, time.Minute, l.Duration)
		r := protocol.Record{Key: protocol.Key{Kind: protocol.KindRun, ID: "one"}, Run: &protocol.Run{Epoch: l.Epoch}}
		end := func() time.Duration {
			got, err := j.Get(t.Context(), r.Key)
			require.NoError(t, err)
			return time.Until(got.Run.LeaseEnd)
		}
		r.Version, err = j.Put(t.Context(), resubmit.Durable, r)
		require.NoError(t, err)
		require.Equal(t, time.Minute, end())
		time.Sleep(45 * time.Second)
		require.Equal(t, 15*time.Second, end(), "only a write of the run renews its lease")
		r.Version, err = j.Put(t.Context(), resubmit.Deferred, r)
		require.NoError(t, err)
		require.Equal(t, time.Minute, end())
		time.Sleep(2 * time.Minute)
		require.Equal(t, -time.Minute, end())
		r.Run.Ended = time.Now()
		_, err = j.Put(t.Context(), resubmit.Durable, r)
		require.NoError(t, err)
		require.Zero(t, end())
	})
}
