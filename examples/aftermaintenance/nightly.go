package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/cloudblue-go/cloudblue/examples/internal/page"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// nightly is the job with a state directory, and reports whether anything is left for a person.
func nightly(ctx context.Context, s *settings, stdout, stderr io.Writer) (left bool, err error) {
	out := stdout
	if s.json {
		out = stderr
	}
	s.warn(stderr)
	var warnings warnings
	s.api.logger = slog.New(slog.NewTextHandler(&warnings, &slog.HandlerOptions{Level: slog.LevelWarn}))
	defer warnings.show(stderr)
	sys, err := open(ctx, s, out)
	if err != nil {
		return false, interrupted(ctx, err)
	}
	defer func() { err = alsoClosed(err, sys.close()) }()

	if err := s.records.checkState(s, sys.clients()); err != nil {
		return false, err
	}
	progress := newPlanProgress(stderr)
	dir, err := state.Open(ctx, s.state.path, stateConfig(s, sys, progress, out, stderr))
	if err != nil {
		return false, interrupted(ctx, err)
	}
	sum := &summary{Violations: []string{}}
	if s.apply {
		err = once(ctx, s, dir, progress, sum, out)
	} else {
		err = preview(ctx, s, dir, progress, sum, out)
	}
	if err != nil && sum.Runs == nil {
		return false, err
	}
	s.api.showLimits(out, sys.commerce.Capabilities(), s.pushTargets())
	left = showLeft(out, s, sum)
	if s.apply {
		err = errors.Join(err, showAudit(dir, sum, out))
	} else {
		showDryRun(out, s, sum.Plan)
	}
	if s.json {
		err = errors.Join(err, json.NewEncoder(stdout).Encode(sum))
	}
	return left, err
}

// stateConfig returns the configuration of the state directory.
func stateConfig(s *settings, sys *systems, progress *planProgress, out, stderr io.Writer) state.Config {
	applying := newProgress(out)
	c := state.Config{
		Systems: sys.clients(), Policy: s.policy(), Plan: planConfig(s, progress),
		Runner: resubmit.Config{Logger: s.api.logger, OnEvent: func(e resubmit.Event) {
			if _, starts := e.(resubmit.RunStarted); starts {
				progress.end()
			}
			applying.onEvent(e)
		}},
		Limits: state.Limits{MaxOrders: s.state.maxOrders}, Program: program,
		Logger: slog.New(slog.NewTextHandler(stderr, nil)),
	}
	c.Plan.Calendar, c.Plan.Logger = sys.calendar, s.api.logger
	s.timing.set(&c.Runner, false)
	return c
}

const program = "aftermaintenance"

// preview shows the plan that would be made now.
func preview(ctx context.Context, s *settings, dir *state.Dir, progress *planProgress, sum *summary,
	out io.Writer) error {
	p, err := dir.Preview(ctx, nil)
	progress.end()
	if err != nil {
		return planningFailed(ctx, err)
	}
	defer func() { _ = p.Close() }() // only read
	sum.Plan = p.Counts()
	if status, err := dir.Status(); err == nil && status.Run != nil && !status.Run.Ended() {
		page.Paragraph(out, "", "With -apply, this unfinished run is continued first: "+status.Run.String())
	}
	if err := checkSelected(out, s.selected, p); err != nil {
		return err
	}
	return showPlan(out, p)
}

// planningFailed returns the error of planning in the words of the flags.
func planningFailed(ctx context.Context, err error) error {
	if missing, ok := errors.AsType[*resubmit.NotPlannedError](err); ok {
		return notFailed(missing.Orders)
	}
	return interrupted(ctx, err)
}

// once continues the unfinished run, or plans and applies, and shows what this call did.
func once(ctx context.Context, s *settings, dir *state.Dir, progress *planProgress, sum *summary,
	out io.Writer) error {
	var o state.OnceOptions
	if s.state.wait > 0 {
		o.Deadline = time.Now().Add(s.state.wait)
	}
	result, err := dir.Once(ctx, o)
	progress.end()
	if len(result.Runs) == 0 {
		return planningFailed(ctx, err)
	}
	sum.Runs = result.Runs
	var shown error
	for _, run := range result.Runs {
		shown = errors.Join(shown, showRun(s, dir, run, out))
	}
	last := result.Runs[len(result.Runs)-1]
	sum.Plan, s.plan = last.Counts, dir.Path(last, "plan.jsonl") // for what is left
	if last.Report != nil {
		sum.Result, sum.unfinished = last.Report.Result, findUnfinished(last.Report)
	}
	fmt.Fprintf(out, "\n%s\n", result)
	if approval, ok := errors.AsType[*state.ApprovalError](err); ok {
		sum.Approve = approval.Command
	}
	switch early, ok := errors.AsType[*resubmit.TooEarlyError](err); {
	case ok:
		fmt.Fprintln(out, tooEarlyYet(early))
	case err != nil && (last.Report == nil || last.End == state.EndFinished): // not of applying
		return errors.Join(shown, err)
	default:
		shown = errors.Join(shown, sum.unfinished.error(s, err))
	}
	return errors.Join(shown, s.checkContinued(dir, result))
}

// showAudit verifies the audit logs and shows the head of the newest one, if there is one.
func showAudit(dir *state.Dir, sum *summary, out io.Writer) error {
	head, err := dir.VerifyAudit()
	if err != nil || head.Lines == 0 {
		return err
	}
	sum.AuditHead = &head
	showHead(out, "The newest audit log in the directory", head)
	return nil
}

func tooEarlyYet(e *resubmit.TooEarlyError) string {
	line := "It is too early: " + number(e.Wait, "order") + " must still wait."
	if !e.Due.IsZero() {
		line += " The first is due after " + e.Due.UTC().Format(timeForm) + "."
	}
	return line + " Run the same command again then."
}

const timeForm = "2006-01-02 15:04:05 MST"

// showRun shows the plan of a run, and its result.
func showRun(s *settings, dir *state.Dir, run *state.Run, out io.Writer) error {
	p, err := plan.Open(dir.Path(run, "plan.jsonl"))
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }() // only read
	if s.selects && p.Header().Filter != s.filter.String() {
		page.Paragraph(out, "", fmt.Sprintf("An unfinished run was continued. Its plan selects %s, and the flags select "+
			"%s, which the next plan does.", p.Header().Filter, s.filter))
	} else if err := checkSelected(out, s.selected, p); err != nil {
		return err
	}
	if err := showPlan(out, p); err != nil {
		return err
	}
	if run.Report != nil {
		showReport(out, run.Report)
	}
	return nil
}

// checkContinued returns an error if an order of -order was not planned, because an unfinished run was continued.
func (s *settings) checkContinued(dir *state.Dir, result *state.Result) error {
	missing := make(map[string]bool)
	for _, n := range s.numbers {
		missing[n] = true
	}
	if len(missing) == 0 {
		return nil
	}
	for _, run := range result.Runs {
		p, err := plan.Open(dir.Path(run, "plan.jsonl"))
		if err != nil {
			return err
		}
		for e, err := range p.Entries() {
			if err != nil {
				return errors.Join(err, p.Close())
			}
			if e.Named {
				delete(missing, e.Number)
			}
		}
		_ = p.Close() // only read
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("an unfinished run was continued, and its plan does not name %s of -order: run the same command "+
		"again", number(len(missing), "order"))
}
