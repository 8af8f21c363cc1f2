package durable

import (
	"errors"
	"os"
	"syscall"
)

// errSharing is the error of an open whose access or sharing another one does not allow.
const errSharing = syscall.Errno(32)

// tryLock opens a file, exclusively for writing, and then creates it, or together with other readers.
// It returns errLocked if another process prevents that.
func tryLock(path string, exclusive bool) (*os.File, error) {
	if there, err := os.Lstat(path); err == nil {
		if err := CheckRegular(there); err != nil {
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		}
	}
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	access, create := uint32(syscall.GENERIC_READ), uint32(syscall.OPEN_EXISTING)
	if exclusive {
		access, create = access|syscall.GENERIC_WRITE, syscall.OPEN_ALWAYS
	}
	h, err := syscall.CreateFile(name, access, syscall.FILE_SHARE_READ, nil, create, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, errSharing) {
		return nil, errLocked
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}
