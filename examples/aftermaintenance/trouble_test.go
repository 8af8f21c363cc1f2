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
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// fast are flags for systems that answer at once.
var fast = []string{"-rate", "10000", "-settle-delay", "2s", "-verify-after", "150ms", "-concurrency", "4"}

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

func TestFirstCallsAreRetried(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	for _, f := range []connecttest.Fault{
		{Method: "HEAD", Times: 1, Kind: connecttest.FaultReset},
		{Path: "*/accounts", Times: 1, Kind: connecttest.FaultStatus, Status: 503},
		{Path: "*/requests", Times: 1, Kind: connecttest.FaultReset},
	} {
		require.NoError(t, w.Connect.AddFault(f))
	}
	status, _, stderr := do(t, env, flags...)
	require.Equal(t, exitDone, status, stderr)
	for _, f := range w.Connect.FaultCounts() {
		require.Equal(t, 1, f.Hits, "%+v", f)
	}
}

func TestConnectThatIsDownIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	w.Connect.SetMaintenance(true)
	status, _, stderr := do(t, env, flags...)
	require.Equal(t, exitError, status)
	require.Contains(t, errorLine(t, stderr), "connect is not up, or -connect is wrong")
	require.Contains(t, errorLine(t, stderr), "502 Bad Gateway")
	require.Empty(t, w.Commerce.Pushes())
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
	path := filepath.Join(t.TempDir(), "journal")
	flags = append(append(flags, fast...), "-apply", "-journal", path)
	j, err := journal.Open(path, journal.WithOwner("night-shift"))
	require.NoError(t, err)
	status, _, stderr := do(t, env, flags...)
	require.Equal(t, exitError, status)
	require.Contains(t, errorLine(t, stderr), fmt.Sprintf("night-shift, process %d", os.Getpid()))
	require.Empty(t, w.Commerce.Pushes())
	require.NoError(t, j.Close())
	requireCompleted(t, w, transient(w), env, flags...)
}

func TestAllPlansShareOneJournal(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	flags = append(append(flags, fast...), "-apply", "-unreviewed")
	dir := t.TempDir()
	one := append(flags, "-plan", filepath.Join(dir, "one.jsonl"), "-where", "channel=reseller")
	status, _, stderr := do(t, env, one...)
	require.Equal(t, exitDone, status, stderr)
	require.NotEmpty(t, w.Commerce.Pushes())
	journals, err := filepath.Glob(filepath.Join(env["XDG_CONFIG_HOME"], "cloudblue-resubmit", "ordermanager-*.journal"))
	require.NoError(t, err)
	require.Len(t, journals, 1, "the default")
	summary, err := journal.Check(journals[0])
	require.NoError(t, err)
	require.Equal(t, len(w.Commerce.Pushes()), summary.Orders["completed"])
	requireCompleted(t, w, transient(w), env, append(flags, "-plan", filepath.Join(dir, "two.jsonl"))...)
}

func TestPlanWithAnotherJournalIsRejected(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	flags = append(append(flags, fast...), "-plan", filepath.Join(t.TempDir(), "plan.jsonl"))
	status, _, stderr := do(t, env, flags...)
	require.Equal(t, exitDone, status, stderr)
	status, _, stderr = do(t, env, append(flags, "-apply", "-journal", filepath.Join(t.TempDir(), "other"))...)
	require.Equal(t, exitError, status)
	require.Contains(t, errorLine(t, stderr), "the journal is not the one that the plan is based on")
	require.Empty(t, w.Commerce.Pushes())
	requireCompleted(t, w, transient(w), env, append(flags, "-apply")...)
}

func TestFinishedPlanDoesNothingAgain(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	flags = append(append(flags, fast...), "-apply", "-unreviewed", "-plan", filepath.Join(t.TempDir(), "plan.jsonl"))
	requireCompleted(t, w, transient(w), env, flags...)
	pushed := w.Commerce.Pushes()
	status, stdout, stderr := do(t, env, flags...)
	require.Equal(t, exitDone, status, stderr)
	require.Contains(t, stdout, "Nothing was sent now: an earlier run of this plan has ended")
	require.NotContains(t, stdout, "verified")
	require.Equal(t, pushed, w.Commerce.Pushes())
}

