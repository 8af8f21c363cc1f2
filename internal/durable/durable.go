// Package durable writes files so that a crash leaves the old one or the new one, and
// never a part, and opens files without following links that somebody planted.
//
//	err := durable.Replace(path, content, 0o600)
//
// Errors are those of the operating system, on one line. Safe for concurrent use.
package durable

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Replace puts a file with a content and a mode at path, in place of one that is
// there. When it returns nil, content and name are on disk. See [File.Commit] for
// errors and links.
func Replace(path string, content []byte, mode fs.FileMode) error {
	f, err := Create(path, mode)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		f.Abort()
		return err
	}
	return f.Commit()
}

// Rename renames a file whose content is on disk, and brings the names to disk.
func Rename(from, to string) error { return theDisk.rename(from, to) }

// SyncDir brings the names of the files in a directory to disk.
func SyncDir(dir string) error { return theDisk.syncDir(dir) }

// disk is what tests watch and let fail.
type disk struct {
	sync func(*os.File) error
	move func(from, to string) error
}

var theDisk = disk{sync: (*os.File).Sync, move: os.Rename}

func (d disk) rename(from, to string) error {
	if err := d.move(from, to); err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(to))
}

func (d disk) syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be opened there, and need not be
	}
	dir, err := os.Open(path) //nolint:gosec // the caller's own directory
	if err != nil {
		return err
	}
	return cmp.Or(d.sync(dir), dir.Close())
}
