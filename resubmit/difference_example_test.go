package resubmit_test

import (
	"context"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// planOfThose plans the orders of exampleOrders that are still failed.
func planOfThose(still func(*commerce.Order) bool) *plan.Plan {
	left := &planSource{}
	for o := range exampleOrders().Orders(context.Background(), commerce.Query{}) {
		if still(o) {
			left.orders = append(left.orders, o)
		}
	}
	plan, err := resubmit.BuildPlan(context.Background(), resubmit.PlanConfig{
		Journal: new(resubmit.MemoryJournal),
		Systems: systemsOf(resubmit.Systems{Lister: left}), Policy: resubmit.Policy{SettleDelay: time.Millisecond},
		IgnoreConnect: true, Filter: filter.Everything(),
	})
	if err != nil {
		fmt.Println(err)
	}
	return plan
}

func printDifference(d plan.Difference) error {
	fmt.Println(d)
	return nil
}

func Example_difference() {
	yesterday := planOfThose(func(*commerce.Order) bool { return true })
	today := planOfThose(func(o *commerce.Order) bool { return o.Number != "RN000003" })
	counts, err := plan.Diff(yesterday, today, printDifference)
	fmt.Println(counts, err)
	// Output:
	// left    RN000003: no longer among the failed orders: it recovered, or somebody moved or cancelled it
	// 1 left the failed orders, 0 new, 0 changed, 3 the same <nil>
}

// Before a plan is applied, somebody wants to know whether it is still true.
func ExampleCheckPlan() {
	ctx, p := context.Background(), planOfThose(func(*commerce.Order) bool { return true })
	now := make(map[string]*commerce.Order)
	for o := range exampleOrders().Orders(ctx, commerce.Query{}) {
		now[o.ID] = o
	}
	now["id-RN000003"].Status = commerce.StatusCompleted // somebody was faster

	counts, err := resubmit.CheckPlan(ctx, p, resubmit.CheckConfig{
		Systems: systemsOf(resubmit.Systems{Reader: planReader(func(_ context.Context, id string) (*commerce.Order, error) {
			return now[id], nil
		})}),
	}, printDifference)
	fmt.Println(counts, err)
	// Output:
	// left    RN000003: status PF → CP
	// 1 left the failed orders, 0 new, 0 changed, 1 the same <nil>
}
