package report_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/report"
)

// Apply returns no report when it rejects a plan; programs print it before they check the error.
func TestTextOfNoReport(t *testing.T) {
	t.Parallel()
	require.Empty(t, report.Text(nil))
}
