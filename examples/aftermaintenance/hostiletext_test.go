package main

import (
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
)

// hostileText has control characters, C1 controls, and characters that reverse or hide text.
const hostileText = "\x1b[2J\x1b]0;evil\a\u009b31m\u202eevil\u2066\u200b\u2028\r"

func TestOutputHasNoControlCharacters(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	hostile := func(rows []map[string]any) {
		for _, row := range rows {
			for _, field := range []string{"orderNumber", "endCustomerName", "vendorAccountId", "customerId"} {
				if text, ok := row[field].(string); ok {
					row[field] = text + hostileText
				}
			}
			row["errorDetails"] = map[string]any{"en_US": "502 Bad Gateway" + hostileText}
		}
	}
	flags[1] = changing(t, flags[1], hostile)
	for name, args := range map[string][]string{
		"list": {"list"}, "wide": {"list", "-o", "wide"}, "json": {"list", "-json"}, "csv": {"list", "-o", "csv"},
		"name": {"list", "-o", "name"}, "wrong order": {"plan", "-order", "SO1" + hostileText},
		"wrong filter": {"plan", "-where", hostileText}, "wrong command": {hostileText}, "wrong flag": {"-" + hostileText},
		"wrong window": {"plan", "-window", hostileText}, "wrong reason": {"pause", "-reason", hostileText},
	} {
		_, stdout, stderr := do(t, env, with(flags, args...)...)
		require.NotEmpty(t, stdout+stderr, name)
		requireShown(t, name, strings.ReplaceAll(stdout, "\r\n", "\n")) // the lines of CSV
		requireShown(t, name, stderr)
	}
	done(t, env, with(flags, "plan")...)
	for _, args := range [][]string{{"show"}, {"show", "-o", "wide"}, {"status"}, {"report"}} {
		stdout, stderr := done(t, nil, stateOnly(flags, args...)...)
		requireShown(t, args[0], stdout+stderr)
	}
	require.NoError(t, w.Commerce.AddFault(commercetest.Fault{Path: "*/orders", Kind: commercetest.FaultHTML}))
	_, stdout, stderr := do(t, env, with(flags, "plan")...)
	requireShown(t, "HTML", stdout+stderr)
	require.Empty(t, w.Commerce.Pushes())
}

// requireShown fails if the output has control or invisible characters.
func requireShown(t *testing.T, name, output string) {
	t.Helper()
	for _, r := range output {
		if r != '\n' && !unicode.IsGraphic(r) {
			require.Failf(t, "control character", "%s: %U in %q", name, r, output)
		}
	}
}
