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
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// summary is the JSON document that -json prints.
type summary struct {
	Plan       plan.ActionCounts      `json:"plan"`
	Result     resubmit.OutcomeCounts `json:"result"`
	Violations []string               `json:"violations"`
	Runs       []*state.Run           `json:"runs,omitempty"`    // of this call, with -state
	Approve    string                 `json:"approve,omitempty"` // the command that approves the plan
	AuditHead  *audit.Head            `json:"auditHead,omitempty"`

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
	defer func() { err = alsoClosed(err, sys.close()) }()

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
	closed := s.records.closeAudit(out)
	if sum.AuditHead = s.records.head; s.json {
		closed = errors.Join(closed, json.NewEncoder(stdout).Encode(sum))
	}
	if closed != nil {
		return left, alsoClosed(unfinished, closed)
	}
	if unfinished == nil && len(sum.Violations) > 0 {
		unfinished = fmt.Errorf("the test systems detected %d violations", len(sum.Violations))
	}
	return left, unfinished
}

// alsoClosed adds the error of closing the files, unless it is what ended the run.
func alsoClosed(err, closed error) error {
	if err != nil && closed != nil && strings.Contains(err.Error(), closed.Error()) {
		return err
	}
	return errors.Join(err, closed)
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
	progress := newPlanProgress(stderr)
	cfg := planConfig(s, progress)
	cfg.Systems, cfg.Policy, cfg.Journal, cfg.Calendar = sys.clients(), s.policy(), s.records.opened, sys.calendar
	_, err := resubmit.WritePlanFile(ctx, cfg, path)
	progress.end()
	if missing, ok := errors.AsType[*resubmit.NotPlannedError](err); ok {
		return nil, notFailed(missing.Orders)
	}
	if err != nil {
		return nil, err
	}
	if s.plan != "" {
		fmt.Fprintf(out, "The plan is in %s, the journal of this Commerce in %s.\n", path, s.records.journal)
	}
	return plan.Open(path)
}

// planConfig returns what only the planner needs.
func planConfig(s *settings, progress *planProgress) resubmit.PlanConfig {
	ids, numbers := names(s.selected)
	return resubmit.PlanConfig{
		IgnoreConnect: s.ignoreConnect, View: commerce.FailedOrdersView(), Filter: s.filter, Override: s.numbers,
		OverrideIfFound: slices.Concat(ids, numbers), RateLimit: s.timing.rate, Progress: progress.show,
	}
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

// plans reports whether a plan is made, because there is none in the file of -plan.
func (s *settings) plans() bool {
	_, err := os.Stat(s.plan) //nolint:gosec // the user names the file
	return err != nil
}

// applies reports whether the plan is applied, and not only shown.
func (s *settings) applies() bool { return s.apply || s.sandbox }

// pushTargets are the transitions to try. They are set even if they are the defaults, because APIs that do not report
// the transitions of an order have no default.
func (s *settings) pushTargets() []commerce.Status {
	if s.targets == nil {
		return protocol.DefaultTargets()
	}
	return s.targets
}

// policy returns what planning and applying agree on.
func (s *settings) policy() resubmit.Policy {
	return resubmit.Policy{
		Targets: s.pushTargets(), SettleDelay: s.timing.settle,
		Retry: protocol.RetryPolicy{MaxAttempts: s.timing.attempts, Spacing: s.timing.spacing},
	}
}

// policyOf returns the policy of a plan, with which it must be applied.
func (s *settings) policyOf(p *plan.Plan) (made resubmit.Policy, err error) {
	if err := json.Unmarshal(p.Header().Policy, &made); err != nil {
		return made, fmt.Errorf("-plan %s: its policy cannot be read: %w; make a new plan in another file", s.plan, err)
	}
	if now := s.policy().WithDefaults(); s.decided && !samePolicy(now, made) {
		return made, fmt.Errorf("-plan %s was made with other values of -targets, -settle-delay, -attempts or -spacing: "+
			"leave out those flags, or make a new plan in another file", s.plan)
	}
	return made, nil
}

func samePolicy(a, b resubmit.Policy) bool {
	one, err := json.Marshal(a)
	other, err2 := json.Marshal(b.WithDefaults())
	return errors.Join(err, err2) == nil && string(one) == string(other)
}

// apply applies the plan.
func apply(ctx context.Context, s *settings, sys *systems, plan *plan.Plan, out io.Writer) (*resubmit.Report, error) {
	policy, err := s.policyOf(plan)
	if err != nil {
		return nil, err
	}
	cfg := resubmit.Config{
		Systems: sys.clients(), Policy: policy,
		Calendar: func() *maintenance.Calendar { return sys.calendar },
		OnEvent:  newProgress(out).onEvent,
	}
	s.timing.set(&cfg, s.sandbox)
	if err := s.timing.pause(ctx); err != nil {
		return nil, err
	}
	runner, err := resubmit.NewRunner(s.records.attach(cfg))
	if err != nil {
		return nil, err
	}
	report, err := runner.Apply(ctx, plan)
	if early, ok := errors.AsType[*resubmit.TooEarlyError](err); ok {
		return nil, s.tooEarly(early)
	}
	return report, err
}

// tooEarly says that all orders of a plan wait, and until when.
func (s *settings) tooEarly(e *resubmit.TooEarlyError) error {
	when, how := "later", "run again"
	if !e.Due.IsZero() {
		when = "after " + e.Due.UTC().Format(timeForm)
	}
	if s.plan != "" {
		how = "make a new plan in another file"
	}
	return fmt.Errorf("it is too early, and nothing was resubmitted: %s must still wait, for the reasons above; %s %s",
		number(e.Wait, "order"), how, when)
}
