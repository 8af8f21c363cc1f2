package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
)

// requireUsage checks a usage error: one line and no file.
func requireUsage(t *testing.T, dir string, status int, stderr string, says ...string) {
	t.Helper()
	require.Equal(t, exitUsage, status, stderr)
	for _, text := range says {
		require.Contains(t, stderr, text)
	}
	require.Contains(t, stderr, "Run with -help")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestApply(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	flags = append(append(flags, fast...), "-apply")
	sure := transient(w)
	t.Run("requires the plan of -plan", func(t *testing.T) {
		dir := t.TempDir()
		status, _, stderr := do(t, env, append(flags[:len(flags):len(flags)], "-plan", filepath.Join(dir, "typo.jsonl"))...)
		requireUsage(t, dir, status, stderr, "-plan", "typo.jsonl", "there is no such file", "without -apply", "-unreviewed")
		require.Empty(t, w.Commerce.Pushes())
	})
	t.Run("rejects an empty name", func(t *testing.T) {
		dir := t.TempDir()
		status, _, stderr := do(t, env, append(flags[:len(flags):len(flags)], "-plan", "")...)
		requireUsage(t, dir, status, stderr, "-plan is empty")
		require.Empty(t, w.Commerce.Pushes())
	})
	t.Run("rejects other files", func(t *testing.T) {
		dir := t.TempDir()
		status, _, stderr := do(t, env, append(flags[:len(flags):len(flags)], "-plan", dir)...)
		requireUsage(t, dir, status, stderr, dir+" is not a regular file")
		empty := filepath.Join(t.TempDir(), "empty.jsonl")
		require.NoError(t, os.WriteFile(empty, nil, 0o600))
		for _, unreviewed := range []string{"-unreviewed=false", "-unreviewed"} {
			status, _, stderr = do(t, env, append(flags[:len(flags):len(flags)], "-plan", empty, unreviewed)...)
			require.Equal(t, exitError, status, stderr)
			require.Contains(t, errorLine(t, stderr), "empty.jsonl")
		}
		require.Empty(t, w.Commerce.Pushes())
	})
	t.Run("without -plan plans and applies", func(t *testing.T) {
		requireCompleted(t, w, sure, env, flags...)
	})
}

func TestUnreviewed(t *testing.T) {
	t.Parallel()
	t.Run("plans and applies, also after a run that ended while planning", func(t *testing.T) {
		t.Parallel()
		w, env, flags := live(t)
		plan := filepath.Join(t.TempDir(), "plan.jsonl")
		flags = append(append(flags, fast...), "-apply", "-unreviewed", "-plan", plan)
		require.NoError(t, w.Commerce.AddFault(commercetest.Fault{Path: "*/orders", Kind: commercetest.FaultHTML}))
		status, _, stderr := do(t, env, flags...)
		require.Equal(t, exitError, status, stderr)
		require.NoFileExists(t, plan)
		w.Commerce.ClearFaults()
		requireCompleted(t, w, transient(w), env, flags...)
		require.FileExists(t, plan)
		pushed := w.Commerce.Pushes()
		requireCompleted(t, w, nil, env, flags...)
		require.Equal(t, pushed, w.Commerce.Pushes())
	})
	t.Run("changes nothing else", func(t *testing.T) {
		t.Parallel()
		w, env, flags := live(t)
		for _, wrong := range [][]string{{"-unreviewed"}, {"-apply", "-unreviewed"},
			{"-plan", filepath.Join(t.TempDir(), "p"), "-unreviewed"}} {
			status, _, stderr := do(t, env, append(flags[:len(flags):len(flags)], wrong...)...)
			require.Equal(t, exitUsage, status, wrong)
			require.Contains(t, stderr, "-unreviewed needs -plan and -apply", wrong)
		}
		require.Empty(t, w.Commerce.Pushes())
		status, _, stderr := do(t, nil, "-unreviewed")
		require.Equal(t, exitUsage, status)
		require.Contains(t, stderr, "for real systems")
	})
}

func TestPlanThatWasRemovedIsNotReplaced(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	plan := filepath.Join(t.TempDir(), "plan.jsonl")
	require.NoError(t, os.WriteFile(plan, nil, 0o600))
	s, err := parseFlags(append(flags, "-apply", "-plan", plan), func(name string) string { return env[name] }, nil)
	require.NoError(t, err)
	require.NoError(t, os.Remove(plan))
	_, err = job(t.Context(), s, new(errorWriter), new(errorWriter))
	require.ErrorContains(t, err, "there is no such file")
	require.NoFileExists(t, plan)
	require.Empty(t, w.Commerce.Pushes())
}

// errorWriter is a terminal that is gone.
type errorWriter struct{}

func (*errorWriter) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestExitStatus(t *testing.T) {
	t.Parallel()
	t.Run("is 0 when orders are left for a person, and 3 on request", func(t *testing.T) {
		t.Parallel()
		for args, want := range map[string]int{"-json=false": exitDone, "-detailed-exitcode": exitLeft} {
			status, stdout, stderr := do(t, nil, "-orders", "60", args)
			require.Equal(t, want, status, stderr)
			require.Contains(t, stdout, "Left for a person:\n")
			require.Contains(t, stdout, "to complete by hand in Commerce: their service exists")
			require.Empty(t, stderr)
		}
	})
	t.Run("is 0 when nothing is left, also with -detailed-exitcode", func(t *testing.T) {
		t.Parallel()
		w, env, flags := live(t)
		for _, o := range w.Commerce.Orders() {
			if o.Type == commerce.TypeSales && sandbox.Cause(o) == sandbox.Transient { // blocked by no older order
				flags = append(append(flags, fast...), "-apply", "-detailed-exitcode", "-order", o.Number)
				break
			}
		}
		status, stdout, stderr := do(t, env, flags...)
		require.Equal(t, exitDone, status, stderr)
		require.NotContains(t, stdout, "Left for a person")
	})
	t.Run("is 0 when an order failed again, and 3 on request", func(t *testing.T) {
		t.Parallel()
		for args, want := range map[string]int{"-json": exitDone, "-detailed-exitcode": exitLeft} {
			w, env, flags := live(t)
			number := failedForMaintenance(t, w, "PRD-100-200-302", 1)[0]
			flags = append(append(flags, fast...), "-apply", "-order", number, args)
			status, stdout, stderr := do(t, env, flags...)
			require.Equal(t, want, status, stderr)
			require.Contains(t, stdout+stderr, "failedAgain, 1: ")
			require.Contains(t, stdout+stderr, "1 not completed")
			require.NotContains(t, stdout+stderr, "verified")
			require.Len(t, w.Commerce.Pushes(), 1)
		}
	})
	t.Run("is 1 when the canary leaves orders unstarted", func(t *testing.T) {
		t.Parallel()
		w, env, flags := live(t)
		flags = append(append(flags, fast...), "-apply", "-detailed-exitcode")
		for _, number := range failedForMaintenance(t, w, "PRD-100-200-302", 6) {
			flags = append(flags, "-order", number)
		}
		status, stdout, stderr := do(t, env, flags...)
		require.Equal(t, exitError, status, stdout)
		require.Contains(t, errorLine(t, stderr), "4 orders not started, because the canary of")
		require.Contains(t, stdout, "    2 not completed: listed above", "the other four are not left for a person")
		require.Len(t, w.Commerce.Pushes(), 2)
	})
}

// settled is longer than -settle-delay of fast, and than Commerce of the test systems
// retries an order that failed.
const settled = 2100 * time.Millisecond

// failedForMaintenance places orders for a product while Connect is down, and returns
// their numbers once they have failed and settled.
func failedForMaintenance(t *testing.T, w *sandbox.World, product string, n int) (numbers []string) {
	t.Helper()
	w.Connect.SetMaintenance(true)
	orders, err := w.Place(n, commercetest.OrderSpec{Type: commerce.TypeSales, Product: product})
	require.NoError(t, err)
	for _, placed := range orders {
		require.Eventually(t, func() bool {
			o, _ := w.Commerce.Order(placed.ID)
			return o.Status == commerce.StatusProvisioningFailed && time.Since(o.FailedAt) > settled
		}, time.Minute, 10*time.Millisecond)
		numbers = append(numbers, placed.Number)
	}
	w.Connect.SetMaintenance(false)
	return numbers
}

func TestPlanOfAnotherSystemIsRejected(t *testing.T) {
	t.Parallel()
	_, env, flags := live(t)
	plan := filepath.Join(t.TempDir(), "plan.jsonl")
	status, _, stderr := do(t, env, append(flags, "-rate", "1000", "-plan", plan)...)
	require.Equal(t, exitDone, status, stderr)

	other, env, flags := live(t) // the same orders, somewhere else
	for _, more := range [][]string{nil, {"-apply"}} {
		status, stdout, stderr := do(t, env, append(append(flags[:6:6], more...), "-plan", plan)...)
		require.Equal(t, exitError, status, stdout)
		require.Contains(t, stderr, `was made for "ordermanager http://127.0.0.1:`)
		require.NotContains(t, stdout, "Plan:")
		require.Empty(t, other.Commerce.Pushes())
	}
}
