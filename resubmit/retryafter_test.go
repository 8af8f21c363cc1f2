package resubmit_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// askedForPatience applies a plan until the server has asked to be left alone, and then
// kills the program.
func askedForPatience(t *testing.T, s *shop, plan *plan.Plan) (asked time.Time) {
	t.Helper()
	ctx, kill := context.WithTimeout(t.Context(), time.Minute)
	defer kill()
	r := runnerFor(t, s, nil)
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
		plan := planFor(t, orders...)
		asked := askedForPatience(t, s, plan)
		before := len(s.calls)
		report, err := runnerFor(t, s, nil).Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 20}, report.Result)
		waited := s.calls[before].Sub(asked)
		require.GreaterOrEqual(t, waited, 10*time.Minute)
		require.Less(t, waited, 10*time.Minute+5*time.Second)
	})
}

// A run learns within a quarter of its lease of a Retry-After that another process was sent.
func TestRetryAfterIsHonoredByOtherProcesses(t *testing.T) {
	t.Parallel()
	const asked, pause, lease = 20 * time.Second, 10 * time.Minute, time.Minute
	for most, want := range map[time.Duration]error{time.Hour: nil, time.Minute: resubmit.ErrRetryAfterTooLong} {
		synctest.Test(t, func(t *testing.T) {
			orders := manyOrders(100)
			s := newShop(orders...)
			j, start := journalOf(t), time.Now()
			time.AfterFunc(asked, func() {
				now := time.Now()
				_, err := j.Put(t.Context(), resubmit.Durable, protocol.Record{
					Key: retryAfterKey, At: now, System: &protocol.System{RetryAfter: now.Add(pause), AskedAt: now},
				})
				require.NoError(t, err)
			})
			_, err := runnerFor(t, s, func(c *resubmit.Config) {
				c.RateLimit, c.MaxRetryAfter = 1, most
			}).Apply(t.Context(), planFor(t, orders...))
			require.ErrorIs(t, err, want)
			after := 0
			for _, call := range s.calls {
				since := call.Sub(start.Add(asked))
				require.False(t, since > lease/4+time.Second && since < pause-time.Second, since)
				if since > pause {
					after++
				}
			}
			require.Equal(t, want == nil, after > 0)
		})
	}
}

// racedJournal records a longer Retry-After of another process right before the first one of this process.
type racedJournal struct {
	resubmit.Journal
	pause time.Duration

	once sync.Once
	at   time.Time
}

func (j *racedJournal) Put(ctx context.Context, d resubmit.Durability, r ...protocol.Record) (seq uint64, err error) {
	if r[0].Key == retryAfterKey {
		j.once.Do(func() {
			j.at = time.Now()
			_, err = j.Journal.Put(ctx, d, protocol.Record{
				Key: retryAfterKey, At: j.at, System: &protocol.System{RetryAfter: j.at.Add(j.pause), AskedAt: j.at},
			})
		})
	}
	if err != nil {
		return 0, err
	}
	return j.Journal.Put(ctx, d, r...)
}

func TestLongerRetryAfterOfAnotherProcessIsHonored(t *testing.T) {
	t.Parallel()
	const pause, lease = 10 * time.Minute, time.Minute
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(100)
		orders[0].readFaults = []fault{limited}
		s := newShop(orders...)
		s.retryAfter = 2 * time.Second
		j := &racedJournal{Journal: journalOf(t), pause: pause}
		report, err := runnerFor(t, s, func(c *resubmit.Config) {
			c.Journal, c.RateLimit = j, 1
		}).Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 100}, report.Result)
		for _, call := range s.calls {
			since := call.Sub(j.at)
			require.False(t, since > lease/4+time.Second && since < pause, since)
		}
	})
}

func TestRetryAfterIsNotLongerAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(3)
		s := newShop(orders...)
		plan := planFor(t, orders...)
		ahead := time.Now().Add(100 * time.Hour)
		_, err := journalOf(t).Put(t.Context(), resubmit.Durable, protocol.Record{
			Key: retryAfterKey, At: ahead,
			System: &protocol.System{RetryAfter: ahead.Add(5 * time.Minute), AskedAt: ahead},
		})
		require.NoError(t, err)
		start := time.Now()
		_, err = runnerFor(t, s, nil).Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, 5*time.Minute, s.calls[0].Sub(start))
	})
}

// bareLister lists orders without details, so that a planner reads them.
type bareLister struct{ shop *shop }

func (l bareLister) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		for o, err := range (&lister{shop: l.shop, page: 100}).Orders(ctx, q) {
			if o != nil {
				o.Transitions = nil
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

func TestRetryAfterIsHonoredByPlannerAndRunner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s1")
		o.readFaults = []fault{limited}
		s := newShop(o)
		s.retryAfter = 10 * time.Minute
		planAgain := func() time.Time {
			first := len(s.calls)
			_, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
				Systems: systemsOf(resubmit.Systems{Lister: bareLister{s}, Reader: s}), Journal: journalOf(t),
				IgnoreConnect: true, Filter: filter.Everything(), Calendar: nights(t),
			})
			require.NoError(t, err)
			return s.calls[first]
		}
		planAgain()
		asked := s.calls[len(s.calls)-1]
		require.GreaterOrEqual(t, planAgain().Sub(asked), 10*time.Minute, "the planner waits")
		o.readFaults = []fault{limited}
		planAgain()
		asked = s.calls[len(s.calls)-1]
		before := len(s.calls)
		_, err := runnerFor(t, s, nil).Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.GreaterOrEqual(t, s.calls[before].Sub(asked), 10*time.Minute, "the run waits")
	})
}

