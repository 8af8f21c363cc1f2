package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

func TestPlanOnlyReads(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	stdout, stderr := done(t, env, with(flags, "plan")...)
	require.Contains(t, stdout, "Nothing was changed.")
	require.Regexp(t, `Next: aftermaintenance -state \S+ apply [0-9a-f]{12}\n$`, stderr)
	require.Empty(t, w.Commerce.Pushes())

	plans, err := filepath.Glob(filepath.Join(stateOf(flags), "runs", "*", "plan.jsonl"))
	require.NoError(t, err)
	require.Len(t, plans, 1)
	kept, err := os.ReadFile(plans[0])
	require.NoError(t, err)
	for _, name := range []string{"COMMERCE_TOKEN", "CONNECT_API_KEY"} {
		require.NotContains(t, stdout+stderr+string(kept), env[name])
	}
}

func TestListOnlyReads(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	stdout, stderr := done(t, env, with(flags, "list")...)
	require.Contains(t, stdout, "have failed. The oldest is of ")
	require.Contains(t, stdout, "FAILED INSIDE")
	require.Regexp(t, `Next: aftermaintenance -state \S+ plan\n$`, stderr)
	all, _ := done(t, env, with(flags, "list", "-o", "name")...)
	one, _ := done(t, env, with(flags, "list", "-group", "1", "-o", "name")...)
	require.Less(t, strings.Count(one, "\n"), strings.Count(all, "\n"))
	for number := range strings.Lines(one) {
		require.Contains(t, all, number)
	}
	requireRejected(t, env, with(flags, "list", "-group", "99"), exitUsage, "-group 99: there are groups 1 to ")
	require.Empty(t, w.Commerce.Pushes())
}

func TestOrderSelectsSingleOrders(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	var number string
	for _, o := range w.Commerce.Orders() {
		if sandbox.Cause(o) == sandbox.Transient {
			number = o.Number
		}
	}
	status, stdout, stderr := do(t, env, with(flags, "plan", "-order", number, "-order", "SO999999")...)
	require.Equal(t, exitError, status)
	require.Contains(t, errorLine(t, stderr), "-order SO999999: not among the failed orders")
	require.Empty(t, stdout)

	stdout, _ = done(t, env, with(flags, "plan", "-o", "name", "-order", number)...)
	require.Equal(t, number+"\n", stdout)
	status, stdout, stderr = call{env: env, stdin: number + "\n"}.run(t.Context(),
		with(flags, "plan", "-o", "name", "-order", "-")...)
	require.Equal(t, exitDone, status, stderr)
	require.Equal(t, number+"\n", stdout)

	plans, err := filepath.Glob(filepath.Join(stateOf(flags), "runs", "*", "plan.jsonl"))
	require.NoError(t, err)
	newest := plans[len(plans)-1]
	content, err := os.ReadFile(newest)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(newest, []byte(strings.Replace(string(content), number, "SO000001", 1)), 0o600))
	requireRejected(t, env, with(flags, "apply", "-yes"), exitError, "plan")
	require.Empty(t, w.Commerce.Pushes(), "an edited plan is rejected")
}

func TestShowTellsTheHistoryOfAnOrder(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	number := ""
	for _, o := range w.Commerce.Orders() {
		if o.Type == commerce.TypeSales && sandbox.Cause(o) == sandbox.Transient {
			number = o.Number
			break
		}
	}
	done(t, env, with(flags, "plan", "-order", number)...)
	stdout, stderr := done(t, nil, stateOnly(flags, "show", number)...)
	require.Contains(t, stdout, "Nothing was sent.")
	require.Contains(t, stdout, "Evidence, transient and ")
	require.Regexp(t, "Next: .* apply [0-9a-f]{12}\n$", stderr, "another plan would replace the one that has it")
	done(t, env, with(flags, "apply", "-yes")...)
	stdout, _ = done(t, nil, stateOnly(flags, "show", number)...)
	require.Contains(t, stdout, "In the journal: completed")
	require.Contains(t, stdout, "Sent 1 time.")
	require.Regexp(t, "(?s)placed.*planned.*push", stdout)
	requireRejected(t, nil, stateOnly(flags, "show", "SO999999"), exitError, `there is no run and no order "SO999999"`)
	requireRejected(t, nil, stateOnly(flags, "resolve", number), exitUsage, "resolve needs -outcome completed or notMoved")
	requireRejected(t, nil, stateOnly(flags, "resolve", number, "-outcome", "lost", "-reason", "x"), exitUsage, `"lost"`)
	requireRejected(t, nil, stateOnly(flags, "resolve", number, "-outcome", "completed", "-reason", "x"), exitError,
		number)
}

