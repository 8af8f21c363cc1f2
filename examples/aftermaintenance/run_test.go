package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func TestNightlyJobCanBeRepeated(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	args := with(flags, append([]string{"run"}, inWindow(w)...)...)
	orders := inMaintenance(w)
	done(t, env, args...)
	requireCompleted(t, w, orders)
	pushed := w.Commerce.Pushes()
	require.NotEmpty(t, pushed)

	stdout, _ := done(t, env, args...)
	require.Contains(t, stdout, "Nothing was sent: there is nothing to resubmit.")
	require.Contains(t, joinedLines(stdout), "The run before: run ")
	require.Equal(t, pushed, w.Commerce.Pushes())
	status, stdout, stderr := do(t, env, with(args, "-json", "-detailed-exitcode")...)
	require.Equal(t, exitLeft, status, stderr)
	require.Zero(t, decode(t, stdout).Outcomes.Total())

	logs, err := filepath.Glob(filepath.Join(stateOf(flags), "runs", "*", "audit.jsonl"))
	require.NoError(t, err)
	require.Len(t, logs, 1)
	head, err := audit.VerifyFile(logs[0])
	require.NoError(t, err)
	stdout, _ = done(t, nil, stateOnly(flags, "audit", "verify")...)
	require.Contains(t, stdout, "The newest ends with\n    "+head.String()+"\n")
}

func TestPlanBeyondTheLimitsNeedsAnApproval(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	orders := inMaintenance(w)
	limited := with(flags, append([]string{"run", "-max-orders", "1"}, inWindow(w)...)...)
	var digest string
	for range 2 {
		status, stdout, stderr := do(t, env, with(limited, "-json")...)
		require.Equal(t, exitWait, status, stderr)
		digest = decode(t, stdout).Digests.Plan
		require.Contains(t, errorLine(t, stderr), "more than 1")
		require.Regexp(t, `Next: aftermaintenance -state \S+ apply `+short(digest)+`\n$`, stderr)
	}
	require.Empty(t, w.Commerce.Pushes())

	status, _, stderr := do(t, nil, stateOnly(flags, "sign", "feed")...)
	require.Equal(t, exitError, status, stderr)
	stdout, _ := done(t, nil, stateOnly(flags, "sign", digest)...) // without credentials
	require.Contains(t, stdout, "It was not applied yet.")
	done(t, env, limited...)
	requireCompleted(t, w, orders)
	require.Len(t, w.Commerce.Pushes(), len(orders))
}

func TestNoOrdersIsNoLimit(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	for _, n := range []string{"0", "-2"} {
		requireRejected(t, env, with(flags, "run", "-max-orders", n), exitUsage, "to approve every plan, use plan and apply")
		configure(t, stateOf(flags), `{"limits": {"maxOrders": `+n+`}}`)
		requireRejected(t, env, with(flags, "run"), exitError, "limits.maxOrders is "+n+": give a number of orders, or -1")
		require.NoError(t, os.Remove(filepath.Join(stateOf(flags), "config.json")))
	}
	for _, n := range []string{"0", "-1"} {
		requireRejected(t, env, with(flags, "list", "-group", n), exitUsage, "groups have the numbers that list shows")
	}
	require.Empty(t, w.Commerce.Pushes())
}

func TestRevokedPlanIsNotApplied(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	done(t, env, with(flags, append([]string{"plan"}, inWindow(w)...)...)...)
	digest := decodeStatus(t, first(done(t, nil, stateOnly(flags, "status", "-json")...))).Run.Digest
	done(t, nil, stateOnly(flags, "sign", short(digest))...)
	done(t, nil, stateOnly(flags, "revoke", short(digest), "-reason", "the vendor asked")...)
	status, _, stderr := do(t, env, with(flags, "run")...)
	require.Equal(t, exitWait, status, stderr)
	require.Empty(t, w.Commerce.Pushes())
}

func TestTooEarlyNightlyJob(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	configure(t, stateOf(flags), `{"policy": {"settleDelay": "1h"}, "run": {"rate": 10000}}`)
	number := failedForMaintenance(t, w, "PRD-100-200-300", 1)[0]
	status, stdout, stderr := do(t, env, with(flags, "run", "-order", number, "-wait-at-most", "2s", "-json")...)
	require.Equal(t, exitWait, status, stderr)
	require.Equal(t, 1, decode(t, stdout).Planned.Wait)
	require.Contains(t, errorLine(t, stderr), "it is too early, and nothing was sent: 1 order must still wait")
	require.Regexp(t, `Next: Run the same command again after `, stderr)
	require.Equal(t, state.EndTooEarly, decodeStatus(t, first(done(t, nil, stateOnly(flags, "status",
		"-json")...))).Run.End)
	require.Empty(t, w.Commerce.Pushes())
}

func TestNightlyJobWaitsForOrdersThatAreNotDue(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	configure(t, stateOf(flags), `{"policy": {"settleDelay": "8s"}, "run": {"rate": 10000, "verifyAfter": "150ms"}}`)
	number := failedForMaintenance(t, w, "PRD-100-200-300", 1)[0]
	stdout, _ := done(t, env, with(flags, "run", "-order", number, "-wait-at-most", "1m", "-json")...)
	require.Equal(t, 1, decode(t, stdout).Outcomes.Completed)
	require.Len(t, w.Commerce.Pushes(), 1)
}

