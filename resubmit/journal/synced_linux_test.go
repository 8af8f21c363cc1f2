package journal_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// dirty is how many pages of a file are not on disk; ok is false where the system does
// not tell, which it does since Linux 6.5.
func dirty(t *testing.T, path string) (pages uint64, ok bool) {
	t.Helper()
	const cachestat = 451
	f, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	var of [2]uint64 // the whole file
	var is [5]uint64 // cached, dirty, being written, and two more
	_, _, errno := syscall.Syscall6(cachestat, f.Fd(), uintptr(unsafe.Pointer(&of)), uintptr(unsafe.Pointer(&is)), 0, 0, 0)
	return is[1] + is[2], errno == 0
}

// tellsDirty reports whether files in a directory are told to be on disk when they are.
func tellsDirty(t *testing.T, dir string) bool {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "probe"))
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	_, err = f.Write(make([]byte, 4096))
	require.NoError(t, err)
	before, ok := dirty(t, f.Name())
	require.NoError(t, f.Sync())
	after, _ := dirty(t, f.Name())
	return ok && before > 0 && after == 0
}

// A process that was killed behind a write and before its sync leaves what the next one
// reads, but a power cut may still take away.
func TestOpenSyncsTheLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	require.NoError(t, j.Begin(plan))
	require.NoError(t, j.Put(record("1", resubmit.RecordSending)))
	left := leftBehind(t, path) // written, not synced
	told := tellsDirty(t, filepath.Dir(left))
	again := open(t, left)
	got, found, err := again.Get("1")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, resubmit.RecordSending, got.State)
	if told {
		pages, _ := dirty(t, left)
		require.Zero(t, pages, "pages that a power cut takes away")
	}
}
