package resubmit_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// withCanary is the default one.
func withCanary(c *resubmit.Config) { c.Canary = resubmit.CanaryConfig{} }

// pushesByTime lists how many pushes there were at each time since start.
func (s *shop) pushesByTime(start time.Time) (at []time.Duration, n []int) {
	for _, l := range s.ledger {
		since := l.at.Sub(start)
		if len(at) == 0 || at[len(at)-1] != since {
			at, n = append(at, since), append(n, 0)
		}
		n[len(n)-1]++
	}
	return at, n
}

type canaryDiary struct {
	steps []resubmit.CanaryChange
}

func (d *canaryDiary) on(e resubmit.Event) {
	if e, ok := e.(resubmit.CanaryChange); ok {
		d.steps = append(d.steps, e)
	}
}

func TestCanaryStepsWaitForTheOutcomesBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := manyOrders(200)
		s := newShop(orders...)
		seen := new(canaryDiary)
		r := runnerFor(t, s, func(c *resubmit.Config) { withCanary(c); c.OnEvent = seen.on })
		time.AfterFunc(25*time.Second, func() {
			status := r.Status().Canary[0]
			require.GreaterOrEqual(t, status.Waiting, 70)
			status.Waiting = 0
			require.Equal(t, resubmit.CanaryStatus{Group: "1, transient", Limit: 8, Pushed: 8, Good: 3}, status)
		})
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 200}, report.Result)
		at, n := s.pushesByTime(start)
		require.Equal(t, []int{1, 2, 5, 20, 50, 122}, n)
		for i := range at {
			require.Equal(t, time.Duration(i)*10*time.Second, at[i], "when the step before was verified")
		}
		limits := []int{}
		for _, c := range seen.steps {
			limits = append(limits, c.Limit)
		}
		require.Equal(t, []int{3, 8, 28, 78, -1}, limits)
		require.Equal(t, []resubmit.CanaryStatus{{Group: "1, transient", Limit: -1, Pushed: 78, Good: 78}}, report.Canary)
	})
}

func TestCanaryStopsABadGroupOnly(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		bad    func(n int) bool // of the orders of the first group
		pushed int
		why    string
	}{
		"the first one": {func(n int) bool { return n == 0 }, 1,
			`"bad, transient" stopped: 1 of the first 1 orders`},
		"one of the second step":      {func(n int) bool { return n == 2 }, 3, "1 of the first"},
		"one of eight is good enough": {func(n int) bool { return n == 5 }, 100, ""},
		"two of eight are not":        {func(n int) bool { return n == 5 || n == 6 }, 8, "2 of the first"},
		"from some time on":           {func(n int) bool { return n >= 28 }, 78, "of the first"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := manyOrders(200)
				for i, o := range orders {
					o.VendorAccountID = "good"
					if i < 100 {
						o.VendorAccountID = "bad"
						if tt.bad(i) {
							o.fates = []fate{{time.Second, "PF", "Vendor has failed request PR-1"}}
						}
					}
				}
				// One order of the good group stands behind one of the other that is far down.
				orders[150].SubscriptionIDs = []string{"99", "150"}
				s := newShop(orders...)
				r := runnerFor(t, s, func(c *resubmit.Config) { withCanary(c); c.Breaker.Failures, c.Concurrency = -1, 1 })
				plan := planFor(t, orders...)
				report, err := r.Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Equal(t, 200, report.Result.Total())
				require.Len(t, report.Items, 200)
				pushed := 0
				for i, o := range orders[:100] {
					pushed += s.accepted(o.ID)
					if item := itemOf(t, report, i); tt.why != "" && s.accepted(o.ID) == 0 {
						require.Equal(t, resubmit.OutcomeSkipped, item.Outcome)
						require.Contains(t, item.Why, tt.why)
						require.Zero(t, item.Attempts)
					}
				}
				require.Equal(t, tt.pushed, pushed)
				for i := range 100 {
					want := resubmit.OutcomeCompleted
					if i == 50 && tt.why != "" {
						want = resubmit.OutcomeSkipped
					}
					require.Equal(t, want, itemOf(t, report, 100+i).Outcome)
				}
				if tt.why == "" {
					return
				}
				require.Contains(t, report.Canary[0].Stopped, tt.why)
				require.Empty(t, report.Canary[1].Stopped)
				again, err := r.Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Equal(t, report.Result, again.Result, "a stopped group stays so")
				require.Len(t, s.ledger, tt.pushed+99)
			})
		})
	}
}

func TestCanaryDoesNotWaitForAVendorThatTakesDays(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status connect.RequestStatus // "" is no request at all
		down   bool                  // Connect cannot be asked
		after  time.Duration
		pushes int
	}{
		"while it is in progress in Connect":         {connect.StatusPending, false, 0, 100},
		"not if Connect has nothing":                 {"", false, 0, 1},
		"not if the vendor has refused":              {connect.StatusFailed, false, 0, 1},
		"not if Connect cannot be queried":           {connect.StatusPending, true, 0, 1},
		"not if only what is completed does well":    {connect.StatusPending, false, -1, 1},
		"never later than the end of the own checks": {connect.StatusPending, false, 100 * time.Hour, 100},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				orders := manyOrders(100)
				s := newShop(orders...)
				s.fate = func(*shopOrder) fate { return fate{} }
				for i := range orders {
					if tt.status != "" {
						s.answer(fmt.Sprint(i), tt.status, "")
					}
				}
				if tt.down {
					s.finderErr = errors.New("502 Bad Gateway")
				}
				r := runnerFor(t, s, func(c *resubmit.Config) {
					withCanary(c)
					c.Requests, c.Verify.HealthyAfter = s, tt.after
				})
				report, err := r.Apply(t.Context(), planFor(t, orders...))
				require.NoError(t, err)
				require.Equal(t, tt.pushes, s.pushes())
				require.Equal(t, resubmit.OutcomeCounts{Progressing: tt.pushes, Skipped: 100 - tt.pushes}, report.Result)
				if tt.pushes == 100 && tt.after == 0 {
					at, n := s.pushesByTime(start)
					require.Equal(t, []int{1, 2, 5, 20, 50, 22}, n)
					require.Equal(t, 610*time.Second, at[1], "the first look after ten minutes")
				}
			})
		})
	}
}

