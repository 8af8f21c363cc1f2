package durable

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// syncEvery is how many bytes are written between two background syncs.
const syncEvery = 16 << 20

// File is a new file that replaces another one when it is committed. Create it with [Create], and
// end it with Commit or Abort. It is written and synced in the background, so that the caller need
// not wait for the disk, and Commit of a large file is fast. It is not safe for concurrent use.
type File struct {
	path  string
	mode  fs.FileMode
	disk  disk
	file  *os.File
	block []byte     // what is being written
	wrote chan error // result of that; nil if nothing is written
	err   error      // of the first write that failed
	fresh int        // bytes since the last sync began
	begun chan error // result of the background sync; nil if none is running
	ended bool
}

// Create creates a temporary file in the directory of path, which only the owner can read.
// [File.Commit] moves it to path.
func Create(path string, mode fs.FileMode) (*File, error) { return theDisk.create(path, mode) }

func (d disk) create(path string, mode fs.FileMode) (*File, error) {
	// CreateTemp never opens an existing file, and uses mode 0600.
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, err
	}
	return &File{path: path, mode: mode, disk: d, file: f}, nil
}

// Write appends to the file. It keeps a copy of b, and returns the error of an earlier call.
func (f *File) Write(b []byte) (int, error) {
	if err := f.written(); err != nil {
		return 0, err
	}
	f.block = append(f.block[:0], b...)
	wrote := make(chan error, 1)
	f.wrote = wrote
	go func() {
		_, err := f.file.Write(f.block)
		wrote <- err
	}()
	return len(b), f.syncSometimes(len(b))
}

// written waits until the last block is written, and returns the first error.
func (f *File) written() error {
	if f.wrote != nil {
		f.err = cmp.Or(f.err, <-f.wrote)
		f.wrote = nil
	}
	return f.err
}

// syncSometimes begins a sync in the background after enough bytes, and returns the error of the one before.
func (f *File) syncSometimes(n int) (err error) {
	if f.fresh += n; f.fresh < syncEvery {
		return nil
	}
	select {
	case err = <-f.begun: // the previous sync has ended
	default:
		if f.begun != nil {
			return nil
		}
	}
	f.fresh = 0
	begun := make(chan error, 1)
	f.begun = begun
	go func() { begun <- f.disk.sync(f.file) }()
	return err
}

// Commit syncs the content, renames the file to its path, and syncs the directory: in another
// order a crash could leave an empty file at the path. A symbolic link at the path is replaced,
// not followed. After an error the path is unchanged, unless only the sync of the directory
// failed, and the temporary file is removed.
func (f *File) Commit() error {
	defer f.Abort()
	for _, step := range []func() error{
		f.sync,
		func() error { return f.file.Chmod(f.mode) },
		f.file.Close,
		func() error { return f.disk.rename(f.file.Name(), f.path) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	f.ended = true
	return nil
}

// sync first waits for a background sync, because a disk reports an error only once.
func (f *File) sync() error {
	before := f.written()
	if f.begun != nil {
		before = errors.Join(before, <-f.begun)
		f.begun = nil
	}
	return errors.Join(before, f.disk.sync(f.file))
}

// Abort removes the file. It does nothing after Commit.
func (f *File) Abort() {
	if f.ended {
		return
	}
	f.ended = true
	_ = f.written() // wait, because a file must not be closed meanwhile
	if f.begun != nil {
		<-f.begun //nolint:errcheck // for the same reason
		f.begun = nil
	}
	_ = f.file.Close()           // perhaps a second time
	_ = os.Remove(f.file.Name()) // best effort
}
