package journal

import (
	"syscall"

	"go.etcd.io/bbolt"
)

// giveBack releases the mapped pages that bbolt has read from the memory of the process.
// They stay in the page cache of the system.
func giveBack(tx *bbolt.Tx) error {
	// An error only costs memory. The transaction keeps the mapping in place.
	size := uintptr(tx.Size()) //nolint:gosec // a size is not negative
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, tx.DB().Info().Data, size, syscall.MADV_DONTNEED)
	return nil
}