func TestCanaryDoesNotCountOrdersThatAreNotPushed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := manyOrders(30)
		for _, o := range orders[:10] {
			o.onRead = moveTo(commerce.StatusCompleted)
		}
		s := newShop(orders...)
		r := runnerFor(t, s, withCanary)
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 20, Skipped: 10}, report.Result)
		_, n := s.pushesByTime(start)
		require.Equal(t, []int{1, 2, 5, 12}, n)
	})
}

func TestCanaryResumesAtTheSameStep(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		stop  time.Duration
		begin int // pushes at once when it goes on
	}{
		"in the fourth step, with its orders in progress": {31 * time.Second, 0},
		"when the fourth step was verified":               {40*time.Second - 1, 50},
		"at full speed":                                   {51 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := manyOrders(300)
				s := newShop(orders...)
				journal := new(resubmit.MemoryJournal)
				r := runnerFor(t, s, func(c *resubmit.Config) { withCanary(c); c.Journal, c.MaxOpenOrders = journal, 400 })
				plan := planFor(t, orders...)
				ctx, cancel := context.WithTimeout(t.Context(), tt.stop)
				defer cancel()
				_, err := r.Apply(ctx, plan)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				before := s.pushes()
				<-time.After(time.Minute)
				start := time.Now()
				report, err := r.Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Completed: 300}, report.Result)
				at, n := s.pushesByTime(start)
				for i := range at {
					if at[i] >= 0 {
						require.GreaterOrEqual(t, n[i], min(20, 300-before), "no small step again")
						break
					}
				}
				require.Len(t, s.ledger, 300)
			})
		})
	}
}

func TestCanaryGroupsDoNotStarveEachOther(t *testing.T) {
	t.Parallel()
	for _, inHand := range []int{1, 2, 5, 40, 1000} {
		t.Run(fmt.Sprintf("%d in hand", inHand), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				orders := manyOrders(400)
				for i, o := range orders {
					o.VendorAccountID = fmt.Sprint(i / 40) // one group after the other
					if i%40 > 0 && i%7 == 0 {
						o.SubscriptionIDs = append(o.SubscriptionIDs, fmt.Sprint(i-1))
					}
				}
				// The first order of the first group takes half an hour.
				orders[0].fates = []fate{{after: 25 * time.Minute, status: "CP"}}
				s := newShop(orders...)
				r := runnerFor(t, s,
					func(c *resubmit.Config) { withCanary(c); c.MaxOpenOrders = inHand; c.Verify.HealthyAfter = -1 })
				report, err := r.Apply(t.Context(), planFor(t, orders...))
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Completed: 400}, report.Result)
				for _, l := range s.ledger {
					require.Zero(t, l.open)
					if inHand >= 1000 && s.orders[l.id].VendorAccountID != "0" {
						require.Less(t, l.at.Sub(start), 5*time.Minute, "%s waited for another group", l.id)
					}
				}
			})
		})
	}
}

func TestCanaryGroupsCanBeConfigured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := manyOrders(10)
		for i, o := range orders {
			o.Type = []commerce.OrderType{"SO", "CH"}[i%2]
		}
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Canary = resubmit.CanaryConfig{Steps: []int{2}, MinSuccessRatio: 1,
				Group: func(e *plan.Entry) string { return string(e.Type) }}
		})
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 10}, report.Result)
		_, n := s.pushesByTime(start)
		require.Equal(t, []int{4, 6}, n)
		require.Equal(t, "CH", report.Canary[0].Group)
	})
}

func TestCanaryConfigIsValidated(t *testing.T) {
	t.Parallel()
	for _, c := range []resubmit.CanaryConfig{{Steps: []int{1, 0}}, {MinSuccessRatio: -0.1}, {MinSuccessRatio: 1.1}} {
		_, err := resubmit.NewRunner(resubmit.Config{
			Systems: systemsOf(resubmit.Systems{Reader: newShop(), Pusher: newShop()}), Canary: c,
		})
		require.ErrorContains(t, err, "Config.Canary")
	}
}

// stuckGets is a journal whose answers take an hour, and that says when it is asked.
type stuckGets struct {
	*resubmit.MemoryJournal
	asked func()
}

func (j stuckGets) Get(id string) (resubmit.Record, bool, error) {
	j.asked()
	<-time.After(time.Hour)
	return j.MemoryJournal.Get(id)
}

func TestCanaryDoesNotBlockStatusDuringSlowCallbacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(3)
		s := newShop(orders...)
		var r *resubmit.Runner
		var asked atomic.Int64
		look := func() {
			asked.Add(1)
			require.Equal(t, 3, r.Status().Total, "Status answers at once")
		}
		r = runnerFor(t, s, func(c *resubmit.Config) {
			withCanary(c)
			c.Journal = stuckGets{new(resubmit.MemoryJournal), look}
			c.Canary.Group = func(*plan.Entry) string { look(); return "all" }
		})
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 3}, report.Result)
		require.GreaterOrEqual(t, asked.Load(), int64(9), "twice by the journal, once for the group")
	})
}
