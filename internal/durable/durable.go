// Package durable puts files on disk so that a crash leaves the old one or the new
// one, and never a part.
//
//	err := durable.Replace(path, content, 0o600)
//	if err == nil {
//		err = durable.SyncDir(filepath.Dir(path)) // now the new one, also after a crash
//	}
//
// Errors are those of the operating system, on one line; after one of Replace the
// path is as it was. Safe for concurrent use.
package durable

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Replace puts a file with a content in the place of the one at path, if there is
// one. The content is on disk before the name is, or a crash could leave an empty
// file under a good name.
func Replace(path string, content []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()           // perhaps a second time
			_ = os.Remove(f.Name()) // err says more
		}
	}()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := cmp.Or(f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// SyncDir brings the names of the files in a directory to disk.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // a directory cannot be opened there, and need not be
	}
	d, err := os.Open(dir) //nolint:gosec // the caller's own directory
	if err != nil {
		return err
	}
	return cmp.Or(d.Sync(), d.Close())
}
