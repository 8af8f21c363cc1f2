package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
)

func TestResolveSettlesAnOrder(t *testing.T) {
	t.Parallel()
	for outcome, then := range map[string]string{"completed": "show", "notMoved": "plan"} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			w, env, flags := live(t)
			configure(t, stateOf(flags), strings.Replace(fastSettings, `"settleDelay"`, `"attempts": 1, "settleDelay"`, 1))
			// Nothing is known after the push.
			number := failedForMaintenance(t, w, "PRD-100-200-300", 1)[0]
			done(t, env, with(flags, "plan", "-order", number)...)
			require.NoError(t, w.Commerce.AddFault(commercetest.Fault{Kind: commercetest.FaultReset, Path: "*/push"}))
			require.NoError(t, w.Commerce.AddFault(commercetest.Fault{
				Kind: commercetest.FaultStatus, Status: http.StatusBadRequest, Method: http.MethodGet, Path: "*/orders/*", Skip: 1,
			}))
			status, stdout, stderr := do(t, env, with(flags, "apply", "-yes", "-json")...)
			require.Equal(t, 1, decode(t, stdout).Outcomes.Unknown, "%d %s", status, stderr)
			w.Commerce.ClearFaults()

			_, stderr = done(t, env, with(flags, "resolve", number, "-outcome", outcome, "-reason", "seen in the panel")...)
			require.Contains(t, stderr, "The order "+number+" is settled as "+outcome+".")
			require.Regexp(t, `Next: aftermaintenance -state \S+ `+then, stderr)
			stdout, _ = done(t, nil, stateOnly(flags, "show", number)...)
			require.Contains(t, joinedLines(stdout), "seen in the panel")
			done(t, nil, stateOnly(flags, "audit", "verify")...)
			requireRejected(t, env, with(flags, "resolve", number, "-outcome", outcome, "-reason", "again"), exitError, number)
		})
	}
}