func TestCommandsControlTheNightlyJob(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	args := with(flags, append([]string{"run"}, inWindow(w)...)...)
	orders := inMaintenance(w)
	requireRejected(t, nil, stateOnly(flags, "status"), exitError, "give -via and -commerce too")
	status, _, stderr := do(t, env, with(args, "-max-orders", "1")...)
	require.Equal(t, exitWait, status, stderr)

	stdout, _ := done(t, nil, stateOnly(flags, "pause", "-reason", "the vendor asked")...)
	require.Contains(t, stdout, "Not obeyed yet: pause by ")
	status, _, stderr = do(t, env, args...)
	require.Equal(t, exitWait, status, stderr)
	require.Regexp(t, `the run is paused: by .* \(the vendor asked\)`, errorLine(t, stderr))
	require.Empty(t, w.Commerce.Pushes())
	stdout, stderr = done(t, nil, stateOnly(flags, "status")...)
	require.Contains(t, stdout, "It is paused by ")
	require.Regexp(t, `Next: aftermaintenance -state \S+ resume\n$`, stderr)

	done(t, nil, stateOnly(flags, "resume")...)
	done(t, nil, stateOnly(flags, "rate", "2/s")...)
	requireRejected(t, nil, stateOnly(flags, "rate", "fast"), exitUsage, `"fast" is not a rate`)
	requireRejected(t, nil, stateOnly(flags, "rate"), exitUsage, "rate takes RATE, but 0 arguments are given")
	requireRejected(t, nil, stateOnly(flags, "cancel"), exitUsage, "cancel asks first, and here is no terminal: pass -yes")
	done(t, nil, stateOnly(flags, "-json", "cancel", "-yes")...) // flags may stand before the command
	done(t, env, args...)
	requireCompleted(t, w, orders)
	now := decodeStatus(t, first(done(t, nil, stateOnly(flags, "status", "-json")...)))
	require.Equal(t, state.EndFinished, now.Run.End)
	require.False(t, now.Busy)
	require.Empty(t, now.Commands)
	requireRejected(t, nil, stateOnly(flags, "drain"), exitError, "no such run is unfinished")
}

func TestRecoverAfterALossOfTheJournal(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	args := with(flags, append([]string{"run"}, inWindow(w)...)...)
	done(t, env, with(args, "-where", "channel=reseller")...)
	pushed := len(w.Commerce.Pushes())
	require.Positive(t, pushed)
	require.NoError(t, os.Remove(filepath.Join(stateOf(flags), "journal")))
	requireRejected(t, env, args, exitError, "recover")
	requireRejected(t, env, stateOnly(flags, "recover", "-reason", "x"), exitError, "give -via and -commerce too")
	requireRejected(t, env, with(flags, "recover"), exitUsage, "recover needs -reason")

	_, stderr := done(t, env, with(flags, "recover", "-reason", "the disk broke")...)
	require.Contains(t, stderr, "The journal was recovered.")
	require.Contains(t, stderr, `why="the disk broke"`)
	stdout, _ := done(t, env, with(args, "-json")...)
	require.Zero(t, decode(t, stdout).Planned.Resubmit, "what was sent before is not known")
	require.Len(t, w.Commerce.Pushes(), pushed)
}

func TestJournalCommands(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	done(t, env, with(flags, append([]string{"run"}, inWindow(w)...)...)...)
	stdout, _ := done(t, nil, stateOnly(flags, "journal", "check")...)
	require.Contains(t, stdout, "completed")
	stdout, _ = done(t, nil, stateOnly(flags, "journal", "export")...)
	require.Contains(t, stdout, `{"kind":"cloudblue-resubmit-journal"`)
	saved := filepath.Join(t.TempDir(), "export.jsonl")
	done(t, nil, stateOnly(flags, "journal", "export", "-file", saved)...)
	content, err := os.ReadFile(saved)
	require.NoError(t, err)
	require.Equal(t, strings.Count(stdout, "\n"), strings.Count(string(content), "\n"))
	requireRejected(t, nil, stateOnly(flags, "journal", "export", "-file", saved), exitError, saved)
	requireRejected(t, nil, stateOnly(flags, "journal", "salvage"), exitUsage, "salvage needs -file")
	requireRejected(t, nil, stateOnly(flags, "journal"), exitUsage, "give a command: check, salvage, export")
	requireRejected(t, nil, stateOnly(flags, "journal", "chekc"), exitUsage, `(did you mean "check"?)`)
	copied := filepath.Join(t.TempDir(), "salvaged")
	stdout, _ = done(t, nil, stateOnly(flags, "journal", "salvage", "-file", copied)...)
	require.Contains(t, stdout, copied)
}

func TestCommandsNeedAStateDirectory(t *testing.T) {
	t.Parallel()
	for _, command := range [][]string{{"list"}, {"plan"}, {"apply"}, {"run"}, {"show"}, {"status"}, {"pause"}, {"report"},
		{"recover", "-reason", "x"}, {"sign", "abcd"}, {"revoke", "abcd"}, {"audit", "verify"}, {"journal", "check"}} {
		requireRejected(t, nil, command, exitUsage, "give -state DIR")
	}
	dir := filepath.Join(t.TempDir(), "state")
	requireRejected(t, nil, []string{"-state", dir, "plan"}, exitUsage, "the address of Commerce is not known: give "+
		"-commerce")
	require.NoDirExists(t, dir)
}
