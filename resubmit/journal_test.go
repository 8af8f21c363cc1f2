package resubmit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

func TestJournalResumesARun(t *testing.T) {
	t.Parallel()
	accept := func(o *shopOrder) { o.Status, o.Transitions = "PR", nil }
	tests := map[string]struct {
		state   resubmit.RecordState
		seen    commerce.Status
		server  func(o *shopOrder) // what the server did after the record
		age     time.Duration
		first   resubmit.Outcome
		second  resubmit.Outcome // of the next order of the subscription
		pushes  int              // of the first, now
		reads   bool
		takes   time.Duration // at least
		settles resubmit.RecordState
	}{
		"refused is tried anew": {
			state: resubmit.RecordRefused, first: "completed", second: "completed", pushes: 1, reads: true, settles: "completed",
		},
		"sending whose push was accepted is verified": {
			state: resubmit.RecordSending, server: complete, first: "completed", second: "completed", reads: true,
			settles: "completed",
		},
		"sending whose order did not move is unknown, after it was watched": {
			state: resubmit.RecordSending, first: "unknown", second: "skipped", reads: true, takes: 240 * time.Second,
			settles: "sending",
		},
		"sending from long ago is looked at once": {
			state: resubmit.RecordSending, age: time.Hour, first: "unknown", second: "skipped", reads: true, settles: "sending",
		},
		"unknown whose push was accepted is verified": {
			state: resubmit.RecordUnknown, server: complete, first: "completed", second: "completed", reads: true,
			settles: "completed",
		},
		"unknown whose order failed anew failed again": {
			state: resubmit.RecordUnknown, server: func(o *shopOrder) { o.Failure.Messages["en_US"] = "timed out" },
			first: "failedAgain", second: "skipped", reads: true, settles: "failedAgain",
		},
		"unknown whose order is on its way is verified until the time is up": {
			state: resubmit.RecordUnknown, server: accept, first: "progressing", second: "skipped", reads: true,
			takes: 30 * time.Minute, settles: "progressing",
		},
		"pushed is verified": {
			state: resubmit.RecordPushed, server: complete, first: "completed", second: "completed", reads: true,
			settles: "completed",
		},
		"progressing is looked at once": {
			state: resubmit.RecordProgressing, server: accept, seen: "PR", first: "progressing", second: "skipped", reads: true,
			settles: "progressing",
		},
		"progressing that came to an end is completed": {
			state: resubmit.RecordProgressing, server: complete, seen: "PR", first: "completed", second: "completed",
			reads: true, settles: "completed",
		},
		"completed is kept": {state: resubmit.RecordCompleted, seen: "CP", first: "completed", second: "completed",
			settles: "completed"},
		"failed again is kept": {state: resubmit.RecordFailedAgain, seen: "PF", first: "failedAgain", second: "skipped",
			settles: "failedAgain"},
		"false success is kept": {state: resubmit.RecordFalseSuccess, seen: "CP", first: "falseSuccess", second: "skipped",
			settles: "falseSuccess"},
		"skipped is kept": {state: resubmit.RecordSkipped, seen: "PF", first: "skipped", second: "skipped",
			settles: "skipped"},
		"skipped because somebody completed it lets the next go": {
			state: resubmit.RecordSkipped, seen: "CP", first: "skipped", second: "completed", settles: "skipped",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				one, two := outageOrder(1, "s"), outageOrder(2, "s")
				p := planFor(t, one, two)
				s := newShop(one, two)
				if tt.server != nil {
					tt.server(one)
				}
				journal := new(resubmit.MemoryJournal)
				require.NoError(t, journal.Begin(p.Digest()))
				before := plan.SnapshotOf(&outageOrder(1, "s").Order)
				require.NoError(t, journal.Put(resubmit.Record{
					OrderID: "id-1", Fingerprint: plan.Fingerprint("id-1", before), State: tt.state, Attempt: 1,
					Target: "PD", Seen: tt.seen, At: start.Add(-tt.age), Why: "as it was",
				}))
				r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = journal })
				report, err := r.Apply(t.Context(), p)
				require.NoError(t, err)
				first, second := itemOf(t, report, 1), itemOf(t, report, 2)
				require.Equal(t, tt.first, first.Outcome, first.Why)
				require.Equal(t, tt.second, second.Outcome, second.Why)
				require.Equal(t, tt.pushes, s.accepted("id-1"))
				require.Equal(t, tt.reads, s.reads["id-1"] > 0)
				require.GreaterOrEqual(t, time.Since(start), tt.takes)
				require.Contains(t, first.Evidence[0].Text, "an earlier run left it as "+string(tt.state))
				rec, _, err := journal.Get("id-1")
				require.NoError(t, err)
				require.Equal(t, tt.settles, rec.State)
			})
		})
	}
}

func complete(o *shopOrder) { o.Status, o.Transitions = "CP", nil }

func TestJournalOfAnotherPlanIsRejected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s")
		s := newShop(o)
		one, two := planFor(t, o), planFor(t, o, outageOrder(2, "s"))
		journal := new(resubmit.MemoryJournal)
		require.Error(t, journal.Put(resubmit.Record{OrderID: "id-1"}), "a journal is for a plan")
		require.NoError(t, journal.Begin(one.Digest()))
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = journal })

		report, err := r.Apply(t.Context(), two)
		require.Nil(t, report)
		require.ErrorIs(t, err, resubmit.ErrOtherPlan)
		require.ErrorContains(t, err, one.Digest())
		require.ErrorContains(t, err, two.Digest())

		for _, rec := range []resubmit.Record{
			{OrderID: "id-1", Fingerprint: "another", State: resubmit.RecordRefused},
			{OrderID: "id-1", Fingerprint: entryFor(o).Fingerprint, State: "odd"},
		} {
			require.NoError(t, journal.Put(rec))
			report, err = r.Apply(t.Context(), one)
			require.ErrorContains(t, err, "the journal: order SO000001")
			require.Equal(t, resubmit.OutcomeCounts{Skipped: 1}, report.Result)
		}
		require.Empty(t, s.calls)
	})
}

func TestRunnerAppliesOnePlanAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s")
		s := newShop(o)
		r := runnerFor(t, s, nil)
		plan := planFor(t, o)
		s.onPush = func(context.Context, string) {
			_, err := r.Apply(t.Context(), plan)
			require.ErrorIs(t, err, resubmit.ErrRunning)
		}
		_, err := r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, 1, s.accepted("id-1"))
	})
}
