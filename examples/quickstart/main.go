// Command quickstart shows the program of the README at work. It starts a Commerce and a Connect for tests in this
// process, lets orders fail during a maintenance, and resubmits those that the maintenance caused to fail.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// run starts the test systems, lets three orders fail, and resubmits what helps.
func run(ctx context.Context, out io.Writer) (err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	connectSystem := connecttest.New(connecttest.Config{})
	connectURL, err := connectSystem.Start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, connectSystem.Close()) }()
	commerceSystem, err := commercetest.New(commercetest.Config{
		ConnectURL: connectURL, ConnectKey: connecttest.DefaultKey, PollInterval: 10 * time.Millisecond, StaleEventFor: -1,
	})
	if err != nil {
		return err
	}
	commerceURL, err := commerceSystem.Start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, commerceSystem.Close()) }()

	window := maintenance.Window{ID: "CHG-7", Start: time.Now().Truncate(time.Second)} // as the times of orders
	connectSystem.SetMaintenance(true)
	commerceSystem.Place(commercetest.OrderSpec{CustomerName: "Acme Bakery"})
	commerceSystem.Place(commercetest.OrderSpec{CustomerName: "Elm Legal"})
	commerceSystem.Place(commercetest.OrderSpec{CustomerName: "Fjord Freight", FailWith: "customer not found"})
	if err := commerceSystem.Step(ctx); err != nil { // calls Connect, so that the orders fail
		return err
	}
	connectSystem.SetMaintenance(false)
	window.End = time.Now()
	go func() { _ = commerceSystem.Run(ctx) }() // from now on orders are provisioned as they come
	<-time.After(policy.SettleDelay)            // orders are left alone until Commerce has stopped retrying them

	orders, err := ordermanager.New(commerceURL, ordermanager.Token(commercetest.DefaultToken))
	if err != nil {
		return err
	}
	vendors, err := connect.New(connectURL, connect.APIKey(connecttest.DefaultKey))
	if err != nil {
		return err
	}
	windows, err := maintenance.NewCalendar([]maintenance.Window{window})
	if err != nil {
		return err
	}
	systems := resubmit.SystemsOf(orders, orders)
	systems.Requests, systems.Prober = vendors, vendors
	return resubmitFailed(ctx, out, systems, new(resubmit.MemoryJournal), windows) // usually a file: journal.Open
}

// policy has shorter pauses than real systems need.
var policy = resubmit.Policy{SettleDelay: time.Second}

// resubmitFailed is the function of the README, with shorter pauses.
func resubmitFailed(
	ctx context.Context, out io.Writer, systems resubmit.Systems, j resubmit.Journal, windows *maintenance.Calendar,
) error {
	plan, err := resubmit.BuildPlan(ctx, resubmit.PlanConfig{ // only reads
		Systems: systems, Policy: policy, Journal: j, Calendar: windows, Filter: filter.Everything(), RateLimit: -1,
	})
	if err != nil {
		return err
	}
	for entry, err := range plan.Entries() {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %s, because %s\n", entry.Number, entry.Decision.Action, entry.Decision.Why)
	}
	runner, err := resubmit.NewRunner(resubmit.Config{
		Systems: systems, Policy: policy, Journal: j, RateLimit: -1,
		Verify: resubmit.VerifyConfig{InitialInterval: 50 * time.Millisecond},
	})
	if err != nil {
		return err
	}
	result, err := runner.Apply(ctx, plan)
	doc, docErr := report.New(report.Input{Plan: plan, Report: result})
	if docErr == nil {
		fmt.Fprint(out, doc.Text())
	}
	return errors.Join(err, docErr)
}
