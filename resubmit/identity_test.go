package resubmit_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

func TestApply_does_not_push_another_order(t *testing.T) {
	t.Parallel()
	for name, c := range others {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o, e := ownedOrder()
				p := planWith(t, nil, e)
				c.change(&o.Order)
				s := newShop(o)
				r := runnerFor(t, s, nil)

				var found []plan.Difference
				counts, err := resubmit.CheckPlan(t.Context(), p, resubmit.CheckConfig{
					RateLimit: -1, Systems: systemsOf(resubmit.Systems{Reader: s}),
				},
					func(d plan.Difference) error {
						found = append(found, d)
						return nil
					})
				require.NoError(t, err)
				require.Equal(t, plan.DiffCounts{Changed: 1}, counts)
				require.Equal(t, c.says, found[0].Text)

				session, err := r.Open(t.Context(), p)
				require.NoError(t, err)
				item, err := session.Attempt(t.Context(), e)
				require.NoError(t, err)
				session.Close()
				require.Equal(t, protocol.Skipped, item.Outcome)
				require.Contains(t, item.Why, c.says)

				report, err := runnerFor(t, s, nil).Apply(t.Context(), p)
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Skipped: 1}, report.Result)
				require.Contains(t, report.Items[0].Why, c.says)
				require.Zero(t, s.pushes())
			})
		})
	}
}

func TestApply_accepts_an_order_with_missing_identity_fields(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*commerce.Order, *plan.Entry){
		"a customer who changed his name": func(o *commerce.Order, _ *plan.Entry) { o.CustomerName = "Acme Ltd" },
		"a reading that tells nothing": func(o *commerce.Order, _ *plan.Entry) {
			o.Number, o.Type, o.VendorAccountID, o.CustomerID, o.CustomerName = "", "", "", "", ""
		},
		"a reading without the name": func(o *commerce.Order, _ *plan.Entry) { o.CustomerName = "" },
		"a reading without the id":   func(o *commerce.Order, _ *plan.Entry) { o.CustomerID = "" },
		"an entry that tells nothing": func(_ *commerce.Order, e *plan.Entry) {
			e.Number, e.Type, e.VendorAccountID, e.Customer, e.CustomerID = "", "", "", "", ""
		},
		"an entry with an id alone":  func(_ *commerce.Order, e *plan.Entry) { e.Customer = "42" },
		"an entry with a name alone": func(_ *commerce.Order, e *plan.Entry) { e.Customer, e.CustomerID = "Acme", "" },
		"an entry of version 1":      func(_ *commerce.Order, e *plan.Entry) { e.CustomerID = "" },
		"an entry of version 1, with the id alone": func(_ *commerce.Order, e *plan.Entry) {
			e.Customer, e.CustomerID = "42", ""
		},
		"an entry of version 1, and another name": func(o *commerce.Order, e *plan.Entry) {
			o.CustomerName, e.CustomerID = "Acme Ltd", ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o, e := ownedOrder()
				change(&o.Order, e)
				report, err := runnerFor(t, newShop(o), nil).Apply(t.Context(), planWith(t, nil, e))
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result, report.Items[0].Why)
			})
		})
	}
}

func TestVerify_does_not_take_another_order_for_success(t *testing.T) {
	t.Parallel()
	for name, c := range others {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o, e := ownedOrder()
				reads := 0
				o.onRead = func(o *shopOrder) {
					if reads++; reads > 1 {
						c.change(&o.Order)
						o.Status = commerce.StatusCompleted
					}
				}
				s := newShop(o)
				report, err := runnerFor(t, s, nil).Apply(t.Context(), planWith(t, nil, e))
				require.NoError(t, err)
				require.Equal(t, 1, s.pushes())
				require.Equal(t, resubmit.OutcomeCounts{Progressing: 1}, report.Result)
				require.Contains(t, report.Items[0].Why, "another order")
			})
		})
	}
}

func TestPlanner_holds_an_order_that_is_read_as_another_one(t *testing.T) {
	t.Parallel()
	source := failedOrders(2)
	source.orders[0].Transitions = nil
	reader := planReader(func(_ context.Context, id string) (*commerce.Order, error) {
		o := failedOrder(0)
		o.Number = "SO777777"
		return o, nil
	})
	entries := planned(t, resubmit.PlanConfig{
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source, Reader: reader}), IgnoreConnect: true,
	})
	require.Equal(t, rules.Decision{
		Action: rules.Hold, RuleID: "order-unread",
		Why: "the order could not be read: another order: number SO000000 → SO777777",
	}, entries[0].Decision)
	require.Equal(t, "77", entries[1].CustomerID)
}
