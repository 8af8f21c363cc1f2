package resubmit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

const oddDate = "orderDate must be a time, not 1793527200"

func TestPlanner_holds_orders_with_problems(t *testing.T) {
	t.Parallel()
	source := failedOrders(4)
	odd := source.orders[1]
	odd.PlacedAt, odd.Status, odd.Problems = time.Time{}, "", []string{oddDate, "status must be a text"}
	source.orders[2].SubscriptionIDs = odd.SubscriptionIDs
	reader := planReader(func(_ context.Context, id string) (*commerce.Order, error) {
		require.NotEqual(t, odd.ID, id, "an order that is held anyway is not read")
		return nil, commerce.ErrUnavailable
	})
	odd.Transitions = nil
	entries := planned(t, resubmit.PlanConfig{
		Source: source, Reader: reader, IgnoreConnect: true,
	})
	require.Equal(t, []string{"connect-not-asked", "unreadable-row", "older-order-first", "connect-not-asked"}, rulesOf(entries))
	require.Equal(t, resubmit.Hold, entries[1].Decision.Action)
	require.Equal(t, "not all of the order could be read: "+oddDate, entries[1].Decision.Why)
	var told []string
	for _, e := range entries[1].Attribution.Evidence {
		if e.Kind == "order" {
			told = append(told, e.Text)
		}
	}
	require.Equal(t, odd.Problems, told)
}

func TestPlanner_holds_an_order_with_problems_whatever_the_filter(t *testing.T) {
	t.Parallel()
	source := failedOrders(2)
	source.orders[0].Problems, source.orders[0].PlacedAt = []string{oddDate}, time.Time{}
	entries := planned(t, resubmit.PlanConfig{
		Source: source, IgnoreConnect: true, Filter: resubmit.PlacedBetween(longAgo, longAgo.Add(time.Hour)),
		View: commerce.View{Name: "v", Statuses: []commerce.Status{"PF"}, PlacedFrom: longAgo},
	})
	require.Equal(t, []string{"unreadable-row", "connect-not-asked"}, rulesOf(entries))
}

func TestApply_does_not_push_an_order_that_became_unreadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		odd, fine := outageOrder(1, "a"), outageOrder(2, "b")
		s := newShop(odd, fine)
		plan := planFor(t, odd, fine)
		odd.onRead = func(o *shopOrder) { o.Problems = []string{oddDate} }
		report, err := runnerFor(t, s, nil).Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Zero(t, s.accepted("id-1"))
		require.Equal(t, 1, s.accepted("id-2"))
		require.Equal(t, resubmit.OutcomeSkipped, itemOf(t, report, 1).Outcome)
		require.Contains(t, itemOf(t, report, 1).Why, "not all of the order could be read: "+oddDate)
	})
}

func TestApply_proves_nothing_by_an_order_with_problems(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "a")
		s := newShop(o)
		reads := 0
		o.onRead = func(o *shopOrder) {
			if reads++; reads > 1 {
				o.Problems = []string{oddDate}
			}
		}
		report, err := runnerFor(t, s, nil).Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeProgressing, itemOf(t, report, 1).Outcome)
		require.Contains(t, itemOf(t, report, 1).Why, oddDate)
		require.Equal(t, 1, s.pushes())
	})
}

func TestCheckPlan_reports_an_order_with_problems_as_unread(t *testing.T) {
	t.Parallel()
	o := outageOrder(1, "a")
	plan := planFor(t, o)
	o.Problems = []string{oddDate}
	counts, err := resubmit.CheckPlan(t.Context(), plan, resubmit.CheckConfig{Reader: newShop(o)}, nil)
	require.NoError(t, err)
	require.Equal(t, 1, counts.Unread)
}
