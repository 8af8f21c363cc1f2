package temporal

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"
)

// TestReplay replays histories of earlier versions, so that a running plan survives a new version of the workers.
// Add histories of a new version, with
//
//	go test -C example . -run TestHistories -server PROGRAM -record ../testdata/VERSION
//
// and never change those that are there.
func TestReplay(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "*", "*.json"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 4)
	for _, continued := range []string{"plan", "chain-long"} {
		b, err := os.ReadFile(filepath.Join("testdata", "v1", continued+"-1.json"))
		require.NoError(t, err)
		require.Contains(t, string(b), "EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW")
		require.FileExists(t, filepath.Join("testdata", "v1", continued+"-2.json"))
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			r := worker.NewWorkflowReplayer()
			register(r)
			require.NoError(t, r.ReplayWorkflowHistoryFromJSONFile(nil, file))
		})
	}
}
