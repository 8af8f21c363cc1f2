package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// demoResult is what the demo prints with -json.
type demoResult struct {
	Plan       plan.ActionCounts      `json:"plan"`
	Result     resubmit.OutcomeCounts `json:"result"`
	Violations []string               `json:"violations"`
	Report     string                 `json:"report"`
}

func decodeDemo(t *testing.T, stdout string) (r demoResult) {
	t.Helper()
	require.Equal(t, 1, strings.Count(stdout, "\n"), "exactly one document")
	dec := json.NewDecoder(strings.NewReader(stdout))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&r))
	p := r.Plan
	require.Equal(t, p.Total, p.Resubmit+p.Wait+p.Hold+p.Quarantine+p.Complete+p.Manual)
	require.Equal(t, p.Resubmit, r.Result.Total())
	require.Empty(t, r.Violations)
	return r
}

func TestDemoCompletesAllTransientFailures(t *testing.T) {
	t.Parallel()
	for seed := range testkit.Scale(3, 1) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			stdout, stderr := done(t, nil, "-orders", "150", "-seed", fmt.Sprint(seed), "-json")
			r := decodeDemo(t, stdout)
			require.Positive(t, r.Result.Completed)
			require.Equal(t, r.Plan.Resubmit, r.Result.Completed, stderr)
			require.Positive(t, r.Plan.Quarantine)
			require.FileExists(t, r.Report)
			entries, err := os.ReadDir(filepath.Dir(r.Report))
			require.NoError(t, err)
			require.Len(t, entries, 1, "nothing else is left of the demo")
		})
	}
}

func TestDemoWithFaultsCompletesAllTransientFailures(t *testing.T) {
	t.Parallel()
	stdout, stderr := done(t, nil, "-orders", "200", "-seed", "5", "-faults", "-json")
	r := decodeDemo(t, stdout)
	require.Equal(t, r.Plan.Resubmit, r.Result.Completed, "reading resolves every lost answer: %s", stderr)
	require.Contains(t, stderr, "the answer to a push was lost")
}

func TestDemoShowsWhatIsLeft(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string]int{"-json=false": exitDone, "-detailed-exitcode": exitLeft} {
		status, stdout, stderr := do(t, nil, "-orders", "60", flag)
		require.Equal(t, want, status, stderr)
		require.Contains(t, stdout, "Left:\n")
		require.Contains(t, stdout, "to be completed by hand in Commerce: the service exists")
		require.Regexp(t, `(?m)^Report: .*report\.html$`, stdout)
		require.Regexp(t, `Next: aftermaintenance -help .*\n$`, stderr)
	}
}

func TestFlagsOfTheDemoAreNotForCommands(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	done(t, env, with(flags, "plan")...)
	for _, args := range [][]string{{"-orders", "5"}, {"-seed", "1"}, {"-faults"}} {
		requireRejected(t, env, with(with(flags, args...), "apply", "-yes"), exitUsage, args[0]+" is for the demo")
		requireRejected(t, nil, with(args, "journal", "check"), exitUsage, args[0]+" is for the demo")
	}
	require.Empty(t, w.Commerce.Pushes())
}

func TestDemoNeverStartsByMistake(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"aply"}, {"-orders", "20", "aply", "x"}, {"-state", t.TempDir(), "statsu"}, {""}} {
		status, stdout, stderr := do(t, nil, args...)
		require.Equal(t, exitUsage, status, args)
		require.Empty(t, stdout)
		require.Contains(t, errorLine(t, stderr), "there is no command")
		require.Equal(t, 2, strings.Count(stderr, "\n"), stderr)
	}
	requireRejected(t, nil, []string{"aply"}, exitUsage, `there is no command "aply" (did you mean "apply"?)`)
	requireRejected(t, nil, []string{"-state", t.TempDir()}, exitUsage, "is for a command: give list, plan")
	requireRejected(t, nil, []string{"-commerce", "https://x"}, exitUsage, "-commerce is for a command on your systems")
}
