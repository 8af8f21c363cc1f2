package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
)

// do runs the program, on real systems with a high rate unless args has another.
func do(t *testing.T, env map[string]string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	if slices.Contains(args, "-commerce") && !slices.Contains(args, "-rate") {
		args = append(slices.Clone(args), "-rate", "1000")
	}
	var out, errs strings.Builder
	status = run(t.Context(), args, func(name string) string { return env[name] }, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

func decode(t *testing.T, stdout string) summary {
	t.Helper()
	require.Equal(t, 1, strings.Count(stdout, "\n"), "exactly one document")
	var s summary
	dec := json.NewDecoder(strings.NewReader(stdout))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&s))
	return s
}

func requireSums(t *testing.T, s summary) {
	t.Helper()
	p := s.Plan
	require.Equal(t, p.Total, p.Resubmit+p.Wait+p.Hold+p.Quarantine+p.Complete+p.Manual)
	require.Equal(t, p.Resubmit, s.Result.Total())
}

func TestRunCompletesAllTransientFailures(t *testing.T) {
	t.Parallel()
	for seed := range testkit.Scale(3, 1) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := do(t, nil, "-orders", "150", "-seed", fmt.Sprint(seed), "-json")
			require.Equal(t, exitDone, status, stderr)
			s := decode(t, stdout)
			requireSums(t, s)
			require.Empty(t, s.Violations)
			require.Positive(t, s.Result.Completed)
			require.Equal(t, s.Plan.Resubmit, s.Result.Completed, stderr)
			require.Positive(t, s.Plan.Quarantine)
		})
	}
}

func TestRunWithFaultsCompletesAllTransientFailures(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := do(t, nil, "-orders", "200", "-seed", "5", "-faults", "-json")
	require.Equal(t, exitDone, status, stderr)
	s := decode(t, stdout)
	requireSums(t, s)
	require.Empty(t, s.Violations)
	require.Equal(t, s.Plan.Resubmit, s.Result.Completed, "reading resolves every lost answer: %s", stderr)
	require.Contains(t, stderr, "answers lost")
}

func TestHeadOfTheAuditLogIsPrinted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	flags := []string{"-orders", "60", "-seed", "1", "-audit", path}
	for _, document := range []bool{false, true} {
		args := flags
		if document {
			args = append(args, "-json")
		}
		status, stdout, stderr := do(t, nil, args...)
		require.Equal(t, exitDone, status, stderr)
		head, err := audit.VerifyFile(path)
		require.NoError(t, err)
		require.True(t, head.Closed)
		require.Equal(t, 1, strings.Count(stdout+stderr, "The audit log "+path+" ends with\n    "+head.String()+"\n"))
		if document {
			require.Equal(t, head.String(), decode(t, stdout).AuditHead.String())
		}
	}
	status, stdout, stderr := do(t, nil, append(flags, "-order", "SO999999")...)
	require.Equal(t, exitError, status, stderr)
	require.Contains(t, stdout+stderr, "ends with", "of a run that failed")
}

