package main

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/examples/aftermaintenance/internal/terminal"
)

// goNames are names of the library, which mean nothing to a user of the program.
var goNames = regexp.MustCompile(`\b(\w*Config|Policy|Systems|Limits|Report|Runner)\.[A-Z]\w*|\bWith[A-Z]\w*|` +
	`\bSorted\b|\b(Check|Write|Build)Plan\b|\b[A-Z][a-z]+(Rate|Delay|Orders|Connect)\b`)

func TestMessagesNameSettings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings string
		says     string
	}{
		"too many at once":       {`"run": {"concurrency": 100000}`, "run.concurrency is 100000; give 1 to 10000"},
		"a long time to settle":  {`"policy": {"settleDelay": "90000h"}`, "policy.settleDelay is 90000h0m0s"},
		"a short spacing":        {`"policy": {"spacing": "1ns"}`, "policy.spacing is 1ns"},
		"a short time to verify": {`"run": {"verifyAfter": "1ns"}`, "run.verifyAfter is 1ns; give 1ms to 8784h0m0s"},
		"a limit":                {`"limits": {"maxOrders": -3}`, "limits.maxOrders is -3"},
		"targets that cancel":    {`"policy": {"targets": ["PD", "CL"]}`, "policy.targets"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, env, flags := live(t)
			configure(t, stateOf(flags), "{"+c.settings+"}")
			status, _, stderr := do(t, env, with(flags, "run", "-where", "type=SO", "-rate", "10000/s", "-caused")...)
			require.Equal(t, exitError, status)
			require.Contains(t, stderr, c.says)
			require.NotRegexp(t, goNames, stderr)
		})
	}
}

func TestCommerceThatDoesNotSort(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "sort(+orderDate,+internalId)", "sort(-orderDate)", 1)
		w.Commerce.ServeHTTP(rw, r)
	}))
	t.Cleanup(proxy.Close)
	flags = with(flags, "-commerce", proxy.URL)
	orders := inMaintenance(w)
	run := with(flags, append([]string{"run"}, inWindow(w)...)...)
	status, _, stderr := do(t, env, run...)
	require.Equal(t, exitError, status)
	require.Contains(t, stderr, "the list is not sorted")
	require.Contains(t, stderr, `set "sortLists": true in the configuration`)
	require.NotRegexp(t, goNames, stderr)
	configure(t, stateOf(flags), strings.TrimSuffix(fastSettings, "}")+`, "sortLists": true}`)
	done(t, env, run...)
	requireCompleted(t, w, orders)
}

func TestSettingNamesReplaceEveryNameThatAMessageMayHave(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	messages := []string{
		"leave them out of PlanConfig.Override", "the Retry-After of a server is longer than Config.MaxRetryAfter",
		"the circuit is open, 3 times (Config.Breaker.MaxOpens is 2)", "set Policy.Targets to the one that resubmits it",
		"make a new plan, or see with CheckPlan what changed", "wrap the lister with Sorted",
		"Limits.MaxOrders is -1", "allow it (WithPlainHTTP)", "use WithDefaultCurrency",
		"give the column OrderID, or WithNumberResolver", "by 9 further orders: see Report.Blockers",
		"Operations wants another user name and password: see WithOperationsLogin", "CheckConfig.RateLimit is 0",
	}
	for _, m := range messages {
		require.Regexp(t, goNames, m)
		_, err := terminal.Plain{To: &out}.Write([]byte(m + "\n"))
		require.NoError(t, err)
	}
	require.NotRegexp(t, goNames, out.String())
	require.Contains(t, out.String(), "leave them out of -order\n")
}
