//go:build unix

package main

import (
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// fileLimit is a variable that makes this test binary run the program with a limit of bytes per file.
const fileLimit = "AFTERMAINTENANCE_FILE_LIMIT"

func init() {
	limit, err := strconv.ParseUint(os.Getenv(fileLimit), 10, 64)
	if err != nil {
		return
	}
	signal.Ignore(syscall.SIGXFSZ) // an error, as on a full disk, instead of a signal
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		os.Exit(exitUsage) // the test sees it
	}
	main()
}

func TestFullDiskStopsTheRunBeforeThePush(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	configure(t, stateOf(flags), `{"policy": {"settleDelay": "2s", "spacing": "200ms"},
		"run": {"rate": 10000, "concurrency": 4, "verifyAfter": "150ms"}}`)
	sure := transient(w) // without cancellations, whose second push waits for minutes
	maps.DeleteFunc(sure, func(number string, _ bool) bool {
		return strings.HasPrefix(number, "CL") || strings.HasPrefix(number, "CF")
	})
	plan := with(flags, "plan", "-where", "not(in(type,(CL,CF)))")
	line := errorLine(t, onSmallDisk(t, 4<<10, env, plan...))
	require.Contains(t, line, "file too large")
	plans, err := filepath.Glob(filepath.Join(stateOf(flags), "runs", "*", "plan.jsonl"))
	require.NoError(t, err)
	require.Empty(t, plans, "no incomplete plan")

	done(t, env, plan...)
	apply := with(flags, "apply", "-yes")
	line = errorLine(t, onSmallDisk(t, 64<<10, env, apply...))
	require.Contains(t, line, "file too large")
	done(t, env, apply...)
	requireCompleted(t, w, sure)
}

// onSmallDisk runs the program with a limit of bytes per file.
func onSmallDisk(t *testing.T, limit int, env map[string]string, args ...string) (stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), fileLimit+"="+strconv.Itoa(limit))
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	require.Error(t, cmd.Run())
	require.Equal(t, exitError, cmd.ProcessState.ExitCode(), errs.String())
	return errs.String()
}
