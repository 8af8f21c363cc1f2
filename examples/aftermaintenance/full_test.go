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

// fileLimit tells a copy of this test program to be the program itself, on a disk
// that is full as soon as a file has so many bytes.
const fileLimit = "AFTERMAINTENANCE_FILE_LIMIT"

func init() {
	limit, err := strconv.ParseUint(os.Getenv(fileLimit), 10, 64)
	if err != nil {
		return
	}
	signal.Ignore(syscall.SIGXFSZ) // as a full disk, it is to be an error and no signal
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		os.Exit(exitUsage)
	}
	main()
}

func TestAFullDiskStopsTheRunBeforeAnythingIsPushed(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	plan := filepath.Join(t.TempDir(), "plan.jsonl")
	flags = append(append(flags, eager...), "-plan", plan, "-attempts", "2", "-spacing", "200ms", "-where",
		"not(in(type,(CL,CF)))")
	sure := broken(w) // without cancellations, since another push of one waits for minutes
	maps.DeleteFunc(sure, func(number string, _ bool) bool {
		return strings.HasPrefix(number, "CL") || strings.HasPrefix(number, "CF")
	})
	line := errorLine(t, onSmallDisk(t, 4<<10, env, append(flags, "-plan", plan+".other")...))
	require.Contains(t, line, "file too large")
	require.NoFileExists(t, plan+".other", "a half of a plan is none")

	_, _, stderr := do(t, env, flags...)
	require.FileExists(t, plan, stderr)
	flags = append(flags, "-apply")
	line = errorLine(t, onSmallDisk(t, 48<<10, env, flags...))
	require.Contains(t, line, "plan.jsonl.journal")
	require.Contains(t, line, "create it")
	require.Empty(t, w.Commerce.Ledger(), "a journal takes the room for its log before the first intent")
	requireCompleted(t, w, sure, env, flags...)
}

// onSmallDisk runs the program where no file can be longer than limit.
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
