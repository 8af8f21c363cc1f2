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
	require.Regexp(t, `^SO000001: resubmit, because .+
SO000002: resubmit, because .+
SO000003: quarantine, because the reason is permanent.+
2 orders: 2 completed
  transient · 1 · direct: 2 completed
the whole plan: 3 orders, resubmit 2, quarantine 1
from the end of the maintenance until all were verified: \d+s
$`, out.String())
}
