package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// fast are flags for systems that answer at once.
var fast = []string{"-rate", "10000", "-settle-delay", "100ms", "-verify-after", "150ms", "-concurrency", "4"}

// errorLine returns the error of the program, which must be one line after any other output.
func errorLine(t *testing.T, stderr string) string {
	t.Helper()
	_, line, found := strings.Cut(stderr, "aftermaintenance: ")
	require.True(t, found, stderr)
	line = strings.TrimSuffix(line, "\n")
	require.NotContains(t, line, "\n")
	return line
}

// transient returns the orders that failed because of the maintenance.
func transient(w *sandbox.World) map[string]bool {
	numbers := make(map[string]bool)
	for _, o := range w.Commerce.Orders() {
		if sandbox.Cause(o) == sandbox.Transient {
			numbers[o.Number] = true
		}
	}
	return numbers
}

// requireCompleted runs the same command again without the problem, which completes the orders with one push each.
func requireCompleted(t *testing.T, w *sandbox.World, orders map[string]bool, env map[string]string, args ...string) {
	t.Helper()
	status, _, stderr := do(t, env, args...)
	require.Equal(t, exitDone, status, stderr)
	require.Empty(t, w.Violations())
	for _, o := range w.Commerce.Orders() {
		if orders[o.Number] {
			require.Equal(t, "CP", string(o.Status), "%s: %s", o.Number, stderr)
		}
	}
}

func TestUnwritableFilesAreReportedBeforeThePush(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	flags = append(flags, "-apply", "-unreviewed")
	dir := t.TempDir()
	shut := filepath.Join(dir, "shut")
	require.NoError(t, os.Mkdir(shut, 0o500))
	if f, err := os.Create(filepath.Join(shut, "try")); err == nil {
		require.NoError(t, f.Close())
		shut = "/proc/self" // nothing can be made there, even by those who may write anywhere
	}
	plan := filepath.Join(dir, "plan.jsonl")
	for name, files := range map[string][]string{
		"a plan":       {"-plan", filepath.Join(shut, "plan.jsonl"), "-journal", filepath.Join(dir, "journal")},
		"a journal":    {"-plan", plan, "-journal", filepath.Join(shut, "journal")},
		"an audit log": {"-plan", plan, "-audit", filepath.Join(shut, "audit")},
	} {
		status, _, stderr := do(t, env, append(flags, files...)...)
		require.Equal(t, exitError, status, name)
		require.Contains(t, errorLine(t, stderr), shut, name)
		require.Empty(t, w.Commerce.Pushes(), name)
	}
	requireCompleted(t, w, transient(w), env, append(append(flags, fast...), "-plan", plan)...)
}

func TestJournalInUseNamesItsOwner(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	flags = append(append(flags, fast...), "-apply", "-unreviewed", "-plan", filepath.Join(t.TempDir(), "plan.jsonl"))
	j, err := journal.Open(flags[len(flags)-1]+".journal", journal.Program("night-shift"))
	require.NoError(t, err)
	status, _, stderr := do(t, env, flags...)
	require.Equal(t, exitError, status)
	require.Contains(t, errorLine(t, stderr), fmt.Sprintf("in use by process %d (night-shift) on ", os.Getpid()))
	require.Empty(t, w.Commerce.Pushes())
	require.NoError(t, j.Close())
	requireCompleted(t, w, transient(w), env, flags...)
}

func TestJournalOfAnotherPlanIsRejected(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	flags = append(append(flags, fast...), "-apply", "-unreviewed")
	dir := t.TempDir()
	mine := []string{"-plan", filepath.Join(dir, "mine.jsonl"), "-journal", filepath.Join(dir, "journal")}
	other := []string{"-plan", filepath.Join(dir, "other.jsonl"), "-journal", filepath.Join(dir, "journal"), "-where",
		"channel=reseller"}
	status, _, stderr := do(t, env, append(flags, other...)...)
	require.Equal(t, exitDone, status, stderr)
	pushed := w.Commerce.Pushes()

	status, _, stderr = do(t, env, append(flags, mine...)...)
	require.Equal(t, exitUsage, status)
	require.Contains(t, stderr, "restore the plan")
	status, _, stderr = do(t, env, append(flags, append(mine[:2:2], "-apply=false", "-unreviewed=false")...)...)
	require.Equal(t, exitDone, status, stderr)
	status, _, stderr = do(t, env, append(flags, mine...)...)
	require.Equal(t, exitError, status)
	require.Contains(t, errorLine(t, stderr), "the journal belongs to another plan")
	require.Equal(t, pushed, w.Commerce.Pushes())
	requireCompleted(t, w, transient(w), env, append(flags, mine[:2]...)...)
}