// live returns systems that the program takes for real ones, and the flags for them.
func live(t *testing.T) (w *sandbox.World, env map[string]string, flags []string) {
	t.Helper()
	w, err := sandbox.New(t.Context(), "127.0.0.1:0", 3, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	require.NoError(t, w.Play(t.Context(), 60))
	require.NoError(t, w.Live())
	windows := filepath.Join(t.TempDir(), "windows.json")
	require.NoError(t, os.WriteFile(windows, fmt.Appendf(nil, `{"windows":[{"id":"W","start":%q,"end":%q}]}`,
		w.Window.Start.Format("2006-01-02T15:04:05Z"), w.Window.End.Format("2006-01-02T15:04:05Z")), 0o600))
	return w, map[string]string{
		"COMMERCE_TOKEN": w.CommerceToken, "CONNECT_API_KEY": w.ConnectKey, "XDG_CONFIG_HOME": t.TempDir(),
	}, []string{"-commerce", w.CommerceURL, "-connect", w.ConnectURL, "-windows", windows}
}

func TestRealSystemsDefaultToADryRun(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	plan := filepath.Join(t.TempDir(), "plan.jsonl")
	status, stdout, stderr := do(t, env, append(flags, "-plan", plan)...)
	require.Equal(t, exitDone, status, stderr)
	require.Contains(t, stdout, "dry run")
	require.Empty(t, w.Commerce.Pushes(), "nothing was pushed")

	kept, err := os.ReadFile(plan)
	require.NoError(t, err)
	for _, name := range []string{"COMMERCE_TOKEN", "CONNECT_API_KEY"} {
		require.NotContains(t, stdout+stderr+string(kept), env[name])
	}
}

func TestOrderFlagSelectsSingleOrders(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	var number string
	for _, o := range w.Commerce.Orders() {
		if sandbox.Cause(o) == sandbox.Transient {
			number = o.Number
		}
	}
	flags = append(flags, "-apply", "-json", "-rate", "1000", "-order", number)
	status, stdout, stderr := do(t, env, append(flags, "-order", "SO999999")...)
	require.Equal(t, exitError, status)
	require.Contains(t, stderr, "-order SO999999: not among the failed orders")
	require.Empty(t, stdout)

	plan := filepath.Join(t.TempDir(), "plan.jsonl")
	status, _, stderr = do(t, env, append(flags[:6:6], "-order", number, "-plan", plan)...)
	require.Equal(t, exitDone, status, stderr)
	require.FileExists(t, plan)
	require.Empty(t, w.Commerce.Pushes())

	edited := filepath.Join(t.TempDir(), "edited.jsonl")
	content, err := os.ReadFile(plan)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(edited, []byte(strings.Replace(string(content), number, "SO000001", 1)), 0o600))
	status, _, stderr = do(t, env, append(flags[:6:6], "-apply", "-plan", edited)...)
	require.Equal(t, exitError, status)
	require.Equal(t, 1, strings.Count(strings.TrimSpace(stderr), "\n")+1, stderr)
	require.Empty(t, w.Commerce.Pushes())
}

func TestPlanOfAnotherSelectionIsRejected(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	flags = append(flags, "-plan", filepath.Join(t.TempDir(), "plan.jsonl"))
	first := append(flags[:8:8], "-where", "channel=direct", "-from", "2020-01-01")
	status, _, stderr := do(t, env, first...)
	require.Equal(t, exitDone, status, stderr)

	for _, other := range [][]string{{"-order", "SO000001"}, {"-where", "channel=reseller"},
		{"-where", "channel=direct"}} {
		status, _, stderr = do(t, env, append(append(flags[:8:8], "-apply"), other...)...)
		require.Equal(t, exitError, status, stderr)
		require.Contains(t, stderr, "plan.jsonl was made with the selection")
		require.Empty(t, w.Commerce.Pushes(), other)
	}
	for _, same := range [][]string{first, flags[:8]} {
		status, stdout, stderr := do(t, env, same...)
		require.Equal(t, exitDone, status, stderr)
		require.Contains(t, stdout, "Using the existing plan")
	}
}

func TestInterruptedRunPrintsItsResult(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		defer stop()
		pushed := func() bool { return len(w.Commerce.Pushes()) > 0 || ctx.Err() != nil }
		assert.Eventually(t, pushed, time.Minute, time.Millisecond)
	}()
	var out, errs strings.Builder
	status := run(ctx, append(flags, "-apply", "-json", "-rate", "50"), func(name string) string { return env[name] },
		strings.NewReader(""), &out, &errs)
	require.Equal(t, exitError, status)
	s := decode(t, out.String())
	requireSums(t, s)
	require.NotEmpty(t, w.Commerce.Pushes())
	require.Positive(t, s.Result.NotStarted+s.Result.Progressing+s.Result.Unknown, errs.String())
	require.Regexp(t, `the run ended early: .*; \d+ orders not sent: run again`, errorLine(t, errs.String()))
}

