package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// checkPlan returns an error, before anything is opened or written, if -apply would apply a plan that nobody had the
// chance to review.
func (s *settings) checkPlan() error {
	switch {
	case s.unreviewed && (s.plan == "" || !s.apply):
		return errors.New("-unreviewed needs -plan and -apply: without -plan, -apply always plans and applies at once")
	case s.plan == "":
		return nil
	}
	info, err := os.Stat(s.plan)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.missingPlan()
	case err != nil:
		return fmt.Errorf("-plan: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("-plan %s is not a regular file: give the file of a plan", s.plan)
	}
	return nil
}

// missingPlan returns nil if a new plan may be made, since there is none.
func (s *settings) missingPlan() error {
	if s.apply && !s.unreviewed {
		return fmt.Errorf("-plan %s: there is no such file, and -apply applies a plan that was reviewed: "+
			"run without -apply first to make it; to plan and apply at once, leave out -plan or add -unreviewed", s.plan)
	}
	return nil
}

// openPlan opens the file of -plan. It returns nil if there is none and a new one may be made.
func openPlan(s *settings, out io.Writer) (*plan.Plan, error) {
	plan, err := plan.Open(s.plan)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, s.missingPlan()
	}
	if err != nil {
		return nil, err
	}
	made := plan.Header().CreatedAt.UTC().Format("2006-01-02 15:04 MST")
	fmt.Fprintf(out, "Using the existing plan %s, made %s. To make a new one, name another file.\n", s.plan, made)
	return plan, nil
}
