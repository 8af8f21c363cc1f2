package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/internal/wait"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

const (
	overviewFile = "overview.jsonl"
	readingFile  = "overview.json" // the last reading
	readingLock  = "overview.lock"
)

// Reading describes the last [Dir.Read]: when it ended, how many orders there were, and its error.
type Reading struct {
	Kind    string    `json:"kind"`
	Version int       `json:"version"`
	At      time.Time `json:"at"` // when it ended
	By      string    `json:"by"` // the process
	// Err is why it failed; "" if it did not. After a failure the [Dir.Overview] is an older one.
	Err string `json:"error,omitempty"`
}

var readingFormat = jsonfile.Format[Reading]{
	Name: "state: reading", MaxBytes: 64 << 10, Kind: "cloudblue-resubmit-reading", Version: 1,
}

// Read reads the failed orders from Commerce and keeps them in the directory for [Dir.Overview]: all orders of
// Config.Plan.View, with their reasons, their causes and what the journal knows about them. It asks Commerce only, at
// Config.Plan.RateLimit: one call for each page, and one for each order whose reason is not in the list. It takes no
// lock that a run needs, except that of the journal for a moment if a server sends Retry-After, which is recorded for
// the next planning. If the journal is in use or does not exist, that is logged.
//
// The limit is for all processes: Read returns a [*LockedError] while another one reads, plans or applies, and stops if
// one begins to plan or apply. After an error the last overview stays, and Status.Reading has the error.
func (d *Dir) Read(ctx context.Context) error {
	reading, err := durable.AcquireLock(filepath.Join(d.path, readingLock), d.cfg.Program, 0)
	if err != nil {
		return failed("read the orders", err)
	}
	defer func() { _ = reading.Release() }() // the system does it at the latest when this process ends
	s, err := d.takeLock()
	if err != nil {
		return err
	}
	s.release()
	ctx, cancel := context.WithCancelCause(ctx)
	stop := yieldTo(ctx, d.lockPath(), cancel)
	err = callback.Do(func() error { return d.read(ctx) })
	stop()
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	cancel(nil)
	now := Reading{Kind: readingFormat.Kind, Version: readingFormat.Version, At: now(), By: d.owner}
	if err != nil {
		now.Err = text.Sentence(err.Error())
	}
	saved := readingFormat.WriteFile(filepath.Join(d.path, readingFile), now, 0o600)
	return failed("read the orders", cmp.Or(err, saved))
}

// yieldTo cancels a reading when a process takes a lock, until stop is called.
func yieldTo(ctx context.Context, lock string, cancel context.CancelCauseFunc) (stop func()) {
	free := func() bool {
		holder, busy := durable.LockHolder(lock)
		if busy {
			cancel(&LockedError{Path: lock, Holder: holder})
		}
		return !busy && ctx.Err() == nil
	}
	if !free() {
		return func() {}
	}
	return wait.Every(time.Second, free)
}

// read writes the overview.
func (d *Dir) read(ctx context.Context) error {
	return d.journals.read(ctx, func(j resubmit.Journal) error {
		cfg := d.planConfig(nil, unplaced{readOnly{j, d.journals}})
		cfg.Filter, cfg.IgnoreConnect, cfg.Override, cfg.OverrideIfFound = filter.Everything(), true, nil, nil
		_, err := d.writePlan(ctx, cfg, filepath.Join(d.path, overviewFile))
		return err
	})
}

// unplaced is a journal without a position, so that a plan that is based on it is never applied.
type unplaced struct{ resubmit.Journal }

func (u unplaced) Begin(ctx context.Context, use resubmit.JournalUse) (resubmit.Lease, error) {
	lease, err := u.Journal.Begin(ctx, use)
	lease.Position = plan.Position{}
	return lease, err
}

// Overview opens what [Dir.Read] has listed last, and calls no system; nil if nothing was ever read. It was read at
// CreatedAt of its header. It has the form of a plan, with the decisions as of then, but cannot be applied. Close it.
func (d *Dir) Overview() (*plan.Plan, error) {
	p, err := plan.Open(filepath.Join(d.path, overviewFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // documented
	}
	if err != nil {
		return nil, fmt.Errorf("state: the overview: %w; read the orders again", err)
	}
	return p, nil
}

// lastReading returns the last reading of a directory; nil if there is none.
func lastReading(dir string) (*Reading, error) {
	r, err := readingFormat.ReadFile(filepath.Join(dir, readingFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // documented
	}
	return &r, err
}

// OverviewPath returns the path of the file of [Dir.Overview]. The file may not exist. Reading replaces it.
func (d *Dir) OverviewPath() string { return filepath.Join(d.path, overviewFile) }
