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

// memory is what outlives the process: the journal, by which the same command continues
// a run that was killed, and the audit log, which records who did what.
type memory struct {
	journal, audit string // files; "" for none

	opened *journal.Journal
	log    *audit.Log
}

func (m *memory) flags(flags *flag.FlagSet) {
	flags.StringVar(&m.journal, "journal", "",
		"with -plan: `file` of the journal, by which the same command continues a run that was killed, "+
			"without sending an order twice (default on real systems: the file of -plan plus .journal)")
	flags.StringVar(&m.audit, "audit", "",
		"`file` of an audit log: every decision and call, with who, when and why, protected against changes")
}

// check names the journal too.
func (m *memory) check(s *settings) error {
	switch {
	case !s.apply && !s.sandbox && m.journal+m.audit != "":
		return errors.New("-journal and -audit record a run that resubmits orders: give -apply too")
	case m.journal != "" && s.plan == "":
		return errors.New("-journal belongs to one plan, which must still exist at the next run: give -plan too")
	case s.apply && s.plan != "":
		m.journal = cmp.Or(m.journal, s.plan+".journal")
	}
	for _, file := range []string{m.journal, m.audit} {
		if file != "" && file == s.plan || m.audit != "" && m.audit == m.journal {
			return fmt.Errorf("%s is given twice: give -plan, -journal and -audit a file each", file)
		}
	}
	return nil
}

// open comes before anything else, so that a second process does nothing at all.
func (m *memory) open(onClose func(func() error)) (err error) {
	if m.journal != "" {
		if m.opened, err = journal.Open(m.journal, journal.Program("aftermaintenance")); err != nil {
			return err
		}
		onClose(m.opened.Close)
	}
	if m.audit != "" {
		if m.log, err = audit.Open(m.audit, audit.Who{Program: "aftermaintenance"}); err != nil {
			return err
		}
		onClose(m.log.Close)
	}
	return nil
}

// plan is the digest of the plan that the journal was begun with; "" for none.
func (m *memory) plan() string {
	if m.opened == nil {
		return ""
	}
	return m.opened.Plan()
}

// attach lets a run remember.
func (m *memory) attach(cfg resubmit.Config) resubmit.Config {
	if m.opened != nil {
		cfg.Journal = m.opened
	}
	if m.log != nil {
		cfg = m.log.Attach(cfg)
	}
	return cfg
}