func TestPlanWithAnotherPolicyIsRejected(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	flags = append(append(flags, fast...), "-plan", filepath.Join(t.TempDir(), "plan.jsonl"))
	status, _, stderr := do(t, env, flags...)
	require.Equal(t, exitDone, status, stderr)
	status, _, stderr = do(t, env, append(flags, "-apply", "-attempts", "3")...)
	require.Equal(t, exitError, status)
	require.Contains(t, errorLine(t, stderr),
		"was made with other values of -targets, -settle-delay, -attempts or -spacing")
	require.Empty(t, w.Commerce.Pushes())
	without := slices.DeleteFunc(append(flags, "-apply"), func(f string) bool { return f == "-settle-delay" || f == "2s" })
	requireCompleted(t, w, transient(w), env, without...)
}

func TestPlanOfWaitingOrdersIsAnError(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	number := failedForMaintenance(t, w, "PRD-100-200-300", 1)[0]
	for _, plan := range [][]string{nil, {"-unreviewed", "-plan", filepath.Join(t.TempDir(), "plan.jsonl")}} {
		args := append(append(flags, "-apply", "-settle-delay", "1h", "-order", number), plan...)
		for range 2 {
			status, _, stderr := do(t, env, args...)
			require.Equal(t, exitError, status, stderr)
			require.Regexp(t, "it is too early, and nothing was resubmitted: 1 order must still wait, for the reasons above; "+
				".* after 2", errorLine(t, stderr))
		}
	}
	require.Empty(t, w.Commerce.Pushes())
}

func TestTruncatedJournalIsRejected(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	dir := t.TempDir()
	journal := filepath.Join(dir, "journal")
	flags = append(append(flags, fast...), "-apply", "-unreviewed", "-plan", filepath.Join(dir, "plan.jsonl"),
		"-journal", journal)
	requireCompleted(t, w, transient(w), env, flags...)
	pushed := w.Commerce.Pushes()
	require.NotEmpty(t, pushed)

	kept, err := os.ReadFile(journal)
	require.NoError(t, err)
	for _, size := range []int{0, 1, 100} {
		require.NoError(t, os.WriteFile(journal, kept[:size], 0o600))
		status, _, stderr := do(t, env, flags...)
		require.Equal(t, exitError, status, size)
		line := errorLine(t, stderr)
		require.Contains(t, line, journal)
		require.Regexp(t, "corrupt|not a journal", line)
		require.Equal(t, pushed, w.Commerce.Pushes())
	}
	require.NoError(t, os.WriteFile(journal, kept, 0o600))
	requireCompleted(t, w, transient(w), env, flags...)
	require.Equal(t, pushed, w.Commerce.Pushes(), "all was done before")
}

func TestClockSetBackDoesNotDelayTheRun(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	dir := t.TempDir()
	path, file := filepath.Join(dir, "plan.jsonl"), filepath.Join(dir, "journal")
	flags = append(append(flags, fast...), "-spacing", "1s", "-plan", path, "-journal", file)
	_, _, stderr := do(t, env, flags...)
	require.FileExists(t, path, stderr)
	plan, err := plan.Open(path)
	require.NoError(t, err)
	j, err := journal.Open(file)
	require.NoError(t, err)
	tomorrow, claims := time.Now().Add(24*time.Hour), 0
	for e, err := range plan.Entries() {
		require.NoError(t, err)
		if e.Decision.Action == rules.Resubmit && claims < 3 {
			claims++
			_, err := j.Put(t.Context(), resubmit.Durable, protocol.Record{
				Key: protocol.OrderKey(e.OrderID), Version: e.Version, At: tomorrow,
				Order: &protocol.Order{
					Number: e.Number, Run: plan.Digest(), Epoch: 1, Fingerprint: e.Fingerprint, Phase: protocol.Claimed,
					Attempts: 1, Resubmissions: 1, Target: e.Target, ClaimedAt: tomorrow, FirstClaimAt: tomorrow,
				},
			})
			require.NoError(t, err)
		}
	}
	require.NoError(t, errors.Join(j.Close(), plan.Close()))
	start := time.Now()
	status, stdout, stderr := do(t, env, append(flags, "-apply", "-json")...)
	require.Less(t, time.Since(start), time.Hour)
	require.Equal(t, exitError, status, stderr)
	unknown := decode(t, stdout).Result.Unknown
	require.Positive(t, unknown, "nobody knows when they were pushed: %s", stderr)
	require.Contains(t, errorLine(t, stderr), number(unknown, "order")+" perhaps resubmitted, without proof")
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
