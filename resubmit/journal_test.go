package resubmit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

func TestJournalResumesARun(t *testing.T) {
	t.Parallel()
	accept := func(o *shopOrder) { o.Status, o.Transitions = "PR", nil }
	tests := map[string]struct {
		record protocol.Order // its phase, outcome, status and refusal
		server func(o *shopOrder)
		age    time.Duration
		first  protocol.Outcome
		second protocol.Outcome // of the next order of the subscription
		pushes int              // of the first, now
		reads  bool
		takes  time.Duration // at least
		phase  protocol.Phase
	}{
		"refused is tried again": {
			record: protocol.Order{Phase: protocol.Open, Refused: true},
			first:  protocol.Completed, second: protocol.Completed, pushes: 1, reads: true, phase: protocol.Ended,
		},
		"claimed whose push was accepted is verified": {
			record: protocol.Order{Phase: protocol.Claimed}, server: complete,
			first: protocol.Completed, second: protocol.Completed, reads: true, phase: protocol.Ended,
			takes: 10*time.Second + 2*time.Minute + defaultSettle,
		},
		"claimed whose order did not move is read twice": {
			record: protocol.Order{Phase: protocol.Claimed},
			first:  protocol.Unknown, second: protocol.Blocked, reads: true, phase: protocol.Unanswered,
			takes: 10*time.Second + 2*time.Minute + 2*defaultSettle,
		},
		"claimed long ago is read at once": {
			record: protocol.Order{Phase: protocol.Claimed}, age: time.Hour, server: complete,
			first: protocol.Completed, second: protocol.Completed, reads: true, phase: protocol.Ended,
		},
		"unanswered whose push was accepted is verified": {
			record: protocol.Order{Phase: protocol.Unanswered}, server: complete, takes: defaultSettle,
			first: protocol.Completed, second: protocol.Completed, reads: true, phase: protocol.Ended,
		},
		"unanswered whose order failed for another reason failed again": {
			record: protocol.Order{Phase: protocol.Unanswered}, takes: defaultSettle,
			server: func(o *shopOrder) { o.Failure.Messages["en_US"] = "timed out" },
			first:  protocol.FailedAgain, second: protocol.Blocked, reads: true, phase: protocol.Ended,
		},
		"unanswered whose order is in progress is verified until the timeout": {
			record: protocol.Order{Phase: protocol.Unanswered}, server: accept, takes: 30 * time.Minute,
			first: protocol.Progressing, second: protocol.Blocked, reads: true, phase: protocol.Pushed,
		},
		"pushed is verified": {
			record: protocol.Order{Phase: protocol.Pushed}, server: complete,
			first: protocol.Completed, second: protocol.Completed, reads: true, phase: protocol.Ended,
		},
		"pushed long ago is read once": {
			record: protocol.Order{Phase: protocol.Pushed, Status: "PR"}, server: accept, age: time.Hour,
			first: protocol.Progressing, second: protocol.Blocked, reads: true, phase: protocol.Pushed,
		},
		"completed is kept": {
			record: protocol.Order{Phase: protocol.Ended, Outcome: protocol.Completed, Status: "CP"},
			first:  protocol.Completed, second: protocol.Completed, phase: protocol.Ended,
		},
		"failed again is kept": {
			record: protocol.Order{Phase: protocol.Ended, Outcome: protocol.FailedAgain},
			first:  protocol.FailedAgain, second: protocol.Blocked, phase: protocol.Ended,
		},
		"not moved is kept": {
			record: protocol.Order{Phase: protocol.Ended, Outcome: protocol.NotMoved},
			first:  protocol.NotMoved, second: protocol.Blocked, phase: protocol.Ended,
		},
		"skipped is kept": {
			record: protocol.Order{Phase: protocol.Ended, Outcome: protocol.Skipped},
			first:  protocol.Skipped, second: protocol.Blocked, phase: protocol.Ended,
		},
		"skipped because somebody completed it does not block the next": {
			record: protocol.Order{Phase: protocol.Ended, Outcome: protocol.Skipped, Status: "CP"},
			first:  protocol.Skipped, second: protocol.Completed, phase: protocol.Ended,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				one, two := outageOrder(1, "s"), outageOrder(2, "s")
				p := planFor(t, one, two)
				leave(t, p, entryFor(one), func(o *protocol.Order) {
					o.Phase, o.Outcome, o.Refused = tt.record.Phase, tt.record.Outcome, tt.record.Refused
					if tt.record.Status != "" {
						o.Status = tt.record.Status
					}
					if o.Refused {
						o.Attempts, o.Resubmissions = 0, 0
					}
					o.ClaimedAt = start.Add(-tt.age)
				})
				s := newShop(one, two)
				if tt.server != nil {
					tt.server(one)
				}
				report, err := runnerFor(t, s, nil).Apply(t.Context(), p)
				require.NoError(t, err)
				first, second := itemOf(t, report, 1), itemOf(t, report, 2)
				require.Equal(t, tt.first, first.Outcome, first.Why)
				require.Equal(t, tt.second, second.Outcome, second.Why)
				require.Equal(t, tt.pushes, s.accepted("id-1"))
				require.Equal(t, tt.reads, s.reads["id-1"] > 0)
				require.GreaterOrEqual(t, time.Since(start), tt.takes)
				if tt.reads {
					require.Contains(t, first.Evidence[0].Text, "an earlier run left it as "+string(tt.record.Phase))
				} else {
					require.Equal(t, "as it was", first.Why)
				}
				require.Equal(t, !tt.reads, first.Earlier)
				require.Equal(t, tt.phase, recordOf(t, 1).Phase)
			})
		})
	}
}

