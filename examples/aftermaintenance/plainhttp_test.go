package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	env := map[string]string{"CONNECT_API_KEY": "SU-1:key", "COMMERCE_TOKEN": "token-of-the-test"}
	const remote, local, secure = "http://h.example:8080/x", "http://127.0.0.1:1", "https://h.example"
	plan := func(args ...string) []string {
		windows := filepath.Join(t.TempDir(), "no such file")
		return append([]string{"-state", filepath.Join(t.TempDir(), "state"), "-windows", windows, "plan"}, args...)
	}
	for name, args := range map[string][]string{
		"-commerce": {"-commerce", remote, "-connect", secure},
		"-connect":  {"-commerce", local, "-connect", remote},
	} {
		requireRejected(t, env, plan(args...), exitUsage,
			name+": the credentials would be sent to h.example:8080 over plain http")
		status, _, stderr := do(t, env, plan(append(args, "-plain-http")...)...)
		require.Equal(t, exitError, status)
		require.Contains(t, errorLine(t, stderr), "no such file")
	}
	status, _, stderr := do(t, env, plan("-commerce", local, "-connect", "http://localhost:2")...)
	require.Equal(t, exitError, status)
	require.Contains(t, errorLine(t, stderr), "no such file")
}
