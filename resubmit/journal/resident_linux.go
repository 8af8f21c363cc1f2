package journal

import (
	"syscall"

	"go.etcd.io/bbolt"
)

// giveBack releases the mapped pages that bbolt has read from the memory of the process.
// They stay in the page cache of the system.
func giveBack(tx *bbolt.Tx) error {
	// An error only costs memory. The transaction keeps the mapping in place.
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()),
		syscall.MADV_DONTNEED) //nolint:gosec // a size is not negative
	return nil
}
