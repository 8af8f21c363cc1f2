package plan_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// TestDownload checks that the copy of a plan is not left behind. The stores check the rest, with
// resubmittest.TestPlanStore.
func TestDownload(t *testing.T) { // not parallel: it sets where temporary files are
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir)
	content := writePlan(t, planEntries()...)
	digest := goodPlan(t).Digest()
	files := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		return found
	}
	p, err := plan.Download(bytes.NewReader(content), digest, nil)
	require.NoError(t, err)
	for _, file := range files() { // on Windows it stays until the plan is closed
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.True(t, info.Mode().IsRegular())
	}
	n := 0
	for _, err := range p.Entries() {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, len(planEntries()), n)
	_, err = p.SignatureLine()
	require.NoError(t, err)
	require.NoError(t, p.Close())
	require.Empty(t, files())

	for name, err := range map[string]error{
		"digest":            failing(plan.Download(strings.NewReader(""), "sha256:", nil)),
		"empty":             failing(plan.Download(strings.NewReader(""), digest, nil)),
		"already closed":    failing(plan.Download(io.MultiReader(strings.NewReader(string(content[:50])), brokenReader{}), digest, nil)),
		"not":               failing(plan.Download(bytes.NewReader(content), "sha256:"+strings.Repeat("0", 64), nil)),
		"not the signature": failing(plan.Download(bytes.NewReader(content), digest, []byte("signed"))),
	} {
		require.ErrorContains(t, err, name)
	}
	require.Empty(t, files())
}

func failing(_ *plan.Plan, err error) error { return err }

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, os.ErrClosed }
