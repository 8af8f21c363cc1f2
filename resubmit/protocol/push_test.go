package protocol_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

var errLost = errors.New("connection reset")

func TestReadBeforeThePush(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reading protocol.Reading
		outcome protocol.Outcome // "" if the machine goes on
		why     string
	}{
		"as planned":     {protocol.Reading{}, "", ""},
		"moved":          {protocol.Reading{Change: "status PF to CP"}, protocol.Skipped, "status PF to CP"},
		"gone":           {protocol.Reading{Err: errLost, Gone: true}, protocol.Skipped, "connection reset"},
		"without target": {protocol.Reading{NoTarget: "it offers none"}, protocol.Skipped, "it offers none"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t).start()
			s.wants(protocol.StepAdmit)
			s.m.Admitted()
			require.True(t, s.wants(protocol.StepRead).BeforePush)
			if s.reads(tc.reading); tc.outcome != "" {
				s.ends(tc.outcome, tc.why)
				return
			}
			step := s.wants(protocol.StepClaim)
			require.Equal(t, []string{"s"}, step.Lanes)
		})
	}
}

func TestReadThatFailsReturnsToTheGate(t *testing.T) {
	s := newStand(t).start().reads(protocol.Reading{Err: errLost})
	s.wants(protocol.StepAdmit)
}

func TestPostponeReturnsToTheGate(t *testing.T) {
	s := newStand(t).start().reads(protocol.Reading{})
	s.m.Postpone()
	s.wants(protocol.StepAdmit)
}

func TestOldReadIsRepeatedBeforeTheClaim(t *testing.T) {
	s := newStand(t).start().reads(protocol.Reading{}).passes(protocol.MaxReadAge + 1)
	s.claims().wants(protocol.StepRead)
	s.reads(protocol.Reading{}).passes(protocol.MaxReadAge).claims().wants(protocol.StepPush)
}

func TestClaimIsGivenUpWhenItIsAlwaysTooLate(t *testing.T) {
	s := newStand(t).start()
	for range 10 {
		s.reads(protocol.Reading{}).passes(time.Hour).claims()
	}
	s.ends(protocol.NotStarted, "given up after 10 tries to claim it within 5s of the read before")
	require.Empty(t, s.journal)
}

func TestLastChecksBeforeThePush(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		check protocol.Check
		pass  time.Duration
		why   string // "" if the push may be sent
	}{
		"open":           {protocol.Check{Lease: true}, 0, ""},
		"just in time":   {protocol.Check{Lease: true}, protocol.MaxReadAge, ""},
		"lease over":     {protocol.Check{}, 0, "the lease of the run is over"},
		"gate closed":    {protocol.Check{Lease: true, Closed: "a window opens"}, 0, "a window opens"},
		"read too old":   {protocol.Check{Lease: true}, protocol.MaxReadAge + 1, "the order was read too long ago"},
		"claim too old":  {protocol.Check{Lease: true}, 10*time.Second + 1, "the claim is too old"},
		"clock set back": {protocol.Check{Lease: true}, -time.Hour, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t).start().reads(protocol.Reading{}).claims()
			s.wants(protocol.StepPush)
			s.passes(tc.pass)
			require.Equal(t, tc.why == "", s.m.MaySend(tc.check, s.now))
			if tc.why == "" {
				return
			}
			s.wants(protocol.StepAdmit)
			rec := s.record()
			require.Equal(t, "held back right before the push: "+tc.why, rec.Why)
			require.Equal(t, protocol.Open, rec.Phase)
		})
	}
}

func TestAgesCountOnTheClockThatWentFurther(t *testing.T) {
	s := newStand(t)
	s.now = time.Now() // has a monotonic reading
	s.start().reads(protocol.Reading{}).claims()
	s.wants(protocol.StepPush)
	// Without a monotonic reading the times are compared by the wall clock, which went on during a suspension.
	require.False(t, s.m.MaySend(protocol.Check{Lease: true}, s.now.Round(0).Add(time.Minute)))
}

func TestReleaseRestoresTheRecord(t *testing.T) {
	s := newStand(t)
	before := protocol.Order{
		Number: "SO1", Run: "run", Fingerprint: "f", Template: "t", Lanes: []string{"s"}, PlacedAt: s.planned.PlacedAt,
		Phase: protocol.Open, Attempts: 1, Resubmissions: 2, Target: "PD", FirstClaimAt: noon.Add(-time.Hour),
		ClaimedAt: noon.Add(-time.Hour), SentAt: noon.Add(-time.Hour),
	}
	version := s.seed(before).Version
	s.start().reads(protocol.Reading{}).claims()
	s.wants(protocol.StepPush)
	require.Equal(t, 2, s.record().Attempts)
	require.False(t, s.m.MaySend(protocol.Check{}, s.now))
	step := s.m.Next(s.now)
	require.False(t, step.Durable, "a crash leaves a claim, which is resolved")
	s.wants(protocol.StepAdmit)
	rec := s.record()
	require.Greater(t, s.journal[protocol.OrderKey("1")].Version, version)
	require.Equal(t, "1", s.lane().Order, "the lanes are kept")
	require.Equal(t, before.FirstClaimAt, rec.FirstClaimAt)
	before.Epoch, before.Why, before.Status = 1, rec.Why, rec.Status
	require.Equal(t, before, rec)
}

