package resubmit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/throttle"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// slowRate is a shared rate whose answers come late, from another machine.
type slowRate struct {
	resubmit.SharedRate
	takes time.Duration
}

func (r slowRate) Reserve(ctx context.Context, calls int, first, gap, lead time.Duration) (int, time.Time, error) {
	defer time.Sleep(r.takes)
	return r.SharedRate.Reserve(ctx, calls, first, gap, lead)
}

// quickOrders returns some lists of orders that are completed as soon as they are pushed.
func quickOrders(lists, each int) (all [][]*shopOrder) {
	orders := manyOrders(lists * each)
	for _, o := range orders {
		o.fates = []fate{{status: "CP"}}
	}
	return slices.Collect(slices.Chunk(orders, each))
}

// Three Runners with one shared rate make no more calls than one of them may, and hardly fewer.
func TestSharedRateHoldsInEverySecond(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0.1, 1, 3, 20, 100, 1000} {
		for _, takes := range []time.Duration{0, 5 * time.Millisecond, 50 * time.Millisecond,
			150 * time.Millisecond, 300 * time.Millisecond, 2 * time.Second} {
			t.Run(fmt.Sprintf("%v a second, %v away", rate, takes), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					const runners = 3
					shared, start, each := slowRate{new(resubmit.MemoryJournal), takes}, time.Now(), 10+int(rate)/2
					shops, lists := make([]*shop, runners), quickOrders(runners, each)
					var all sync.WaitGroup
					ctx, cancel := context.WithTimeout(t.Context(), 12*time.Hour)
					defer cancel()
					for i, orders := range lists {
						s := newShop(orders...)
						shops[i] = s
						r := runnerFor(t, s, func(c *resubmit.Config) {
							c.RateLimit, c.Concurrency, c.SharedRate, c.Verify.InitialInterval = rate, 4, shared, -1
						})
						p := planFor(t, orders...)
						all.Go(func() {
							report, err := r.Apply(ctx, p)
							require.NoError(t, err)
							require.Equal(t, resubmit.OutcomeCounts{Completed: each}, report.Result)
						})
					}
					all.Wait()
					var calls []time.Time
					for _, s := range shops {
						calls = append(calls, s.calls...)
					}
					slices.SortFunc(calls, time.Time.Compare)
					most := int(max(1, rate))
					if rate < 1 {
						most++ // a push follows the read before it after a second
					}
					if takes > 25*time.Millisecond {
						most++ // the first turn of all comes late
					}
					require.LessOrEqual(t, mostInASecond(calls, time.Time{}, time.Now()), most)
					waits := 2.5 * takes.Seconds() * float64(len(calls)) / runners // each answer, and the lead after it
					require.Less(t, time.Since(start).Seconds(), 30+1.4*float64(len(calls))/rate+waits)
				})
			})
		}
	}
}

// brokenRate is a shared rate that fails after some calls.
type brokenRate struct {
	resubmit.SharedRate
	good *int
	fail func() error
}

func (r brokenRate) Reserve(ctx context.Context, calls int, first, gap, lead time.Duration) (int, time.Time, error) {
	if *r.good--; *r.good < 0 {
		return 0, time.Time{}, r.fail()
	}
	return r.SharedRate.Reserve(ctx, calls, first, gap, lead)
}

func TestRunEndsWhenTheSharedRateFails(t *testing.T) {
	t.Parallel()
	errDown := errors.New("no connection to the database")
	for name, fail := range map[string]func() error{
		"error": func() error { return errDown },
		"panic": func() error { panic(errDown) },
	} {
		for good := range 7 {
			t.Run(fmt.Sprintf("%s after %d calls", name, good), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					orders := manyOrders(5)
					s := newShop(orders...)
					left := good
					r := runnerFor(t, s, func(c *resubmit.Config) {
						c.RateLimit, c.Concurrency = 5, 1
						c.SharedRate = brokenRate{new(resubmit.MemoryJournal), &left, fail}
					})
					report, err := r.Apply(t.Context(), planFor(t, orders...))
					require.ErrorContains(t, err, "the shared rate limit failed, so no calls are made: ")
					require.ErrorContains(t, err, errDown.Error())
					require.Zero(t, report.Result.Completed)
					require.Zero(t, report.Result.Skipped)
					require.Len(t, s.calls, good, "no call without a turn")
				})
			})
		}
	}
}

