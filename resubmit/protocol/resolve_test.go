package protocol_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

func TestResolveByHand(t *testing.T) {
	t.Parallel()
	policy := protocol.Policy{}.WithDefaults()
	for name, tc := range map[string]struct {
		order   *protocol.Order
		run     *protocol.Run
		outcome protocol.Outcome
		gone    bool
		after   time.Duration // since the push ended
		refused string        // "" if it is settled
		free    bool          // so are the lanes
	}{
		"completed":                    {outcome: protocol.Completed, after: settle, free: true},
		"not moved":                    {outcome: protocol.NotMoved, after: settle},
		"not moved, and deleted since": {outcome: protocol.NotMoved, after: settle, gone: true, free: true},
		"another outcome": {
			outcome: protocol.FailedAgain, after: settle, refused: `as "failedAgain"; give "completed" or "notMoved"`,
		},
		"no outcome": {after: settle, refused: `as ""`},
		"too early": {
			outcome: protocol.NotMoved, after: settle - 1, refused: "before 2026-05-04T12:04:00Z: its push may still act",
		},
		"a run that lives": {
			outcome: protocol.Completed, after: settle, run: &protocol.Run{LeaseEnd: noon.Add(time.Hour)},
			refused: "run r works on it; drain or cancel the run first",
		},
		"a run that has ended": {
			outcome: protocol.Completed, after: settle, free: true,
			run: &protocol.Run{LeaseEnd: noon.Add(time.Hour), Ended: noon},
		},
		"claimed, and the run was killed": {
			order: &protocol.Order{Phase: protocol.Claimed, ClaimedAt: noon}, run: &protocol.Run{LeaseEnd: noon},
			outcome: protocol.NotMoved, after: timeout + settle,
		},
		"claimed, and the push may still be on the wire": {
			order: &protocol.Order{Phase: protocol.Claimed, ClaimedAt: noon}, run: &protocol.Run{LeaseEnd: noon},
			outcome: protocol.NotMoved, after: timeout + settle - 1, refused: "may still act",
		},
		"accepted": {order: &protocol.Order{Phase: protocol.Pushed}, outcome: protocol.Completed, free: true},
		"accepted, not moved": {
			order: &protocol.Order{Phase: protocol.Pushed}, outcome: protocol.NotMoved, refused: "its push was accepted",
		},
		"open": {
			order: &protocol.Order{Phase: protocol.Open}, outcome: protocol.Completed, refused: "is known: it is open",
		},
		"failed again": {
			order:   &protocol.Order{Phase: protocol.Ended, Outcome: protocol.FailedAgain, Why: "quota"},
			outcome: protocol.Completed, refused: "it is failedAgain: quota",
		},
		"failed again, and deleted since": {
			order:   &protocol.Order{Phase: protocol.Ended, Outcome: protocol.FailedAgain},
			outcome: protocol.Completed, gone: true, free: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := tc.order
			if o == nil {
				o = &protocol.Order{Phase: protocol.Unanswered, SentAt: noon}
			}
			o.Run, o.Epoch, o.Number, o.Lanes = "r", 7, "SO1", []string{"s", "t"}
			before := *o
			order := protocol.Record{Key: protocol.OrderKey("1"), Version: 5, Order: o}
			lanes := []protocol.Record{
				{Key: laneKey("s"), Version: 5, Lane: &protocol.Lane{Order: "1", Number: "SO1", Newest: "1", Blocked: true}},
				{Key: laneKey("t"), Version: 6, Lane: &protocol.Lane{Order: "2"}},
			}
			now := noon.Add(tc.after)
			r := protocol.Resolution{Outcome: tc.outcome, Why: "by ana", Gone: tc.gone}
			records, err := policy.Resolve(order, tc.run, lanes, r, now)
			require.Equal(t, before, *o, "the record is not changed")
			if tc.refused != "" {
				require.ErrorIs(t, err, protocol.ErrUnresolvable)
				require.ErrorContains(t, err, tc.refused)
				require.Empty(t, records)
				return
			}
			require.NoError(t, err)
			require.NoError(t, protocol.CheckRecords(records))
			require.Equal(t, laneKey("s"), records[0].Key, "the lane of another order is left alone")
			require.Equal(t, tc.free, records[0].Lane.Order == "")
			require.Equal(t, !tc.free, records[0].Lane.Blocked)
			require.Equal(t, "1", records[0].Lane.Newest)
			if o.Phase == protocol.Ended {
				require.Len(t, records, 1)
				return
			}
			require.Len(t, records, 2)
			done := records[1].Order
			require.EqualValues(t, 5, records[1].Version)
			require.Equal(t, []any{protocol.Ended, tc.outcome, "by ana"}, []any{done.Phase, done.Outcome, done.Why})
			require.True(t, done.Settled)
			require.Equal(t, tc.outcome == protocol.Completed, done.DoneByHand())
			require.False(t, done.SentAt.IsZero() && before.Phase == protocol.Claimed, "the time of the last push is known")
		})
	}
	_, err := policy.Resolve(protocol.Record{}, nil, nil, protocol.Resolution{Outcome: protocol.Completed}, noon)
	require.ErrorContains(t, err, "nothing was done to it")
	require.False(t, (*protocol.Order)(nil).DoneByHand())
}

// An order that an operator has settled is held, and its next claim is an ordinary one.
func TestResolvedOrderIsPushedAgainOnlyIfNamed(t *testing.T) {
	t.Parallel()
	policy := protocol.Policy{}.WithDefaults()
	done := protocol.Record{Order: &protocol.Order{
		Phase: protocol.Ended, Outcome: protocol.Completed, Settled: true, SentAt: noon,
		Why: "settled by ana: seen in the portal",
	}}
	for _, f := range []protocol.Failure{{}, {Fingerprint: "other", Template: "other"}} {
		h := protocol.History{
			OutageEnded: noon.Add(time.Hour), ConnectUp: true, Run: &protocol.Run{End: protocol.RunCircuitOpen},
		}
		require.Contains(t, protocol.HoldReason(done, f, h, &policy), "settled by ana: seen in the portal")
		h.Named = true
		require.Empty(t, protocol.HoldReason(done, f, h, &policy))
	}
}

func TestClaimOfResolvedOrderIsAnOrdinaryOne(t *testing.T) {
	s := newStand(t)
	s.seed(protocol.Order{
		Fingerprint: "f", Phase: protocol.Ended, Outcome: protocol.Completed, Settled: true, SentAt: noon.Add(-time.Hour),
	})
	s.planned.Named = true
	s.start().reads(protocol.Reading{}).claims().sends()
	require.False(t, s.record().Settled)
	require.Equal(t, 1, s.record().Attempts)
}