func TestReleasesAreBounded(t *testing.T) {
	for name, release := range map[string]func(*stand){
		"held back": func(s *stand) { require.False(s, s.m.MaySend(protocol.Check{}, s.now)) },
		"not sent":  func(s *stand) { s.sends().answers(protocol.NotSent) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t).start()
			for range 10 {
				s.reads(protocol.Reading{}).claims()
				s.wants(protocol.StepPush)
				release(s)
			}
			s.ends(protocol.NotStarted, "given up after 10 claims")
			rec := s.record()
			require.Equal(t, protocol.Open, rec.Phase)
			require.Zero(t, rec.Attempts+rec.Resubmissions)
		})
	}
}

func TestRefusedPushDoesNotCount(t *testing.T) {
	s := newStand(t)
	s.inConnect = noon.Add(time.Minute)
	s.start().pushes(protocol.RefusedForNow)
	s.wants(protocol.StepAdmit)
	rec := s.record()
	require.Zero(t, rec.Attempts+rec.Resubmissions)
	require.True(t, rec.Refused)
	require.Equal(t, noon, rec.SentAt)
	require.Equal(t, noon, rec.FirstClaimAt)
	require.Equal(t, noon.Add(time.Minute), rec.FirstClaimInConnect)
	s.inConnect = noon.Add(time.Hour)
	s.pushes(protocol.Accepted).wants(protocol.StepVerify)
	require.Equal(t, noon.Add(time.Minute), s.record().FirstClaimInConnect, "of the first claim")
	require.False(t, s.record().Refused)
	require.Equal(t, 1, s.record().Attempts)
}

func TestRefusedTargetsAreTriedInTurn(t *testing.T) {
	s := newStand(t).start().pushes(protocol.NotOffered).reads(protocol.Reading{}).claims()
	require.EqualValues(t, "PR", s.wants(protocol.StepPush).Target)
	require.Equal(t, []commerce.Status{"PD"}, s.m.RefusedTargets())
	s.sends().answers(protocol.NotOffered)
	s.reads(protocol.Reading{Targets: []commerce.Status{"PD", "PR"}, NoTarget: "none is left"})
	s.ends(protocol.Skipped, "none is left")
	require.True(t, s.lane().Blocked, "a refused order blocks its lane")
}

func TestRefusedOrderIsReadOnceMore(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reading protocol.Reading
		outcome protocol.Outcome // "" if the push is verified
		why     string
		blocked bool
	}{
		"unchanged": {protocol.Reading{}, protocol.Skipped, "answered", true},
		"at rest":   {protocol.Reading{AtRest: true}, protocol.Skipped, "answered", false},
		"moved":     {protocol.Reading{Change: "it is provisioning"}, "", "", false},
		"not read":  {protocol.Reading{Err: errLost}, protocol.Unknown, "whether it moved the order is not known", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t).start().pushes(protocol.Refused)
			require.False(t, s.wants(protocol.StepRead).BeforePush)
			if s.reads(tc.reading); tc.outcome == "" {
				s.wants(protocol.StepVerify)
				require.Equal(t, 1, s.record().Attempts, "the push is credited")
				return
			}
			s.ends(tc.outcome, tc.why)
			require.Equal(t, tc.blocked, s.lane().Blocked)
		})
	}
}

func TestRefusedPushIsCreditedAfterARestart(t *testing.T) {
	s := newStand(t).start().pushes(protocol.RefusedForNow)
	s.next()
	s.restart().reads(protocol.Reading{Change: "it is provisioning"}).wants(protocol.StepVerify)
	require.Equal(t, protocol.Pushed, s.record().Phase)
}

func TestEarlierPushIsCreditedIfTheOrderMoved(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(*stand){
		"got no answer": func(s *stand) { s.pushes(protocol.NoAnswer).provesUnchanged() },
		"was refused":   func(s *stand) { s.pushes(protocol.RefusedForNow) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t).start()
			before(s)
			s.reads(protocol.Reading{Change: "it is provisioning"}).wants(protocol.StepVerify)
			rec := s.record()
			require.Contains(t, rec.Why, "the push to PD "+name+", but the order was moved")
			require.Equal(t, 1, rec.Attempts)
			require.Equal(t, 1, rec.Resubmissions)
		})
		t.Run(name+", and it is gone", func(t *testing.T) {
			s := newStand(t).start()
			before(s)
			s.reads(protocol.Reading{Err: errLost, Gone: true})
			s.ends(protocol.Unknown, "the push to PD may have been accepted, and then: connection reset")
		})
	}
}

