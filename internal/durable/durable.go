// Package durable writes files so that a crash leaves either the old or the new content, and
// opens files without following symbolic links.
//
//	err := durable.Replace(path, content, 0o600)
//
// Errors are those of the operating system. Functions are safe for concurrent use.
package durable

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Replace creates or replaces the file at path. When it returns nil, content and name are on
// disk. See [File.Commit] for errors and links.
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

// Rename renames a file whose content is on disk, and syncs the directory.
func Rename(from, to string) error { return theDisk.rename(from, to) }

// SyncDir syncs a directory, so that the names of its files are on disk.
func SyncDir(dir string) error { return theDisk.syncDir(dir) }

// disk holds the operations that tests replace.
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
		return nil // directories cannot be opened there, and need no sync
	}
	dir, err := os.Open(path) //nolint:gosec // the caller's own directory
	if err != nil {
		return err
	}
	return cmp.Or(d.sync(dir), dir.Close())
}
