package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func applyCommand(p *program) *cli.Command {
	o := &p.options
	return &cli.Command{
		Name: "apply", Usage: "resubmit the orders of a plan, and verify the results", ArgsUsage: "[PLAN]",
		Description: "PLAN is the start of the digest; the default is the newest plan. It asks first, which approves the " +
			"plan. Run it again after an interruption: it continues, and sends nothing twice.",
		Flags: joined([]cli.Flag{
			&cli.BoolFlag{Name: "yes", Destination: &o.yes, Usage: "do not ask"},
			&cli.IntFlag{Name: "confirm-above", Value: 100, Destination: &o.confirm,
				Usage: "to resubmit more orders than this `number`, or those of several vendors, type their number"},
			rateFlag(o),
		}, applyFlags(o)),
		Action: func(ctx context.Context, cmd *cli.Command) error { return p.apply(ctx, cmd.Args().First()) },
	}
}

// apply applies a plan.
func (p *program) apply(ctx context.Context, name string) error {
	s, err := p.openSystems(ctx, false) // the plan names its orders
	if err != nil {
		return err
	}
	stop, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	defer stop()
	run, err := s.findPlan(name)
	if err != nil {
		return err
	}
	if run.Ended() {
		return s.ended(run)
	}
	if err := s.startedEarly(run); err != nil {
		return err
	}
	if run.StartedAt.IsZero() {
		if err := s.approve(ctx, run); err != nil {
			return err
		}
	}
	if err := s.checkConnect(ctx, time.Time{}); err != nil {
		p.next = p.command("apply", short(run.Digest))
		return s.notify(ctx, new(state.Result), nil, err)
	}
	return s.work(ctx, state.OnceOptions{Continue: true})
}

// ended shows a run whose orders are all completed, and returns an error for another one that has ended.
func (s *site) ended(run *state.Run) error {
	if run.End != state.EndFinished || run.Result.Completed < run.Counts.Resubmit {
		s.next = s.command("plan")
		return fmt.Errorf("there is no plan to apply: %s has ended: %s", short(run.Digest), run)
	}
	s.left = needsPerson(run.Counts)
	s.next = s.command("report", short(run.Digest))
	d, err := s.dir.Document(run)
	if err != nil {
		return err
	}
	if s.options.format != formatText && s.options.format != formatWide {
		return s.writeDocument(d)
	}
	s.out().Paragraph("", fmt.Sprintf("Nothing was sent: the plan %s is done, and %s completed.", short(run.Digest),
		countOf(run.Result.Completed, "order is", "orders are")))
	return nil
}

// findPlan returns the run whose digest or id begins with a name, or the newest one for "".
func (s *site) findPlan(name string) (*state.Run, error) {
	now, err := s.dir.Status()
	if err != nil {
		return nil, err
	}
	run := now.Run
	switch {
	case run == nil:
		s.next = s.command("plan")
		return nil, errors.New("there is no plan to apply: make one")
	case name != "" && !matches(run, name):
		old, err := s.findRun(name)
		if err != nil || old.Ended() {
			return old, err
		}
		s.next = s.command("plan")
		return nil, fmt.Errorf("the plan %s was replaced: %s", short(old.Digest), old)
	}
	return run, nil
}

// findRun returns the run whose digest or id begins with a name; the newest one for "".
func (s *site) findRun(name string) (*state.Run, error) {
	if name != "" {
		return s.dir.Run(strings.TrimPrefix(name, "sha256:"))
	}
	now, err := s.dir.Status()
	if err == nil && now.Run == nil {
		s.next = s.command("plan")
		err = errors.New("there is no run yet")
	}
	return now.Run, err
}

// leastName is how many digits of a digest name a run.
const leastName = 4

// matches reports whether a name means a run.
func matches(r *state.Run, name string) bool {
	if name == "" || r.ID == name {
		return true
	}
	digits := strings.TrimPrefix(strings.ToLower(name), "sha256:")
	return len(digits) >= leastName && strings.HasPrefix(strings.TrimPrefix(r.Digest, "sha256:"), digits)
}

// startedEarly returns an error if no order of a plan may be sent now.
func (s *site) startedEarly(run *state.Run) error {
	if n := run.Counts; n.Resubmit == 0 {
		s.next = s.command("plan")
		return waitError{fmt.Errorf("the plan %s resubmits no order: %s", short(run.Digest), n)}
	}
	if run.Paused != nil {
		s.next = s.command("resume")
		return waitError{fmt.Errorf("the run is paused by %s since %s (%s)", run.Paused.By, s.clock(run.Paused.At),
			cmp.Or(run.Paused.Why, "no reason given"))}
	}
	return nil
}

// approve asks whether to resubmit the orders of a plan, and approves it.
func (s *site) approve(ctx context.Context, run *state.Run) error {
	p, err := s.dir.OpenPlan(run)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }() // only read
	if !s.options.yes {
		if err := s.confirm(ctx, run, p); err != nil {
			return err
		}
	}
	keys, err := s.cfg.approvers()
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return s.dir.Approve(run.Digest, "", nil)
	}
	if _, err := p.SignedBy(keys...); errors.Is(err, plan.ErrUnsigned) || errors.Is(err, plan.ErrBadSignature) {
		s.next = s.command("sign", short(run.Digest), "-key", "FILE")
		return waitError{fmt.Errorf("the plan must be signed by one of the approvers: %w", err)}
	} else if err != nil {
		return err
	}
	return nil
}
