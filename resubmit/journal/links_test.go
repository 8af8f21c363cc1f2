package journal_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

func TestOpenFollowsNoLinks(t *testing.T) {
	t.Parallel()
	t.Run("a planted holder is replaced", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "journal")
		victim := filepath.Join(t.TempDir(), "victim")
		require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o600))
		require.NoError(t, os.Symlink(victim, path+".holder"))
		j := open(t, path)
		info, err := os.Lstat(path + ".holder")
		require.NoError(t, err)
		require.True(t, info.Mode().IsRegular())
		require.NoError(t, j.Close())
		content, err := os.ReadFile(victim)
		require.NoError(t, err)
		require.Equal(t, "precious", string(content))
	})
	t.Run("a linked journal is refused and left alone", func(t *testing.T) {
		t.Parallel()
		target, path := filepath.Join(t.TempDir(), "journal"), filepath.Join(t.TempDir(), "link")
		require.NoError(t, open(t, target).Close())
		before, err := os.ReadFile(target)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(target, path))
		for _, opts := range [][]journal.Option{nil, {journal.ReadOnly()}} {
			_, err = journal.Open(path, opts...)
			require.ErrorContains(t, err, "this is a symbolic link")
		}
		_, _, err = journal.Compact(path)
		require.ErrorContains(t, err, "this is a symbolic link")
		after, err := os.ReadFile(target)
		require.NoError(t, err)
		require.Equal(t, before, after)
	})
}
