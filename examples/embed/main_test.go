package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyTheTicketThatTheMaintenanceBrokeIsTriedAgain(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	require.Contains(t, out.String(), "T-1: caused, resubmit")
	require.Contains(t, out.String(), "T-2: unrelated, quarantine")
	require.NotContains(t, out.String(), "T-3", "it broke before the window")
	require.NotContains(t, out.String(), "T-4", "it is not broken")
	require.Contains(t, out.String(), "1 completed")
}
