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
		os.Exit(exitUsage)
	}
	main()
}

func TestFullDiskStopsTheRunBeforeThePush(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	plan := filepath.Join(t.TempDir(), "plan.jsonl")
	flags = append(append(flags, fast...), "-plan", plan, "-spacing", "200ms", "-where",
		"not(in(type,(CL,CF)))")
	sure := transient(w) // without cancellations, whose second push waits for minutes
	maps.DeleteFunc(sure, func(number string, _ bool) bool {
		return strings.HasPrefix(number, "CL") || strings.HasPrefix(number, "CF")
	})
	line := errorLine(t, onSmallDisk(t, 4<<10, env, append(flags, "-plan", plan+".other")...))
	require.Contains(t, line, "file too large")
	require.NoFileExists(t, plan+".other", "no incomplete plan")

	_, _, stderr := do(t, env, flags...)
	require.FileExists(t, plan, stderr)
	flags = append(flags, "-apply")
	line = errorLine(t, onSmallDisk(t, 48<<10, env, flags...))
	require.Contains(t, line, ".journal: ")
	require.Contains(t, line, "file too large")
	requireCompleted(t, w, sure, env, flags...)
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