// A run whose turns all come too late ends with an error.
func TestRunEndsWhenTheSharedRateIsTooSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		orders := manyOrders(5)
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.RateLimit, c.Concurrency = 5, 1
			c.SharedRate = slowRate{new(resubmit.MemoryJournal), 4 * time.Second}
		})
		began := time.Now()
		_, err := r.Apply(ctx, planFor(t, orders...))
		require.ErrorContains(t, err, "the shared rate limit failed, so no calls are made: 10 answers in a row came too "+
			"late: the last took 4s, and its calls were over for 1s; an answer may take 3s")
		require.Less(t, time.Since(began), time.Minute)
		require.Empty(t, s.calls, "no call without a turn")
	})
}

// A shared rate that is slow for a while loses some turns only.
func TestRunGoesOnWhenTheSharedRateWasSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		orders := quickOrders(1, 50)[0]
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.RateLimit = 5
			c.SharedRate = &unsteadyRate{SharedRate: new(resubmit.MemoryJournal)}
		})
		report, err := r.Apply(ctx, planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 50}, report.Result)
		require.LessOrEqual(t, mostInASecond(s.calls, time.Time{}, time.Now()), 5)
	})
}

// unsteadyRate is a shared rate with a slow answer after each nine quick ones.
type unsteadyRate struct {
	resubmit.SharedRate
	calls atomic.Int64
}

func (r *unsteadyRate) Reserve(ctx context.Context, calls int, first, gap, lead time.Duration) (int, time.Time, error) {
	takes := 5 * time.Millisecond
	if r.calls.Add(1)%10 == 0 {
		takes = 5 * time.Second
	}
	return slowRate{r.SharedRate, takes}.Reserve(ctx, calls, first, gap, lead)
}

func TestPlanningEndsWhenTheSharedRateFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServers(t, 45, 10)
		errDown := errors.New("no connection to the database")
		good := 7
		cfg := s.config(5)
		cfg.SharedRate = brokenRate{new(resubmit.MemoryJournal), &good, func() error { return errDown }}
		_, err := resubmit.BuildPlan(t.Context(), cfg)
		require.ErrorIs(t, err, errDown)
		require.Len(t, s.times, 7)
	})
}

// A planner, a check of a plan and a Runner share a rate, at the same time and one after the other.
func TestPlannersAndRunnersShareARate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, other := newServers(t, 30, 10), newServers(t, 30, 10)
		shared := new(resubmit.MemoryJournal)
		var both sync.WaitGroup
		for _, s := range []*servers{s, other} {
			both.Go(func() {
				cfg := s.config(10)
				cfg.SharedRate = shared
				p, err := resubmit.BuildPlan(t.Context(), cfg)
				require.NoError(t, err)
				_, err = resubmit.CheckPlan(t.Context(), p, resubmit.CheckConfig{Systems: cfg.Systems, RateLimit: 10},
					func(plan.Difference) error { return nil })
				require.NoError(t, err)
			})
		}
		both.Wait()
		times := append(slices.Clone(s.times), other.times...)
		slices.SortFunc(times, time.Time.Compare)
		require.GreaterOrEqual(t, len(times), 2*(30+3+30))
		requirePace(t, times, 10)
	})
}

