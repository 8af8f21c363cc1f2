package resubmit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
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

// endsOf returns how the runs of a plan ended.
func endsOf(t *testing.T, p *plan.Plan) (ends []protocol.RunEnd) {
	t.Helper()
	for r, err := range journalOf(t).Records(t.Context()) {
		require.NoError(t, err)
		if r.Run != nil && strings.HasPrefix(r.ID, p.Digest()+"#") {
			ends = append(ends, r.Run.End)
		}
	}
	return ends
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
			require.Equal(t, []resubmit.CanaryStatus{{Group: "1, SO, transient", Limit: 8, Tried: 8, Good: 3}},
				r.Status().Canary)
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
		require.Equal(t, []resubmit.CanaryStatus{{Group: "1, SO, transient", Limit: -1, Tried: 78, Good: 78}}, report.Canary)
	})
}

func TestCanaryStopsABadGroupOnly(t *testing.T) {
	t.Parallel()
	customerOf := func(n int) string { return fmt.Sprint("customer ", n) }
	tests := map[string]struct {
		bad      func(n int) bool // of the orders of the first group
		customer func(n int) string
		pushed   int
		why      string
	}{
		"one bad order stops nothing": {func(n int) bool { return n == 0 }, customerOf, 100, ""},
		"two bad orders of which none before was good": {func(n int) bool { return n < 2 }, customerOf, 2,
			`"bad, SO, transient" stopped: 2 of the first 2 orders were bad`},
		"two bad orders of one customer stop nothing": {func(n int) bool { return n < 2 },
			func(n int) string { return customerOf(n / 2) }, 100, ""},
		"two bad orders of the only customer": {func(n int) bool { return n < 2 }, func(int) string { return "Acme" }, 2,
			"2 of the first 2 orders were bad"},
		"two of three stop the group when five were tried": {func(n int) bool { return n == 1 || n == 2 }, customerOf, 5,
			"2 of the first 5"},
		"two of five stop the group": {func(n int) bool { return n == 0 || n == 4 }, customerOf, 5,
			"2 of the first 5"},
		"one of eight is good enough":  {func(n int) bool { return n == 5 }, customerOf, 100, ""},
		"two of eight are not":         {func(n int) bool { return n == 5 || n == 6 }, customerOf, 8, "2 of the first"},
		"bad orders from some time on": {func(n int) bool { return n >= 28 }, customerOf, 78, "of the first"},
		"an order that is refused is bad": {func(n int) bool { return n < 2 }, customerOf, 2,
			"2 of the first 2 orders were bad"},
		"a false success of two orders too": {func(n int) bool { return n < 2 }, customerOf, 2,
			"2 of the first 2 orders were bad"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := manyOrders(200)
				s := newShop(orders...)
				for i, o := range orders {
					o.VendorAccountID, o.CustomerName = "good", tt.customer(i)
					s.answer(fmt.Sprint(i), connect.StatusApproved, "")
					if i >= 100 {
						continue
					}
					o.VendorAccountID = "bad"
					switch {
					case !tt.bad(i):
					case strings.Contains(name, "refused"):
						o.pushFaults = []fault{conflict}
					case strings.Contains(name, "false success"):
						s.answer(fmt.Sprint(i), connect.StatusFailed, "")
					default:
						o.fates = []fate{{time.Second, "PF", "Vendor has failed request PR-1"}}
					}
				}
				// One order of the good group stands behind one of the other that is far down.
				orders[150].SubscriptionIDs = []string{"99", "150"}
				s.answer("99", connect.StatusApproved, "")
				r := runnerFor(t, s, func(c *resubmit.Config) {
					withCanary(c)
					c.Breaker.Failures, c.Concurrency, c.Requests = -1, 1, s
				})
				plan := planFor(t, orders...)
				report, err := r.Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Equal(t, 200, report.Result.Total())
				require.Len(t, report.Items, 200)
				pushed := 0
				for i, o := range orders[:100] {
					if slices.Contains(idsOf(s.ledger), o.ID) {
						pushed++
					} else if item := itemOf(t, report, i); true {
						require.Equal(t, protocol.NotStarted, item.Outcome)
						require.Contains(t, item.Why, tt.why)
						require.Zero(t, item.Attempts)
					}
				}
				require.Equal(t, tt.pushed, pushed)
				for i := range 100 {
					want := protocol.Completed
					if i == 50 && tt.why != "" {
						want = protocol.Blocked
					}
					require.Equal(t, want, itemOf(t, report, 100+i).Outcome)
				}
				if tt.why == "" {
					require.Empty(t, report.Canary[0].Stopped)
					return
				}
				require.Contains(t, report.Canary[0].Stopped, tt.why)
				require.Empty(t, report.Canary[1].Stopped)
				pushes := len(s.ledger)
				again, err := r.Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Equal(t, report.Result, again.Result, "a stopped group stays so")
				require.Len(t, s.ledger, pushes)
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
		"not if Connect has nothing":                 {"", false, 0, 3},
		"not if the vendor has refused":              {connect.StatusFailed, false, 0, 3},
		"not if Connect cannot be queried":           {connect.StatusPending, true, 0, 3},
		"not if only what is completed does well":    {connect.StatusPending, false, -1, 3},
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
				require.Equal(t, resubmit.OutcomeCounts{Progressing: tt.pushes, NotStarted: 100 - tt.pushes}, report.Result)
				if tt.pushes == 3 {
					require.Contains(t, report.Canary[0].Stopped, "3 of its orders have no result yet")
					require.Equal(t, 3, report.Canary[0].SetAside)
				}
				if tt.pushes == 100 && tt.after == 0 {
					at, n := s.pushesByTime(start)
					require.Equal(t, []int{1, 2, 5, 20, 50, 22}, n)
					require.Equal(t, 610*time.Second, at[1].Truncate(time.Second), "the first look after ten minutes")
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
				journal := journalOf(t)
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

func TestCanaryGroupsAreOfAVendorTypeAndClass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := manyOrders(24)
		var entries []*plan.Entry
		for i, o := range orders {
			o.Type = []commerce.OrderType{"SO", "CH"}[i%2]
			e := entryFor(o)
			switch {
			case i >= 20: // a group of four has no steps
				e.VendorAccountID, e.Type = "2", "SO"
			case i%4 >= 2:
				e.Attribution.Class = failure.Unclassified
			}
			o.Type, o.VendorAccountID = e.Type, e.VendorAccountID
			entries = append(entries, e)
		}
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Canary = resubmit.CanaryConfig{Steps: []int{2}, MinSuccessRatio: 1}
		})
		report, err := r.Apply(t.Context(), planWith(t, nil, entries...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 24}, report.Result)
		_, n := s.pushesByTime(start)
		require.Equal(t, []int{4*2 + 4, 4 * 3}, n)
		var names []string
		for _, c := range report.Canary {
			names = append(names, c.Group)
		}
		require.Equal(t, []string{
			"1, CH, transient", "1, CH, unclassified", "1, SO, transient", "1, SO, unclassified", "2, SO, transient",
		}, names)
	})
}

