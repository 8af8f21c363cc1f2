package main

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// stateful returns systems, and the flags of the nightly job. They select the orders of the maintenance, because others
// need an approval.
func stateful(t *testing.T) (w *sandbox.World, env map[string]string, dir string, flags []string) {
	t.Helper()
	w, env, flags = live(t)
	dir = filepath.Join(t.TempDir(), "state")
	flags = append(append(flags, fast...), "-state", dir, "-apply", "-from", w.Window.Start.Format(time.RFC3339),
		"-to", w.Window.End.Format(time.RFC3339))
	return w, env, dir, slices.Clip(flags)
}

// selected returns the orders that the flags of stateful select and that failed because of the maintenance.
func selected(w *sandbox.World) map[string]bool {
	numbers := transient(w)
	for _, o := range w.Commerce.Orders() {
		if o.PlacedAt.Before(w.Window.Start.Truncate(time.Second)) || !o.PlacedAt.Before(w.Window.End.Truncate(time.Second)) {
			delete(numbers, o.Number)
		}
	}
	return numbers
}

// without returns flags without some that have no value.
func without(flags []string, names ...string) []string {
	return slices.Clip(slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return slices.Contains(names, f) }))
}

func TestNightlyJobCanBeRepeated(t *testing.T) {
	t.Parallel()
	w, env, dir, flags := stateful(t)
	requireCompleted(t, w, selected(w), env, flags...)
	pushed := w.Commerce.Pushes()
	require.NotEmpty(t, pushed)

	status, stdout, stderr := do(t, env, flags...)
	require.Equal(t, exitDone, status, stderr)
	require.Contains(t, stdout, "nothing was sent by this call; the one before was run ")
	require.NotContains(t, stdout, "Result:")
	require.Contains(t, stdout, filepath.Join(dir, "runs"), "where the plan is that lists the orders left for a person")
	require.Equal(t, pushed, w.Commerce.Pushes())

	status, stdout, stderr = do(t, env, append(flags, "-json", "-detailed-exitcode")...)
	require.Equal(t, exitLeft, status, stderr)
	s := decode(t, stdout)
	require.Equal(t, state.EndNothing, s.Runs[0].End)
	require.Equal(t, s.Plan, s.Runs[0].Counts)
	require.Zero(t, s.Result.Total())

	logs, err := filepath.Glob(filepath.Join(dir, "runs", "*", "audit.jsonl"))
	require.NoError(t, err)
	require.Len(t, logs, 1)
	head, err := audit.VerifyFile(logs[0])
	require.NoError(t, err)
	require.Equal(t, head.String(), s.AuditHead.String())
	require.Contains(t, stderr, "The newest audit log in the directory ends with\n    "+head.String()+"\n")
}

func TestStateDefaultsToADryRun(t *testing.T) {
	t.Parallel()
	w, env, dir, flags := stateful(t)
	orders := selected(w)
	for range 2 {
		status, stdout, stderr := do(t, env, without(flags, "-apply")...)
		require.Equal(t, exitDone, status, stderr)
		require.Contains(t, stdout, "To resubmit "+number(len(orders), "order")+", add -apply")
	}
	require.Empty(t, w.Commerce.Pushes())
	require.NoFileExists(t, filepath.Join(dir, "journal"))

	status, _, stderr := do(t, env, append(without(flags, "-apply"), "-order", "SO999999")...)
	require.Equal(t, exitError, status)
	require.Contains(t, errorLine(t, stderr), "-order SO999999: not among the failed orders")
	requireCompleted(t, w, orders, env, flags...)
}

func TestPlanBeyondTheLimitsNeedsAnApproval(t *testing.T) {
	t.Parallel()
	w, env, dir, flags := stateful(t)
	orders := selected(w)
	limited := append(flags, "-max-orders", "1", "-json")
	var digest string
	for range 2 {
		status, stdout, stderr := do(t, env, limited...)
		require.Equal(t, exitApproval, status, stderr)
		s := decode(t, stdout)
		require.Len(t, s.Runs, 1)
		digest = s.Runs[0].Digest
		require.True(t, strings.HasSuffix(s.Approve, " approve "+digest), s.Approve)
		require.Contains(t, stderr, "more than 1")
		require.Contains(t, stderr, "run: "+s.Approve)
	}
	require.Empty(t, w.Commerce.Pushes())

	status, _, stderr := do(t, env, append(without(flags, "-apply"), "-where", "channel=direct")...)
	require.Equal(t, exitDone, status, stderr)
	requireRejected(t, nil, []string{"-state", dir, "approve", "sha256:other"}, exitError, "no such run is unfinished")
	status, stdout, stderr := do(t, nil, "-state", dir, "approve", digest) // without credentials
	require.Equal(t, exitDone, status, stderr)
	require.Contains(t, stdout, "The plan is approved.")
	require.Contains(t, stdout, "not applied yet")
	requireCompleted(t, w, orders, env, limited...)
	require.Len(t, w.Commerce.Pushes(), len(orders))
}

