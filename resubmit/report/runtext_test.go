package report_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
)

// Apply returns no report when it rejects a plan; programs print it before they check the error.
func TestTextOfNoReport(t *testing.T) {
	t.Parallel()
	require.Empty(t, report.Text(nil))
}

func TestText(t *testing.T) {
	t.Parallel()
	done := resubmit.OutcomeCounts{Completed: 2}
	for name, tt := range map[string]struct {
		report resubmit.Report
		text   string
	}{
		"empty": {
			resubmit.Report{ConnectAsked: true},
			"0 orders: nothing to do\n",
		},
		"all_verified": {
			resubmit.Report{
				ConnectAsked: true, Plan: plan.ActionCounts{Total: 2, Resubmit: 2}, Result: done,
				CloseToVerified: 90 * time.Second,
			},
			"2 orders: 2 completed\nfrom the end of the maintenance until all were verified: 1m30s\n",
		},
		"one_order": {
			resubmit.Report{Result: resubmit.OutcomeCounts{NotStarted: 1}, Err: "drained", Next: []string{"again"}},
			"1 order: 1 not started\nConnect was not asked\nstopped early: drained\nnext: again\n",
		},
		"finished_plan": {
			resubmit.Report{ConnectAsked: true, Result: done, Earlier: 2},
			"2 orders: 2 completed\n" +
				"nothing was sent now: an earlier run of this plan has ended, and these are its results\n",
		},
		"resumed_plan": {
			resubmit.Report{ConnectAsked: true, Result: done, Earlier: 1},
			"2 orders: 2 completed\n1 of these results are of an earlier run of this plan\n",
		},
		"details": {
			resubmit.Report{
				ConnectAsked: true, Plan: plan.ActionCounts{Total: 9, Resubmit: 6, Wait: 2, Hold: 1, Mismatched: 3},
				Result: resubmit.OutcomeCounts{
					Completed: 1, NotMoved: 1, Blocked: 1, ClaimedElsewhere: 1, FailedAgain: 1, FalseSuccess: 1,
				},
				CommerceOnly: 1,
				Groups: []resubmit.Group{
					{Class: failure.Transient, VendorAccountID: "7\x1b[2J", Result: resubmit.OutcomeCounts{Completed: 1}},
				},
				Canary:      []resubmit.CanaryStatus{{Group: "a"}, {Group: "b", Stopped: "the canary of \"b\" stopped"}},
				Blockers:    []resubmit.Blocker{{Number: "SO1", Orders: 3}},
				FailedAgain: &failure.Grouping{Groups: []failure.Group{{Count: 1, Class: failure.Permanent}}},
				EventError:  "it panicked",
			},
			"6 orders: 1 completed, 1 failed again, 1 false success, 1 not moved, 1 blocked, 1 claimed elsewhere\n" +
				"  transient · 7�[2J: 1 completed\n" +
				"  the canary of \"b\" stopped\n" +
				"  3 blocked by SO1\n" +
				"  1 failed again (permanent): no reason reported\n" +
				"the whole plan: 9 orders, resubmit 6, wait 2, hold 1; 3 rows did not match the query\n" +
				"1 of the completed are confirmed by Commerce alone\n" +
				"the event callback was removed: it panicked\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.text, report.Text(&tt.report))
		})
	}
}
