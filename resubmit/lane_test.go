package resubmit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

func TestLanesPushOrdersOneAfterTheOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var orders []*shopOrder
		for i := range 30 {
			orders = append(orders, outageOrder(i, fmt.Sprint(i%3)))
		}
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Concurrency = 10 })
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 30}, report.Result)
		last := map[string]time.Time{}
		for _, l := range s.ledger {
			o := s.orders[l.id]
			require.Zero(t, l.open, "another order of the subscription was under way")
			require.True(t, o.PlacedAt.After(last[o.SubscriptionIDs[0]]), "a younger order went first")
			last[o.SubscriptionIDs[0]] = o.PlacedAt
		}
	})
}

func TestLanesEndAtAnOrderThatIsNotCompleted(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		first func(o *shopOrder)
		free  bool
	}{
		"completed lets the next go":         {func(*shopOrder) {}, true},
		"failed again stops":                 {func(o *shopOrder) { o.fates = []fate{{time.Second, "PF", "again"}} }, false},
		"progressing stops":                  {func(o *shopOrder) { o.fates = []fate{{}} }, false},
		"unpaid stops":                       {func(o *shopOrder) { o.fates = []fate{{time.Second, "AF", ""}} }, false},
		"unknown stops":                      {func(o *shopOrder) { o.pushFaults = []fault{lostIgnored} }, false},
		"refused stops":                      {func(o *shopOrder) { o.pushFaults = []fault{conflict} }, false},
		"completed by somebody lets it go":   {func(o *shopOrder) { o.onRead = moveTo("CP") }, true},
		"cancelled by somebody lets it go":   {func(o *shopOrder) { o.onRead = moveTo("CL") }, true},
		"resubmitted by somebody stops":      {func(o *shopOrder) { o.onRead = moveTo("PR") }, false},
		"gone stops, as nothing is known":    {func(o *shopOrder) { o.readFaults = []fault{missing, missing} }, false},
		"without a transition offered stops": {func(o *shopOrder) { o.Transitions = []commerce.Transition{} }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				// 1 and 2 share a, 2 and 3 share b, 3 and 4 share c; 5 is alone.
				orders := []*shopOrder{
					outageOrder(1, "a"), outageOrder(2, "a"), outageOrder(3, "b"), outageOrder(4, "c"), outageOrder(5, "d"),
				}
				orders[1].SubscriptionIDs = []string{"a", "b"}
				orders[2].SubscriptionIDs = []string{"b", "c"}
				s := newShop(orders...)
				tt.first(orders[0])
				r := runnerFor(t, s, nil)
				plan := planFor(t, orders...)
				report, err := r.Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Equal(t, 5, report.Result.Total())
				require.Equal(t, protocol.Completed, itemOf(t, report, 5).Outcome)
				for n := 2; n <= 4; n++ {
					item := itemOf(t, report, n)
					if tt.free {
						require.Equal(t, protocol.Completed, item.Outcome)
						continue
					}
					require.Equal(t, protocol.Blocked, item.Outcome)
					require.Contains(t, item.Why, fmt.Sprintf("blocked by SO%06d", n-1))
					require.Zero(t, s.accepted(item.OrderID))
				}
				blockers := []resubmit.Blocker{{Number: "SO000001", Orders: 3}}
				if tt.free {
					blockers = []resubmit.Blocker{}
				}
				require.Equal(t, blockers, report.Blockers)
				again, err := r.Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Equal(t, report.Result, again.Result, "the same plan and journal end the same")
				require.Equal(t, blockers, again.Blockers)
			})
		})
	}
}

func moveTo(status commerce.Status) func(*shopOrder) {
	return func(o *shopOrder) { o.Status = status }
}

