package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// summary is the JSON document that -json prints.
type summary struct {
	Plan       plan.ActionCounts      `json:"plan"`
	Result     resubmit.OutcomeCounts `json:"result"`
	Violations []string               `json:"violations"`

	unfinished unfinished
}

// job plans and applies, and reports whether anything is left for a person.
func job(ctx context.Context, s *settings, stdout, stderr io.Writer) (left bool, err error) {
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
	defer func() { err = errors.Join(err, sys.close()) }()

	plan, err := makePlan(ctx, s, sys, out, stderr)
	if err != nil {
		return false, interrupted(ctx, err)
	}
	defer func() { err = errors.Join(err, plan.Close()) }()
	if err := cmp.Or(checkSystem(s, sys, plan), checkSelection(s, plan)); err != nil {
		return false, err
	}
	if err := checkNamed(s.numbers, plan); err != nil {
		return false, err
	}
	if err := checkSelected(out, s.selected, plan); err != nil {
		return false, err
	}
	if err := showPlan(out, plan); err != nil {
		return false, err
	}
	s.api.showLimits(out, sys.commerce.Capabilities(), s.pushTargets())

	sum := summary{Plan: plan.Counts(), Violations: []string{}}
	var unfinished error
	if s.applies() {
		report, err := apply(ctx, s, sys, plan, out)
		if report == nil {
			return false, err
		}
		showReport(out, report)
		sum.Result, sum.unfinished = report.Result, findUnfinished(report)
		unfinished = sum.unfinished.error(s, err) // reported after what was done
	}
	sum.Violations = append(sum.Violations, sys.violations()...)
	for _, v := range sum.Violations {
		fmt.Fprintln(out, "VIOLATION", v)
	}
	left = showLeft(out, s, &sum)
	if !s.applies() {
		showDryRun(out, s, sum.Plan)
	}
	if s.json {
		if err := json.NewEncoder(stdout).Encode(sum); err != nil {
			return left, err
		}
	}
	if unfinished == nil && len(sum.Violations) > 0 {
		unfinished = fmt.Errorf("the test systems detected %d violations", len(sum.Violations))
	}
	return left, unfinished
}

// interrupted rewrites an error from before the run if a signal caused it.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("interrupted before anything was resubmitted: %w", context.Cause(ctx))
}

// makePlan opens the plan if it exists, and writes it otherwise.
func makePlan(ctx context.Context, s *settings, sys *systems, out, stderr io.Writer) (*plan.Plan, error) {
	path := s.plan
	if path == "" {
		dir, err := os.MkdirTemp("", "aftermaintenance")
		if err != nil {
			return nil, err
		}
		sys.onClose(func() error { return os.RemoveAll(dir) })
		path = filepath.Join(dir, "plan.jsonl")
	} else if plan, err := openPlan(s, out); plan != nil || err != nil {
		return plan, err
	}

	if s.api.via == viaBilling && s.ids == "" {
		return nil, errNoSelection
	}
	ids, numbers := names(s.selected)
	progress := newPlanProgress(stderr)
	_, err := resubmit.WritePlanFile(ctx, resubmit.PlanConfig{
		Systems: sys.clients(), Policy: s.policy(), IgnoreConnect: s.ignoreConnect,
		View: commerce.FailedOrdersView(), Filter: s.filter, Calendar: sys.calendar,
		Override: s.numbers, OverrideIfFound: slices.Concat(ids, numbers), RateLimit: s.timing.rate, Progress: progress.show,
	}, path)
	progress.end()
	if missing, ok := errors.AsType[*resubmit.NotPlannedError](err); ok {
		return nil, notFailed(missing.Orders)
	}
	if err != nil {
		return nil, err
	}
	if s.plan != "" {
		fmt.Fprintf(out, "The plan is in %s.\n", path)
	}
	return plan.Open(path)
}

// checkSystem returns an error if the plan was made for another system than the flags name, in a dry run too. The
// Runner checks it again.
func checkSystem(s *settings, sys *systems, plan *plan.Plan) error {
	made, now := plan.Header().System, sys.commerce.System()
	switch made {
	case now:
		return nil
	case "":
		return fmt.Errorf("-plan %s was made by an older version and does not name its system; this one is %s: "+
			"make a new plan in another file", s.plan, now)
	default:
		return fmt.Errorf("-plan %s was made for %q, but -via and -commerce name %q: name the system of the plan, "+
			"or make a new plan in another file", s.plan, made, now)
	}
}

// checkSelection returns an error if an existing plan was made with another selection than the flags give, since a plan
// is applied as a whole.
func checkSelection(s *settings, plan *plan.Plan) error {
	if made, now := plan.Header().Filter, s.filter.String(); s.selects && made != now {
		return fmt.Errorf("-plan %s was made with the selection %s, but the flags select %s: "+
			"leave out those flags, or make a new plan in another file", s.plan, made, now)
	}
	return nil
}

// checkNamed returns an error if an order of -order is not in the plan.
func checkNamed(numbers []string, plan *plan.Plan) error {
	missing := slices.Clone(numbers)
	for e, err := range plan.Entries() {
		if err != nil {
			return err
		}
		missing = slices.DeleteFunc(missing, func(n string) bool { return n == e.Number })
	}
	if len(missing) > 0 {
		return notFailed(missing)
	}
	return nil
}

func notFailed(numbers []string) error {
	return fmt.Errorf("-order %s: not among the failed orders that the other flags select", strings.Join(numbers, ", "))
}

// applies reports whether the plan is applied, and not only shown.
func (s *settings) applies() bool { return s.apply || s.sandbox }

// pushTargets are the transitions to try. They are set even if they are the defaults, because APIs that do not report
// the transitions of an order have no default.
func (s *settings) pushTargets() []commerce.Status {
	if s.targets == nil {
		return resubmit.DefaultTargets()
	}
	return s.targets
}

// policy returns what planning and applying agree on.
func (s *settings) policy() resubmit.Policy {
	return resubmit.Policy{Targets: s.pushTargets(), SettleDelay: s.timing.settle}
}

// apply applies the plan.
func apply(ctx context.Context, s *settings, sys *systems, plan *plan.Plan, out io.Writer) (*resubmit.Report, error) {
	cfg := resubmit.Config{
		Systems: sys.clients(), Policy: s.policy(),
		Calendar: func() *maintenance.Calendar { return sys.calendar },
		OnEvent:  newProgress(out, plan.Counts().Resubmit).onEvent,
	}
	s.timing.set(&cfg, s.sandbox)
	if err := s.timing.pause(ctx); err != nil {
		return nil, err
	}
	runner, err := resubmit.NewRunner(s.records.attach(cfg))
	if err != nil {
		return nil, err
	}
	return runner.Apply(ctx, plan)
}
