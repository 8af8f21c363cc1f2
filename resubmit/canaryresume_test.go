package resubmit_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// leave has an earlier run have left an order as something an hour ago, and the order be
// in a status now.
func leave(t *testing.T, j resubmit.Journal, o *shopOrder, state resubmit.RecordState, seen, now commerce.Status) {
	t.Helper()
	require.NoError(t, j.Put(resubmit.Record{
		OrderID: o.ID, Fingerprint: entryFor(o).Fingerprint, State: state, Attempt: 1, Target: "PD", Seen: seen,
		At: time.Now().Add(-time.Hour), SentAt: time.Now().Add(-time.Hour),
	}))
	if now != o.Status {
		o.Status, o.Transitions = now, []commerce.Transition{}
	}
}

// goOn carries a plan out with a canary and the journal of an earlier run.
func goOn(t *testing.T, s *shop, plan *plan.Plan, journal resubmit.Journal) *resubmit.Report {
	t.Helper()
	r := runnerFor(t, s, func(c *resubmit.Config) { withCanary(c); c.Journal = journal })
	defer time.AfterFunc(100*time.Hour, r.Cancel).Stop()
	report, err := r.Apply(t.Context(), plan)
	require.NoError(t, err)
	return report
}

// readerWithTime takes its time.
type readerWithTime struct {
	*shop
	takes time.Duration
}

func (r readerWithTime) Order(ctx context.Context, id string) (*commerce.Order, error) {
	<-time.After(r.takes)
	return r.shop.Order(ctx, id)
}

func TestCanaryResumeOpensAGroupWhileThePlanIsRead(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]commerce.Status{"opens": "CP", "stops": "CL"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := manyOrders(50)
				p, journal := planFor(t, orders...), new(resubmit.MemoryJournal)
				require.NoError(t, journal.Begin(p.Digest()))
				leave(t, journal, orders[0], resubmit.RecordPushed, "PR", status)
				s := newShop(orders...)
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.Journal, c.Concurrency, c.Reader = journal, 1, readerWithTime{s, time.Second}
					c.Canary = resubmit.CanaryConfig{Steps: []int{1}, Group: func(*plan.Entry) string {
						<-time.After(100 * time.Millisecond) // the plan is long
						return "all"
					}}
				})
				defer time.AfterFunc(10*time.Hour, r.Cancel).Stop()
				report, err := r.Apply(t.Context(), p)
				require.NoError(t, err)
				require.Equal(t, 50, report.Result.Total())
			})
		})
	}
}

func TestCanaryResumeFreesThePlaceOfABlockedOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(6)
		orders[0].VendorAccountID = "other"
		orders[0].SubscriptionIDs, orders[1].SubscriptionIDs = []string{"s"}, []string{"s"}
		plan, journal := planFor(t, orders...), new(resubmit.MemoryJournal)
		require.NoError(t, journal.Begin(plan.Digest()))
		leave(t, journal, orders[0], resubmit.RecordSending, "PF", "CL") // what came of it was lost
		leave(t, journal, orders[1], resubmit.RecordPushed, "PR", "CP")
		for range 18 {
			orders[0].readFaults = append(orders[0].readFaults, broken)
		}
		report := goOn(t, newShop(orders...), plan, journal)
		require.Equal(t, 6, report.Result.Total())
		require.Equal(t, resubmit.OutcomeUnknown, itemOf(t, report, 1).Outcome)
	})
}

func TestCanaryResumeKeepsThePlaceOfTheOlderOrder(t *testing.T) {
	t.Parallel()
	for _, state := range []resubmit.RecordState{resubmit.RecordFalseSuccess, resubmit.RecordPushed,
		resubmit.RecordCompleted} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := manyOrders(2)
				orders[0].SubscriptionIDs, orders[1].SubscriptionIDs = []string{"s"}, []string{"s"}
				plan, journal := planFor(t, orders...), new(resubmit.MemoryJournal)
				require.NoError(t, journal.Begin(plan.Digest()))
				leave(t, journal, orders[1], state, "CP", "CP")
				s := newShop(orders...)
				report := goOn(t, s, plan, journal)
				require.Equal(t, 2, report.Result.Total())
				require.Equal(t, 1, s.pushes())
			})
		})
	}
}

func TestResumeIgnoresTheRecordOfAnotherFailureOfABlockedOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(2)
		orders[0].SubscriptionIDs, orders[1].SubscriptionIDs = []string{"s"}, []string{"s"}
		plan, journal := planFor(t, orders...), new(resubmit.MemoryJournal)
		require.NoError(t, journal.Begin(plan.Digest()))
		leave(t, journal, orders[0], resubmit.RecordFalseSuccess, "CP", "PF")
		require.NoError(t, journal.Put(resubmit.Record{
			OrderID: orders[1].ID, Fingerprint: strings.Repeat("0", 32), State: resubmit.RecordCompleted, Attempt: 1, Seen: "CP",
			At: time.Now(),
		}))
		s := newShop(orders...)
		report, err := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = journal }).Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeSkipped, itemOf(t, report, 1).Outcome)
	})
}
