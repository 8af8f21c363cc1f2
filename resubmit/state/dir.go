package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// Dir is the state directory of one Commerce installation. Create it with [Open]. It is safe for concurrent use, also
// by several processes: those that plan or apply exclude each other by a lock.
type Dir struct {
	path  string
	cfg   Config
	log   *slog.Logger
	owner string // user, host and program

	journals  *journalStore
	runs      *runStore
	approvals *approvals
	commands  commandFiles

	// Replaced by tests.
	writePlan func(ctx context.Context, cfg resubmit.PlanConfig, path string) (plan.ActionCounts, error)
	newRunner func(cfg resubmit.Config) (runner, error)
}

// runner is a *resubmit.Runner.
type runner interface {
	Apply(ctx context.Context, p *plan.Plan) (*resubmit.Report, error)
	Status() resubmit.Status
	Pause()
	Resume()
	Drain()
	Cancel()
	SetLimits(rate float64, concurrency int) error
}

// Open opens a state directory, and creates it if needed. It must be on a local file system and must not be writable
// for others. The error matches [resubmit.ErrJournalMismatch] if the journal is missing, is an older copy, or is
// another one than the one that was used last; see [Recover]. Open takes no lock.
func Open(ctx context.Context, dir string, cfg Config) (*Dir, error) {
	d, err := open(dir, cfg)
	if err != nil {
		return nil, err
	}
	_, closeJournal, err := d.journals.use(ctx, true)
	if err != nil {
		return nil, err
	}
	return d, failed("close the journal", closeJournal())
}

// open is Open without a look at the journal.
func open(dir string, cfg Config) (*Dir, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = cfg.setDefaults(dir)
	}
	if err == nil {
		err = cfg.checkRunner()
	}
	if err == nil && cfg.Anchor == nil {
		var path string
		path, err = AnchorPath(&cfg.Systems)
		cfg.Anchor = FileAnchor(path)
	}
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	me := durable.ThisProcess(cfg.Program)
	d := &Dir{
		path: dir, cfg: cfg, log: cfg.Logger, owner: text.Short(me.User + "@" + me.Host + " " + me.Program),
		writePlan: resubmit.WritePlanFile,
		newRunner: func(c resubmit.Config) (runner, error) { return resubmit.NewRunner(c) },
	}
	d.journals = &journalStore{
		path: filepath.Join(dir, "journal"), cfg: &d.cfg, owner: d.owner,
		open: func(path string, readOnly bool) (resubmit.Journal, func() error, error) {
			return openJournal(path, cfg.Program, readOnly)
		},
	}
	d.runs = &runStore{
		path: filepath.Join(dir, "runs"), owner: d.owner, command: cfg.Command, step: func(string) error { return nil },
	}
	d.approvals = &approvals{cfg: &d.cfg, runs: d.runs}
	d.commands = commandFiles(filepath.Join(dir, "control"))
	for _, path := range []string{dir, string(d.commands), d.runs.path} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, failed("create the directory", err)
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, failed("open the directory", err)
		}
		if mode := info.Mode().Perm(); mode&0o022 != 0 && runtime.GOOS != "windows" {
			return nil, fmt.Errorf("state: others may write to %s, its mode is %v; run chmod 700 on it", path, mode)
		}
	}
	return d, failed("open the directory", durable.CheckLocal(dir))
}

// LockedError means that another process plans or applies.
type LockedError = durable.LockedError

// lockWait is how long a lock is waited for: enough for a process that was just killed, and for one that looks who has
// the lock.
const lockWait = 200 * time.Millisecond

func (d *Dir) lockPath() string { return filepath.Join(d.path, "lock") }

// session is the time in which this process has the lock of a directory.
type session struct {
	*Dir
	lock     *durable.Lock
	journal  resubmit.Journal
	closing  func() error  // of the journal
	anchored plan.Position // as stored in the anchor by this session
	auditLog *audit.Log    // of the run that is being applied; nil otherwise
	rejected float64       // the last rate limit of the journal that was rejected
}

// takeLock begins a session without the journal, or returns a *LockedError.
func (d *Dir) takeLock() (*session, error) {
	lock, err := durable.AcquireLock(d.lockPath(), d.cfg.Program, lockWait)
	return &session{Dir: d, lock: lock}, failed("take the lock", err)
}

// release ends a session without the journal.
func (s *session) release() { _ = s.lock.Release() } // the system does it at the latest when this process ends

// begin begins a session with the journal.
func (d *Dir) begin(ctx context.Context) (*session, error) {
	s, err := d.takeLock()
	if err != nil {
		return nil, err
	}
	defer func() {
		if s.closing == nil { // after an error, which says more, or a panic of the journal
			s.release()
		}
	}()
	if err := d.runs.sweep(d.cfg.Retention); err != nil {
		return nil, err
	}
	s.journal, s.closing, err = d.journals.use(ctx, false)
	return s, err
}

// close ends the session.
func (s *session) close(ctx context.Context) error {
	anchored := callback.Do(func() error { return s.anchor(ctx) })
	return cmp.Or(anchored, failed("close the journal", s.closing()), failed("release the lock", s.lock.Release()))
}

// anchor stores the position of the journal in the anchor, also after ctx has ended.
func (s *session) anchor(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	at, err := s.journal.Flush(ctx)
	if err != nil {
		return failed("write the journal", err)
	}
	if at == s.anchored {
		return nil
	}
	if err := s.cfg.Anchor.Store(ctx, at); err != nil {
		return failed("write the anchor of the journal", err)
	}
	s.anchored = at
	return nil
}

// failed returns an error that says what failed and, for some errors, what to do; nil for nil.
func failed(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("state: %s: %w; free space on the disk and repeat the command", what, err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("state: %s: %w; make it writable for this user and repeat the command", what, err)
	default:
		return fmt.Errorf("state: %s: %w", what, err)
	}
}
