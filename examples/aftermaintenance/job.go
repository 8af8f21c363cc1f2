package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// summary is the one JSON document.
type summary struct {
	Plan       resubmit.Counts `json:"plan"`
	Result     resubmit.Result `json:"result"`
	Violations []string        `json:"violations"`
}

// job does everything, and returns the exit status.
func job(ctx context.Context, s *settings, stdout, stderr io.Writer) (status int, err error) {
	out := stdout
	if s.json {
		out = stderr
	}
	sys, err := open(ctx, s, out)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, sys.close()) }()

	plan, err := makePlan(ctx, s, sys, out)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, plan.Close()) }()
	if err := checkNamed(s.numbers, plan); err != nil {
		return 0, err
	}
	if err := checkSelected(out, s.selected, plan); err != nil {
		return 0, err
	}
	if err := showPlan(out, plan); err != nil {
		return 0, err
	}
	s.way.showUntold(out, sys.commerce.Tells(), s.pushTargets())

	var stopped error
	sum := summary{Plan: plan.Counts(), Violations: []string{}}
	applying := s.apply || s.sandbox
	if applying {
		report, err := apply(ctx, s, sys, plan, out)
		if report == nil {
			return 0, err
		}
		showReport(out, report)
		sum.Result = report.Result
		stopped = err // what was done until then is told all the same
	}
	sum.Violations = append(sum.Violations, sys.violations()...)
	for _, v := range sum.Violations {
		fmt.Fprintln(out, "VIOLATION", v)
	}
	showLeft(out, s, &sum)
	switch {
	case applying:
	case sum.Plan.Resubmit == 0:
		fmt.Fprintln(out, "\nNothing was changed: this was a dry run, and there is nothing to resubmit now.")
	default:
		fmt.Fprintf(out, "\nNothing was changed: this was a dry run. Say -apply to resubmit %d orders.\n", sum.Plan.Resubmit)
	}
	if s.json {
		if err := json.NewEncoder(stdout).Encode(sum); err != nil {
			return 0, err
		}
	}
	switch {
	case stopped != nil:
		return 0, stopped
	case len(sum.Violations) > 0:
		return 0, fmt.Errorf("the test systems saw %d violations", len(sum.Violations))
	default:
		return sum.status(), nil
	}
}

// status is the exit status: whether anything is left for a person.
func (s *summary) status() int {
	p, r := s.Plan, s.Result
	left := p.Wait + p.Hold + p.Quarantine + p.Complete + p.Manual + r.Progressing + r.FailedAgain + r.FalseSuccess + r.Skipped + r.Unknown
	if left > 0 {
		return exitPerson
	}
	return exitDone
}

// makePlan writes the plan, or opens the one that is there.
func makePlan(ctx context.Context, s *settings, sys *systems, out io.Writer) (*resubmit.Plan, error) {
	path := s.plan
	if path == "" {
		dir, err := os.MkdirTemp("", "aftermaintenance")
		if err != nil {
			return nil, err
		}
		sys.onClose(func() error { return os.RemoveAll(dir) })
		path = filepath.Join(dir, "plan.jsonl")
	} else if plan, err := resubmit.OpenPlanAgain(path, s.memory.plan()); !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return nil, err
		}
		if err := plan.Verified(); err != nil { // before it is shown to anybody
			return nil, errors.Join(err, plan.Close())
		}
		fmt.Fprintf(out, "Using the plan in %s as it stands, made %s. To plan anew, name another file.\n", path, plan.Header().CreatedAt.UTC().Format("2006-01-02 15:04 MST"))
		if err := checkSelection(s, plan); err != nil {
			return nil, errors.Join(err, plan.Close())
		}
		return plan, nil
	}

	if s.way.via == viaBilling && s.ids == "" {
		return nil, errNoSelection
	}
	ids, numbers := names(s.selected)
	if _, err := resubmit.WritePlanFile(ctx, resubmit.PlanConfig{
		Source: sys.commerce, Reader: sys.commerce, Requests: sys.connect, IgnoreConnect: s.ignoreConnect,
		View: commerce.FailedOrders(), Filter: s.filter, Calendar: sys.calendar, Targets: s.targets, Settle: s.timing.settle,
		Explicit: slices.Concat(s.numbers, ids, numbers),
	}, path); err != nil {
		return nil, err
	}
	if s.plan != "" {
		fmt.Fprintf(out, "The plan is in %s.\n", path)
	}
	return resubmit.OpenPlan(path)
}

// checkSelection makes sure that a plan which is there has what the flags select
// now, since it is carried out as a whole.
func checkSelection(s *settings, plan *resubmit.Plan) error {
	if made, now := plan.Header().Filter, s.filter.String(); s.selects && made != now {
		return fmt.Errorf("-plan %s was made for %s, and the flags select %s: leave them out, or name another file", s.plan, made, now)
	}
	return nil
}

// checkNamed makes sure that every order that was named is in the plan.
func checkNamed(numbers []string, plan *resubmit.Plan) error {
	missing := slices.Clone(numbers)
	for e, err := range plan.Entries() {
		if err != nil {
			return err
		}
		missing = slices.DeleteFunc(missing, func(n string) bool { return n == e.Number })
	}
	if len(missing) > 0 {
		return fmt.Errorf("-order %s: no such order among the failed ones that the other flags select", strings.Join(missing, ", "))
	}
	return nil
}

// pushTargets are said even where they are the default ones, since a way in that does
// not tell what an order offers has no default.
func (s *settings) pushTargets() []commerce.Status {
	if s.targets == nil {
		return resubmit.DefaultTargets()
	}
	return s.targets
}

// apply carries the plan out.
func apply(ctx context.Context, s *settings, sys *systems, plan *resubmit.Plan, out io.Writer) (*resubmit.Report, error) {
	cfg := resubmit.Config{
		Reader: sys.commerce, Pusher: sys.commerce, Requests: sys.connect, Probe: sys.connect,
		Calendar: func() *connect.Calendar { return sys.calendar },
		Targets:  s.pushTargets(),
		Observer: newProgress(out, plan.Counts().Resubmit),
	}
	if s.way.via != viaBilling { // which cannot list orders
		cfg.Lister = sys.commerce
	}
	s.timing.set(&cfg, s.sandbox)
	runner, err := resubmit.NewRunner(s.memory.attach(cfg))
	if err != nil {
		return nil, err
	}
	return runner.Apply(ctx, plan)
}
