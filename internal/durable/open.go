package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// OpenFile is [os.OpenFile] for a regular file that only this program writes. It rejects anything
// else, including a symbolic link, which somebody else may have created.
func OpenFile(path string, flag int, mode fs.FileMode) (*os.File, error) {
	there, err := os.Lstat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		if err := CheckRegular(there); err != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
	f, err := os.OpenFile(path, flag|noFollow, mode) //nolint:gosec // the caller's own path
	if err != nil {
		return nil, err
	}
	opened, err := f.Stat()
	if err == nil {
		err = CheckRegular(opened)
	}
	if err == nil && noFollow == 0 && there != nil && !os.SameFile(there, opened) {
		err = errors.New("it was replaced while it was opened; try again")
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return f, nil
}

// CheckRegular returns an error if info, from [os.Lstat], is not that of a regular file.
func CheckRegular(info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return errors.New("this is a directory; give the path of a file")
	case mode&fs.ModeSymlink != 0:
		return errors.New("this is a symbolic link, which is not followed; give the path of the file itself")
	default:
		return fmt.Errorf("this is not a regular file but %v; give another path", mode.Type())
	}
}
