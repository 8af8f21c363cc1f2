package journal

import (
	"syscall"

	"go.etcd.io/bbolt"
)

// giveBack takes the pages of the file that bbolt looked at out of the memory of the
// process. They stay in the cache of the system, which is where they come from again.
func giveBack(tx *bbolt.Tx) error {
	// An error costs nothing but memory. The transaction keeps the mapping in place.
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), syscall.MADV_DONTNEED) //nolint:gosec // a size is not negative
	return nil
}
