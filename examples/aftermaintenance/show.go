package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/examples/internal/page"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func showCommand(p *program) *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "show a plan or run, or what is known about an order", ArgsUsage: "[WHAT]",
		Description: "WHAT is the start of a digest, or the number or id of an order; the default is the newest run. " +
			"It calls no system.",
		Action: func(ctx context.Context, cmd *cli.Command) error { return p.show(ctx, cmd.Args().First()) },
	}
}

// show shows a run or an order.
func (p *program) show(ctx context.Context, what string) error {
	s, err := p.openDir(ctx)
	if err != nil {
		return err
	}
	run, err := s.findRun(what)
	if errors.Is(err, fs.ErrNotExist) {
		return s.showOrder(ctx, what)
	}
	if err != nil {
		return err
	}
	d, err := s.dir.Document(run)
	if err != nil {
		return err
	}
	now, err := s.dir.Status()
	if err != nil {
		return err
	}
	if now.Run != nil && now.Run.ID == run.ID {
		s.nextOf(now)
	}
	if s.options.format != formatText && s.options.format != formatWide {
		return s.writeDocument(d)
	}
	return s.showRun(run, d)
}

// showRun shows a run with its decisions, or with its orders for -o wide.
func (s *site) showRun(run *state.Run, d *report.Document) error {
	out := s.page()
	s.describe(run)
	fmt.Fprintln(out.Out)
	made, err := s.dir.OpenPlan(run)
	if err != nil {
		return err
	}
	defer func() { _ = made.Close() }() // only read
	if err := s.showPlan(out, made); err != nil {
		return err
	}
	if s.options.format == formatWide {
		fmt.Fprintln(out.Out)
		s.showItems(out, d.Items)
	} else {
		s.showPeople(out, d)
	}
	s.showWindows(out, d)
	s.showChart(out, d)
	s.showFiles(out, run)
	if s.next == s.command("show", short(run.Digest)) {
		s.next = s.command("report", short(run.Digest), "-format", "html")
	}
	return nil
}

// showPeople lists the orders for which a person must act.
func (s *site) showPeople(out page.Page, d *report.Document) {
	if len(d.People) == 0 {
		return
	}
	t := page.Table{Head: []string{"ORDER", "CUSTOMER", "MONEY", "ACTION", "OUTCOME", "WHY"}}
	for _, i := range d.People[:min(len(d.People), maxListed)] {
		why := i.Why
		if why == "" {
			why = i.Decision
		}
		t.Add(i.Number, i.Customer, i.Total, i.Action, i.Outcome, why)
	}
	fmt.Fprintf(out.Out, "\nFor a person, %s:\n", number(d.ByActor[report.ActorPerson], "order"))
	out.Print(&t)
	if more := d.ByActor[report.ActorPerson] - maxListed; more > 0 {
		fmt.Fprintf(out.Out, "and %d more: -o wide shows all\n", more)
	}
}
