package protocol_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

func TestClaimIsWrittenWithAllLanesBeforeThePush(t *testing.T) {
	s := newStand(t)
	s.planned.Lanes = []string{"s", "tenant"}
	s.start().reads(protocol.Reading{}).claims()
	step := s.m.Next(s.now)
	require.Equal(t, protocol.StepPut, step.Kind)
	require.True(t, step.Durable)
	require.Len(t, step.Records, 3)
	require.False(t, s.m.MaySend(protocol.Check{Lease: true}, s.now), "the claim is not in the journal yet")
	require.True(t, s.m.InFlight())
	step = s.wants(protocol.StepPush)
	require.EqualValues(t, "PD", step.Target)
	rec := s.record()
	require.Equal(t, protocol.Claimed, rec.Phase)
	require.Equal(t, 1, rec.Attempts)
	require.Equal(t, 1, rec.Resubmissions)
	require.Equal(t, "run", rec.Run)
	require.Equal(t, s.now, rec.ClaimedAt)
	require.Equal(t, s.now, rec.FirstClaimAt)
	require.Equal(t, protocol.Lane{
		Order: "1", Number: "SO1", Newest: "1", NewestAt: s.planned.PlacedAt,
	}, s.lane())
	require.Equal(t, "1", s.journal[laneKey("tenant")].Lane.Order)
}

func TestClaimIsStored(t *testing.T) {
	s := newStand(t).start().reads(protocol.Reading{})
	records := s.m.Claim(s.lanes(s.wants(protocol.StepClaim).Lanes), s.now, s.inConnect)
	seq, conflict := s.put(records...)
	require.Nil(t, conflict)
	s.m.Stored(seq)
	_, version := s.m.Record()
	require.Equal(t, seq, version)
	s.sends()
}

func TestTwoPlansOfOneVersionCannotBothClaim(t *testing.T) {
	s := newStand(t).start().reads(protocol.Reading{})
	other := *s
	other.owner.Run = "other"
	other.start().reads(protocol.Reading{}).claims().sends().answers(protocol.Accepted).next()
	s.seq = other.seq
	s.claims().ends(protocol.ClaimedElsewhere, "claimed by run other")
	rec, _ := s.m.Record()
	require.Equal(t, protocol.Pushed, rec.Phase, "the machine shows the record of the other run")
}

func TestStartRejectsRecordsThatThePlanDoesNotKnow(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		record  protocol.Order
		planned uint64
		why     string
	}{
		"of another run":     {protocol.Order{Run: "other", Fingerprint: "f", Phase: protocol.Open}, 0, "claimed by run other"},
		"of another failure": {protocol.Order{Run: "run", Fingerprint: "g", Phase: protocol.Open}, 0, "claimed by run run"},
		"older than planned": {protocol.Order{Run: "run", Fingerprint: "f", Phase: protocol.Open}, 9, "lacks the record"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			s.seed(tc.record)
			s.planned.Version = tc.planned
			s.start().ends(protocol.ClaimedElsewhere, tc.why)
		})
	}
	t.Run("missing", func(t *testing.T) {
		s := newStand(t)
		s.planned.Version = 3
		s.start().ends(protocol.ClaimedElsewhere, "lacks the record")
	})
}

func TestRunGoesOnFromTheVersionThatItWroteLast(t *testing.T) {
	s := newStand(t).start().reads(protocol.Reading{}).claims()
	s.wants(protocol.StepPush)
	require.False(t, s.m.MaySend(protocol.Check{Closed: "a window opens", Lease: true}, s.now))
	s.wants(protocol.StepAdmit)
	s.restart().pushes(protocol.Accepted)
	s.wants(protocol.StepVerify)
	require.Equal(t, 1, s.record().Attempts)
}

func TestEndedOrderOfTheRunKeepsItsOutcome(t *testing.T) {
	s := newStand(t).start().pushes(protocol.Accepted)
	s.verifies(protocol.Verification{Outcome: protocol.Completed, Why: "done"}).ends(protocol.Completed, "done")
	s.restart().ends(protocol.Completed, "done")
}

func TestEndedOrderIsResubmittedByALaterPlan(t *testing.T) {
	s := newStand(t)
	s.seed(protocol.Order{
		Run: "old", Fingerprint: "f", Template: "t", Phase: protocol.Ended, Outcome: protocol.NotMoved,
		Attempts: 2, Forgiven: 1,
		Resubmissions: 2, SentAt: noon.Add(-spacing), FirstClaimAt: noon.Add(-time.Hour),
		FirstClaimInConnect: noon.Add(-2 * time.Hour),
	})
	s.start().reads(protocol.Reading{}).claims().next()
	rec := s.record()
	require.Equal(t, 1, rec.Attempts, "the attempts of a plan count from zero")
	require.Zero(t, rec.Forgiven)
	require.Equal(t, 3, rec.Resubmissions, "the resubmissions count over all plans")
	require.Equal(t, noon, rec.FirstClaimAt)
	require.Zero(t, rec.FirstClaimInConnect, "it is not known now")
	require.Equal(t, []string{"t"}, rec.Earlier)
}

