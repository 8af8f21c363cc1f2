package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// journalStore opens the journal of a state directory.
type journalStore struct {
	path  string // of the file
	cfg   *Config
	owner string
	open  func(path string, readOnly bool) (resubmit.Journal, func() error, error) // replaced by tests
}

// use opens the journal and compares it with the anchor. A journal that does not exist yet is created; if readOnly, it
// is nil.
func (s *journalStore) use(ctx context.Context, readOnly bool) (j resubmit.Journal, closing func() error, err error) {
	anchor, err := s.cfg.Anchor.Load(ctx) // before the journal, which may be in use
	if err != nil {
		return nil, nil, failed("read the anchor of the journal", err)
	}
	j, closing = s.cfg.Journal, func() error { return nil }
	if j == nil {
		if _, err := os.Lstat(s.path); errors.Is(err, fs.ErrNotExist) {
			if anchor != (plan.Position{}) {
				what := "is missing, although " + s.cfg.Systems.Name + " had one before"
				return nil, nil, s.mismatch(what, resubmit.ErrJournalMismatch)
			}
			if readOnly {
				return nil, closing, nil
			}
		}
		if j, closing, err = s.open(s.path, readOnly); err != nil {
			return nil, nil, failed("open the journal", err)
		}
	}
	if err := callback.Do(func() error { return s.compare(ctx, j, anchor, readOnly) }); err != nil {
		_ = closing() // err says more
		return nil, nil, err
	}
	return j, closing, nil
}

// read calls f with the journal, which is empty if there is none yet, and closes it.
func (s *journalStore) read(ctx context.Context, f func(resubmit.Journal) error) error {
	j, closing, err := s.use(ctx, true)
	if err != nil {
		return err
	}
	if j == nil {
		j = new(resubmit.MemoryJournal)
	}
	return errors.Join(f(j), failed("close the journal", closing()))
}

// put writes a record outside of a run, unless there is no journal with an anchor yet or another process has it.
func (s *journalStore) put(ctx context.Context, d resubmit.Durability, r protocol.Record) (uint64, error) {
	anchor, err := s.cfg.Anchor.Load(ctx)
	if err != nil {
		return 0, failed("read the anchor of the journal", err)
	}
	if anchor == (plan.Position{}) {
		return 0, errors.New("state: nothing was planned yet, so there is no journal")
	}
	j, closing, err := s.use(ctx, false)
	if err != nil {
		return 0, err
	}
	version, err := j.Put(ctx, d, r)
	return version, errors.Join(err, failed("close the journal", closing()))
}

// openJournal opens a journal file.
func openJournal(path, program string, readOnly bool) (resubmit.Journal, func() error, error) {
	opts := []journal.Option{journal.WithOwner(program)}
	if readOnly {
		opts = append(opts, journal.WithReadOnly())
	}
	f, err := journal.Open(path, opts...)
	if err != nil {
		return nil, nil, err
	}
	return f, f.Close, nil
}

// compare compares a journal with its anchor.
func (s *journalStore) compare(ctx context.Context, j resubmit.Journal, anchor plan.Position, readOnly bool) error {
	lease, err := j.Begin(ctx, s.as(anchor))
	if errors.Is(err, resubmit.ErrJournalMismatch) {
		return s.mismatch("was replaced, or is an older copy", err)
	}
	if err != nil {
		return failed("open the journal", err)
	}
	if anchor != (plan.Position{}) {
		return nil
	}
	for _, err := range j.Records(ctx) {
		if err != nil {
			return failed("read the journal", err)
		}
		again, err := s.cfg.Anchor.Load(ctx)
		if err != nil {
			return failed("read the anchor of the journal", err)
		}
		if again != (plan.Position{}) { // another process has just made the journal
			return s.compare(ctx, j, again, readOnly)
		}
		return s.mismatch("has no anchor, so it may be an older copy", resubmit.ErrJournalMismatch)
	}
	if readOnly {
		return nil
	}
	return failed("write the anchor of the journal", s.cfg.Anchor.Store(ctx, lease.Position))
}

// mismatch says what is wrong with the journal and how to continue.
func (s *journalStore) mismatch(what string, err error) error {
	return fmt.Errorf("state: the journal of %s %s, so it is not known which orders were sent: %w; use the state "+
		"directory that was used last, or put the newest copy of journal and anchor back; if the journal is lost, "+
		"run: %s recover",
		filepath.Dir(s.path), what, err, s.cfg.Command)
}

// use describes this process for the journal.
func (s *journalStore) as(after plan.Position) resubmit.JournalUse {
	systems := &s.cfg.Systems
	return resubmit.JournalUse{
		System: systems.Name, BaseURL: systems.BaseURL, IDSpace: systems.Capabilities.IDSpace, Owner: s.owner, After: after,
	}
}
