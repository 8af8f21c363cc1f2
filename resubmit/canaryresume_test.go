package resubmit_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// applyWithCanary applies a plan with the default canary.
func applyWithCanary(t *testing.T, s *shop, p *plan.Plan, change func(*resubmit.Config)) *resubmit.Report {
	t.Helper()
	r := runnerFor(t, s, func(c *resubmit.Config) {
		withCanary(c)
		if change != nil {
			change(c)
		}
	})
	defer time.AfterFunc(100*time.Hour, r.Cancel).Stop()
	report, err := r.Apply(t.Context(), p)
	require.NoError(t, err)
	return report
}

func TestCanaryResumeCountsOrdersInFlight(t *testing.T) {
	t.Parallel()
	for status, first := range map[commerce.Status][]int{
		"CP": {2, 5, 20, 22}, // the second step
		"CL": {1, 1, 1, 1},   // until enough are good
	} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				orders := manyOrders(50)
				p := planFor(t, orders...)
				leave(t, p, entryFor(orders[0]), func(o *protocol.Order) { o.Phase, o.Status = protocol.Pushed, "PR" })
				orders[0].Status, orders[0].Transitions = status, []commerce.Transition{}
				s := newShop(orders...)
				report := applyWithCanary(t, s, p, nil)
				require.Equal(t, 50, report.Result.Total())
				require.Equal(t, 49, s.pushes())
				_, n := s.pushesByTime(start)
				require.Equal(t, first, n[:len(first)])
			})
		})
	}
}

func TestCanaryResumeJudgesAllEarlierOrdersTogether(t *testing.T) {
	t.Parallel()
	for name, failed := range map[string]func(i int) bool{
		"the first failed": func(i int) bool { return i < 5 }, "the last failed": func(i int) bool { return i >= 25 },
		"every sixth failed": func(i int) bool { return i%6 == 5 },
	} {
		for journal, order := range map[string]func(n, i int) int{
			"oldest first": func(_, i int) int { return i }, "youngest first": func(n, i int) int { return n - 1 - i },
		} {
			t.Run(name+", "+journal, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					orders := manyOrders(35)
					p := planFor(t, orders...)
					for i := range 30 {
						i = order(30, i)
						leave(t, p, entryFor(orders[i]), func(o *protocol.Order) {
							o.Phase, o.Outcome, o.Status = protocol.Ended, protocol.Completed, "CP"
							if failed(i) {
								o.Outcome, o.Status = protocol.FailedAgain, "PF"
							}
						})
					}
					s := newShop(orders...)
					report := applyWithCanary(t, s, p, nil)
					require.Equal(t, resubmit.OutcomeCounts{Completed: 30, FailedAgain: 5}, report.Result)
					require.Equal(t, 5, s.pushes())
				})
			})
		}
	}
}

func TestCanaryResumeGoesOnAfterPushesThatAKillLeftUnanswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(30)
		p := planFor(t, orders...)
		for i := range 4 {
			leave(t, p, entryFor(orders[i]), func(o *protocol.Order) { o.Phase = protocol.Claimed })
		}
		report := applyWithCanary(t, newShop(orders...), p, nil)
		require.Zero(t, report.Result.NotStarted, "%s", report.Result)
	})
}

func TestCanaryResumeGoesOnIfOnlyOneCustomerFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(30)
		for i, o := range orders {
			o.CustomerName = strconv.Itoa(min(i, 20))
		}
		p := planFor(t, orders...)
		for i := 10; i < 30; i++ {
			leave(t, p, entryFor(orders[i]), func(o *protocol.Order) {
				o.Phase, o.Outcome, o.Status = protocol.Ended, protocol.Completed, "CP"
				if i >= 20 {
					o.Outcome, o.Status = protocol.FailedAgain, "PF"
				}
			})
		}
		report := applyWithCanary(t, newShop(orders...), p, nil)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 20, FailedAgain: 10}, report.Result)
	})
}

