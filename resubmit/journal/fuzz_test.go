package journal_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

// FuzzRecord: whatever is decoded is encoded in the same way again, or rejected.
func FuzzRecord(f *testing.F) {
	path := filled(f, 1)
	whole, at := content(f, path), frames(f, path)
	for _, start := range at[:len(at)-1] {
		f.Add(whole[start+12:], false)
	}
	f.Add([]byte{1, 0, 0, 0, 3, 'S', 'O', '1'}, true)
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0xFF}, true)
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		if seal { // the fuzzer cannot find checksums
			b = journal.Seal(b)
		}
		if again, ok := journal.Reencode(b); ok {
			second, ok := journal.Reencode(again)
			require.True(t, ok)
			require.Equal(t, again, second)
		}
	})
}

// FuzzOpen: a file with any content, and with valid frames that have any records, is read or rejected.
func FuzzOpen(f *testing.F) {
	path := filled(f, 3)
	whole, at := content(f, path), frames(f, path)
	f.Add(whole, []byte(nil))
	f.Add(whole[:len(whole)-5], []byte(nil))
	f.Add([]byte("{}\n"), []byte(nil))
	for i, start := range at[:len(at)-1] {
		f.Add(whole[:start], whole[start+12:at[i+1]-16])
	}
	f.Fuzz(func(t *testing.T, b, records []byte) {
		if len(records) > 0 {
			b = journal.AppendFrame(b, records)
		}
		path := filepath.Join(t.TempDir(), "journal")
		require.NoError(t, os.WriteFile(path, b, 0o600))
		s, err := journal.Check(path)
		require.Equal(t, b, content(t, path))
		if err != nil {
			oneLine(t, err, path)
			return
		}
		require.LessOrEqual(t, s.Size, int64(len(b)))
	})
}
