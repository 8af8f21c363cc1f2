package resubmit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// mixedReport is of a run with one order of each fate.
func mixedReport(t *testing.T, change func(*resubmit.Config)) (*resubmit.Report, *shop) {
	t.Helper()
	orders := []*shopOrder{outageOrder(1, "a"), outageOrder(2, "b"), outageOrder(3, "c"), outageOrder(4, "d"),
		outageOrder(5, "e")}
	orders[1].pushFaults = []fault{conflict}
	orders[2].fates = []fate{{time.Second, "PF", "Vendor has failed request"}}
	orders[3].VendorAccountID, orders[3].Channel = "77", "reseller"
	orders[4].VendorAccountID, orders[4].Channel = "77", "reseller"
	s := newShop(orders...)
	s.answer("a", "approved", "")
	s.answer("d", "approved", "")
	var entries []*plan.Entry
	for _, o := range orders {
		entries = append(entries, entryFor(o))
	}
	entries[4].Decision.Action, entries[4].Target = rules.Hold, ""
	r := runnerFor(t, s, func(c *resubmit.Config) {
		c.Requests = s
		if change != nil {
			change(c)
		}
	})
	report, err := r.Apply(t.Context(), planWith(t, []maintenance.Window{windowAt(-2*time.Hour, -time.Hour)}, entries...))
	require.NoError(t, err)
	return report, s
}

func TestReportSumsToThePlan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		report, s := mixedReport(t, nil)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 2, FailedAgain: 1, Skipped: 1}, report.Result)
		require.Equal(t, []resubmit.Group{
			{Class: "transient", VendorAccountID: "1", Channel: "direct",
				Result: resubmit.OutcomeCounts{Completed: 1, FailedAgain: 1, Skipped: 1}},
			{Class: "transient", VendorAccountID: "77", Channel: "reseller", Result: resubmit.OutcomeCounts{Completed: 1}},
		}, report.Groups)
		require.Zero(t, s.reads["id-5"])
		require.Zero(t, s.accepted("id-5"))
		require.False(t, report.OK())
		require.Len(t, report.Items, 4)
		for _, item := range report.Items {
			require.NotEmpty(t, item.Why)
			require.NotEmpty(t, item.Outcome)
			require.Equal(t, "PF", string(item.Before.Status))
		}
	})
}

func TestReportWithoutItems(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		done := 0
		report, _ := mixedReport(t, func(c *resubmit.Config) {
			c.OmitItems = true
			c.OnEvent = func(e resubmit.Event) {
				if _, ok := e.(resubmit.OrderDone); ok {
					done++
				}
			}
		})
		require.Nil(t, report.Items)
		require.Equal(t, 4, done)
		require.Equal(t, 4, report.Result.Total())
	})
}

func TestReportSumsIfThePlanCannotBeRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var entries []*plan.Entry
		var orders []*shopOrder
		for i := range 2000 {
			orders = append(orders, outageOrder(i, ""))
			entries = append(entries, entryFor(orders[i]))
		}
		plan, file := planFile(t, nil, entries...)
		copy(file[len(file)/2:], "broken")
		s := newShop(orders...)
		report, err := runnerFor(t, s, nil).Apply(t.Context(), plan)
		require.ErrorContains(t, err, "resubmit: read the plan: ")
		require.Equal(t, 2000, report.Result.Total())
		require.NotZero(t, report.Result.NotStarted)
		require.Equal(t, err.Error(), report.Err)
		require.False(t, report.OK())
	})
}
