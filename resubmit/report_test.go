package resubmit_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
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
		require.Zero(t, report.CloseToVerified, "not all were completed")
		require.Equal(t, []string{
			"1 order failed again: look at the reasons before you make a new plan",
			"1 order skipped, because they changed or were refused: a new plan decides again",
		}, report.Next)
		require.False(t, report.OK())

		var b bytes.Buffer
		require.NoError(t, report.WriteJSON(&b))
		lines := bufio.NewScanner(&b)
		require.True(t, lines.Scan())
		var head map[string]any
		require.NoError(t, json.Unmarshal(lines.Bytes(), &head))
		require.Equal(t, map[string]any{
			"completed": 2.0, "progressing": 0.0, "failedAgain": 1.0, "falseSuccess": 0.0, "notMoved": 0.0, "unknown": 0.0,
			"skipped": 1.0, "blocked": 0.0, "claimedElsewhere": 0.0, "notStarted": 0.0,
		}, head["result"])
		n := 0
		for ; lines.Scan(); n++ {
			var item resubmit.Item
			require.NoError(t, json.Unmarshal(lines.Bytes(), &item))
			require.NotEmpty(t, item.Why)
			require.NotEmpty(t, item.Outcome)
			require.Equal(t, "PF", string(item.Before.Status))
		}
		require.Equal(t, 4, n)
	})
}

func TestReportSaysHowLongItTookToVerifyAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "")
		r := runnerFor(t, newShop(o), nil)
		report, err := r.Apply(t.Context(), planWith(t, []maintenance.Window{windowAt(-2*time.Hour, -time.Hour)},
			entryFor(o)))
		require.NoError(t, err)
		require.True(t, report.OK())
		require.Nil(t, report.Next)
		require.Equal(t, time.Hour+10*time.Second, report.CloseToVerified)
	})
}

func TestReportWithoutCompletedOrdersHasNoCloseToVerified(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := runnerFor(t, newShop(), nil)
		report, err := r.Apply(t.Context(), planWith(t, []maintenance.Window{windowAt(-2*time.Hour, -time.Hour)}))
		require.NoError(t, err)
		require.Zero(t, report.CloseToVerified)
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
		require.Contains(t, report.Next[0], "orders not started: apply the same plan again")
	})
}

type fullDisk struct{ room int }

func (w *fullDisk) Write(b []byte) (int, error) {
	if w.room -= len(b); w.room < 0 {
		return 0, errors.New("no space left on device")
	}
	return len(b), nil
}

func TestReportWriteJSONReportsErrors(t *testing.T) {
	t.Parallel()
	report := new(resubmit.Report)
	require.ErrorContains(t, report.WriteJSON(new(fullDisk)), "write report: no space")
	var head bytes.Buffer
	require.NoError(t, report.WriteJSON(&head))
	report.Items = []resubmit.Item{{Number: "SO1"}}
	require.ErrorContains(t, report.WriteJSON(&fullDisk{room: head.Len()}), "write report: order SO1: no space")
}
