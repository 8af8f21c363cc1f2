package resubmit_test

import (
	"context"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

// A first pass counts, and a second one plans with what it counted.
func ExampleMeasureBaseline() {
	ctx, window := context.Background(), exampleCalendar().Windows()[0]
	rates, err := resubmit.MeasureBaseline(ctx, exampleOrders(), commerce.FailedOrdersView(),
		window.Start.AddDate(0, 0, -1), window.End.AddDate(0, 0, 1), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(rates)
	plan, err := resubmit.BuildPlan(ctx, resubmit.PlanConfig{
		Journal: new(resubmit.MemoryJournal),
		Systems: systemsOf(resubmit.Systems{Lister: exampleOrders()}), Policy: resubmit.Policy{SettleDelay: time.Millisecond},
		IgnoreConnect: true, Filter: filter.Everything(), Calendar: exampleCalendar(),
		Baseline: rates,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(plan.Counts())
	// Output:
	// 3 open failures of 0 products and sellers, from 2026-11-21T02:00:00Z to 2026-11-23T04:00:00Z in steps of 5m
	// 4 orders, resubmit 2, hold 1, quarantine 1
}