func TestTooEarlyIsNoErrorOfTheNightlyJob(t *testing.T) {
	t.Parallel()
	w, env, _, flags := stateful(t)
	number := failedForMaintenance(t, w, "PRD-100-200-300", 1)[0]
	flags = append(flags, "-settle-delay", "1h", "-to", "2100-01-01", "-order", number, "-wait", "2s")
	status, stdout, stderr := do(t, env, flags...)
	require.Equal(t, exitDone, status, stderr)
	require.Regexp(t, `It is too early: 1 order must still wait. The first is due after 2.* UTC. Run the same`, stdout)
	require.Contains(t, stdout, "Left for a person:")
	status, stdout, stderr = do(t, env, append(flags, "-detailed-exitcode", "-json")...)
	require.Equal(t, exitLeft, status, stderr)
	s := decode(t, stdout)
	require.Equal(t, 1, s.Plan.Wait)
	require.Equal(t, state.EndTooEarly, s.Runs[0].End)
	require.False(t, s.Runs[0].Due.IsZero())
	require.Empty(t, w.Commerce.Pushes())
}

func TestWaitPlansAgainWhenOrdersAreDue(t *testing.T) {
	t.Parallel()
	w, env, _, flags := stateful(t)
	number := failedForMaintenance(t, w, "PRD-100-200-300", 1)[0]
	args := append(flags, "-settle-delay", "8s", "-to", "2100-01-01", "-order", number, "-wait", "1m", "-json")
	status, stdout, stderr := do(t, env, args...)
	require.Equal(t, exitDone, status, stderr)
	s := decode(t, stdout)
	require.Len(t, s.Runs, 2)
	require.Equal(t, []state.End{state.EndTooEarly, state.EndFinished}, []state.End{s.Runs[0].End, s.Runs[1].End})
	require.Equal(t, 1, s.Result.Completed)
	require.Len(t, w.Commerce.Pushes(), 1)
}

func TestCommandsControlTheNightlyJob(t *testing.T) {
	t.Parallel()
	w, env, dir, flags := stateful(t)
	orders := selected(w)
	control := func(args ...string) (stdout string) {
		status, stdout, stderr := do(t, nil, append([]string{"-state", dir}, args...)...)
		require.Equal(t, exitDone, status, stderr)
		return stdout
	}
	requireRejected(t, nil, []string{"-state", dir, "status"}, exitError, "give -via and -commerce too")
	status, _, stderr := do(t, env, append(flags, "-max-orders", "1")...)
	require.Equal(t, exitApproval, status, stderr)

	require.Contains(t, control("pause", "-why", "the vendor asked"), "Not obeyed yet: pause by ")
	status, _, stderr = do(t, env, flags...)
	require.Equal(t, exitError, status, stderr)
	require.Regexp(t, `the run is paused: by .* \(the vendor asked\); to continue, run: .* resume$`, errorLine(t, stderr))
	require.Empty(t, w.Commerce.Pushes())
	require.Contains(t, control("status"), "paused by ")

	control("resume")
	control("-json", "cancel") // flags may stand before the command
	requireCompleted(t, w, orders, env, flags...)
	var now statusDocument
	require.NoError(t, json.Unmarshal([]byte(control("status", "-json")), &now))
	require.Equal(t, state.EndFinished, now.Run.End)
	require.False(t, now.Busy)
	require.Empty(t, now.Commands)
	requireRejected(t, nil, []string{"-state", dir, "drain"}, exitError, "no such run is unfinished")
}

func TestRecoverAfterALossOfTheJournal(t *testing.T) {
	t.Parallel()
	w, env, dir, flags := stateful(t)
	status, _, stderr := do(t, env, append(flags, "-where", "channel=reseller")...)
	require.Equal(t, exitDone, status, stderr)
	pushed := len(w.Commerce.Pushes())
	require.Positive(t, pushed)
	require.NoError(t, os.Remove(filepath.Join(dir, "journal")))
	requireRejected(t, env, flags, exitError, "recover")
	requireRejected(t, env, []string{"-state", dir, "recover", "-why", "x"}, exitError, "give -via and -commerce too")
	requireRejected(t, env, append(flags[:2:2], "-state", dir, "recover"), exitUsage, "recover needs -why")

	status, stdout, stderr := do(t, env, append(flags[:2:2], "-state", dir, "recover", "-why", "the disk broke")...)
	require.Equal(t, exitDone, status, stderr)
	require.Contains(t, stdout, "The journal was recovered.")
	require.Contains(t, stderr, `why="the disk broke"`)
	status, stdout, stderr = do(t, env, append(flags, "-json")...)
	require.Equal(t, exitDone, status, stderr)
	require.Zero(t, decode(t, stdout).Plan.Resubmit, "what was sent before is not known")
	require.Len(t, w.Commerce.Pushes(), pushed)
}

