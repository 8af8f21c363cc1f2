package main

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFlagsWithEmptyValuesAreRejected(t *testing.T) {
	t.Parallel()
	var names []string
	_, stdout, _ := do(t, nil, "-help")
	for line := range strings.Lines(stdout) {
		if name, ok := strings.CutPrefix(line, "  -"); ok {
			name, kind, _ := strings.Cut(strings.TrimSpace(name), " ")
			if kind != "" { // a boolean flag has none
				names = append(names, name)
			}
		}
	}
	require.Contains(t, names, "where")
	require.Contains(t, names, "journal")
	for _, name := range names {
		for _, empty := range []string{"", " "} {
			status, stdout, stderr := do(t, nil, "-"+name, empty)
			require.Equal(t, exitUsage, status, name)
			require.Contains(t, stderr, "-"+name)
			require.Empty(t, stdout)
		}
	}
}

func TestFlagsWithUnknownCodesCauseWarnings(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"-where status=failed": `aftermaintenance: warning: -where: status "failed" is not a known code: ` +
			`did you mean PF`,
		"-where type=XX":        `aftermaintenance: warning: -where: type "XX" is not a known code`,
		"-where status=CP":      "-where: eq(status,CP) selects nothing, since the view",
		"-targets PD,PROVISION": `aftermaintenance: warning: -targets: status "PROVISION" is not a known code`,
		"-where type=SO":        "",
	} {
		s, err := parseFlags(strings.Fields(args), func(string) string { return "" }, io.Discard)
		require.NoError(t, err)
		var stderr strings.Builder
		s.warn(&stderr)
		require.Contains(t, stderr.String(), want)
		require.Equal(t, want == "", stderr.String() == "")
	}
}
