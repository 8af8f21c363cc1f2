package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cloudblue-go/cloudblue/examples/internal/page"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// records are what outlives the process besides the plan: the journal, which is the memory of all plans and runs on one
// Commerce, and the audit log.
type records struct {
	journal, audit string // files; "" for the default journal and no log
	config         string // the user's configuration directory

	opened resubmit.Journal
	log    *audit.Log
	head   *audit.Head // of the audit log when it was closed
}

func (r *records) flags(flags *flag.FlagSet) {
	flags.StringVar(&r.journal, "journal", "",
		"`file` of the journal, the memory of all plans and runs on this Commerce: with it no failure is "+
			"resubmitted twice, and the same command resumes a run that was killed (default: a file in the user's "+
			"configuration directory that is named after the system; on the test systems the file of -plan plus "+
			".journal)")
	flags.StringVar(&r.audit, "audit", "",
		"`file` of a tamper-evident audit log: every decision and call, with who, when and why")
}

// check returns an error if the flags conflict.
func (r *records) check(s *settings) error {
	if !s.apply && !s.sandbox && r.audit != "" {
		return errors.New("-audit records a run that resubmits orders: give -apply too")
	}
	if s.sandbox && s.plan != "" {
		r.journal = cmp.Or(r.journal, s.plan+".journal")
	}
	for _, file := range []string{r.journal, r.audit} {
		if file != "" && file == s.plan || r.audit != "" && r.audit == r.journal {
			return fmt.Errorf("%s is given twice: -plan, -journal and -audit each need a file of their own", file)
		}
	}
	return nil
}

// open opens the files of a run. It is called before any call to a real system, so that a second process does nothing.
func (r *records) open(s *settings, clients resubmit.Systems, out io.Writer, onClose func(func() error)) (err error) {
	if err := r.openJournal(s, clients, onClose); err != nil {
		return flagged("-journal", err)
	}
	if r.audit == "" {
		return nil
	}
	if r.log, err = audit.Open(r.audit, audit.Who{Program: "aftermaintenance"}); err != nil {
		return flagged("-audit", err)
	}
	onClose(func() error { return r.closeAudit(out) })
	return nil
}

// closeAudit closes the audit log, if there is one, and prints its head once.
func (r *records) closeAudit(out io.Writer) error {
	if r.log == nil {
		return nil
	}
	err := r.log.Close()
	if r.head == nil {
		r.head = new(r.log.Head())
		showHead(out, "The audit log "+r.audit, *r.head)
	}
	return err
}

// showHead prints the head of a log.
func showHead(out io.Writer, log string, h audit.Head) {
	fmt.Fprintf(out, "\n%s ends with\n    %s\n", log, h)
	page.Paragraph(out, "", "Keep this where nobody who can write the log can change it: it shows whether lines were "+
		"edited or cut off.")
}

func (r *records) openJournal(s *settings, clients resubmit.Systems, onClose func(func() error)) error {
	if s.sandbox && r.journal == "" {
		r.opened = new(resubmit.MemoryJournal)
		return nil
	}
	if r.journal == "" {
		path, err := r.defaultJournal(clients)
		if err != nil {
			return err
		}
		if anchor, err := state.AnchorPath(&clients); err != nil || s.apply && exists(anchor) {
			return cmp.Or(err, errors.New("this Commerce has a state directory, whose journal knows what was sent: give its "+
				"-state, or -journal with the file journal in it"))
		}
		r.journal = path
	}
	options := []journal.Option{journal.WithOwner("aftermaintenance")}
	if !s.applies() && s.plan == "" { // a run may be using it
		options = append(options, journal.WithReadOnly())
	}
	file, err := journal.Open(r.journal, options...)
	if errors.Is(err, fs.ErrNotExist) && len(options) > 1 {
		r.opened = new(resubmit.MemoryJournal)
		return nil
	}
	if err != nil {
		return err
	}
	r.opened = file
	onClose(file.Close)
	return nil
}

// checkState returns an error if runs without -state have used another journal than that of a new state directory.
func (r *records) checkState(s *settings, clients resubmit.Systems) error {
	path, err := r.defaultJournal(clients)
	if err == nil && s.apply && exists(path) && !exists(filepath.Join(s.state.path, "journal")) {
		err = fmt.Errorf("-state: runs without it have used the journal %s, which knows what was sent: continue without "+
			"-state, or, when none of their orders is in flight any more, move that file away", path)
	}
	return err
}

func exists(path string) bool {
	_, err := os.Lstat(path) //nolint:gosec // the user names the file
	return err == nil
}

var notInName = regexp.MustCompile("[^A-Za-z0-9.]+")

// defaultJournal returns the path of the journal of an installation.
func (r *records) defaultJournal(clients resubmit.Systems) (string, error) {
	base := r.config
	if base == "" {
		var err error
		if base, err = os.UserConfigDir(); err != nil {
			return "", fmt.Errorf("the user's configuration directory is not known, so give the file: %w", err)
		}
	}
	dir := filepath.Join(base, "cloudblue-resubmit")
	name := sha256.Sum256([]byte(clients.Name + "\x00" + clients.Capabilities.IDSpace))
	short := strings.Trim(notInName.ReplaceAllString(clients.Name, "-"), "-.")
	short = short[:min(len(short), 100)] + "-" + hex.EncodeToString(name[:4]) + ".journal"
	return filepath.Join(dir, short), os.MkdirAll(dir, 0o700) //nolint:gosec // the user's own directory
}

// attach adds the journal and the audit log to the configuration of a run.
func (r *records) attach(cfg resubmit.Config) resubmit.Config {
	cfg.Journal = r.opened
	if r.log != nil {
		cfg = r.log.Wrap(cfg)
	}
	return cfg
}
