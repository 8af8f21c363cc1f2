package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
)

func resubmitFailed(ctx context.Context, systems resubmit.Systems, j resubmit.Journal,
	windows *maintenance.Calendar,
) error {
	plan, err := resubmit.BuildPlan(ctx, resubmit.PlanConfig{
		Systems: systems, Journal: j, Calendar: windows, Filter: filter.Everything(),
	})
	if err != nil {
		return err
	}
	runner, err := resubmit.NewRunner(resubmit.Config{Systems: systems, Journal: j})
	if err != nil {
		return err
	}
	result, err := runner.Apply(ctx, plan)
	doc, docErr := report.New(report.Input{Plan: plan, Report: result})
	if docErr == nil {
		fmt.Print(doc.Text())
	}
	return errors.Join(err, docErr)
}