// One change order that fails whenever it is pushed goes before 30 good purchases of its vendor, in the plan and of the
// same customer's lane.
func TestCanaryIsNotStoppedByOneHopelessOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(31)
		for i, o := range orders {
			o.CustomerName = fmt.Sprint("customer ", i)
		}
		orders[0].Type, orders[0].fates = commerce.TypeChange,
			[]fate{{time.Second, "PF", outage}, {time.Second, "PF", outage}}
		s := newShop(orders...)
		report, err := runnerFor(t, s, withCanary).Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 30, FailedAgain: 1}, report.Result)
		require.Equal(t, 1, s.accepted("id-0"))
	})
}

func TestCanaryIsNotStoppedByOneUnansweredPush(t *testing.T) {
	t.Parallel()
	for _, lost := range []fault{lostActed, lostIgnored} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			orders := manyOrders(30)
			orders[0].pushFaults = []fault{lost}
			s := newShop(orders...)
			report, err := runnerFor(t, s, withCanary).Apply(t.Context(), planFor(t, orders...))
			require.NoError(t, err)
			require.Equal(t, 29+s.accepted("id-0"), report.Result.Completed)
			require.Equal(t, 30, report.Result.Completed+report.Result.Unknown)
			require.InDelta(t, defaultSettle+2*time.Minute, s.ledger[1].at.Sub(start), float64(10*time.Second),
				"it is set aside a settle delay after the end of its push, and another order takes its place")
		})
	}
}

