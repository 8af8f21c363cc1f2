package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// LockInfo describes the process that holds a lock, with the fields User, Host, PID, Program and Since.
type LockInfo = durable.LockInfo

// LockedError is returned if another process has locked the journal. It names the process.
type LockedError = durable.LockedError

// Option is an option of [Open].
type Option func(*options) error

type options struct {
	readOnly  bool
	wait      time.Duration
	owner     string
	retention time.Duration
	sync      func(*os.File) error // tests replace it
}

// WithReadOnly opens a journal for reading, without its lock: another process may write it. What is
// written later is not seen.
func WithReadOnly() Option {
	return func(o *options) error {
		o.readOnly = true
		return nil
	}
}

// WithLockTimeout sets how long Open waits for the lock. Default 1 s, enough for a process that was
// just killed; 0 does not wait.
func WithLockTimeout(d time.Duration) Option {
	return func(o *options) error {
		if o.wait = d; d < 0 {
			return fmt.Errorf("WithLockTimeout: %v is negative; use 0 not to wait", d)
		}
		return nil
	}
}

// WithOwner sets the name of this program in [LockInfo]. Default: the name of the executable.
func WithOwner(program string) Option {
	return func(o *options) error {
		if o.owner = program; program == "" {
			return errors.New("WithOwner: the name is empty")
		}
		return nil
	}
}

// WithRetention sets how long records are kept that no decision needs any more: of completed and cancelled orders, of
// subscriptions that no order has, and of leases that have ended.
// Default 400 days; 0 keeps them forever. It happens when the file is compacted.
func WithRetention(d time.Duration) Option {
	return func(o *options) error {
		if o.retention = d; d != 0 && d < 24*time.Hour {
			return fmt.Errorf("WithRetention: %v is less than a day; use 0 to keep all records", d)
		}
		return nil
	}
}

// File is a journal in a file. Open it with [Open], and close it. It is safe for concurrent use.
type File struct {
	options options
	lock    *durable.Lock // nil if read-only
	opened  time.Time
	// before is the sequence when it was opened: the runs of records up to it are over, unless it is
	// read-only and another process is writing.
	before    uint64
	recovered int64
	log       *log
	snapshots map[*snapshot]bool // guarded by log.mu
}

var _ resubmit.Journal = (*File)(nil)

// Open opens the journal at path. If there is none, Begin creates it. The file has the mode 0600; it
// must be on a local disk and not be a symbolic link. Beside it is the lock, a file that stays.
//
// If the last write was cut off by a crash, it is removed; see [File.Recovered]. Anything else that
// is wrong is a *[CorruptError], and nothing is changed. If another process writes the journal, the
// error is a *[LockedError].
func Open(path string, opts ...Option) (*File, error) {
	f := &File{log: newLog(path), opened: time.Now(), snapshots: make(map[*snapshot]bool)}
	f.options = options{wait: time.Second, retention: 400 * 24 * time.Hour, sync: durable.SyncData}
	for _, opt := range opts {
		if err := opt(&f.options); err != nil {
			return nil, f.log.errorf(err)
		}
	}
	f.log.sync = f.options.sync
	if err := f.open(); err != nil {
		_ = f.release() // err matters more
		return nil, f.log.errorf(err)
	}
	if !f.options.readOnly {
		go f.log.run()
	}
	return f, nil
}

func (f *File) open() (err error) {
	path := f.log.path
	if path == "" {
		return errors.New("the path is empty")
	}
	if err := durable.CheckLocal(filepath.Dir(path)); err != nil {
		return err
	}
	if f.options.readOnly {
		f.recovered, err = f.load()
		if _, writing := durable.LockHolder(lockPath(path)); err == nil && !writing {
			f.before = f.log.contents.sequence
		}
		return err
	}
	if f.lock, err = durable.AcquireLock(lockPath(path), f.options.owner, f.options.wait); err != nil {
		return err
	}
	f.recovered, err = f.load()
	if errors.Is(err, fs.ErrNotExist) {
		f.log.contents = newContents(nil, newHeader(f.opened), 0, digest{})
		return nil
	}
	if err != nil {
		return err
	}
	f.before = f.log.contents.sequence
	return f.settle()
}

func lockPath(path string) string { return path + ".lock" }

// load opens and reads the file. It returns the size of an incomplete write at its end.
func (f *File) load() (torn int64, err error) {
	flag := os.O_RDWR
	if f.options.readOnly {
		flag = os.O_RDONLY
	}
	file, err := durable.OpenFile(f.log.path, flag, 0)
	if err != nil {
		return 0, err
	}
	h, size, first, err := readHeader(file)
	f.log.contents = newContents(file, h, size, first)
	if err != nil {
		return 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	f.log.size = info.Size()
	torn, err = f.log.contents.load(f.log.size)
	f.log.sequence = f.log.contents.sequence
	f.log.remember(true) // a process that was killed may have returned it
	return torn, err
}

// settle makes sure that what was read is on disk: a process that was killed between a write and
// its sync leaves data that a power failure could still remove.
func (f *File) settle() error {
	file := f.log.contents.file
	if f.recovered > 0 {
		f.log.size = f.log.contents.end
		if err := file.Truncate(f.log.size); err != nil {
			return err
		}
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		if err := file.Chmod(0o600); err != nil {
			return fmt.Errorf("restrict its mode %v to the owner: %w", info.Mode().Perm(), err)
		}
	}
	if err := cmp.Or(f.options.sync(file), durable.SyncDir(filepath.Dir(f.log.path))); err != nil {
		return err
	}
	// Only a process that is killed again and again comes here with so much garbage; see Close.
	if c := f.log.contents; c.end > compactSize && c.total > 4*c.live {
		return f.compact()
	}
	return nil
}

// Recovered returns how many bytes Open found of a write that a crash had cut off; 0 if there was none.
// Open has removed it, or ignores it if the journal is read-only.
func (f *File) Recovered() int64 { return f.recovered }

// Close writes all records and closes the file. If more than half of it is garbage, it is compacted
// first. It returns the first write error. Closing it again does nothing.
func (f *File) Close() error {
	f.log.mu.Lock()
	if f.log.closing {
		f.log.mu.Unlock()
		return nil
	}
	f.log.closing = true
	f.log.wake.Signal()
	f.log.mu.Unlock()
	if !f.options.readOnly {
		<-f.log.stopped
	}
	f.log.mu.Lock()
	defer f.log.mu.Unlock()
	err := f.log.err
	if err == nil && f.compactable() {
		if err = f.compact(); err != nil {
			err = f.log.errorf(fmt.Errorf("compact: %w", err))
		}
	}
	if err == nil && !f.options.readOnly && f.log.contents.file != nil {
		err = f.log.trim()
	}
	f.log.err = f.log.errorf(os.ErrClosed)
	return cmp.Or(err, f.release())
}

// release closes the file and releases the lock.
func (f *File) release() error {
	var err error
	if f.log.contents != nil && f.log.contents.file != nil {
		err = f.log.contents.file.Close()
	}
	if f.lock != nil {
		err = cmp.Or(err, f.lock.Release())
	}
	return err
}

// usable returns an error if the journal is closed, failed or read-only, or the context has ended. The
// caller holds mu.
func (f *File) usable(ctx context.Context, writes bool) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case f.log.err != nil:
		return f.log.err
	case f.log.closing:
		return f.log.errorf(os.ErrClosed)
	case writes && f.options.readOnly:
		return f.log.errorf(errors.New("the journal is open for reading only"))
	}
	return nil
}
