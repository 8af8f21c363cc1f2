package resubmit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// plannedExample plans two orders to resubmit. The system has the same orders.
func plannedExample(j resubmit.Journal) (*plan.Plan, *ownSystem, error) {
	p, err := resubmit.BuildPlan(context.Background(), resubmit.PlanConfig{
		Systems: systemsOf(resubmit.Systems{Lister: exampleOrders(), Requests: noRequests}),
		Journal: j, Filter: filter.Everything(), Calendar: exampleCalendar(),
	})
	system := &ownSystem{orders: make(map[string]*commerce.Order)}
	for o := range exampleOrders().Orders(context.Background(), commerce.Query{}) {
		system.orders[o.ID] = o
	}
	return p, system, err
}

// hookedSystem calls onPush during each push.
type hookedSystem struct {
	*ownSystem
	onPush func()
}

func (s hookedSystem) Push(ctx context.Context, id string, to commerce.Status) error {
	s.onPush()
	return s.ownSystem.Push(ctx, id, to)
}

// exampleConfig does not wait and pushes one order after the other.
func exampleConfig(j resubmit.Journal, reader resubmit.OrderReader, pusher resubmit.Pusher) resubmit.Config {
	return resubmit.Config{
		Systems: systemsOf(resubmit.Systems{Reader: reader, Pusher: pusher}), Journal: j,
		MaxOpenOrders: 1, RateLimit: -1, Verify: resubmit.VerifyConfig{InitialInterval: -1},
	}
}

// A run that was interrupted is resumed by applying the same plan with the same journal.
func Example_resume() {
	dir, err := os.MkdirTemp("", "resume")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	j, err := journal.Open(filepath.Join(dir, "journal"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = j.Close() }()
	p, system, err := plannedExample(j)
	if err != nil {
		fmt.Println(err)
		return
	}
	apply := func(ctx context.Context, pusher resubmit.Pusher) {
		runner, err := resubmit.NewRunner(exampleConfig(j, system, pusher))
		if err != nil {
			fmt.Println(err)
			return
		}
		result, err := runner.Apply(ctx, p)
		fmt.Println(result.Result, err)
	}
	ctx, interrupt := context.WithCancel(context.Background())
	pushes := 0
	counted := hookedSystem{system, func() { pushes++; interrupt() }} // interrupts the first run at its first push
	apply(ctx, counted)
	apply(context.Background(), counted)
	fmt.Println("pushes:", pushes)
	// Output:
	// 1 progressing, 1 not started context canceled
	// 2 completed <nil>
	// pushes: 2
}

// Drain ends a run in good order: the order that is being pushed is verified, and the rest is not started.
func ExampleRunner_Drain() {
	j := new(resubmit.MemoryJournal)
	p, system, err := plannedExample(j)
	if err != nil {
		fmt.Println(err)
		return
	}
	var runner *resubmit.Runner
	runner, err = resubmit.NewRunner(exampleConfig(j, system, hookedSystem{system, func() { runner.Drain() }}))
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := runner.Apply(context.Background(), p)
	fmt.Println(errors.Is(err, resubmit.ErrDrained))
	for _, item := range result.Items {
		fmt.Println(item.Number, item.Outcome)
	}
	// Unordered output:
	// true
	// SO000001 completed
	// RN000003 notStarted
}

// SetLimits changes the rate and the concurrency while a run continues, here when the first order is pushed.
func ExampleRunner_SetLimits() {
	j := new(resubmit.MemoryJournal)
	p, system, err := plannedExample(j)
	if err != nil {
		fmt.Println(err)
		return
	}
	var runner *resubmit.Runner
	config := exampleConfig(j, system, hookedSystem{system, func() {
		if err := runner.SetLimits(100, 2); err != nil {
			fmt.Println(err)
		}
	}})
	config.OnEvent = func(e resubmit.Event) {
		if pace, ok := e.(resubmit.RateChange); ok {
			fmt.Println("limit:", pace.Limit, "calls per second")
		}
	}
	if runner, err = resubmit.NewRunner(config); err != nil {
		fmt.Println(err)
		return
	}
	result, err := runner.Apply(context.Background(), p)
	fmt.Println(result.Result, err)
	// Output:
	// limit: 100 calls per second
	// 2 completed <nil>
}

// Events show what a run does. They arrive in order, in one goroutine.
func ExampleEvent() {
	j := new(resubmit.MemoryJournal)
	p, system, err := plannedExample(j)
	if err != nil {
		fmt.Println(err)
		return
	}
	config := exampleConfig(j, system, system)
	config.OnEvent = func(e resubmit.Event) {
		switch e := e.(type) {
		case resubmit.RunStarted:
			fmt.Println("started:", e.Counts.Resubmit, "orders to resubmit")
		case resubmit.PushAccepted:
			fmt.Println("pushed:", e.Number)
		case resubmit.OrderDone:
			fmt.Println("done:", e.Number, e.Outcome)
		case resubmit.RunFinished:
			fmt.Println("finished:", e.Result)
		}
	}
	runner, err := resubmit.NewRunner(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := runner.Apply(context.Background(), p); err != nil {
		fmt.Println(err)
	}
	// Output:
	// started: 2 orders to resubmit
	// pushed: SO000001
	// done: SO000001 completed
	// pushed: RN000003
	// done: RN000003 completed
	// finished: 2 completed
}