func TestOrderThatIsNotPushedAgainHasNotMoved(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		then func(*stand)
		why  string
	}{
		"no target": {func(s *stand) { s.reads(protocol.Reading{NoTarget: "none is left"}) }, "none is left"},
		"refused":   {func(s *stand) { s.pushes(protocol.Refused).reads(protocol.Reading{}) }, "answered"},
		"given up": {
			func(s *stand) {
				s.pushes(protocol.RefusedForNow).next()
				s.m.GiveUp(protocol.NotStarted, "the run ends")
				s.reads(protocol.Reading{})
			}, "the run ends",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t).start().pushes(protocol.NoAnswer).provesUnchanged()
			tc.then(s)
			s.ends(protocol.NotMoved, tc.why)
		})
	}
}

func TestGiveUp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before  func(*stand)
		outcome protocol.Outcome
		phase   protocol.Phase // of the record; "" if there is none
	}{
		"before the claim": {func(s *stand) { s.reads(protocol.Reading{}) }, protocol.NotStarted, ""},
		"while claiming":   {func(s *stand) { s.reads(protocol.Reading{}).claims() }, protocol.NotStarted, ""},
		"in flight":        {func(s *stand) { s.pushes(protocol.NoAnswer).next() }, protocol.Unknown, protocol.Unanswered},
		"accepted":         {func(s *stand) { s.pushes(protocol.Accepted).next() }, protocol.Progressing, protocol.Pushed},
		"unchanged": {
			func(s *stand) { s.pushes(protocol.NoAnswer).provesUnchanged().next() }, protocol.NotMoved, protocol.Open,
		},
		"after the end": {
			func(s *stand) {
				s.pushes(protocol.Accepted).verifies(protocol.Verification{Outcome: protocol.Completed}).next()
			}, protocol.Completed, protocol.Ended,
		},
		"in the hands of another process": {
			func(s *stand) {
				s.reads(protocol.Reading{}).claims().wants(protocol.StepPush)
				s.owner.Epoch = 2
				s.startWithin(noon.Add(time.Minute))
			}, protocol.Unknown, protocol.Claimed,
		},
		"while the last read of a refused push fails": {
			func(s *stand) { s.pushes(protocol.Refused).next() }, protocol.Unknown, protocol.Open,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t).start()
			tc.before(s)
			s.m.GiveUp(protocol.NotStarted, "the run ends")
			s.ends(tc.outcome, "")
			if tc.phase == "" {
				require.Empty(t, s.journal)
				return
			}
			require.Equal(t, tc.phase, s.record().Phase)
		})
	}
}

func TestGiveUpReadsARefusedOrderOnceMore(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		outcome protocol.Outcome
		reading protocol.Reading
		want    protocol.Outcome
	}{
		"not started": {protocol.NotStarted, protocol.Reading{}, protocol.NotStarted},
		"skipped":     {protocol.Skipped, protocol.Reading{}, protocol.Skipped},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t).start().pushes(protocol.RefusedForNow)
			s.next()
			s.m.GiveUp(tc.outcome, "it was refused too often")
			s.wants(protocol.StepRead)
			s.reads(tc.reading).ends(tc.want, "it was refused too often")
			require.Equal(t, protocol.Open, s.record().Phase, "a later run may push it")
		})
	}
}

func TestAcceptedPushIsVerified(t *testing.T) {
	s := newStand(t).start().pushes(protocol.Accepted)
	require.False(t, s.m.Next(s.now).Durable, "a crash leaves a claim, which is resolved")
	s.wants(protocol.StepVerify)
	rec := s.record()
	require.Equal(t, protocol.Pushed, rec.Phase)
	require.Equal(t, noon, rec.SentAt)
	done := noon.Add(time.Minute)
	s.verifies(protocol.Verification{Outcome: protocol.Progressing, Why: "pending in Connect", DoneAt: done})
	s.ends(protocol.Progressing, "pending in Connect")
	require.Equal(t, done, s.record().DoneAt)
	s.restart().verifies(protocol.Verification{Outcome: protocol.Progressing, DoneAt: done.Add(time.Hour)})
	s.ends(protocol.Progressing, "")
	require.Equal(t, done, s.record().DoneAt, "the first time is kept")
	require.Equal(t, protocol.Pushed, s.record().Phase)
}
