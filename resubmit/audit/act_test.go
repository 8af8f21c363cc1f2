package audit_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/audit"
)

func TestActIsOnDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	log := open(t, path, audit.WithSyncInterval(time.Hour))
	require.NoError(t, log.Act(audit.Line{State: "approve", By: "ana", Why: "reviewed", Plan: "sha256:1"}))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(content), `"event":"act","plan":"sha256:1","state":"approve","by":"ana","why":"reviewed"`)
	head, err := audit.VerifyFile(path)
	require.NoError(t, err)
	require.Equal(t, log.Head().Lines, head.Lines, "the head covers it")
	require.NoError(t, log.Close())
	require.ErrorIs(t, log.Act(audit.Line{State: "approve"}), os.ErrClosed)
}
