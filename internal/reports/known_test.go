package reports

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// knownFailure runs the body of a case that fails today, in a process of its own, and fails once the case passes: then
// run it as an ordinary test. Nothing but this call belongs into such a test.
func knownFailure(t *testing.T, body func(t *testing.T)) {
	t.Helper()
	const name = "REPORTS_KNOWN_FAILURE"
	if os.Getenv(name) == t.Name() {
		body(t)
		return
	}
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), name+"="+t.Name())
	out, err := cmd.CombinedOutput()
	require.Error(t, err, "this known failure passes now: run it as an ordinary test")
	require.Contains(t, string(out), "--- FAIL: "+t.Name(), "it must fail by its own assertions")
}
