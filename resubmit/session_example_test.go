package resubmit_test

import (
	"context"
	"fmt"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// A job queue owns the loop: each job is about one order, and looks again later if
// that is not at its end.
func ExampleSession_Attempt() {
	ctx := context.Background()
	journal := new(resubmit.MemoryJournal)
	plan, err := resubmit.BuildPlan(ctx, resubmit.PlanConfig{
		Systems: systemsOf(resubmit.Systems{Lister: exampleOrders(), Requests: noRequests}),
		Journal: journal, Filter: filter.Everything(), Calendar: exampleCalendar(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	system := &ownSystem{orders: make(map[string]*commerce.Order)}
	for o := range exampleOrders().Orders(ctx, commerce.Query{}) {
		system.orders[o.ID] = o
	}
	runner, err := resubmit.NewRunner(resubmit.Config{
		Systems: systemsOf(resubmit.Systems{Reader: system, Pusher: system}), Journal: journal, RateLimit: -1,
		Verify: resubmit.VerifyConfig{InitialInterval: -1, Timeout: -1}, // one poll each time
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	session, err := runner.Open(ctx, plan)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer session.Close()
	for e := range plan.Entries() {
		if e.Decision.Action != rules.Resubmit {
			continue
		}
		item, err := session.Attempt(ctx, e)
		if err != nil {
			fmt.Println(err)
		}
		fmt.Println(item.Number, item.Outcome) // if progressing or unknown: queue it again
	}
	// Output:
	// SO000001 completed
	// RN000003 completed
}
