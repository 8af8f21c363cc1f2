package resubmit_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

func exampleOrders() resubmit.OrderLister {
	night := time.Date(2026, 11, 22, 2, 30, 0, 0, time.UTC)
	order := func(number string, kind commerce.OrderType, reason string) *commerce.Order {
		return &commerce.Order{
			ID: "id-" + number, Number: number, Type: kind, Status: commerce.StatusProvisioningFailed,
			PlacedAt: night, SubscriptionIDs: []string{"1" + number}, Failure: failed(reason),
			Transitions: []commerce.Transition{{To: commerce.StatusPaid}},
		}
	}
	return &planSource{orders: []*commerce.Order{
		order("SO000001", commerce.TypeSales, "503 Service Unavailable"),
		order("SO000002", commerce.TypeSales, "The vendor has rejected the request"),
		order("RN000003", commerce.TypeRenewal, "connection refused"),
		order("SO000004", commerce.TypeSales, "Error 4711"),
	}}
}

func exampleCalendar() *maintenance.Calendar {
	cal, err := maintenance.NewCalendar([]maintenance.Window{{
		ID: "november", Start: time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC),
		End: time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC),
	}})
	if err != nil {
		fmt.Println(err)
	}
	return cal
}

func ExampleBuildPlan() {
	plan, err := resubmit.BuildPlan(context.Background(), resubmit.PlanConfig{
		Journal:  new(resubmit.MemoryJournal),
		Systems:  systemsOf(resubmit.Systems{Lister: exampleOrders(), Requests: noRequests}),
		Policy:   resubmit.Policy{SettleDelay: time.Millisecond},
		Filter:   filter.Everything(),
		Calendar: exampleCalendar(), // the orders failed long ago
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for e, err := range plan.Entries() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s %-9s → %-10s %s\n", e.Number, e.Attribution.Verdict, e.Decision.Action, e.Decision.Why)
	}
	fmt.Println(plan.Counts().Resubmit, "of", plan.Counts().Total)
	// Output:
	// SO000001 caused    → resubmit   the call never reached Connect
	// SO000002 unrelated → quarantine the reason is permanent, so a resubmitted order fails again; it needs a new order or support
	// RN000003 caused    → resubmit   Connect was not asked, and the reason allows another attempt
	// SO000004 likely    → hold       it is unknown whether resubmitting helps with this reason: name the order, or add a rule for the reason
	// 2 of 4
}

func Example_openPlan() {
	folder, err := os.MkdirTemp("", "plan")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "plan.jsonl")
	counts, err := resubmit.WritePlanFile(context.Background(), resubmit.PlanConfig{
		Journal: new(resubmit.MemoryJournal),
		Systems: systemsOf(resubmit.Systems{Lister: exampleOrders()}), Policy: resubmit.Policy{SettleDelay: time.Millisecond},
		IgnoreConnect: true, Filter: filter.Types(commerce.TypeSales),
	}, path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(counts)

	data, err := os.ReadFile(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	edited := strings.Replace(string(data), `"action":"hold"`, `"action":"resubmit"`, 1)
	if err := os.WriteFile(path, []byte(edited), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	_, err = plan.Open(path)
	_, problem, _ := strings.Cut(err.Error(), "plan.jsonl: ")
	fmt.Println(problem)
	// Output:
	// 3 orders, resubmit 1, hold 1, quarantine 1
	// line 5: the counts do not match: the last line has {"total":3,"resubmit":1,"wait":0,"hold":1,"quarantine":1,"complete":0,"manual":0}, the entries have {"total":3,"resubmit":2,"wait":0,"hold":0,"quarantine":1,"complete":0,"manual":0}; make a new plan
}
