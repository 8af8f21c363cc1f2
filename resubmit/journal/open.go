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

// What the file of a journal says it is.
const (
	Kind    = "cloudblue-resubmit-journal"
	Version = 1
)

// format opens the content of a journal.
type format struct {
	Kind      string    `json:"kind"`
	Version   int       `json:"version"`
	CreatedAt time.Time `json:"createdAt"`
}

// An Option changes how a journal is opened.
type Option func(*options) error

type options struct {
	wait     time.Duration
	readOnly bool
	program  string
	maxSize  int  // of the file in bytes, for tests
	noSync   bool // for tests
}

// Wait sets how long another process that has the journal is waited for. Default
// 1 s, which is time for one that was just killed; 0 is not at all.
func Wait(d time.Duration) Option {
	return func(o *options) error {
		if d < 0 {
			return fmt.Errorf("Wait(%v) is negative; give how long to wait for another process, or 0", d)
		}
		o.wait = d
		return nil
	}
}

// ReadOnly opens a journal only to look at it: Put fails, and the file stays as it
// is. It may be open so several times at once, but not while a run has it.
func ReadOnly() Option {
	return func(o *options) error {
		o.readOnly = true
		return nil
	}
}

// Program is the name under which others see who has the journal. Default: the
// name of the executable.
func Program(name string) Option {
	return func(o *options) error {
		if name == "" {
			return errors.New("Program was given no name")
		}
		o.program = name
		return nil
	}
}

// Open opens the journal at path for writing, and makes a new one if there is
// none. The file has the mode 0600, and is given it if it has a wider one. It has
// to be on a disk of this machine, and a symbolic link is refused.
//
// Open takes the same time for a journal of any size. It checks what was written
// last; [Journal.Check] checks all.
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
		return nil, errors.New("give the path of the journal")
	}
	for {
		j, err := openFile(path, o)
		switch {
		case errors.Is(err, errReplaced):
			continue
		case !errors.Is(err, fs.ErrNotExist):
			return j, err
		case o.readOnly:
			return nil, errors.New("there is no journal; give the path of one")
		}
		if err := create(path); err != nil {
			return nil, fmt.Errorf("create it: %w; give a path on a disk of this machine that can be written", err)
		}
	}
}

// errReplaced says that another file has taken the place of the one that was
// opened, as a compaction does it.
var errReplaced = errors.New("it was replaced")

// openFile opens the journal that is there.
func openFile(path string, o options) (*Journal, error) {
	if err := checkKind(path); err != nil {
		return nil, err
	}
	j := &Journal{path: path, readOnly: o.readOnly, disk: make(chan struct{}, 1), recent: newOverlay(),
		spare: newOverlay(), company: newCompany()}
	err := guarded(func() (err error) {
		j.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:      o.wait + 1, // 0 is for ever
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
		_ = guarded(j.db.Close) // nothing was written, and err says more
	} else if j.file != nil {
		_ = j.file.Close() // bbolt has done it, unless it panicked
	}
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, &HeldError{Path: path, Holder: readHolder(path)}
	}
	return nil, err
}

// begin looks at a journal that is locked.
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
	// A process that was killed between a write and its sync leaves what is read here and
	// is not on disk: a power cut may take it away behind what is written next.
	if !o.noSync {
		if err := cmp.Or(syncData(j.file), durable.SyncDir(filepath.Dir(j.path))); err != nil {
			return err
		}
	}
	if mine.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		if err := j.file.Chmod(0o600); err != nil {
			return fmt.Errorf("its mode is %v, and others may not read it: %w", mine.Mode().Perm(), err)
		}
	}
	return writeHolder(j.path, o.program)
}

// load reads what the journal says of itself and its log, and checks its last write.
func (j *Journal) load(noSync bool) error {
	if err := j.reload(); err != nil {
		return err
	}
	said, err := readSaid(j.buckets.journal)
	if err != nil {
		return err
	}
	if err := number.Unmarshal(said.format, &j.format); err != nil || j.format.Kind != Kind {
		return errOtherProgram
	}
	if j.format.Version != Version {
		return fmt.Errorf("it has version %d, this library knows version %d; use the release that wrote it", j.format.Version,
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