func TestTruncatedJournalIsRejected(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	plan := filepath.Join(t.TempDir(), "plan.jsonl")
	flags = append(append(flags, fast...), "-apply", "-unreviewed", "-plan", plan)
	requireCompleted(t, w, transient(w), env, flags...)
	pushed := w.Commerce.Pushes()
	require.NotEmpty(t, pushed)

	kept, err := os.ReadFile(plan + ".journal")
	require.NoError(t, err)
	for _, size := range []int{0, 1, 1000, 4096, len(kept) / 2} {
		require.NoError(t, os.WriteFile(plan+".journal", kept[:size], 0o600))
		status, _, stderr := do(t, env, flags...)
		require.Equal(t, exitError, status, size)
		line := errorLine(t, stderr)
		require.Contains(t, line, "plan.jsonl.journal")
		require.Regexp(t, "damaged|not a journal", line)
		require.Equal(t, pushed, w.Commerce.Pushes())
	}
	require.NoError(t, os.WriteFile(plan+".journal", kept, 0o600))
	requireCompleted(t, w, transient(w), env, flags...)
	require.Equal(t, pushed, w.Commerce.Pushes(), "all was done before")
}

func TestClockSetBackDoesNotDelayTheRun(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	path := filepath.Join(t.TempDir(), "plan.jsonl")
	flags = append(append(flags, fast...), "-plan", path)
	_, _, stderr := do(t, env, flags...)
	require.FileExists(t, path, stderr)
	plan, err := plan.Open(path)
	require.NoError(t, err)
	j, err := journal.Open(path + ".journal")
	require.NoError(t, err)
	require.NoError(t, j.Begin(plan.Digest()))
	intents := 0
	for e, err := range plan.Entries() {
		require.NoError(t, err)
		if e.Decision.Action == rules.Resubmit && intents < 3 {
			intents++
			require.NoError(t, j.Put(resubmit.Record{
				OrderID: e.OrderID, Fingerprint: e.Fingerprint, State: resubmit.RecordSending, Attempt: 1,
				At: time.Now().Add(24 * time.Hour),
			}))
		}
	}
	require.NoError(t, errors.Join(j.Close(), plan.Close()))
	start := time.Now()
	status, stdout, stderr := do(t, env, append(flags, "-apply", "-json")...)
	require.Equal(t, exitError, status, stderr)
	require.Contains(t, errorLine(t, stderr), fmt.Sprintf("%d orders with an unknown outcome", intents))
	require.Equal(t, intents, decode(t, stdout).Result.Unknown, "nobody knows whether they were pushed: %s", stderr)
	require.Less(t, time.Since(start), time.Hour)
	require.Empty(t, w.Violations())
}

func TestInvalidAnswersPreventPushes(t *testing.T) {
	t.Parallel()
	t.Run("Connect", func(t *testing.T) {
		t.Parallel()
		w, env, flags := live(t)
		flags = append(append(flags, fast...), "-apply", "-unreviewed", "-plan", filepath.Join(t.TempDir(), "plan.jsonl"))
		require.NoError(t, w.Connect.AddFault(connecttest.Fault{Kind: connecttest.FaultHTML}))
		status, _, stderr := do(t, env, flags...)
		require.Equal(t, exitError, status)
		require.Contains(t, errorLine(t, stderr), "connect")
		require.Empty(t, w.Commerce.Pushes())
		w.Connect.ClearFaults()
		requireCompleted(t, w, transient(w), env, flags...)
	})
	t.Run("Commerce, after the plan", func(t *testing.T) {
		t.Parallel()
		w, env, flags := live(t)
		flags = append(append(flags, fast...), "-plan", filepath.Join(t.TempDir(), "plan.jsonl"))
		all := w.Commerce.Orders()
		first := slices.IndexFunc(all, func(o commercetest.Order) bool {
			return sandbox.Cause(o) == sandbox.Transient &&
				o.Type == "SO"
		})
		flags = append(flags, "-order", all[first].Number)
		status, _, stderr := do(t, env, flags...)
		require.Equal(t, exitDone, status, stderr)

		flags = append(flags, "-apply", "-json")
		require.NoError(t, w.Commerce.AddFault(commercetest.Fault{Kind: commercetest.FaultHTML}))
		status, stdout, stderr := do(t, env, flags...)
		require.Equal(t, exitError, status, stderr)
		require.Contains(t, errorLine(t, stderr), "1 order not sent, because they could not be read")
		require.Equal(t, 1, decode(t, stdout).Result.Skipped)
		require.Contains(t, stderr, "could not be read again")
		require.Empty(t, w.Commerce.Pushes())

		w.Commerce.ClearFaults()
		status, stdout, stderr = do(t, env, flags...)
		require.Equal(t, exitDone, status, stderr)
		require.Equal(t, 1, decode(t, stdout).Result.Completed)
		require.Len(t, w.Commerce.Pushes(), 1)
	})
}
