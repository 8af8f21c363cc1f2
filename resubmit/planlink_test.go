package resubmit_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

func TestWritePlanFileReplacesALink(t *testing.T) {
	t.Parallel()
	dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	path := filepath.Join(dir, "plan.jsonl")
	require.NoError(t, os.WriteFile(victim, []byte("precious"), 0o644))
	require.NoError(t, os.Symlink(victim, path))
	_, err := resubmit.WritePlanFile(t.Context(), resubmit.PlanConfig{
		Journal: new(resubmit.MemoryJournal),
		Systems: systemsOf(resubmit.Systems{Lister: failedOrders(3)}), IgnoreConnect: true, Filter: filter.Everything(),
	}, path)
	require.NoError(t, err)
	content, err := os.ReadFile(victim)
	require.NoError(t, err)
	require.Equal(t, "precious", string(content))
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.True(t, info.Mode().IsRegular())
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}
