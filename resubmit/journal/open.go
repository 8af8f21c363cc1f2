package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/number"
)

// Kind marks a file as a journal of this package, and Version is the version of its format.
const (
	Kind    = "cloudblue-resubmit-journal"
	Version = 1
)

// format is the first entry of a journal.
type format struct {
	Kind      string    `json:"kind"`
	Version   int       `json:"version"`
	CreatedAt time.Time `json:"createdAt"`
}

// Option is an option of [Open].
type Option func(*options) error

type options struct {
	wait     time.Duration
	readOnly bool
	program  string
	maxSize  int  // of the file in bytes, for tests
	noSync   bool // for tests
}

// Wait sets how long Open waits for the lock of another process. Default 1 s, enough for a
// process that was just killed; 0 does not wait.
func Wait(d time.Duration) Option {
	return func(o *options) error {
		if d < 0 {
			return fmt.Errorf("Wait: %v is negative; use 0 not to wait", d)
		}
		o.wait = d
		return nil
	}
}

// ReadOnly opens a journal for reading: Put fails, and the file is not changed. Several
// processes may read a journal, but not while a run writes it.
func ReadOnly() Option {
	return func(o *options) error {
		o.readOnly = true
		return nil
	}
}

// Program sets the name of this process in the [Holder]. Default: the name of the executable.
func Program(name string) Option {
	return func(o *options) error {
		if name == "" {
			return errors.New("Program: the name is empty")
		}
		o.program = name
		return nil
	}
}

// Open opens the journal at path for writing, and creates it if there is none. The file
// gets the mode 0600. It must be on a local disk and not be a symbolic link.
//
// Open takes the same time for a journal of any size: it checks only the latest writes.
// [Journal.Check] checks everything.
func Open(path string, opts ...Option) (*Journal, error) {
	j, err := open(path, opts)
	if err != nil {
		if _, ok := errors.AsType[*HeldError](err); ok {
			return nil, err
		}
		return nil, fmt.Errorf("resubmit/journal: %s: %w", path, err)
	}
	return j, nil
}

func open(path string, opts []Option) (*Journal, error) {
	o := options{wait: time.Second, program: programName()}
	for _, opt := range opts {
		if err := opt(&o); err != nil {
			return nil, err
		}
	}
	if path == "" {
		return nil, errors.New("the path is empty")
	}
	for {
		j, err := openFile(path, o)
		switch {
		case errors.Is(err, errReplaced):
			continue
		case !errors.Is(err, fs.ErrNotExist):
			return j, err
		case o.readOnly:
			return nil, errors.New("the journal does not exist")
		}
		if err := create(path); err != nil {
			return nil, fmt.Errorf("create: %w; use a path on a writable local disk", err)
		}
	}
}

// errReplaced means that the opened file was replaced, for instance by a compaction.
var errReplaced = errors.New("it was replaced")

// openFile opens an existing journal.
func openFile(path string, o options) (*Journal, error) {
	if err := checkKind(path); err != nil {
		return nil, err
	}
	j := &Journal{path: path, readOnly: o.readOnly, disk: make(chan struct{}, 1), recent: newOverlay(),
		spare: newOverlay(), batcher: newBatcher()}
	err := guarded(func() (err error) {
		j.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:      o.wait + 1, // 0 would wait forever
			ReadOnly:     o.readOnly,
			FreelistType: bbolt.FreelistMapType,
			MaxSize:      o.maxSize,
			NoSync:       o.noSync,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				f, err := durable.OpenFile(name, flag&^os.O_CREATE, mode)
				if err != nil {
					return nil, err
				}
				j.file = f
				return f, checkFile(f)
			},
		})
		return err
	})
	if err == nil {
		err = j.begin(o)
	}
	if err == nil {
		return j, nil
	}
	if j.db != nil {
		_ = guarded(j.db.Close) // nothing was written, and err matters more
	} else if j.file != nil {
		_ = j.file.Close() // bbolt closes it, unless it panicked
	}
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, &HeldError{Path: path, Holder: readHolder(path)}
	}
	return nil, err
}

// begin checks and loads a locked journal.
func (j *Journal) begin(o options) error {
	there, err := os.Lstat(j.path)
	if err != nil {
		return err
	}
	mine, err := j.file.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(there, mine) {
		return errReplaced
	}
	if err := j.load(o.noSync); err != nil {
		return err
	}
	if j.readOnly {
		return nil
	}
	// A process killed between a write and its sync leaves data that is readable but not on
	// disk. Sync it, or a power failure could lose it after later writes.
	if !o.noSync {
		if err := cmp.Or(syncData(j.file), durable.SyncDir(filepath.Dir(j.path))); err != nil {
			return err
		}
	}
	if mine.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		if err := j.file.Chmod(0o600); err != nil {
			return fmt.Errorf("restrict its mode %v to the owner: %w", mine.Mode().Perm(), err)
		}
	}
	return writeHolder(j.path, o.program)
}

// load reads the metadata and the log, and checks the latest writes.
func (j *Journal) load(noSync bool) error {
	if err := j.reload(); err != nil {
		return err
	}
	said, err := readMetadata(j.buckets.journal)
	if err != nil {
		return err
	}
	if err := number.Unmarshal(said.format, &j.format); err != nil || j.format.Kind != Kind {
		return errOtherProgram
	}
	if j.format.Version != Version {
		return fmt.Errorf("version is %d, want %d; use the release that wrote it", j.format.Version,
			Version)
	}
	j.plan, j.patience = string(said.plan), said.patience
	if err := checkLast(j.buckets.records, said.last); err != nil {
		return err
	}
	start, size, err := j.buckets.log.alone(keyLog)
	if err != nil {
		return err
	}
	if size < 4*logBlock {
		return errBadPages
	}
	j.log = newLog(j.file, start, size, said.generation)
	j.log.noSync = noSync
	return j.log.replay(j.recent.keep)
}
