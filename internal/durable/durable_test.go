package durable_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/durable"
)

func TestAFileIsReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kept.json")
	require.NoError(t, os.WriteFile(path, []byte("a long old content"), 0o644))
	require.NoError(t, durable.Replace(path, []byte("new"), 0o600))
	require.NoError(t, durable.SyncDir(filepath.Dir(path)))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "new", string(content))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	requireAlone(t, path)
}

func TestAFileThatCannotBeReplacedStays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "taken")
	require.NoError(t, os.MkdirAll(filepath.Join(path, "by a directory"), 0o755))
	require.Error(t, durable.Replace(path, []byte("new"), 0o600))
	requireAlone(t, path)

	require.ErrorIs(t, durable.Replace(filepath.Join(path, "no such directory", "file"), nil, 0o600), fs.ErrNotExist)
	require.ErrorIs(t, durable.SyncDir(filepath.Join(path, "no such directory")), fs.ErrNotExist)
}

// requireAlone says that nothing was left beside a file.
func requireAlone(t *testing.T, path string) {
	t.Helper()
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1)
}
