package resubmit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// frozenJournal does not return from a Put between two times, as if the process were suspended, or fails renewals of
// the lease in that time.
type frozenJournal struct {
	resubmit.Journal
	from, to time.Time
	fails    error // of renewals, instead
}

func (j frozenJournal) Put(ctx context.Context, d resubmit.Durability, r ...protocol.Record) (uint64, error) {
	now := time.Now()
	switch in := !now.Before(j.from) && now.Before(j.to); {
	case in && j.fails != nil && r[0].Kind == protocol.KindRun:
		return 0, j.fails
	case in && j.fails == nil:
		<-time.After(j.to.Sub(now))
	}
	return j.Journal.Put(ctx, d, r...)
}

// leaseTrust is how long a lease of a minute is trusted after its last renewal began.
const leaseTrust = 55 * time.Second

func TestLeaseThatCannotBeRenewedEndsTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(200)
		s := newShop(orders...)
		start := time.Now()
		full := errors.New("the connection to the journal is gone")
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Journal = frozenJournal{c.Journal, start.Add(20 * time.Second), start.Add(time.Hour), full}
			c.RateLimit = 3
		})
		p := planFor(t, orders...)
		report, err := r.Apply(t.Context(), p)
		require.ErrorIs(t, err, resubmit.ErrLeaseLost)
		require.ErrorIs(t, err, full)
		require.ErrorContains(t, err, "apply the plan again")
		renewed := start.Add(15 * time.Second) // the last time that worked
		require.NotEmpty(t, s.ledger)
		for _, l := range s.ledger {
			require.Less(t, l.at.Sub(renewed), leaseTrust)
		}
		require.Positive(t, report.Result.NotStarted)
		require.Equal(t, 200, report.Result.Total())

		<-time.After(time.Hour)
		report, err = runnerFor(t, s, nil).Apply(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 200}, report.Result)
		require.Len(t, s.ledger, 200)
	})
}

// tardyJournal writes the first renewal of a lease at once, answers it late, and fails the others.
type tardyJournal struct {
	resubmit.Journal
	renewed time.Time
}

func (j *tardyJournal) Put(ctx context.Context, d resubmit.Durability, r ...protocol.Record) (uint64, error) {
	renewal := r[0].Kind == protocol.KindRun && r[0].Run.Ended.IsZero() && r[0].Run.Renewals > 0
	if renewal && r[0].Run.Renewals > 1 {
		return 0, errors.New("the connection to the journal is gone")
	}
	seq, err := j.Journal.Put(ctx, d, r...)
	if renewal {
		j.renewed = time.Now()
		<-time.After(38 * time.Second)
	}
	return seq, err
}

// The journal counts a lease from when it is written, which may be long before its answer.
func TestLeaseIsCountedFromTheBeginningOfItsRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(200)
		s := newShop(orders...)
		j := &tardyJournal{Journal: journalOf(t)}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal, c.RateLimit = j, 2 })
		_, err := r.Apply(t.Context(), planFor(t, orders...))
		require.ErrorIs(t, err, resubmit.ErrLeaseLost)
		require.NotEmpty(t, s.ledger)
		for _, l := range s.ledger {
			require.Less(t, l.at.Sub(j.renewed), leaseTrust)
		}
	})
}

// mutedJournal writes the first renewal of a lease, but returns an error.
type mutedJournal struct {
	resubmit.Journal
	err error
}

func (j *mutedJournal) Put(ctx context.Context, d resubmit.Durability, r ...protocol.Record) (uint64, error) {
	seq, err := j.Journal.Put(ctx, d, r...)
	if err == nil && r[0].Run != nil && r[0].Run.Renewals == 1 {
		return 0, j.err
	}
	return seq, err
}

func TestLeaseSurvivesARenewalWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(100)
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Journal, c.RateLimit = &mutedJournal{c.Journal, errors.New("the connection was lost during the commit")}, 1
		})
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 100}, report.Result)
	})
}

// replacedJournal is replaced by another one after a while.
type replacedJournal struct {
	resubmit.Journal
	other resubmit.Journal
	at    time.Time
}

func (j *replacedJournal) Put(ctx context.Context, d resubmit.Durability, r ...protocol.Record) (uint64, error) {
	if time.Now().Before(j.at) {
		return j.Journal.Put(ctx, d, r...)
	}
	return j.other.Put(ctx, d, r...)
}

func TestJournalThatIsReplacedEndsTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(100)
		s := newShop(orders...)
		start := time.Now()
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Journal, c.RateLimit = &replacedJournal{c.Journal, new(resubmit.MemoryJournal), start.Add(20 * time.Second)}, 1
		})
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.ErrorIs(t, err, resubmit.ErrJournalMismatch)
		require.Less(t, time.Since(start), 40*time.Second)
		require.Positive(t, report.Result.NotStarted)
	})
}

// A process that was suspended between its claim and its push does not send late. If its lease is over when it wakes, its
// run ends.
func TestSuspendedProcessDoesNotSendLate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		suspended time.Duration
		lost      bool
	}{
		"until the order was read too long ago": {6 * time.Second, false},
		"until the claim is too old":            {12 * time.Second, false},
		"until the lease is over":               {30 * time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				o := outageOrder(1, "a")
				s := newShop(o)
				r := runnerFor(t, s, func(c *resubmit.Config) {
					// The run is paused for two seconds: the first Put after that is the claim.
					frozen := frozenJournal{c.Journal, start.Add(2 * time.Second), start.Add(2*time.Second + tt.suspended), nil}
					c.Journal = claimJournal{frozen, s}
				})
				r.Pause()
				time.AfterFunc(2*time.Second, r.Resume)
				p := planFor(t, o)
				report, err := r.Apply(t.Context(), p)
				if tt.lost {
					require.ErrorIs(t, err, resubmit.ErrLeaseLost)
					require.Empty(t, s.ledger)
					if rec := recordOf(t, 1); rec != nil { // else the end of the run has prevented the claim
						require.Equal(t, protocol.Open, rec.Phase, "the claim was released")
						require.Zero(t, rec.Attempts)
					}
					report, err = runnerFor(t, s, nil).Apply(t.Context(), p)
				}
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
				require.Len(t, s.ledger, 1)
				if !tt.lost {
					require.Equal(t, []string{"read id-1", "claim id-1", "read id-1", "claim id-1", "push id-1"}, s.steps[:5])
				}
			})
		})
	}
}
