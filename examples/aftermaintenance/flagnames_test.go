package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// goNames are names of the library, which mean nothing to a user of the program.
var goNames = regexp.MustCompile(`\b(\w*Config|Policy|Systems|Limits|Report|Runner)\.[A-Z]\w*|\bWith[A-Z]\w*|` +
	`\bSorted\b|\b(Check|Write|Build)Plan\b|\b[A-Z][a-z]+(Rate|Delay|Orders|Connect)\b`)

func TestMessagesNameFlags(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"too many at once":         {[]string{"-concurrency", "100000"}, "-concurrency is 100000; give 1 to 10000"},
		"a long time to settle":    {[]string{"-settle-delay", "90000h"}, "-settle-delay is 90000h0m0s"},
		"a short spacing":          {[]string{"-spacing", "1ns"}, "-spacing is 1ns"},
		"a short time to verify":   {[]string{"-verify-after", "1ns"}, "-verify-after is 1ns; give 1ms to 8784h0m0s"},
		"plain http":               {[]string{"-commerce", "http://host.example", "-windows", "w", "-connect", "https://c"}, ""},
		"an order that is missing": {[]string{"-order", "SO999999"}, "-order SO999999"},
		"a plan in no directory":   {[]string{"-plan", filepath.Join(dir, "none", "plan")}, "-journal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := map[string]string{"COMMERCE_TOKEN": "a-token-of-the-test", "CONNECT_API_KEY": "SU-1:secret-of-the-test"}
			status, _, stderr := do(t, env, append(slices.Clone(test.args), "-orders", "20")...)
			require.NotEqual(t, exitDone, status)
			require.Contains(t, stderr, test.says)
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
	flags = append(flags, "-commerce", proxy.URL)
	status, _, stderr := do(t, env, flags...)
	require.Equal(t, exitError, status)
	require.Contains(t, stderr, "the list is not sorted")
	require.Contains(t, stderr, "give -sort")
	require.NotRegexp(t, goNames, stderr)
	requireCompleted(t, w, transient(w), env, append(append(flags, fast...), "-sort", "-apply")...)
}

func TestFlagNamesReplaceEveryNameThatAMessageMayHave(t *testing.T) {
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
		_, err := flagWriter{&out}.Write([]byte(m + "\n"))
		require.NoError(t, err)
	}
	require.NotRegexp(t, goNames, out.String())
	require.Contains(t, out.String(), "leave them out of -order\n")
}

func TestWhereVerdict(t *testing.T) {
	t.Parallel()
	_, env, flags := live(t)
	status, stdout, stderr := do(t, env, append(flags, "-where", "in(verdict,(caused,likely))")...)
	require.Equal(t, exitDone, status, stderr)
	require.Contains(t, stdout, "caused")
	require.NotContains(t, stdout, "unrelated")
	require.NotContains(t, stdout, "No order of the plan fits")
	status, stdout, stderr = do(t, env, append(flags, "-where", "verdict=unrelated")...)
	require.Equal(t, exitDone, status, stderr)
	require.NotContains(t, stdout, "caused")
	require.Contains(t, strings.Join(strings.Fields(stdout), " "), "No order of the plan fits the window W:")
}
