// Command embed is the smallest service that embeds the library: an ordering
// system of its own, three methods that speak for it, and the whole job.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	night := time.Now().UTC().Add(-12 * time.Hour).Truncate(time.Minute)
	calendar, err := connect.NewCalendar([]connect.Window{
		{ID: "CHG-7", Title: "Connect upgrade", Start: night, End: night.Add(3 * time.Hour)},
	})
	if err != nil {
		return err
	}
	shop := newShop(night)

	plan, err := resubmit.BuildPlan(ctx, resubmit.PlanConfig{
		Source:        shop,
		IgnoreConnect: true, // this shop has no key for Connect: the reason alone decides
		View:          commerce.FailedOrders(),
		Filter:        resubmit.FailedDuring(calendar.Windows()[0]),
		Calendar:      calendar,
	})
	if err != nil {
		return err
	}
	for entry, err := range plan.Entries() {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %s, %s: %s\n", entry.Number, entry.Attribution.Verdict, entry.Decision.Action, entry.Decision.Why)
	}

	runner, err := resubmit.NewRunner(resubmit.Config{
		Reader: shop,
		Pusher: shop,
		Rate:   50,
		Verify: resubmit.Verify{First: 10 * time.Millisecond},
	})
	if err != nil {
		return err
	}
	report, err := runner.Apply(ctx, plan)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, report)
	return nil
}
