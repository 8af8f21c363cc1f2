package durable

import (
	"fmt"
	"os"
	"syscall"
)

// SyncData syncs the data of a file, without its modification time.
func SyncData(f *os.File) error { return control(f, "fdatasync", syscall.Fdatasync) }

// remote are the types of file systems on other machines, or of unknown programs. There, locks
// and syncs may have no effect.
var remote = map[uint32]string{
	0x6969: "NFS", 0x517B: "SMB", 0xFE534D42: "SMB", 0xFF534D42: "CIFS", 0x5346414F: "AFS", 0x00C36400: "Ceph",
	0x0BD00BD0: "Lustre", 0x73757245: "Coda", 0x65735546: "FUSE",
}

// CheckLocal returns an error if a directory is known to be on another machine.
func CheckLocal(dir string) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if name, ok := remote[uint32(s.Type)]; ok { //nolint:gosec // the types have 32 bits
		return fmt.Errorf("%s is on a file system of the type %s, where locks and syncs are not reliable; "+
			"use a directory on a local disk", dir, name)
	}
	return nil
}
