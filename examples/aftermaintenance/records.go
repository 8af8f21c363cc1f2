package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

// records are the files of a run that outlive the process: the journal, with which the same command resumes a run that
// was killed, and the audit log.
type records struct {
	journal, audit string // files; "" for none

	opened *journal.Journal
	log    *audit.Log
}

func (r *records) flags(flags *flag.FlagSet) {
	flags.StringVar(&r.journal, "journal", "",
		"with -plan: `file` of the journal, with which the same command resumes a run that was killed "+
			"without sending an order twice (default on real systems: the file of -plan plus .journal)")
	flags.StringVar(&r.audit, "audit", "",
		"`file` of a tamper-evident audit log: every decision and call, with who, when and why")
}

// check returns an error if the flags conflict, and sets the default journal.
func (r *records) check(s *settings) error {
	switch {
	case !s.apply && !s.sandbox && r.journal+r.audit != "":
		return errors.New("-journal and -audit record a run that resubmits orders: give -apply too")
	case r.journal != "" && s.plan == "":
		return errors.New("-journal belongs to one plan, which the next run needs: give -plan too")
	case s.apply && s.plan != "":
		r.journal = cmp.Or(r.journal, s.plan+".journal")
	}
	for _, file := range []string{r.journal, r.audit} {
		if file != "" && file == s.plan || r.audit != "" && r.audit == r.journal {
			return fmt.Errorf("%s is given twice: -plan, -journal and -audit each need a file of their own", file)
		}
	}
	return nil
}

// open is called before anything else, so that a second process does nothing.
func (r *records) open(onClose func(func() error)) (err error) {
	if r.journal != "" {
		if r.opened, err = journal.Open(r.journal, journal.Program("aftermaintenance")); err != nil {
			return err
		}
		onClose(r.opened.Close)
	}
	if r.audit != "" {
		if r.log, err = audit.Open(r.audit, audit.Who{Program: "aftermaintenance"}); err != nil {
			return err
		}
		onClose(r.log.Close)
	}
	return nil
}

// plan returns the digest of the plan that the journal belongs to; "" for none.
func (r *records) plan() string {
	if r.opened == nil {
		return ""
	}
	return r.opened.Plan()
}

// attach adds the journal and the audit log to the configuration of a run.
func (r *records) attach(cfg resubmit.Config) resubmit.Config {
	if r.opened != nil {
		cfg.Journal = r.opened
	}
	if r.log != nil {
		cfg = r.log.Wrap(cfg)
	}
	return cfg
}
