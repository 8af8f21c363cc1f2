package watch_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// A maintenance ended an hour ago. A service would pass the clients for its systems, a
// maintenance.Multi and an availability.Tracker, and call Run for as long as it runs.
func ExampleWatcher() {
	dir, err := os.MkdirTemp("", "resubmit-state")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	upgrade := maintenance.Window{ID: "CHG-2041", Start: time.Now().Add(-3 * time.Hour), End: time.Now().Add(-time.Hour)}
	announced, err := maintenance.NewCalendar([]maintenance.Window{upgrade})
	if err != nil {
		fmt.Println(err)
		return
	}
	failed := &commerce.Order{
		ID: "id-SO000001", Number: "SO000001", Type: commerce.TypeSales, Status: commerce.StatusProvisioningFailed,
		PlacedAt: upgrade.Start.Add(time.Hour), FailedAt: upgrade.Start.Add(time.Hour),
		Failure:         commerce.Failure{Messages: map[string]string{"en_US": "503 Service Unavailable"}},
		SubscriptionIDs: []string{"1000042"}, Transitions: []commerce.Transition{{To: commerce.StatusPaid}},
	}
	system := &exampleShop{order: *failed}

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	watcher, err := watch.New(ctx, watch.Config{
		Dir: filepath.Join(dir, "state"),
		State: state.Config{
			Systems: resubmit.SystemsOf(system, system),
			Anchor:  state.FileAnchor(filepath.Join(dir, "anchor")), // usually outside of the directory
			Plan:    resubmit.PlanConfig{IgnoreConnect: true},
			// An example does not wait.
			Runner: resubmit.Config{RateLimit: -1, Verify: resubmit.VerifyConfig{InitialInterval: -1}},
		},
		Windows: maintenance.NewCalendarSource(announced),
		Ready: func(context.Context, time.Time) availability.Readiness { // usually availability.CheckReadiness
			return availability.Readiness{Checks: []availability.Check{{Name: availability.CheckAnswer,
				State: availability.StateReady}}}
		},
		OnClosed: func(_ watch.Episode, run *state.Run) {
			fmt.Println("planned:", run.Counts)
			fmt.Println("done:", run.Result)
			stop()
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(watcher.Run(ctx))
	// Output:
	// planned: 1 order, resubmit 1
	// done: 1 completed
	// context canceled
}

// exampleShop is a Commerce with one order, which completes when it is pushed.
type exampleShop struct{ order commerce.Order }

func (s *exampleShop) System() string { return "example shop" }

func (s *exampleShop) BaseURL() string { return "" }

func (s *exampleShop) Capabilities() commerce.Capabilities {
	return commerce.Capabilities{Failure: true, Transitions: true}
}

func (s *exampleShop) Order(context.Context, string) (*commerce.Order, error) {
	return new(s.order), nil
}

func (s *exampleShop) Push(context.Context, string, commerce.Status) error {
	s.order.Status, s.order.Transitions = commerce.StatusCompleted, nil
	return nil
}

func (s *exampleShop) Orders(context.Context, commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) { yield(new(s.order), nil) }
}