func TestStateAndDefaultJournalAreNotMixed(t *testing.T) {
	t.Parallel()
	w, env, _, flags := stateful(t)
	env["XDG_CONFIG_HOME"] = os.Getenv("XDG_CONFIG_HOME") // where the anchor is
	i := slices.Index(flags, "-state")
	plain := slices.Clip(slices.Delete(slices.Clone(flags), i, i+2))
	status, _, stderr := do(t, env, append(plain, "-where", "channel=reseller")...)
	require.Equal(t, exitDone, status, stderr)
	pushed := len(w.Commerce.Pushes())
	requireRejected(t, env, flags, exitError, "runs without it have used the journal")
	require.Len(t, w.Commerce.Pushes(), pushed)

	w, env, _, flags = stateful(t)
	env["XDG_CONFIG_HOME"] = os.Getenv("XDG_CONFIG_HOME")
	status, _, stderr = do(t, env, append(flags, "-where", "channel=reseller")...)
	require.Equal(t, exitDone, status, stderr)
	pushed = len(w.Commerce.Pushes())
	requireRejected(t, env, slices.Delete(slices.Clone(flags), i, i+2), exitError, "has a state directory")
	require.Len(t, w.Commerce.Pushes(), pushed)
}

func TestFlagsThatContradictState(t *testing.T) {
	t.Parallel()
	_, env, dir, flags := stateful(t)
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"files":              {append(flags, "-journal", "j", "-plan", "p"), "in its directory: leave out -plan, -journal"},
		"an audit log":       {append(flags, "-audit", "a"), "leave out -audit"},
		"test systems":       {[]string{"-state", dir}, "-state is for real systems"},
		"no directory":       {append(flags[:6:6], "-wait", "1h"), "-wait needs -state"},
		"a limit, dry run":   {append(without(flags, "-apply"), "-max-orders", "3"), "need -apply"},
		"a negative wait":    {append(flags, "-wait", "-1h"), "-wait -1h0m0s"},
		"a negative limit":   {append(flags, "-max-orders", "-2"), "-max-orders -2"},
		"a reason":           {append(flags, "-why", "x"), "-why needs a command"},
		"no command":         {[]string{"-state", dir, "pasue"}, `unknown command "pasue"`},
		"command, no state":  {[]string{"pause"}, `unexpected argument "pause": commands need -state`},
		"no digest":          {[]string{"-state", dir, "approve"}, "approve takes 1 argument, but 0 are given"},
		"two commands":       {[]string{"-state", dir, "pause", "resume"}, "pause takes 0 arguments"},
		"a command, a run":   {append(flags, "pause"), "leave out -apply"},
		"test systems' seed": {append(flags, "-seed", "3"), "-seed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireRejected(t, env, c.args, exitUsage, c.says)
			require.NoDirExists(t, dir)
		})
	}
}

func TestKilledNightlyJobIsContinuedByTheSameCommand(t *testing.T) {
	t.Parallel()
	kills, seed := crashes(t)
	kills = max(2, kills/4)
	orders := kills * ordersPerKill
	h := newOutage(t, orders)
	i := slices.Index(h.args, "-journal")
	dir := filepath.Join(h.dir, "state")
	h.args = append(slices.Delete(h.args, i, i+2), "-state", dir, "-max-orders", "-1")
	preview := *h
	preview.args = without(h.args, "-apply", "-max-orders", "-1")
	for range 60 { // the maintenance has just ended
		if preview.start(t, nil, "-rate", "10000").summary(t).Plan.Wait == 0 {
			break
		}
	}
	l := h.killRepeatedly(t, rand.New(rand.NewPCG(seed, 2)), kills, orders, "-rate", "600")
	require.Equal(t, exitDone, l.status, "%s", &l.stderr)
	for range 10 { // orders that were too early, or not moved
		if h.finish(t, "-wait", "30s") == 0 {
			break
		}
	}
	h.requireCompleted(t, orders)
	_, err := journal.Check(filepath.Join(dir, "journal"))
	require.NoError(t, err)
}
