package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/cloudblue-go/cloudblue/resubmit/journal"
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
		started, err := s.journalStarted()
		if err != nil && !s.applies() { // otherwise opening the journal returns a better error
			return fmt.Errorf("-plan %s: there is no such file, and its journal cannot be read: %w", s.plan, err)
		}
		return s.missingPlan(started)
	case err != nil:
		return fmt.Errorf("-plan: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("-plan %s is not a regular file: give the file of a plan", s.plan)
	}
	return nil
}

// journalFile returns the journal of the plan, even if this run does not use it.
func (s *settings) journalFile() string {
	if s.records.journal == "" && !s.sandbox {
		return s.plan + ".journal"
	}
	return s.records.journal
}

// journalStarted reports whether the journal already belongs to a plan. It does not after a run that ended while
// planning.
func (s *settings) journalStarted() (bool, error) {
	path := s.journalFile()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || path == "" {
		return false, nil
	}
	j, err := journal.Open(path, journal.ReadOnly(), journal.Wait(0))
	if err != nil {
		return false, err
	}
	return j.Plan() != "", j.Close()
}

// missingPlan returns nil if a new plan may be made, since there is none.
func (s *settings) missingPlan(journalStarted bool) error {
	switch {
	case journalStarted:
		return fmt.Errorf("-plan %s: there is no such file, but its journal %s belongs to a run that was started: "+
			"restore the plan to resume that run, or name another file", s.plan, s.journalFile())
	case s.apply && !s.unreviewed:
		return fmt.Errorf("-plan %s: there is no such file, and -apply applies a plan that was reviewed: "+
			"run without -apply first to make it; to plan and apply at once, leave out -plan or add -unreviewed", s.plan)
	}
	return nil
}

// openPlan opens the file of -plan. It returns nil if there is none and a new one may be made.
func openPlan(s *settings, out io.Writer) (*plan.Plan, error) {
	plan, err := plan.Open(s.plan)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, s.missingPlan(s.records.plan() != "")
	}
	if err != nil {
		return nil, err
	}
	made := plan.Header().CreatedAt.UTC().Format("2006-01-02 15:04 MST")
	fmt.Fprintf(out, "Using the existing plan %s, made %s. To make a new one, name another file.\n", s.plan, made)
	return plan, nil
}
