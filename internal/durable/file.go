package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// syncEvery is how many bytes are written to a file before the disk is made to begin.
const syncEvery = 16 << 20

// File is a new file that takes the place of another one once it is whole. Make it
// with [Create], and end it with Commit or Abort. It goes to disk while it is being
// written, so that a large one is there soon after its last byte. It is not safe for
// concurrent use.
type File struct {
	path  string
	mode  fs.FileMode
	disk  disk
	file  *os.File
	fresh int        // bytes since the last sync began
	begun chan error // of the sync that is under way; nil when there is none
	ended bool
}

// Create begins a file that will be at path. Until it is committed it has a name of
// its own in the same directory, and nobody but the owner may read it.
func Create(path string, mode fs.FileMode) (*File, error) { return theDisk.create(path, mode) }

func (d disk) create(path string, mode fs.FileMode) (*File, error) {
	// This file cannot have been planted: it is made here, and with the mode 0600.
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
	case err = <-f.begun: // the one before is done
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

// Commit brings the content to disk, puts the file in place, and brings its name to
// disk: in another order a crash could leave an empty file with a good name. A
// symbolic link at the path is replaced, and not followed. After an error the path is
// as it was, unless its name alone could not be brought to disk; nothing is left
// beside it.
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

// sync waits for a sync under way, since a disk reports an error only once.
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
		<-f.begun //nolint:errcheck // the file is not closed during a sync, whose error no longer matters
		f.begun = nil
	}
	_ = f.file.Close()           // perhaps a second time
	_ = os.Remove(f.file.Name()) // there is nothing more to do about it
}
