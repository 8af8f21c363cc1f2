package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// syncEvery is how many bytes are written between two background syncs.
const syncEvery = 16 << 20

// File is a new file that replaces another one when it is committed. Create it with [Create], and
// end it with Commit or Abort. It is synced in the background while it is written, so that
// Commit of a large file is fast. It is not safe for concurrent use.
type File struct {
	path  string
	mode  fs.FileMode
	disk  disk
	file  *os.File
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

// Write appends to the file.
func (f *File) Write(b []byte) (int, error) {
	n, err := f.file.Write(b)
	if f.fresh += n; err != nil || f.fresh < syncEvery {
		return n, err
	}
	select {
	case err = <-f.begun: // the previous sync has ended
	default:
		if f.begun != nil {
			return n, nil
		}
	}
	f.fresh = 0
	begun := make(chan error, 1)
	f.begun = begun
	go func() { begun <- f.disk.sync(f.file) }()
	return n, err
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
	var before error
	if f.begun != nil {
		before = <-f.begun
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
	if f.begun != nil {
		<-f.begun //nolint:errcheck // wait, because a file must not be closed during a sync
		f.begun = nil
	}
	_ = f.file.Close()           // perhaps a second time
	_ = os.Remove(f.file.Name()) // best effort
}
