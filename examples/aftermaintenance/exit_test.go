package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/examples/aftermaintenance/internal/terminal"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func TestExitStatuses(t *testing.T) {
	t.Parallel()
	interrupted, interrupt := context.WithCancelCause(t.Context())
	interrupt(signalError{syscall.SIGINT})
	terminated, terminate := context.WithCancelCause(t.Context())
	terminate(signalError{syscall.SIGTERM})
	wrap := func(err error) error { return fmt.Errorf("state: make a plan: %w", err) }
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		want int
	}{
		"done":              {t.Context(), nil, 0},
		"an error":          {t.Context(), errors.New("x"), 1},
		"a wrong call":      {t.Context(), wrap(usagef("x")), 2},
		"too early":         {t.Context(), wrap(&resubmit.TooEarlyError{Wait: 1}), 4},
		"paused":            {t.Context(), wrap(state.ErrPaused), 4},
		"needs an approval": {t.Context(), wrap(&state.ApprovalError{Run: new(state.Run), Err: errors.New("unsigned")}), 4},
		"drained":           {t.Context(), wrap(resubmit.ErrDrained), 5},
		"cancelled":         {t.Context(), wrap(resubmit.ErrCancelled), 5},
		"the breaker":       {t.Context(), wrap(resubmit.ErrCircuitOpen), 5},
		"the canary":        {t.Context(), stoppedError{errors.New("x")}, 5},
		"interrupted":       {interrupted, wrap(context.Canceled), 130},
		"by its cause":      {interrupted, wrap(context.Cause(interrupted)), 130},
		"terminated":        {terminated, wrap(context.Canceled), 143},
		"done before":       {interrupted, nil, 0},
		"another error":     {interrupted, errors.New("x"), 1},
		"a broken pipe":     {t.Context(), wrap(syscall.EPIPE), 1}, // of a connection
	} {
		require.Equal(t, c.want, statusOf(c.ctx, c.err), name)
	}
	for _, s := range []int{exitDone, exitError, exitUsage, exitLeft, exitWait, exitStopped, exitWork} {
		require.Contains(t, statusesHelp, fmt.Sprintf("\n  %d  ", s))
	}
	p := &program{Terminal: terminal.Terminal{Stderr: terminal.NewScreen(io.Discard)}}
	require.Equal(t, exitError, p.finish(t.Context(), wrap(syscall.EPIPE)))
	require.Contains(t, statusesHelp, "130, 143")
	require.True(t, strings.HasPrefix(statusesHelp, "Exit status:"))
}

func TestResultsThatNobodyReads(t *testing.T) {
	t.Parallel()
	_, env, flags := live(t)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	defer w.Close()
	unread := func(p *program) { p.Stdout = terminal.Output{File: w} }
	for _, args := range [][]string{{"plan", "-json"}, {"list", "-o", "name"}, {"show", "-o", "csv"}} {
		status, _, stderr := call{env: env, client: unread}.run(t.Context(), with(flags, args...)...)
		require.Equal(t, exitDone, status, stderr)
	}
	require.NoError(t, w.Close())
	status, _, stderr := call{env: env, client: unread}.run(t.Context(), with(flags, "plan", "-json")...)
	require.Equal(t, exitError, status, "another error is not hidden")
	require.Contains(t, errorLine(t, stderr), "file already closed")
}