func TestRetryAfterThatIsTooLongPreventsTheNextRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(3)
		orders[0].readFaults = []fault{limited}
		s := newShop(orders...)
		s.retryAfter = 10 * time.Hour
		plan := planFor(t, orders...)
		strict := func(c *resubmit.Config) { c.MaxRetryAfter = time.Hour }
		_, err := runnerFor(t, s, strict).Apply(t.Context(), plan)
		require.ErrorIs(t, err, resubmit.ErrRetryAfterTooLong)
		before := len(s.calls)
		report, err := runnerFor(t, s, strict).Apply(t.Context(), plan)
		require.ErrorIs(t, err, resubmit.ErrRetryAfterTooLong)
		require.Nil(t, report)
		require.Len(t, s.calls, before)
		other := planFor(t, orders[1:]...)
		_, err = runnerFor(t, s, strict).Apply(t.Context(), other)
		require.ErrorIs(t, err, resubmit.ErrRetryAfterTooLong)
		began, err := journalOf(t).Get(t.Context(), protocol.RunKey(other.Digest()))
		require.NoError(t, err)
		require.Nil(t, began.Run, "a plan that was not begun becomes stale")
		<-time.After(9*time.Hour + time.Minute)
		report, err = runnerFor(t, s, strict).Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 3}, report.Result)
	})
}

func TestRetryAfterOfExactlyMaxRetryAfterIsAllowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		<-time.After(300 * time.Millisecond) // not on the second
		orders := manyOrders(1)
		orders[0].pushFaults = []fault{limited}
		s := newShop(orders...)
		s.retryAfter = time.Hour
		plan := planFor(t, orders...)
		allowed := func(c *resubmit.Config) { c.MaxRetryAfter = time.Hour }
		r := runnerFor(t, s, allowed)
		time.AfterFunc(time.Millisecond, r.Cancel)
		_, err := r.Apply(t.Context(), plan)
		require.ErrorIs(t, err, resubmit.ErrCancelled)
		report, err := runnerFor(t, s, allowed).Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
	})
}

var retryAfterKey = protocol.Key{Kind: protocol.KindSystem, ID: "retry-after"}

// forgetfulJournal cannot store or read a Retry-After.
type forgetfulJournal struct {
	resubmit.Journal
	put, get error
}

func (j forgetfulJournal) Put(ctx context.Context, d resubmit.Durability, r ...protocol.Record) (uint64, error) {
	if r[0].Key == retryAfterKey {
		return 0, j.put
	}
	return j.Journal.Put(ctx, d, r...)
}

func (j forgetfulJournal) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	if k == retryAfterKey && j.get != nil {
		return protocol.Record{}, j.get
	}
	return j.Journal.Get(ctx, k)
}

func TestRetryAfterThatCannotBeStoredEndsTheRun(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left on device")
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(20)
		for _, o := range orders {
			o.readFaults = []fault{limited} // whichever is read first
		}
		s := newShop(orders...)
		s.retryAfter = time.Minute
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Journal, c.Concurrency = forgetfulJournal{Journal: journalOf(t), put: full}, 1
		})
		_, err := r.Apply(t.Context(), planFor(t, orders...))
		require.ErrorIs(t, err, full)
		require.ErrorContains(t, err, "could not record a Retry-After, so nothing more is sent")
		require.Len(t, s.calls, 1)
	})
	s := newShop()
	r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = forgetfulJournal{Journal: journalOf(t), get: full} })
	report, err := r.Apply(t.Context(), planFor(t, manyOrders(2)...))
	require.ErrorIs(t, err, full)
	require.Nil(t, report)
	require.Empty(t, s.calls)
}

func TestRetryAfterIsRememberedAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(20)
		orders[0].readFaults = []fault{limited}
		s := newShop(orders...)
		s.retryAfter = 10 * time.Minute
		plan := planFor(t, orders...)
		ahead := time.Now().Add(100 * time.Hour)
		_, err := journalOf(t).Put(t.Context(), resubmit.Durable, protocol.Record{
			Key: retryAfterKey, At: ahead, System: &protocol.System{RetryAfter: ahead.Add(time.Second), AskedAt: ahead},
		})
		require.NoError(t, err)
		asked := askedForPatience(t, s, plan)
		before := len(s.calls)
		_, err = runnerFor(t, s, nil).Apply(t.Context(), plan)
		require.NoError(t, err)
		require.GreaterOrEqual(t, s.calls[before].Sub(asked), 10*time.Minute)
	})
}
