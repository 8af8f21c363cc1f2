package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRunResubmitsWhatTheMaintenanceCaused(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	text, duration, found := strings.Cut(out.String(), "from the end of the maintenance")
	require.True(t, found, out.String())
	require.Contains(t, duration, "until all were verified")
	require.Equal(t, `SO000001: resubmit, because the call never reached Connect
SO000002: resubmit, because the call never reached Connect
SO000003: quarantine, because the reason is permanent, so a resubmitted order fails again; it needs a new order or support
2 orders: 2 completed
  transient · 1 · direct: 2 completed
`, text)
}
