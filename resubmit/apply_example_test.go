package resubmit_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

// ownSystem is somebody's own ordering system, in which a push works at once.
type ownSystem struct {
	mu     sync.Mutex
	orders map[string]*commerce.Order
}

func (s *ownSystem) Order(_ context.Context, id string) (*commerce.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.orders[id]
	if !ok {
		return nil, &commerce.Error{Op: "read order", Err: commerce.ErrNotFound}
	}
	read := *o
	return &read, nil
}

func (s *ownSystem) Push(_ context.Context, id string, _ commerce.Status) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders[id].Status = commerce.StatusCompleted
	return nil
}

func ExampleRunner_Apply() {
	journal := new(resubmit.MemoryJournal) // the orders are pushed once, by whatever plan; a file survives the process
	plan, err := resubmit.BuildPlan(context.Background(), resubmit.PlanConfig{
		Systems: systemsOf(resubmit.Systems{Lister: exampleOrders(), Requests: noRequests}),
		Journal: journal, Filter: filter.Everything(), Calendar: exampleCalendar(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	system := &ownSystem{orders: make(map[string]*commerce.Order)}
	for o := range exampleOrders().Orders(context.Background(), commerce.Query{}) {
		system.orders[o.ID] = o
	}
	// Since the plan was made, somebody has completed the renewal by hand.
	system.orders["id-RN000003"].Status = commerce.StatusCompleted

	runner, err := resubmit.NewRunner(resubmit.Config{
		Systems: systemsOf(resubmit.Systems{Reader: system, Pusher: system}), Journal: journal,
		RateLimit: -1, Verify: resubmit.VerifyConfig{InitialInterval: -1}, // an example does not wait
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := runner.Apply(context.Background(), plan)
	if err != nil {
		fmt.Println(err)
	}
	for _, item := range report.Items {
		fmt.Println(item.Number, item.Outcome+":", item.Why)
	}
	fmt.Println(report.Result)
	// Unordered output:
	// SO000001 completed: Commerce says CP; Connect was not asked
	// RN000003 skipped: moved since the plan was made: status PF → CP
	// 1 completed, 1 skipped
}