// A push is not sent with a turn that has passed while its claim was written.
func TestSharedRateHoldsWithASlowJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := new(resubmit.MemoryJournal)
		var calls []time.Time
		var both sync.WaitGroup
		var mu sync.Mutex
		for _, orders := range quickOrders(2, 40) {
			s := newShop(orders...)
			r := runnerFor(t, s, func(c *resubmit.Config) {
				c.RateLimit, c.Concurrency, c.SharedRate = 20, 8, shared
				c.Journal = slowJournal{c.Journal, 200 * time.Millisecond}
			})
			both.Go(func() {
				report, err := r.Apply(t.Context(), planFor(t, orders...))
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Completed: 40}, report.Result)
				mu.Lock()
				defer mu.Unlock()
				calls = append(calls, s.calls...)
			})
		}
		both.Wait()
		slices.SortFunc(calls, time.Time.Compare)
		require.LessOrEqual(t, mostInASecond(calls, time.Time{}, time.Now()), 21)
	})
}

// A change of the rate holds from the next call on, also for calls that wait for a turn.
func TestSharedRateChangesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := quickOrders(1, 20)[0]
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.RateLimit, c.SharedRate = 0.01, new(resubmit.MemoryJournal)
		})
		began := time.Now()
		time.AfterFunc(30*time.Second, func() { require.NoError(t, r.SetLimits(20, 0)) })
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 20}, report.Result)
		require.Less(t, time.Since(began), 5*time.Minute)
		require.Equal(t, protocol.Completed, report.Items[0].Outcome)
	})
}

// requireFairTurns lets processes share a rate: some make calls all the time, the others push an order after the other,
// with the read before it. It requires that no read waits for much longer than it takes all others to make a call, and
// that each push follows its read.
func requireFairTurns(t *testing.T, rate float64, busy, pushing int, shared resubmit.SharedRate, during time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	var all sync.WaitGroup
	var made atomic.Int64
	call := func(p *throttle.Pacer, k throttle.Kind) (waited time.Duration) {
		began := time.Now()
		if p.Wait(ctx, k) == nil {
			made.Add(1)
			<-time.After(300 * time.Millisecond)
		}
		return time.Since(began)
	}
	most := time.Duration(float64(time.Second) * 1.1 / rate * float64(2*busy+3*pushing+10))
	for i := range busy + pushing {
		p := throttle.NewPacer(rate, 1, nil)
		p.Share(shared.Reserve, func(error) {})
		for range 3 { // callers
			all.Go(func() {
				for i < busy && ctx.Err() == nil {
					call(p, throttle.Any)
				}
			})
		}
		all.Go(func() {
			for i >= busy && ctx.Err() == nil {
				if waited := call(p, throttle.BeforePush); waited > most {
					t.Errorf("a read has waited for %v", waited)
				}
				if waited := call(p, throttle.Push); waited > 2*time.Second {
					t.Errorf("a push has waited for %v after its read", waited)
				}
			}
		})
	}
	all.Wait()
	require.InDelta(t, rate*during.Seconds(), made.Load(), 0.15*rate*during.Seconds()+2)
}

func TestSharedRateIsFairToPushes(t *testing.T) {
	t.Parallel()
	hours := time.Duration(testkit.Scale(12, 3)) * time.Hour
	for _, rate := range []float64{0.45, 0.1, 0.01} {
		for _, busy := range []int{0, 1, 2, 5} {
			for _, pushing := range []int{1, 2, 5} {
				t.Run(fmt.Sprintf("%v a second, %d busy, %d pushing", rate, busy, pushing), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						requireFairTurns(t, rate, busy, pushing, new(resubmit.MemoryJournal), hours)
					})
				})
			}
		}
	}
}

// A call that was reserved at a very low rate does not delay those at a higher one, however often they ask.
func TestSharedRateForgetsALowerOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, began := new(resubmit.MemoryJournal), time.Now()
		n, _, err := j.Reserve(t.Context(), 1, 0, 1000*time.Second, 0) // a push right after its read
		require.NoError(t, err)
		require.Equal(t, 1, n)
		for n = 0; n == 0 && time.Since(began) < time.Minute; {
			var at time.Time
			n, at, err = j.Reserve(t.Context(), 1, time.Second, time.Second, 0)
			require.NoError(t, err)
			<-time.After(time.Until(at))
		}
		require.Equal(t, 1, n)
		require.Less(t, time.Since(began), 10*time.Second)
	})
}