func TestPlanReplacesThePlanBefore(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	done(t, env, with(flags, "plan", "-where", "channel=direct")...)
	first := decodeStatus(t, first(done(t, nil, stateOnly(flags, "status", "-json")...))).Run
	stdout, _ := done(t, env, with(flags, "plan", "-where", "channel=reseller", "-diff")...)
	require.Contains(t, stdout, "cannot be compared: plan: compare: the plans have different filters")
	stdout, _ = done(t, env, with(flags, "plan", "-where", "channel=reseller", "-diff")...)
	require.Regexp(t, "Since the plan [0-9a-f]{12}: ", stdout)
	requireRejected(t, env, with(flags, "apply", short(first.Digest), "-yes"), exitError, "has ended: ")
	require.Empty(t, w.Commerce.Pushes())
	stdout, _ = done(t, env, with(flags, "apply", "-yes", "-json")...)
	require.Equal(t, "eq(channel,reseller)", decode(t, stdout).Filter)
}

func first[A, B any](a A, _ B) A { return a }

func TestWhereVerdictAndCaused(t *testing.T) {
	t.Parallel()
	_, env, flags := live(t)
	for _, args := range [][]string{{"-where", "in(verdict,(caused,likely))"}, {"-where", "window=W"}, {"-caused"}} {
		stdout, stderr := done(t, env, with(flags, append([]string{"plan"}, args...)...)...)
		require.Contains(t, stdout, "caused")
		require.NotContains(t, stdout, "unrelated")
		require.NotContains(t, stderr, "no order of the plan fits")
	}
	stdout, stderr := done(t, env, with(flags, "plan", "-where", "verdict=unrelated")...)
	require.NotContains(t, stdout, "caused")
	require.Contains(t, stderr, "no order of the plan fits a window")
	requireRejected(t, env, with(flags, "plan", "-where", "window=V"), exitUsage, `there is no maintenance window "V"`)
}

func joinedLines(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestTimesSelectOrders(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	want := 0
	for _, o := range w.Commerce.Orders() {
		if sandbox.Cause(o) != "" && !o.PlacedAt.Before(w.Window.Start) && o.PlacedAt.Before(w.Window.ActualEnd) {
			want++
		}
	}
	require.Positive(t, want)
	for _, args := range [][]string{
		inWindow(w), {"-from", w.Window.Start.Format("2006-01-02 15:04"), "-to", "window:W"}, {"-from", "window:W", "-to",
			"window:W"},
		{"-window", "W"},
	} {
		stdout, _ := done(t, env, with(flags, append([]string{"list", "-o", "name"}, args...)...)...)
		got := strings.Count(stdout, "\n")
		if args[0] == "-window" || args[1] != w.Window.Start.Format("2006-01-02T15:04:05Z07:00") {
			require.LessOrEqual(t, got, want, args)
		}
		require.Positive(t, got, args)
	}
	stdout, _ := done(t, env, with(flags, "list", "-from", "1m ago", "-o", "name")...)
	require.Empty(t, stdout)
}

func TestTooEarlyPlan(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	number := failedForMaintenance(t, w, "PRD-100-200-300", 1)[0]
	configure(t, stateOf(flags), `{"policy": {"settleDelay": "1h"}, "run": {"rate": 10000}}`)
	stdout, stderr := done(t, env, with(flags, "plan", "-order", number)...)
	require.Regexp(t, `It is too early: 1 order must still wait. Plan again after `, stdout)
	require.Regexp(t, `Next: .* plan   # after `, stderr)
	requireRejected(t, env, with(flags, "apply", "-yes"), exitError, "has ended: run ")
	require.Empty(t, w.Commerce.Pushes())
}

func TestInterruptedPlanning(t *testing.T) {
	t.Parallel()
	_, env, flags := live(t)
	for signal, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		ctx, interrupt := context.WithCancelCause(t.Context())
		interrupt(signalError{signal})
		status, stdout, stderr := call{env: env}.run(ctx, with(flags, "plan")...)
		require.Equal(t, want, status, stderr)
		require.Empty(t, stdout)
		require.Equal(t, "Interrupted before anything was sent: "+signal.String()+" signal received.\n", stderr)
	}
}