func TestNewFailureCountsAnewAfterTheEarlierPushHasSettled(t *testing.T) {
	for name, tc := range map[string]struct {
		record protocol.Order
		lease  time.Time
		sent   time.Time // when the push was over
	}{
		"accepted": {
			protocol.Order{Phase: protocol.Ended, Outcome: protocol.FailedAgain, SentAt: noon.Add(-time.Minute)},
			time.Time{}, noon.Add(-time.Minute),
		},
		"unanswered": {
			protocol.Order{Phase: protocol.Unanswered, SentAt: noon.Add(time.Minute)}, time.Time{}, noon.Add(time.Minute),
		},
		"claimed": {
			protocol.Order{Phase: protocol.Claimed, ClaimedAt: noon}, time.Time{}, noon.Add(10*time.Second + timeout),
		},
		"claimed with a lease": {
			protocol.Order{Phase: protocol.Claimed, ClaimedAt: noon.Add(-time.Hour)}, noon.Add(-time.Second),
			noon.Add(timeout - time.Second),
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			tc.record.Run, tc.record.Fingerprint, tc.record.Template = "old", "g", "u"
			tc.record.Attempts, tc.record.Resubmissions = 2, 1
			s.seed(tc.record)
			s.startWithin(tc.lease).sleeps(tc.sent.Add(settle))
			s.reads(protocol.Reading{}).claims()
			s.sleeps(tc.sent.Add(spacing)).reads(protocol.Reading{}).claims().next()
			rec := s.record()
			require.Equal(t, 1, rec.Attempts)
			require.Equal(t, 2, rec.Resubmissions)
			require.Equal(t, []string{"u"}, rec.Earlier)
			require.Equal(t, "f", rec.Fingerprint)
		})
	}
	t.Run("refused", func(t *testing.T) {
		s := newStand(t)
		s.seed(protocol.Order{Run: "old", Fingerprint: "g", Template: "u", Phase: protocol.Open})
		s.start()
		s.wants(protocol.StepAdmit)
	})
}

func TestBusyLaneBlocks(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		lane  protocol.Lane
		named bool
		why   string // "" if the order may be claimed
	}{
		"of an order that has not ended": {protocol.Lane{Order: "0", Number: "SO0"}, true, "SO0, another order of the same s, which has not ended"},
		"of an order that did not end well": {
			protocol.Lane{Order: "0", Blocked: true}, true, "blocked by 0, another order of the same s, which did not end well",
		},
		"of the order itself":        {protocol.Lane{Order: "1", Blocked: true}, false, ""},
		"free":                       {protocol.Lane{Newest: "0", NewestAt: noon.Add(-2 * time.Hour)}, false, ""},
		"of a newer order":           {protocol.Lane{Newest: "2", NewestAt: noon}, false, "a newer order of the same s was pushed before: 2"},
		"of a newer order and named": {protocol.Lane{Newest: "2", NewestAt: noon}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			s.seedLane(tc.lane)
			s.planned.Named = tc.named
			s.start().reads(protocol.Reading{}).claims()
			if tc.why != "" {
				s.ends(protocol.Blocked, tc.why)
				require.NotEmpty(t, s.m.Next(s.now).Blocker)
				require.Equal(t, tc.lane, s.lane(), "an order that is blocked writes nothing")
				return
			}
			s.wants(protocol.StepPush)
			require.Equal(t, "1", s.lane().Order)
			require.False(t, s.lane().NewestAt.Before(tc.lane.NewestAt), "the newest order is kept")
		})
	}
}

func TestBlockedOrderDoesNotWaitForPermission(t *testing.T) {
	s := newStand(t)
	s.seedLane(protocol.Lane{Order: "0"})
	s.start()
	s.m.Lanes(s.lanes([]string{"s"}))
	s.ends(protocol.Blocked, "blocked by 0")
	s.m.Lanes(nil)
	s.ends(protocol.Blocked, "blocked by 0")
}

func TestClaimIsRepeatedIfALaneChanges(t *testing.T) {
	s := newStand(t).start().reads(protocol.Reading{}).claims()
	s.seedLane(protocol.Lane{Newest: "0"})
	step := s.wants(protocol.StepClaim)
	s.m.Claim(s.lanes(step.Lanes), s.now, s.inConnect)
	s.wants(protocol.StepPush)
	require.Equal(t, 1, s.record().Attempts, "a claim that was rejected does not count")
	require.Equal(t, 1, s.record().Resubmissions)
}

