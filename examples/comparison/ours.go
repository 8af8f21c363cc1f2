package main

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// runOrderManager resubmits what the maintenance caused with this library, by Order Management.
func runOrderManager(ctx context.Context, j *job) error {
	c, err := ordermanager.New(j.Commerce, ordermanager.Token(j.Token))
	if err != nil {
		return err
	}
	return j.once(ctx, resubmit.SystemsOf(c, c), resubmit.PlanConfig{})
}

// runBilling does it by Billing, which does not report why orders failed: so they are named.
func runBilling(ctx context.Context, j *job) error {
	c, err := billing.New(j.Billing, billing.NoLogin(), billing.WithConcurrency(j.Threads))
	if err != nil {
		return err
	}
	ids := c.FromText(strings.NewReader(j.Export))
	return j.once(ctx, resubmit.SystemsOf(c, ids), resubmit.PlanConfig{OverrideIfFound: j.IDs})
}

// once is the nightly job, with all guards, the durable journal and the report.
func (j *job) once(ctx context.Context, systems resubmit.Systems, cfg resubmit.PlanConfig) error {
	vendors, err := connect.New(j.Connect, connect.APIKey(j.ConnectKey))
	if err != nil {
		return err
	}
	systems.Requests, systems.Prober = vendors, vendors
	if cfg.Calendar, err = maintenance.NewCalendar([]maintenance.Window{j.Window}); err != nil {
		return err
	}
	cfg.Filter, cfg.RateLimit, cfg.Concurrency = filter.Everything(), j.Rate, j.Threads
	dir, err := state.Open(ctx, j.State, state.Config{
		Systems: systems, Plan: cfg,
		Policy: resubmit.Policy{
			SettleDelay: settleDelay, Targets: protocol.DefaultTargets(), Retry: protocol.RetryPolicy{Spacing: -1},
		},
		Runner: resubmit.Config{
			RateLimit: j.Rate, Concurrency: j.Threads,
			Verify: resubmit.VerifyConfig{InitialInterval: between, MaxInterval: time.Second},
		},
		Limits: state.Limits{MaxOrders: -1, Verdicts: failure.Verdicts()},
		Anchor: state.FileAnchor(filepath.Join(j.State, "anchor.json")),
	})
	if err != nil {
		return err
	}
	result, err := dir.Once(ctx, state.OnceOptions{})
	for _, run := range result.Runs {
		say(run.Result.Total() - run.Result.Completed)
	}
	return err
}