func TestHTMLInsteadOfAListIsAnError(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	require.NoError(t, w.Commerce.AddFault(commercetest.Fault{Path: "*/orders", Kind: commercetest.FaultHTML}))
	status, stdout, stderr := do(t, env, with(flags, "plan")...)
	require.Equal(t, exitError, status)
	require.Contains(t, stderr, "text/html")
	require.Empty(t, stdout)
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
	done(t, env, with(flags, "plan")...)
	for _, f := range w.Connect.FaultCounts() {
		require.Equal(t, 1, f.Hits, "%+v", f)
	}
}

func TestConnectThatIsDownIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	w.Connect.SetMaintenance(true)
	status, _, stderr := do(t, env, with(flags, "plan")...)
	require.Equal(t, exitError, status)
	require.Contains(t, errorLine(t, stderr), "connect is not up, or -connect is wrong")
	require.Contains(t, errorLine(t, stderr), "502 Bad Gateway")
	require.Empty(t, w.Commerce.Pushes())
	status, stdout, stderr := do(t, env, with(flags, "run", "-wait-at-most", "0s")...)
	require.Equal(t, exitWait, status, stderr)
	require.Empty(t, stdout)
	require.Contains(t, errorLine(t, stderr), "nothing was sent: connect is not up")
	require.Regexp(t, `Next: aftermaintenance -state \S+ run\n$`, stderr)
}

func TestExitStatusOfPlan(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	for _, o := range w.Commerce.Orders() {
		if o.Type == commerce.TypeSales && sandbox.Cause(o) == sandbox.Transient {
			status, _, stderr := do(t, env, with(flags, "-detailed-exitcode", "plan", "-order", o.Number)...)
			require.Equal(t, exitWork, status, stderr)
			break
		}
	}
	for _, o := range w.Commerce.Orders() {
		if sandbox.Cause(o) == testkit.FailInvalidValue {
			status, _, stderr := do(t, env, with(flags, "plan", "-detailed-exitcode", "-order", o.Number)...)
			require.Equal(t, exitLeft, status, stderr)
			break
		}
	}
	status, _, stderr := do(t, env, with(flags, "plan", "-detailed-exitcode", "-from", "1m ago")...)
	require.Equal(t, exitDone, status, stderr)
}

func TestSelectionErrors(t *testing.T) {
	t.Parallel()
	_, env, flags := live(t)
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"an unknown operator":      {[]string{"-where", "almost(type,SO)"}, "almost"},
		"a bad time":               {[]string{"-from", "yesterday"}, "2026-11-21"},
		"an interval without time": {[]string{"-from", "2026-11-22", "-to", "2026-11-21"}, "-from"},
		"a window that is none":    {[]string{"-to", "window:CHG"}, `-to: there is no maintenance window "CHG"`},
		"another such window":      {[]string{"-window", "CHG"}, `-window: there is no maintenance window "CHG"`},
		"no order":                 {[]string{"-order", "-"}, "standard input has no number"},
		"an empty filter":          {[]string{"-where", ""}, "-where is empty"},
		"a blank filter":           {[]string{"-where", " "}, "-where is empty"},
		"ids":                      {[]string{"-ids", "x"}, "-ids needs -via billing"},
		"a rate":                   {[]string{"-rate", "NaN"}, "-rate"},
		"a rate that never calls":  {[]string{"-rate", "1e-9"}, "the rate 1e-09 is not possible"},
		"a rate that is no limit":  {[]string{"-rate", "1e12"}, "-rate"},
		"an argument":              {[]string{"x"}, `plan takes no arguments, but "x" is given`},
		"a form":                   {[]string{"-o", "xml"}, `-o "xml": give wide, csv, json or name`},
		"two forms":                {[]string{"-o", "csv", "-json"}, "-json and -o csv contradict each other"},
		"a color":                  {[]string{"-color", "red"}, `-color "red"`},
		"a zone":                   {[]string{"-tz", "Mars/Base"}, `-tz: there is no time zone "Mars/Base"`},
		"an unknown flag":          {[]string{"-wehre", "x"}, "there is no flag -wehre (did you mean where?)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireRejected(t, env, with(flags, append([]string{"plan"}, c.args...)...), exitUsage, c.says)
		})
	}
}