func TestEndFreesOrBlocksTheLanes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		v    protocol.Verification
		lane protocol.Lane
	}{
		"completed":    {protocol.Verification{Outcome: protocol.Completed}, protocol.Lane{Newest: "1", NewestAt: noon.Add(-time.Hour)}},
		"cancelled":    {protocol.Verification{Outcome: protocol.FailedAgain, AtRest: true}, protocol.Lane{Newest: "1", NewestAt: noon.Add(-time.Hour)}},
		"failed again": {protocol.Verification{Outcome: protocol.FailedAgain, Template: "u"}, protocol.Lane{Order: "1", Number: "SO1", Blocked: true, Newest: "1", NewestAt: noon.Add(-time.Hour)}},
		"false success": {
			protocol.Verification{Outcome: protocol.FalseSuccess},
			protocol.Lane{Order: "1", Number: "SO1", Blocked: true, Newest: "1", NewestAt: noon.Add(-time.Hour)},
		},
	} {
		for _, restarted := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				s := newStand(t).start().pushes(protocol.Accepted)
				s.wants(protocol.StepVerify)
				if restarted {
					s.restart()
				}
				v := tc.v
				v.Why = "verified"
				s.verifies(v).ends(v.Outcome, "verified")
				require.Equal(t, tc.lane, s.lane())
				rec := s.record()
				require.Equal(t, protocol.Ended, rec.Phase)
				require.Equal(t, tc.v.Outcome, rec.Outcome)
				require.Equal(t, tc.v.Template, rec.After)
			})
		}
	}
}

func TestEndIsRepeatedIfALaneChanges(t *testing.T) {
	s := newStand(t).start().pushes(protocol.Accepted)
	s.verifies(protocol.Verification{Outcome: protocol.Completed})
	s.seedLane(protocol.Lane{Order: "9"}) // the planner freed it, and another order has it
	s.ends(protocol.Completed, "")
	require.Equal(t, protocol.Completed, s.record().Outcome)
	require.Equal(t, "9", s.lane().Order, "the lane of another order is left alone")
}

func TestOrderIsGivenUpBeforeItsLanesAreKnown(t *testing.T) {
	s := newStand(t).start().pushes(protocol.Accepted)
	s.wants(protocol.StepVerify)
	s.restart()
	s.wants(protocol.StepVerify)
	s.m.Verified(protocol.Verification{Outcome: protocol.FailedAgain, Why: "verified"}, s.now)
	require.Equal(t, protocol.StepLanes, s.m.Next(s.now).Kind)
	s.m.GiveUp(protocol.NotStarted, "the journal cannot be read")
	s.ends(protocol.FailedAgain, "verified")
	require.Equal(t, protocol.Pushed, s.record().Phase, "a later run verifies it again")
}

func TestLostOutcomeIsNotRewritten(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(*protocol.Order)
		outcome protocol.Outcome
		why     string
	}{
		"by another run":             {func(o *protocol.Order) { o.Run, o.Phase = "other", protocol.Pushed }, protocol.ClaimedElsewhere, "it is pushed there"},
		"by the operator":            {func(o *protocol.Order) { o.Phase, o.Outcome, o.Why = protocol.Ended, protocol.Completed, "by hand" }, protocol.Completed, "by hand"},
		"by a process of the plan":   {func(o *protocol.Order) { o.Epoch = 2 }, protocol.ClaimedElsewhere, "claimed by run run"},
		"by the retention of others": {nil, protocol.ClaimedElsewhere, "removed"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t).start().pushes(protocol.Accepted)
			s.wants(protocol.StepVerify)
			s.m.Verified(protocol.Verification{Outcome: protocol.FailedAgain}, s.now)
			k := protocol.OrderKey("1")
			if tc.change == nil {
				delete(s.journal, k)
			} else {
				o := s.record()
				tc.change(&o)
				_, conflict := s.put(protocol.Record{Key: k, Version: s.journal[k].Version, Order: &o})
				require.Nil(t, conflict)
			}
			before := s.journal[k]
			s.ends(tc.outcome, tc.why)
			require.Equal(t, before, s.journal[k])
		})
	}
}

func TestOrderThatIsNotClaimedWritesNothing(t *testing.T) {
	s := newStand(t).start().reads(protocol.Reading{Change: "completed", AtRest: true})
	s.ends(protocol.Skipped, "moved since the plan was made: completed")
	require.Empty(t, s.journal)
}