func TestInterruptedPlanning(t *testing.T) {
	t.Parallel()
	_, env, flags := live(t)
	ctx, interrupt := context.WithCancelCause(t.Context())
	interrupt(errors.New("interrupt signal received"))
	var out, errs strings.Builder
	getenv := func(name string) string { return env[name] }
	require.Equal(t, exitError, run(ctx, flags, getenv, strings.NewReader(""), &out, &errs))
	require.Empty(t, out.String())
	require.Equal(t, "aftermaintenance: interrupted before anything was resubmitted: interrupt signal received\n",
		errs.String())
}

func TestErrorsAreOneLine(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	with := func(flag, value string) []string {
		changed := append([]string(nil), flags...)
		for i := range changed {
			if changed[i] == flag {
				changed[i+1] = value
			}
		}
		return changed
	}
	for name, c := range map[string]struct {
		env    map[string]string
		args   []string
		status int
		says   string
	}{
		"an unknown flag":          {env, []string{"-ordres", "3"}, exitUsage, "-ordres"},
		"an unknown operator":      {env, []string{"-where", "almost(type,SO)"}, exitUsage, "almost"},
		"a bad time":               {env, []string{"-from", "yesterday"}, exitUsage, "2026-11-21"},
		"a rate that is no number": {env, append(flags[:6:6], "-rate", "NaN"), exitUsage, "-rate"},
		"a rate that never calls":  {env, append(flags[:6:6], "-rate", "1e-9"), exitUsage, "-rate"},
		"a rate that is no limit":  {env, append(flags[:6:6], "-rate", "1e12"), exitUsage, "-rate"},
		"an interval without time": {env, []string{"-from", "2026-11-22", "-to", "2026-11-21"}, exitUsage, "-from"},
		"no token":                 {nil, flags, exitUsage, "COMMERCE_TOKEN"},
		"a base URL without scheme": {env, with("-commerce", "mn.example.net:6308"), exitError,
			"-commerce and its credentials: ordermanager: "},
		"a token that is refused": {map[string]string{"COMMERCE_TOKEN": "s3cret-token", "CONNECT_API_KEY": w.ConnectKey},
			flags, exitError, "token"},
		"a key that is refused": {map[string]string{"COMMERCE_TOKEN": w.CommerceToken,
			"CONNECT_API_KEY": "SU-111-111-111:s3cret-key"}, flags, exitError, "-connect and CONNECT_API_KEY: "},
		"a window that ends first": {env, with("-windows",
			file("w.json", `{"windows":[{"id":"W","start":"2026-01-10T05:00:00Z","end":"2026-01-10T02:00:00Z"}]}`)), exitError,
			"w.json"},
		"a plan that is no plan":     {env, append(flags[:6:6], "-plan", file("p.jsonl", "hello\n")), exitError, "p.jsonl"},
		"the test systems' flags":    {env, append(flags[:6:6], "-seed", "3"), exitUsage, "-seed"},
		"windows that are not there": {env, with("-windows", filepath.Join(dir, "nowhere.json")), exitError, "-windows: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireRejected(t, c.env, c.args, c.status, c.says)
		})
	}
}

// requireRejected runs the program and checks that it ends with a status and one line that says why.
func requireRejected(t *testing.T, env map[string]string, args []string, wantStatus int, says string) {
	t.Helper()
	status, stdout, stderr := do(t, env, args...)
	require.Equal(t, wantStatus, status, stderr)
	require.Empty(t, stdout)
	first, rest, _ := strings.Cut(strings.TrimSpace(stderr), "\n")
	require.Contains(t, first, says)
	require.NotContains(t, rest, "\n", "one line, and perhaps a hint at -help")
	require.NotContains(t, stderr, "s3cret")
}

func TestHTMLInsteadOfAListIsAnError(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	require.NoError(t, w.Commerce.AddFault(commercetest.Fault{Path: "*/orders", Kind: commercetest.FaultHTML}))
	status, stdout, stderr := do(t, env, flags...)
	require.Equal(t, exitError, status)
	require.Contains(t, stderr, "text/html")
	require.NotContains(t, stdout, "Plan:")
}
