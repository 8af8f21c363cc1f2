package resubmit_test

import (
	"context"
	"fmt"
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

func TestRateLimitHoldsInEverySecond(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{1, 2, 3, 7, 10, 100, 1000} {
		t.Run(fmt.Sprintf("%v a second", rate), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				n := 20 + int(rate)
				orders := make([]*shopOrder, n)
				for i := range orders {
					orders[i] = outageOrder(i, fmt.Sprint(i))
					orders[i].fates = []fate{{status: "CP"}}
				}
				s := newShop(orders...)
				for i := range orders {
					s.answer(fmt.Sprint(i), "approved", "")
				}
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.RateLimit, c.Concurrency, c.Requests, c.Verify.InitialInterval = rate, 8, s, -1
				})
				report, err := r.Apply(t.Context(), planFor(t, orders...))
				require.NoError(t, err)
				require.Equal(t, n, report.Result.Completed)
				require.Len(t, s.calls, 3*n+s.lookups, "a read, a push and a read each, and shared look-ups")
				require.LessOrEqual(t, s.lookups, n)
				for i, from := range s.calls {
					in := 0
					for _, at := range s.calls[i:] {
						if at.Sub(from) >= time.Second {
							break
						}
						in++
					}
					require.LessOrEqual(t, in, int(rate), "in the second after call %d", i)
				}
				took := (time.Since(start) - 50*time.Millisecond).Seconds() // a look-up waits for others
				require.InEpsilon(t, float64(len(s.calls)-1)/rate, took, 0.01, "the pace is within 1 % of the limit")
			})
		})
	}
}

// A push that is sent long after its token was taken needs a new one.
func TestRateLimitHoldsWithASlowJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(40)
		for _, o := range orders {
			o.fates = []fate{{status: "CP"}}
		}
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.RateLimit, c.Concurrency, c.Journal = 5, 8, slowJournal{c.Journal, 1100 * time.Millisecond}
		})
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 40}, report.Result)
		require.LessOrEqual(t, mostInASecond(s.calls, time.Time{}, time.Now()), 5)
	})
}

func TestConcurrencyOfOnePushesOneAtATime(t *testing.T) {
	t.Parallel()
	for _, slots := range []int{1, 2, 5} {
		synctest.Test(t, func(t *testing.T) {
			orders := make([]*shopOrder, 20)
			for i := range orders {
				orders[i] = outageOrder(i, "")
			}
			s := newShop(orders...)
			busy := newMeter()
			r := runnerFor(t, s, func(c *resubmit.Config) {
				c.Concurrency, c.Pusher = slots, slowPusher{s, busy}
			})
			report, err := r.Apply(t.Context(), planFor(t, orders...))
			require.NoError(t, err)
			require.Equal(t, resubmit.OutcomeCounts{Completed: 20}, report.Result)
			require.Equal(t, slots, busy.most)
		})
	}
}

func TestVerificationTakesNoPushSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := make([]*shopOrder, 50)
		for i := range orders {
			orders[i] = outageOrder(i, "")
			orders[i].fates = []fate{{after: 20 * time.Minute, status: "CP"}}
		}
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Concurrency = 1 })
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 50}, report.Result)
		for _, l := range s.ledger {
			require.Equal(t, start, l.at)
		}
	})
}

func TestMaxOpenOrdersIsHonored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := make([]*shopOrder, 30)
		for i := range orders {
			orders[i] = outageOrder(i, "")
			orders[i].fates = []fate{{after: time.Minute, status: "CP"}}
		}
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.MaxOpenOrders, c.Verify.MaxInterval = 7, time.Minute })
		time.AfterFunc(30*time.Second, func() {
			status := r.Status()
			require.Equal(t, 7, status.Open)
			require.Equal(t, 7, status.Verifying)
			require.Equal(t, 7, s.pushes())
		})
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 30}, report.Result)
	})
}

func TestRateLimitPutsNothingBetweenReadAndPush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(100)
		s := newShop(orders...)
		read := make(map[string]time.Time)
		for _, o := range orders {
			o.onRead = func(o *shopOrder) { read[o.ID] = time.Now() }
		}
		var oldest time.Duration
		s.onPush = func(_ context.Context, id string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			oldest = max(oldest, time.Since(read[id]))
		}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.RateLimit, c.Concurrency = 5, 50 })
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 100}, report.Result)
		require.Less(t, oldest, time.Second, "somebody else may have acted meanwhile")
	})
}

func TestRateLimitMayBeTiny(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rate = 0.001
		orders := manyOrders(3)
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.RateLimit = rate })
		start := time.Now()
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 3}, report.Result)
		require.Equal(t, 1, mostInASecond(s.calls, start, time.Now()), "a push follows its read after a second")
		require.LessOrEqual(t, float64(len(s.calls)-2), rate*s.calls[len(s.calls)-1].Sub(start).Seconds())
	})
}

func TestRetryAfterMakesQueuedPushesReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(60)
		orders[0].readFaults = []fault{fine, limited}
		s := newShop(orders...)
		s.retryAfter = time.Hour
		read := make(map[string]time.Time)
		for _, o := range orders {
			o.onRead = func(o *shopOrder) { read[o.ID] = time.Now() }
		}
		var oldest time.Duration
		s.onPush = func(_ context.Context, id string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			oldest = max(oldest, time.Since(read[id]))
		}
		journal := journalOf(t)
		time.AfterFunc(30*time.Minute, func() {
			for _, o := range orders {
				rec, err := journal.Get(t.Context(), protocol.OrderKey(o.ID))
				require.NoError(t, err)
				require.True(t, rec.Order == nil || rec.Order.Phase != protocol.Claimed, "no claim stands for an hour")
			}
		})
		r := runnerFor(t, s, func(c *resubmit.Config) { c.RateLimit, c.Concurrency, c.Journal = 2, 20, journal })
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 60}, report.Result)
		require.Less(t, oldest, 3*time.Second)
	})
}

// installation is a client of the test systems.
type installation struct{ *shop }

func (installation) System() string  { return testSystem }
func (installation) BaseURL() string { return "" }
func (installation) Capabilities() commerce.Capabilities {
	return systemsOf(resubmit.Systems{}).Capabilities
}

func TestPlannerAndRunnerKeepToTheRateLimitTogether(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{1, 5} {
		t.Run(fmt.Sprintf("%v a second", rate), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := manyOrders(10)
				for _, o := range orders {
					o.fates = []fate{{status: "CP"}}
				}
				s := newShop(orders...)
				systems := resubmit.SystemsOf(installation{s}, bareLister{s})
				makePlan := func() *plan.Plan {
					p, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
						Systems: systems, Journal: journalOf(t), RateLimit: rate,
						IgnoreConnect: true, Filter: filter.Everything(), Calendar: nights(t),
					})
					require.NoError(t, err)
					return p
				}
				r := runnerFor(t, s, func(c *resubmit.Config) { // before there is a plan
					c.Systems, c.RateLimit = systems, rate
				})
				_, err := r.Apply(t.Context(), makePlan())
				require.NoError(t, err)
				_ = makePlan()
				require.LessOrEqual(t, mostInASecond(s.calls, time.Time{}, time.Now()), int(rate))
			})
		})
	}
}