func TestSkippedOrderAtRestFreesItsLanes(t *testing.T) {
	for _, atRest := range []bool{true, false} {
		t.Run(map[bool]string{true: "at rest", false: "not at rest"}[atRest], func(t *testing.T) {
			s := newStand(t).start().reads(protocol.Reading{}).claims()
			s.wants(protocol.StepPush)
			require.False(t, s.m.MaySend(protocol.Check{}, s.now))
			s.next()
			before := s.journal[protocol.OrderKey("1")]
			s.restart().reads(protocol.Reading{Change: "changed", AtRest: atRest}).ends(protocol.Skipped, "changed")
			if atRest {
				require.Empty(t, s.lane().Order)
				require.Equal(t, protocol.Skipped, s.record().Outcome)
			} else {
				require.Equal(t, "1", s.lane().Order)
				require.Equal(t, before, s.journal[protocol.OrderKey("1")])
			}
		})
	}
	t.Run("which another order has", func(t *testing.T) {
		s := newStand(t)
		s.seed(protocol.Order{Run: "old", Fingerprint: "f", Phase: protocol.Open, Lanes: []string{"s"}})
		s.seedLane(protocol.Lane{Order: "2"})
		s.start().reads(protocol.Reading{Change: "changed", AtRest: true}).ends(protocol.Skipped, "changed")
		require.Equal(t, protocol.Open, s.record().Phase)
	})
}

func TestSettle(t *testing.T) {
	s := newStand(t).start().pushes(protocol.Accepted)
	s.wants(protocol.StepVerify)
	order := s.journal[protocol.OrderKey("1")]
	records := protocol.Settle(order, s.lanes([]string{"s"}), protocol.Completed, "by hand", true, s.now)
	_, conflict := s.put(records...)
	require.Nil(t, conflict)
	require.Empty(t, s.lane().Order)
	require.Equal(t, "1", s.lane().Newest)
	require.Equal(t, "by hand", s.record().Why)
	require.Equal(t, protocol.Pushed, order.Order.Phase, "the record in the journal is not changed in place")
	s.verifies(protocol.Verification{Outcome: protocol.FailedAgain}).ends(protocol.Completed, "by hand")

	free := protocol.Record{Key: laneKey("s"), Lane: &protocol.Lane{}}
	unknown := protocol.Record{Key: protocol.OrderKey("2")}
	require.Empty(t, protocol.Settle(unknown, []protocol.Record{free}, protocol.NotMoved, "by hand", false, s.now))
}

func TestSpacingHoldsAfterAClaimWasSettled(t *testing.T) {
	s := newStand(t).start().reads(protocol.Reading{}).claims()
	s.wants(protocol.StepPush)
	order := s.journal[protocol.OrderKey("1")]
	s.passes(time.Minute)
	seq, _ := s.put(protocol.Settle(order, nil, protocol.NotMoved, "by hand", false, s.now)...)
	s.owner.Run, s.planned.Version = "later", seq
	s.start().reads(protocol.Reading{}).claims().sleeps(noon.Add(time.Minute + spacing))
}

func TestSettledAt(t *testing.T) {
	t.Parallel()
	p := protocol.Policy{}.WithDefaults()
	lease := noon.Add(time.Hour)
	for name, tc := range map[string]struct {
		order *protocol.Order
		lease time.Time
		want  time.Time
	}{
		"no record":           {nil, time.Time{}, time.Time{}},
		"open":                {&protocol.Order{Phase: protocol.Open}, lease, lease},
		"pushed":              {&protocol.Order{Phase: protocol.Pushed, SentAt: noon}, time.Time{}, time.Time{}},
		"claimed":             {&protocol.Order{Phase: protocol.Claimed, ClaimedAt: noon}, time.Time{}, noon.Add(10*time.Second + timeout + settle)},
		"claimed, leased":     {&protocol.Order{Phase: protocol.Claimed, ClaimedAt: noon}, lease, lease.Add(timeout + settle)},
		"unanswered":          {&protocol.Order{Phase: protocol.Unanswered, SentAt: noon}, time.Time{}, noon.Add(settle)},
		"unanswered, leased":  {&protocol.Order{Phase: protocol.Unanswered, SentAt: noon}, lease, lease},
		"unanswered recently": {&protocol.Order{Phase: protocol.Unanswered, SentAt: lease}, lease, lease.Add(settle)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, p.SettledAt(tc.order, tc.lease))
		})
	}
}

func TestOrderWithoutLanes(t *testing.T) {
	s := newStand(t)
	s.planned.Lanes = nil
	s.start().pushes(protocol.Accepted)
	s.wants(protocol.StepVerify)
	s.restart().verifies(protocol.Verification{Outcome: protocol.Completed}).ends(protocol.Completed, "")
	require.Len(t, s.journal, 1)
}

func TestLanesThatTheJournalLacks(t *testing.T) {
	s := newStand(t)
	s.seed(protocol.Order{Run: "old", Fingerprint: "f", Phase: protocol.Pushed, Lanes: []string{"s"}})
	s.start().verifies(protocol.Verification{Outcome: protocol.Completed})
	require.Equal(t, protocol.StepLanes, s.m.Next(s.now).Kind)
	s.m.Lanes(nil)
	s.ends(protocol.Completed, "")
}
