//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// variable is what differs from run to run.
var variable = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`/tmp/\S*/state/runs/\S+/`), "DIR/runs/RUN/"},
	{regexp.MustCompile(`/tmp/\S*/state\b`), "DIR"},
	{regexp.MustCompile(`\d\d:\d\d ([·▁▂▃▄▅▆▇█()\[\]]+) \d\d:\d\d UTC  max \d+ per \d+ min`), "CHART"},
	{regexp.MustCompile(`(20\d\d-\d\d-\d\d )?\d\d:\d\d(–(20\d\d-\d\d-\d\d )?\d\d:\d\d)?( UTC)?`), "HH:MM"},
	{regexp.MustCompile(`http://127\.0\.0\.1:\d+`), "http://HOST"},
	{regexp.MustCompile(`\b[0-9a-f]{12}\b`), "DIGEST"},
	{regexp.MustCompile(`by \S+@\S+ aftermaintenance`), "by USER"},
	{regexp.MustCompile(`,\s\d+\s(s|min)\safter\sthe\smaintenance`), ", SPAN after the maintenance"},
	{regexp.MustCompile(`at\sleast\s\d+\ss`), "at least SPAN"},
	{regexp.MustCompile(`\d+\sorders?\s(is|are)\sin\sflight`), "N orders are in flight"},
	{regexp.MustCompile(`\d+\s(is|are)\snot\sstarted`), "N are not started"},
}

// requireGolden compares a transcript with a golden file.
func requireGolden(t *testing.T, name, transcript string) {
	t.Helper()
	for _, c := range variable {
		transcript = c.pattern.ReplaceAllString(transcript, c.with)
	}
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o700))
		require.NoError(t, os.WriteFile(path, []byte(transcript), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	// Where lines are wrapped depends on what was replaced.
	require.Equal(t, strings.Fields(string(want)), strings.Fields(transcript), "to accept it, run the test with -update")
}

// A person lists, plans, refuses, interrupts the question, applies, is interrupted, continues, and proves.
func TestTranscript(t *testing.T) {
	t.Parallel()
	for _, columns := range []int{80, 200} {
		t.Run(fmt.Sprint(columns, " columns"), func(t *testing.T) {
			t.Parallel()
			const orders = 20
			h := newOutage(t, orders)
			configure(t, filepath.Join(h.dir, "state"), `{"policy": {"settleDelay": "6s"},
				"run": {"rate": 50, "verifyAfter": "20ms", "concurrency": 4}}`) // a claim may be a quarter of it old, on a busy machine
			h.plan(t) // so that no order waits any more
			var all strings.Builder
			step := func(want int, term *ptyProcess, args ...string) {
				status, shown := term.end(t)
				require.Equal(t, want, status, shown)
				requireFits(t, shown, columns)
				fmt.Fprintf(&all, "$ aftermaintenance %s\n%s\n[status %d]\n\n", strings.Join(args, " "), strings.TrimSpace(shown),
					status)
			}
			for _, args := range [][]string{{"list"}, {"list", "-group", "2"}, {"plan"}, {"status"}} {
				step(exitDone, h.onTerminal(t, columns, args...), args...)
			}
			refused := h.onTerminal(t, columns, "apply")
			refused.await(t, `Resubmit 20 orders\? Type .*: `)
			refused.enter(t, "no\n")
			step(exitStopped, refused, "apply")

			stopped := h.onTerminal(t, columns, "apply")
			stopped.await(t, `Type .*: `)
			stopped.enter(t, ctrlC)
			step(130, stopped, "apply")
			pushed, _ := h.accepted()
			require.Zero(t, pushed)

			running := h.onTerminal(t, columns, "apply", "-rate", "4/s")
			running.await(t, `Type .*: `)
			running.enter(t, "20\n")
			running.await(t, `\d+/20 done  \d+ verified  \d+ failed again  \d+ in flight  [0-9.]+ of 4 calls/s`)
			h.control(t, "pause", "-reason", "lunch")
			running.await(t, "paused")
			h.control(t, "resume") // before the rate, which shows that both were obeyed
			h.control(t, "rate", "3/s")
			running.await(t, `of 3 calls/s`)
			running.enter(t, ctrlC)
			step(130, running, "apply", "-rate", "4/s")

			step(exitDone, h.onTerminal(t, columns, "apply", "-rate", "100/s"), "apply", "-rate", "100/s")
			h.requireCompleted(t, orders)
			for _, args := range [][]string{{"status"}, {"show"}, {"report"}, {"audit", "verify"}} {
				shown := h.onTerminal(t, columns, args...)
				if args[0] == "audit" || args[0] == "report" { // its hashes differ; and package report tests its text
					status, text := shown.end(t)
					require.Equal(t, exitDone, status, text)
					requireFits(t, text, columns)
					continue
				}
				step(exitDone, shown, args...)
			}
			requireGolden(t, fmt.Sprintf("transcript%d.txt", columns), all.String())
		})
	}
}

// control runs a command from a second process.
func (h *outage) control(t *testing.T, args ...string) {
	t.Helper()
	l := h.start(t, nil, args...)
	require.Equal(t, exitDone, l.status, "%s", &l.stderr)
}

func TestClosedPipeDoesNotEndTheRun(t *testing.T) {
	t.Parallel()
	const orders = 20
	h := newOutage(t, orders)
	h.plan(t)
	read, write, err := os.Pipe()
	require.NoError(t, err)
	cmd := h.command(t, "apply", "-yes", "-rate", "100/s")
	cmd.Stdout, cmd.Stderr = write, write
	require.NoError(t, read.Close(), "nobody reads, as after head -1")
	require.NoError(t, cmd.Start())
	require.NoError(t, write.Close())
	require.NoError(t, cmd.Wait())
	h.requireCompleted(t, orders)
}
