package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// nightlyConfig configures the nightly job for some systems, see resubmit.SystemsOf.
func nightlyConfig(systems resubmit.Systems, windows *maintenance.Calendar) state.Config {
	return state.Config{
		Systems:  systems,
		Calendar: func() *maintenance.Calendar { return windows },
		Plan:     resubmit.PlanConfig{Filter: filter.Everything()},
		Limits:   state.Limits{MaxOrders: 200}, // a plan beyond them waits for dir.Approve
	}
}

// nightly is the nightly job. Start it at any time, and again after any error or crash: no failure is sent twice.
func nightly(ctx context.Context, path string, cfg state.Config) error {
	dir, err := state.Open(ctx, path, cfg)
	if err != nil {
		return err
	}
	result, err := dir.Once(ctx, state.OnceOptions{WaitUntil: time.Now().Add(2 * time.Hour)})
	fmt.Println(result)
	for _, run := range result.Runs {
		if doc, err := dir.Document(run); err == nil {
			fmt.Print(doc.Text()) // report.html, .csv and .json in the directory of the run have more
		}
	}
	_, early := errors.AsType[*resubmit.TooEarlyError](err)
	if early || errors.Is(err, state.ErrApprovalRequired) || errors.Is(err, state.ErrPaused) {
		fmt.Println(err) // says who has to do what, and with which command
		return nil
	}
	return err
}
