package resubmit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// askedForPatience applies a plan until the server has asked to be left alone, and then
// kills the program.
func askedForPatience(t *testing.T, s *shop, plan *plan.Plan, j resubmit.Journal) (asked time.Time) {
	t.Helper()
	ctx, kill := context.WithTimeout(t.Context(), time.Minute)
	defer kill()
	r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = j })
	_, err := r.Apply(ctx, plan)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotEmpty(t, s.calls)
	return s.calls[len(s.calls)-1]
}

func TestRetryAfterIsHonoredByTheNextProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(20)
		orders[0].readFaults = []fault{limited}
		s := newShop(orders...)
		s.retryAfter = 10 * time.Minute
		plan, journal := planFor(t, orders...), new(resubmit.MemoryJournal)
		asked := askedForPatience(t, s, plan, journal)
		before := len(s.calls)
		next := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = journal })
		report, err := next.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 20}, report.Result)
		waited := s.calls[before].Sub(asked)
		require.GreaterOrEqual(t, waited, 10*time.Minute)
		require.Less(t, waited, 10*time.Minute+5*time.Second)
	})
}

func TestRetryAfterIsNotLongerAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(3)
		s := newShop(orders...)
		plan, journal := planFor(t, orders...), new(resubmit.MemoryJournal)
		require.NoError(t, journal.Begin(plan.Digest()))
		ahead := time.Now().Add(100 * time.Hour)
		require.NoError(t, journal.PutPatience(resubmit.Patience{Asked: ahead, Until: ahead.Add(5 * time.Minute)}))
		start := time.Now()
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = journal })
		_, err := r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, 5*time.Minute, s.calls[0].Sub(start))
	})
}

func TestRetryAfterThatIsTooLongPreventsTheNextRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(3)
		orders[0].readFaults = []fault{limited}
		s := newShop(orders...)
		s.retryAfter = 10 * time.Hour
		plan, journal := planFor(t, orders...), new(resubmit.MemoryJournal)
		strict := func(c *resubmit.Config) { c.Journal, c.MaxHold = journal, time.Hour }
		_, err := runnerFor(t, s, strict).Apply(t.Context(), plan)
		require.ErrorIs(t, err, resubmit.ErrPatience)
		before := len(s.calls)
		report, err := runnerFor(t, s, strict).Apply(t.Context(), plan)
		require.ErrorIs(t, err, resubmit.ErrPatience)
		require.Nil(t, report)
		require.Len(t, s.calls, before)
		<-time.After(9*time.Hour + time.Minute)
		report, err = runnerFor(t, s, strict).Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 3}, report.Result)
	})
}

func TestRetryAfterOfExactlyMaxHoldIsAllowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		<-time.After(300 * time.Millisecond) // not on the second
		orders := manyOrders(1)
		orders[0].pushFaults = []fault{limited}
		s := newShop(orders...)
		s.retryAfter = time.Hour
		plan, journal := planFor(t, orders...), new(resubmit.MemoryJournal)
		allowed := func(c *resubmit.Config) { c.Journal, c.MaxHold = journal, time.Hour }
		r := runnerFor(t, s, allowed)
		time.AfterFunc(time.Millisecond, r.Cancel)
		_, err := r.Apply(t.Context(), plan)
		require.ErrorIs(t, err, resubmit.ErrCancelled)
		report, err := runnerFor(t, s, allowed).Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
	})
}

// impatientJournal cannot keep what a server asks for.
type impatientJournal struct {
	resubmit.MemoryJournal
	put, get error
}

func (j *impatientJournal) PutPatience(resubmit.Patience) error { return j.put }

func (j *impatientJournal) Patience() (resubmit.Patience, error) { return resubmit.Patience{}, j.get }

func TestRetryAfterThatCannotBeStoredEndsTheRun(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left on device")
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(20)
		orders[0].readFaults = []fault{limited}
		s := newShop(orders...)
		s.retryAfter = time.Minute
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal, c.Concurrency = &impatientJournal{put: full}, 1 })
		_, err := r.Apply(t.Context(), planFor(t, orders...))
		require.ErrorIs(t, err, full)
		require.ErrorContains(t, err, "the Retry-After of Commerce")
		require.Len(t, s.calls, 1)
	})
	s := newShop()
	r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = &impatientJournal{get: full} })
	report, err := r.Apply(t.Context(), planFor(t, manyOrders(2)...))
	require.ErrorIs(t, err, full)
	require.Nil(t, report)
	require.Empty(t, s.calls)
}
