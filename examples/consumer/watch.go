package main

import (
	"context"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/statuspage"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

func watchMaintenance(ctx context.Context, orders *ordermanager.Client, vendors *connect.Client) error {
	announced, err := statuspage.New("https://status.example.com") // or ical.New, a file, or several: maintenance.NewMulti
	if err != nil {
		return err
	}
	observed, err := availability.NewTracker(availability.TrackerConfig{})
	if err != nil {
		return err
	}
	systems := resubmit.SystemsOf(orders, orders)
	systems.Requests, systems.Prober = vendors, vendors
	watcher, err := watch.New(ctx, watch.Config{
		Dir: "resubmit-state", Windows: announced, Outages: observed,
		State: state.Config{Systems: systems, Limits: state.Limits{MaxOrders: 50}}, // larger plans need an approval
		Ready: func(ctx context.Context, since time.Time) availability.Readiness {
			return availability.CheckReadiness(ctx, vendors, availability.ReadinessConfig{Since: since})
		},
	})
	if err != nil {
		return err
	}
	go func() { _ = observed.Run(ctx, vendors) }() // until ctx ends
	return watcher.Run(ctx)
}
