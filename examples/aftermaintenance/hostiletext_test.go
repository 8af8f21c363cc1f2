package main

import (
	"path/filepath"
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
	plan := []string{"-plan", filepath.Join(t.TempDir(), "plan.jsonl")}
	for name, args := range map[string][]string{
		"table": nil, "json": {"-json"}, "wrong order": {"-order", "SO1" + hostileText},
		"wrong filter": {"-where", hostileText},
	} {
		_, stdout, stderr := do(t, env, append(append(flags[:len(flags):len(flags)], plan...), args...)...)
		require.NotEmpty(t, stdout+stderr, name)
		requireShown(t, name, stdout)
		requireShown(t, name, stderr)
		plan = nil
	}
	require.NoError(t, w.Commerce.AddFault(commercetest.Fault{Path: "*/orders", Kind: commercetest.FaultHTML}))
	_, stdout, stderr := do(t, env, flags...)
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