func complete(o *shopOrder) { o.Status, o.Transitions = "CP", nil }

// Which order is the first in its lane cannot change between two runs of a plan, but a person may have changed the older
// order meanwhile.
func TestJournalResumesAnOrderWhoseElderIsBlocked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := outageOrder(1, "s"), outageOrder(2, "s")
		p := planFor(t, one, two)
		leave(t, p, entryFor(two), func(o *protocol.Order) { o.Phase = protocol.Pushed })
		s := newShop(one, two)
		complete(two)
		one.readFaults = []fault{missing}
		report, err := runnerFor(t, s, nil).Apply(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Blocked: 1, Completed: 1}, report.Result)
		require.Equal(t, protocol.Completed, itemOf(t, report, 2).Outcome)
		require.Empty(t, s.ledger)
	})
}

func TestJournalRecordOfAnotherFailureEndsTheOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := outageOrder(1, "a"), outageOrder(2, "b")
		p := planFor(t, one, two)
		leave(t, p, entryFor(one), func(o *protocol.Order) { o.Phase, o.Fingerprint = protocol.Open, "another" })
		s := newShop(one, two)
		report, err := runnerFor(t, s, nil).Apply(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, protocol.ClaimedElsewhere, itemOf(t, report, 1).Outcome)
		require.Equal(t, protocol.Completed, itemOf(t, report, 2).Outcome)
		require.Zero(t, s.accepted("id-1"))
	})
}

// A Runner uses one journal for all plans: the second plan continues where the first one has ended.
func TestJournalIsForAllPlans(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := outageOrder(1, "s"), outageOrder(2, "s")
		s := newShop(one, two)
		first, both := planFor(t, one), planFor(t, one, two)
		r := runnerFor(t, s, nil)
		report, err := r.Apply(t.Context(), first)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
		report, err = r.Apply(t.Context(), both)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1, ClaimedElsewhere: 1}, report.Result)
		require.Contains(t, itemOf(t, report, 1).Why, "claimed by run "+first.Digest())
		require.Equal(t, 1, s.accepted("id-1"))
	})
}

func TestJournalOfAnotherSystemIsRejected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s")
		s, p := newShop(o), planFor(t, o)
		for _, change := range []func(*resubmit.Config){
			func(c *resubmit.Config) { c.BaseURL = "https://other.example.net" },
			func(c *resubmit.Config) { c.Capabilities.IDSpace = "other" },
		} {
			report, err := runnerFor(t, s, change).Apply(t.Context(), p)
			require.ErrorIs(t, err, resubmit.ErrJournalSystem)
			require.Nil(t, report)
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

// flushJournal fails to flush.
type flushJournal struct {
	resubmit.Journal
	fails error
	put   []resubmit.Durability
}

func (j *flushJournal) Flush(context.Context) (plan.Position, error) { return plan.Position{}, j.fails }

func (j *flushJournal) Put(ctx context.Context, d resubmit.Durability, r ...protocol.Record) (uint64, error) {
	if r[0].Order != nil {
		j.put = append(j.put, d)
	}
	return j.Journal.Put(ctx, d, r...)
}

func TestJournalWaitsOnlyForClaims(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, j := newShop(outageOrder(1, "1")), &flushJournal{Journal: journalOf(t)}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = j })
		report, err := r.Apply(t.Context(), planFor(t, s.orders["id-1"]))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
		require.Equal(t, []resubmit.Durability{resubmit.Durable, resubmit.Deferred, resubmit.Deferred}, j.put)
	})
}

func TestJournalThatCannotBeFlushedIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, j := newShop(outageOrder(1, "1")), &flushJournal{Journal: journalOf(t), fails: errors.New("the disk is gone")}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = j })
		report, err := r.Apply(t.Context(), planFor(t, s.orders["id-1"]))
		require.ErrorIs(t, err, j.fails)
		require.Equal(t, err.Error(), report.Err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result, "that is true nevertheless")
	})
}