func TestLanesStayEndedForLaterOrders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := []*shopOrder{outageOrder(1, "a"), outageOrder(2, "b"), outageOrder(3, "a"), outageOrder(4, "c"),
			outageOrder(5, "c")}
		orders[2].SubscriptionIDs = []string{"a", "c"}
		orders[0].pushFaults = []fault{conflict}
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.MaxOpenOrders, c.Concurrency = 1, 1 })
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1, Skipped: 1, Blocked: 3}, report.Result)
		require.Contains(t, itemOf(t, report, 3).Why, "blocked by SO000001")
		require.Len(t, report.Blockers, 1)
		require.Equal(t, 3, report.Blockers[0].Orders, "also those behind the one behind it")
		require.Contains(t, itemOf(t, report, 4).Why, "blocked by SO000003")
		require.Contains(t, itemOf(t, report, 5).Why, "blocked by SO000003")
	})
}

func TestLaneKeys(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		first, second func(o *shopOrder)
		shared        bool
	}{
		"purchases that name no subscription go their own ways": {
			func(*shopOrder) {}, func(*shopOrder) {}, false,
		},
		"changes that name no subscription share their customer's lane": {
			func(o *shopOrder) { o.Type = "CH" }, func(o *shopOrder) { o.Type = "CF" }, true,
		},
		"changes of customers of different resellers do not": {
			func(o *shopOrder) { o.Type = "CH" }, func(o *shopOrder) { o.Type, o.VendorAccountID = "CH", "2" }, false,
		},
		"the tenant is a lane": {
			func(o *shopOrder) { o.TenantID = "t" }, func(o *shopOrder) { o.TenantID, o.SubscriptionIDs = "t", []string{"a"} },
			true,
		},
		"ids that differ only in letter case share a lane": {
			func(o *shopOrder) { o.SubscriptionIDs = []string{"sub-a"} },
			func(o *shopOrder) { o.SubscriptionIDs = []string{"SUB-A"} }, true,
		},
		"so do tenants": {
			func(o *shopOrder) { o.TenantID = "88a64097-0000-4000-8000-000000000abc" },
			func(o *shopOrder) { o.TenantID = "88A64097-0000-4000-8000-000000000ABC" }, true,
		},
		"one order named twice is its own lane": {
			func(*shopOrder) {}, func(o *shopOrder) { *o = *outageOrder(1, "") }, true,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := []*shopOrder{outageOrder(1, ""), outageOrder(2, "")}
				tt.first(orders[0])
				tt.second(orders[1])
				s := newShop(orders[1], orders[0])
				r := runnerFor(t, s, nil)
				_, err := r.Apply(t.Context(), planFor(t, orders...))
				require.NoError(t, err)
				require.LessOrEqual(t, s.accepted("id-1"), 1)
				if len(s.ledger) == 2 {
					require.Equal(t, !tt.shared, s.ledger[0].at.Equal(s.ledger[1].at))
				} else {
					require.True(t, tt.shared)
				}
			})
		})
	}
}

// lanelessJournal cannot read lanes.
type lanelessJournal struct {
	resubmit.Journal
	fails error
}

func (j lanelessJournal) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	if k.Kind == protocol.KindLane {
		return protocol.Record{}, j.fails
	}
	return j.Journal.Get(ctx, k)
}

func TestResumedOrderWhoseLanesCannotBeReadEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "a")
		s := newShop(o)
		p := planFor(t, o)
		ctx, cancel := context.WithCancel(t.Context())
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.OnEvent = func(e resubmit.Event) {
				if _, ok := e.(resubmit.PushAccepted); ok {
					cancel()
				}
			}
		})
		_, err := r.Apply(ctx, p)
		require.ErrorIs(t, err, context.Canceled)
		fails := errors.New("the disk is gone")
		r = runnerFor(t, s, func(c *resubmit.Config) { c.Journal = lanelessJournal{c.Journal, fails} })
		report, err := r.Apply(t.Context(), p)
		require.ErrorIs(t, err, fails)
		require.Equal(t, 1, report.Result.Completed)
		report, err = runnerFor(t, s, nil).Apply(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, 1, report.Result.Completed)
		require.Len(t, s.ledger, 1)
	})
}
