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
All 2 orders are verified in Commerce and Connect, \d+ s after the maintenance ended .+
3 orders failed, placed .+ 3 of them are within the announced maintenance .+
the whole plan: 3 orders, resubmit 2, quarantine 1
waiting: 1 order of 1 customer, 12.5 USD
next: 1 order that resubmitting would not help: order anew, or ask support
$`, out.String())
}
