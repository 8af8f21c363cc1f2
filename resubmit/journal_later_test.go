package resubmit_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// laterJournal keeps what it is given later apart, until Sync.
type laterJournal struct {
	resubmit.MemoryJournal
	mu    sync.Mutex
	later []resubmit.RecordState
	fails error
}

func (j *laterJournal) PutLater(r resubmit.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.later = append(j.later, r.State)
	return j.Put(r)
}

func (j *laterJournal) Sync() error { return j.fails }

func TestLaterJournalWaitsOnlyForIntents(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		attempts resubmit.RetryPolicy
		later    []resubmit.RecordState
	}{
		"what came of a push is not": {
			later: []resubmit.RecordState{resubmit.RecordPushed, resubmit.RecordCompleted},
		},
		"unless a policy could have the order pushed again": {attempts: resubmit.RetryPolicy{MaxAttempts: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, j := newShop(outageOrder(1, "1")), new(laterJournal)
				r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal, c.Retry = j, tt.attempts })
				report, err := r.Apply(t.Context(), planFor(t, s.orders["id-1"]))
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
				require.Equal(t, tt.later, j.later)
			})
		})
	}
}

func TestLaterJournalReportsALostOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, j := newShop(outageOrder(1, "1")), &laterJournal{fails: errors.New("the disk is gone")}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = j })
		report, err := r.Apply(t.Context(), planFor(t, s.orders["id-1"]))
		require.ErrorIs(t, err, j.fails)
		require.Equal(t, err.Error(), report.Err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result, "that is true all the same")
	})
}
