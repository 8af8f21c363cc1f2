package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func runCommand(p *program) *cli.Command {
	o := &p.options
	return &cli.Command{
		Name: "run", Usage: "the nightly job: continue, or plan and apply within limits, and report",
		Description: "It continues the unfinished run. Otherwise it waits until Connect is up and the orders are " +
			"due, makes a plan and applies it if it is within the limits; a plan beyond them is kept, and needs " +
			"apply. It can be started at any time, and again after any error or crash.",
		Flags: joined([]cli.Flag{
			&cli.IntFlag{Name: "max-orders", Destination: &o.maxOrders, Validator: checkMaxOrders,
				Usage: "most orders that are resubmitted without approval, -1 for any `number` (default 500)"},
			&cli.StringSliceFlag{Name: "max-money", Destination: &o.maxMoney,
				Usage: "largest sum of their totals, such as 5000USD (an `amount` for each currency; default: no limit)"},
			&cli.DurationFlag{Name: "wait-at-most", Destination: &o.waitAtMost, Value: 2 * time.Hour,
				Usage: "how long to wait for the end of a maintenance and for orders that are not due, such as 30m; 0s " +
					"does not wait"},
		}, applyFlags(o), selectionFlags(o)),
		Action: func(ctx context.Context, _ *cli.Command) error { return p.nightly(ctx) },
	}
}

// nightly is the job that runs again and again.
func (p *program) nightly(ctx context.Context) error {
	o := &p.options
	if o.waitAtMost < 0 {
		return usagef("-wait-at-most %v: give a time such as 2h", o.waitAtMost)
	}
	s, err := p.openSystems(ctx, true)
	if err != nil {
		return err
	}
	stop, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	defer stop()
	deadline := time.Now().Add(o.waitAtMost)
	p.next = p.command("run")
	if err := s.checkConnect(ctx, deadline); err != nil {
		if errors.Is(err, connect.ErrUnavailable) {
			err = waitError{fmt.Errorf("nothing was sent: %w", err)}
		}
		return s.notify(ctx, new(state.Result), nil, err)
	}
	p.next = ""
	options := state.OnceOptions{}
	if o.waitAtMost > 0 {
		options.WaitUntil = deadline
	}
	return s.work(ctx, options)
}