func TestCanaryResumeDoesNotWaitForAnOrderThatCannotBeRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(6)
		orders[1].SubscriptionIDs = orders[0].SubscriptionIDs
		p := planFor(t, orders...)
		leave(t, p, entryFor(orders[0]), func(o *protocol.Order) { o.Phase = protocol.Unanswered })
		orders[0].readFaults = slices.Repeat([]fault{broken}, 1000)
		s := newShop(orders...)
		report := applyWithCanary(t, s, p, func(c *resubmit.Config) { c.Lister = &lister{shop: s, page: 10} })
		require.Equal(t, resubmit.OutcomeCounts{Unknown: 1, Blocked: 1, Completed: 4}, report.Result)
		require.Equal(t, protocol.Unknown, itemOf(t, report, 0).Outcome)
		require.Equal(t, protocol.Blocked, itemOf(t, report, 1).Outcome)
	})
}

func TestResumeDoesNotPushAnOlderOrderAfterAYoungerOne(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*protocol.Order){
		"falseSuccess": func(o *protocol.Order) {
			o.Phase, o.Outcome, o.Status = protocol.Ended, protocol.FalseSuccess, "CP"
		},
		"pushed": func(o *protocol.Order) { o.Phase, o.Status = protocol.Pushed, "PR" },
		"completed": func(o *protocol.Order) {
			o.Phase, o.Outcome, o.Status = protocol.Ended, protocol.Completed, "CP"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := manyOrders(2)
				orders[1].SubscriptionIDs = orders[0].SubscriptionIDs
				p := planFor(t, orders...)
				leave(t, p, entryFor(orders[1]), change)
				orders[1].Status, orders[1].Transitions = "CP", []commerce.Transition{}
				s := newShop(orders...)
				report := applyWithCanary(t, s, p, nil)
				require.Equal(t, 2, report.Result.Total())
				require.Equal(t, protocol.Blocked, itemOf(t, report, 0).Outcome)
				require.Zero(t, s.pushes())
			})
		})
	}
}

func TestResumeIgnoresTheRecordOfAnotherFailureOfABlockedOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(2)
		orders[1].SubscriptionIDs = orders[0].SubscriptionIDs
		other := entryFor(orders[1])
		other.Fingerprint = strings.Repeat("0", 32)
		leave(t, planFor(t), other, func(o *protocol.Order) {
			o.Phase, o.Outcome, o.Status = protocol.Ended, protocol.Completed, "CP"
		})
		rec, err := journalOf(t).Get(t.Context(), protocol.OrderKey(orders[1].ID))
		require.NoError(t, err)
		entry := entryFor(orders[1])
		entry.Version = rec.Version
		p := planWith(t, nil, entryFor(orders[0]), entry)
		leave(t, p, entryFor(orders[0]), func(o *protocol.Order) {
			o.Phase, o.Outcome, o.Status = protocol.Ended, protocol.FailedAgain, "PF"
		})
		s := newShop(orders...)
		report, err := runnerFor(t, s, nil).Apply(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, protocol.Blocked, itemOf(t, report, 1).Outcome)
		require.Zero(t, s.pushes())
	})
}

func TestCanaryResumeTriesOtherCustomersThanBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(9)
		for i, o := range orders {
			o.CustomerName = strconv.Itoa(i / 3)
		}
		p := planFor(t, orders...)
		leave(t, p, entryFor(orders[0]), func(o *protocol.Order) {
			o.Phase, o.Outcome, o.Status = protocol.Ended, protocol.Completed, "CP"
		})
		s := newShop(orders...)
		report := applyWithCanary(t, s, p, func(c *resubmit.Config) { c.Concurrency = 1 })
		require.Equal(t, resubmit.OutcomeCounts{Completed: 9}, report.Result)
		require.Equal(t, []string{"id-3", "id-6"}, idsOf(s.ledger[:2]))
	})
}