// Three orders in a row whose push got no answer stop the group, but repeating the command continues.
func TestCanaryStopsWhenOrdersHaveNoResult(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(30)
		for _, o := range orders[:3] {
			o.pushFaults = []fault{lostIgnored}
		}
		s := newShop(orders...)
		for i := range orders {
			s.answer(fmt.Sprint(i), connect.StatusApproved, "")
		}
		r := runnerFor(t, s, func(c *resubmit.Config) {
			withCanary(c)
			c.Requests, c.Retry.MaxAttempts = s, 1
		})
		plan := planFor(t, orders...)
		report, err := r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{NotMoved: 3, NotStarted: 27}, report.Result)
		require.Contains(t, report.Canary[0].Stopped, "3 of its orders have no result yet")
		require.Equal(t, []protocol.RunEnd{protocol.RunCanaryStopped}, endsOf(t, plan))
		report, err = r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{NotMoved: 3, Completed: 27}, report.Result)
	})
}

func TestCanaryTriesDifferentCustomersAndTheLatestFailuresFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(9)
		var entries []*plan.Entry
		for i, o := range orders {
			o.CustomerName = fmt.Sprint("customer ", i/2)
			o.FailedAt = time.Now().Add(-time.Hour + time.Duration(i)*time.Minute)
			e := entryFor(o)
			if i == 8 {
				e.Attribution.Verdict = failure.Likely
			}
			entries = append(entries, e)
		}
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) { withCanary(c); c.Concurrency = 1 })
		report, err := r.Apply(t.Context(), planWith(t, nil, entries...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 9}, report.Result)
		require.Equal(t, []string{"id-7", "id-5", "id-3"}, idsOf(s.ledger[:3]), "the latest failure of each customer")
		require.Subset(t, idsOf(s.ledger[3:8]), []string{"id-1", "id-8", "id-6"},
			"then the customers that are left, caused before likely")
	})
}

func TestCanaryKeepsTheOrderOfALane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(10)
		for i, o := range orders {
			o.SubscriptionIDs = []string{fmt.Sprint(i / 2)}
			o.FailedAt = time.Now().Add(-time.Hour + time.Duration(i)*time.Minute)
		}
		s := newShop(orders...)
		report, err := runnerFor(t, s, withCanary).Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 10}, report.Result)
		at := make(map[string]int)
		for i, l := range s.ledger {
			require.Zero(t, l.open)
			at[l.id] = i
		}
		for i := 0; i < 10; i += 2 {
			require.Less(t, at[orders[i].ID], at[orders[i+1].ID])
		}
		require.Equal(t, "id-8", s.ledger[0].id, "the latest failure that is the oldest of its lane")
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

// stuckGets is a journal that takes an hour for each record of an order, and that says when it is asked.
type stuckGets struct {
	*resubmit.MemoryJournal
	asked func()
}

func (j stuckGets) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	if k.Kind == protocol.KindOrder {
		j.asked()
		<-time.After(time.Hour)
	}
	return j.MemoryJournal.Get(ctx, k)
}

func TestCanaryDoesNotBlockStatusDuringSlowCallbacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(5)
		s := newShop(orders...)
		var r *resubmit.Runner
		var asked atomic.Int64
		r = runnerFor(t, s, func(c *resubmit.Config) {
			withCanary(c)
			c.Journal = stuckGets{journalOf(t), func() {
				asked.Add(1)
				require.Equal(t, 5, r.Status().Total, "Status answers at once")
			}}
		})
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 5}, report.Result)
		require.GreaterOrEqual(t, asked.Load(), int64(5))
	})
}
