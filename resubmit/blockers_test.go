package resubmit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

func TestReportCountsTheOrdersBlockedByEachOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := []*shopOrder{
			outageOrder(1, "a"), outageOrder(2, "a"), outageOrder(3, "a"), outageOrder(4, "b"), outageOrder(5, "b"),
		}
		orders[0].fates = []fate{{time.Second, "PF", outage}}
		orders[3].pushFaults = []fault{conflict}
		report, err := runnerFor(t, newShop(orders...), nil).Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{FailedAgain: 1, Skipped: 1, Blocked: 3}, report.Result)
		require.Equal(t, []resubmit.Blocker{
			{Number: "SO000001", Orders: 2}, {Number: "SO000004", Orders: 1},
		}, report.Blockers)
	})
}
