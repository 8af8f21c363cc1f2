package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func resolveCommand(p *program) *cli.Command {
	return &cli.Command{
		Name: "resolve", Usage: "settle by hand an order of which nobody can prove what its push did", ArgsUsage: "ORDER",
		Description: "ORDER is its number or id. An order that is completed is not sent again; one that did not move " +
			"may be sent by a later plan.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "outcome", Destination: &p.options.outcome,
				Usage: "`what` is certain: completed, the customer has the service; or notMoved, the push changed nothing"},
			reasonFlag(p), byFlag(p),
		},
		Action: func(ctx context.Context, cmd *cli.Command) error { return p.resolve(ctx, cmd.Args().First()) },
	}
}

// resolve settles an order. With the address of Commerce it is read first.
func (p *program) resolve(ctx context.Context, order string) error {
	o := &p.options
	if o.outcome == "" || o.why == "" {
		return usagef("resolve needs -outcome completed or notMoved, and -reason: how that is known")
	}
	outcome := protocol.Outcome(o.outcome)
	if outcome != protocol.Completed && outcome != protocol.NotMoved {
		return usagef("-outcome %q: give completed or notMoved", o.outcome)
	}
	s, err := p.openReading(ctx)
	if err != nil {
		return err
	}
	err = s.dir.Resolve(ctx, state.Resolution{Order: order, Outcome: outcome, By: o.by, Why: o.why})
	if err != nil {
		p.next = p.command("show", shellWord(order))
		return err
	}
	s.notes().Paragraph("", fmt.Sprintf("The order %s is settled as %s.", order, outcome))
	p.next = p.command("show", shellWord(order))
	if outcome == protocol.NotMoved {
		p.next = p.command("plan")
	}
	return nil
}
