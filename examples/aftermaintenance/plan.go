package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/examples/internal/page"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func planCommand(p *program) *cli.Command {
	return &cli.Command{
		Name: "plan", Usage: "make a plan: what to do with each failed order, and why",
		Description: "It only reads. The plan is kept until apply applies it, or until a newer one replaces it.",
		Flags: joined([]cli.Flag{&cli.BoolFlag{Name: "diff", Destination: &p.options.diff,
			Usage: "show what has changed since the plan before"}}, selectionFlags(&p.options)),
		Action: func(ctx context.Context, _ *cli.Command) error { return p.plan(ctx) },
	}
}

// plan makes a plan and shows it.
func (p *program) plan(ctx context.Context) error {
	s, err := p.openSystems(ctx, true)
	if err != nil {
		return err
	}
	if err := s.checkConnect(ctx, time.Time{}); err != nil {
		return err
	}
	before, err := s.dir.Status()
	if err != nil {
		return err
	}
	run, err := s.dir.Plan(ctx, nil, state.PlanOptions{})
	s.Stderr.Clear()
	if err != nil {
		if errors.Is(err, state.ErrUnfinished) {
			p.next = p.command("apply")
		}
		return s.planningFailed(err)
	}
	made, err := s.dir.OpenPlan(run)
	if err != nil {
		return err
	}
	defer func() { _ = made.Close() }() // only read
	d, err := s.document(made)
	if err != nil {
		return err
	}
	if err := s.showNewPlan(run, made, d); err != nil {
		return err
	}
	if p.options.diff {
		if err := s.showDiff(before.Run, made); err != nil {
			return err
		}
	}
	p.left, p.work = needsPerson(run.Counts), run.Counts.Resubmit > 0
	return s.nextAfterPlan(run, made)
}

// showNewPlan shows a plan that was just made, in the form of -o.
func (s *site) showNewPlan(run *state.Run, made *plan.Plan, d *report.Document) error {
	missing, err := s.selection.missing(made)
	if err != nil {
		return err
	}
	if s.options.format != formatText && s.options.format != formatWide {
		return s.writeDocument(d)
	}
	out := s.page()
	if missing != "" {
		out.Paragraph("", missing)
	}
	if err := s.showPlan(out, made); err != nil {
		return err
	}
	if s.options.format == formatWide {
		fmt.Fprintln(out.Out)
		s.showItems(out, d.Items)
	}
	s.showLimits(out)
	fmt.Fprintf(out.Out, "\nNothing was changed. The plan %s is in\n  %s\n", short(run.Digest), s.dir.Path(run,
		"plan.jsonl"))
	return nil
}

// showLimits says what the API of Commerce cannot do.
func (s *site) showLimits(out page.Page) {
	if limits := limitsOf(s.cfg.Commerce.Via, s.systems.Capabilities, s.cfg.policy(nil).Targets); limits != "" {
		fmt.Fprintln(out.Out)
		out.Paragraph("", limits)
	}
}

// nextAfterPlan says what can be done with a plan.
func (s *site) nextAfterPlan(run *state.Run, made *plan.Plan) error {
	switch n := run.Counts; {
	case n.Resubmit > 0:
		s.next = s.command("apply", short(run.Digest))
	case n.Wait > 0:
		due := "later"
		if t := made.Due(); !t.IsZero() {
			due = "after " + s.clock(t)
		}
		s.out().Paragraph("", fmt.Sprintf("It is too early: %s must still wait. Plan again %s.", number(n.Wait, "order"),
			due))
		s.next = s.command("plan") + "   # " + due
	case n.Hold > 0:
		s.out().Paragraph("", "There is nothing to resubmit now. If resubmitting an order that is held helps, name it with "+
			"-order.")
		s.next = s.command("plan", "-order", "NUMBER")
	default:
		fmt.Fprintln(s.out().Out, "There is nothing to resubmit now.")
	}
	return nil
}

// showDiff shows what a plan changes compared with the one before, which may be nil.
func (s *site) showDiff(before *state.Run, made *plan.Plan) error {
	out := s.out()
	if before == nil {
		fmt.Fprintln(out.Out, "\nThere is no plan before this one.")
		return nil
	}
	old, err := s.dir.OpenPlan(before)
	if err != nil {
		return err
	}
	defer func() { _ = old.Close() }() // only read
	const most = 50
	shown := 0
	var lines []string
	counts, err := plan.Diff(old, made, func(d plan.Difference) error {
		if shown++; shown <= most {
			lines = append(lines, d.String())
		}
		return nil
	})
	if err != nil {
		out.Paragraph("", fmt.Sprintf("The plan before, %s, cannot be compared: %v", short(before.Digest), err))
		return nil
	}
	fmt.Fprintf(out.Out, "\nSince the plan %s: %s\n", short(before.Digest), counts)
	for _, line := range lines {
		out.Paragraph("  ", line)
	}
	if shown > most {
		fmt.Fprintf(out.Out, "  and %d more\n", shown-most)
	}
	return nil
}

// needsPerson reports whether a person must do something about orders of a plan.
func needsPerson(n plan.ActionCounts) bool {
	return n.Wait+n.Hold+n.Complete+n.Manual+n.Mismatched+n.Quarantine > 0
}

// short is the part of a digest that people use.
func short(digest string) string {
	hex := strings.TrimPrefix(digest, "sha256:")
	return hex[:min(len(hex), 12)]
}

// planningFailed returns the error of planning in the words of the flags.
func (s *site) planningFailed(err error) error {
	missing, ok := errors.AsType[*resubmit.NotPlannedError](err)
	if !ok {
		return err
	}
	return fmt.Errorf("-order %s: not among the failed orders that the other flags select", strings.Join(missing.Orders,
		", "))
}
