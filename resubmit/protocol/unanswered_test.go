package protocol_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

func TestEndOfAPush(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind  protocol.AnswerKind
		after time.Duration // the answer
		end   time.Duration
	}{
		"a lost answer":            {protocol.NoAnswer, time.Second, timeout},
		"a gateway":                {protocol.ByGateway, time.Second, timeout},
		"a client that hung on":    {protocol.NoAnswer, timeout + time.Minute, timeout + time.Minute},
		"a gateway after the time": {protocol.ByGateway, timeout + time.Second, timeout + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t).start().reads(protocol.Reading{}).claims().sends().passes(tc.after).answers(tc.kind)
			require.True(t, s.m.Next(s.now).Durable)
			s.sleeps(noon.Add(tc.end + settle))
			rec := s.record()
			require.Equal(t, protocol.Unanswered, rec.Phase)
			require.Equal(t, noon.Add(tc.end), rec.SentAt)
			require.Equal(t, tc.kind == protocol.ByGateway, rec.Gateway)
			s.wants(protocol.StepRead)
		})
	}
}

// An outage that ended before the push took effect is no reason to resubmit an order that failed after it.
func TestPushWithoutAnAnswerIsDatedByItsEffect(t *testing.T) {
	s := newStand(t).start().reads(protocol.Reading{}).claims().sends().answers(protocol.NoAnswer)
	require.True(t, s.m.Next(s.now).Durable)
	s.sleeps(noon.Add(timeout + settle))
	s.reads(protocol.Reading{Change: "the status is PR instead of PF"}).wants(protocol.StepVerify)
	rec := s.record()
	require.Equal(t, protocol.Pushed, rec.Phase)
	require.Equal(t, noon.Add(timeout+settle), rec.SentAt)
	rec.Phase, rec.Outcome = protocol.Ended, protocol.FailedAgain
	last, f := protocol.Record{Order: &rec}, protocol.Failure{Fingerprint: "another", Template: rec.Template}
	p := protocol.Policy{}.WithDefaults()
	before, after := protocol.History{OutageEnded: noon.Add(timeout + 1)}, protocol.History{OutageEnded: s.now.Add(1)}
	require.Contains(t, protocol.HoldReason(last, f, before, &p), "nothing has changed since")
	require.Empty(t, protocol.HoldReason(last, f, after, &p))
}

func TestClaimOfADeadRunIsResolvedByReads(t *testing.T) {
	s := newStand(t).start().reads(protocol.Reading{}).claims()
	s.wants(protocol.StepPush)
	s.restart()
	require.True(t, s.m.Next(s.now).Durable)
	s.sleeps(noon.Add(10*time.Second + timeout + settle))
	require.Equal(t, protocol.Unanswered, s.record().Phase)
	require.EqualValues(t, 2, s.record().Epoch)
	s.restart()
	s.provesUnchanged().wants(protocol.StepAdmit)
}

func TestClaimOfARunThatMayLiveIsLeftAlone(t *testing.T) {
	s := newStand(t).start().reads(protocol.Reading{}).claims()
	s.wants(protocol.StepPush)
	t.Run("of the same process", func(*testing.T) {
		other := *s
		other.start().ends(protocol.ClaimedElsewhere, "this run has the order already")
	})
	t.Run("of another process", func(*testing.T) {
		other := *s
		other.owner.Epoch = 2
		lease := noon.Add(time.Minute)
		other.startWithin(lease)
		step := other.wants(protocol.StepReload)
		require.Equal(s, lease, step.At)
		other.now = lease
		other.m.Reload(other.journal[protocol.OrderKey("1")], lease.Add(time.Minute), other.now)
		require.Equal(s, lease.Add(time.Minute), other.wants(protocol.StepReload).At, "the lease was renewed")
		other.m.Reload(other.journal[protocol.OrderKey("1")], lease, other.now)
		other.sleeps(lease.Add(timeout + settle)) // since the lease ended
	})
}

func TestResolve(t *testing.T) {
	t.Parallel()
	unchanged := protocol.Reading{}
	for name, tc := range map[string]struct {
		planned func(*protocol.Planned)
		first   protocol.Reading
		second  *protocol.Reading
		lookUp  *protocol.LookUp
		outcome protocol.Outcome // "" if the order is pushed again, or verified
		next    protocol.StepKind
		why     string
	}{
		"moved": {
			first: protocol.Reading{Change: "it is provisioning"}, next: protocol.StepVerify,
		},
		"moved later": {
			first: unchanged, second: &protocol.Reading{Change: "it is provisioning"}, next: protocol.StepVerify,
		},
		"a client without failure texts": {
			planned: func(p *protocol.Planned) { p.Provable = false },
			first:   unchanged, outcome: protocol.Unknown, why: "does not report why orders fail",
		},
		"the target is not offered": {
			first:   protocol.Reading{Targets: []commerce.Status{"PR"}},
			outcome: protocol.Unknown, why: "the transition to PD any more",
		},
		"without Connect": {
			planned: func(p *protocol.Planned) { p.Connect = false },
			first:   unchanged, second: &unchanged, outcome: protocol.Unknown, why: "Connect cannot be asked",
		},
		"a purchase without Connect": {
			planned: func(p *protocol.Planned) { p.Connect, p.ProvableWithoutConnect = false, true },
			first:   unchanged, second: &unchanged, next: protocol.StepAdmit,
		},
		"a purchase with Connect": {
			planned: func(p *protocol.Planned) { p.ProvableWithoutConnect = true },
			first:   unchanged, second: &unchanged, lookUp: &protocol.LookUp{}, next: protocol.StepAdmit,
		},
		"a request in Connect": {
			first: unchanged, second: &unchanged, lookUp: &protocol.LookUp{Request: "PR-1", Down: "at noon"},
			next: protocol.StepVerify,
		},
		"Connect was down": {
			first: unchanged, second: &unchanged, lookUp: &protocol.LookUp{Down: "at noon"},
			outcome: protocol.Unknown, why: "at noon",
		},
		"a request forbids it": {
			first: unchanged, second: &unchanged, lookUp: &protocol.LookUp{Forbidden: "it is revoked"},
			outcome: protocol.Unknown, why: "it is revoked",
		},
		"unchanged": {
			first: unchanged, second: &unchanged, lookUp: &protocol.LookUp{}, next: protocol.StepAdmit,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			if tc.planned != nil {
				tc.planned(&s.planned)
			}
			s.start().pushes(protocol.NoAnswer).sleeps(noon.Add(timeout + settle)).reads(tc.first)
			if tc.second != nil {
				s.sleeps(s.now.Add(settle)).reads(*tc.second)
			}
			if tc.lookUp != nil {
				s.looksUp(*tc.lookUp)
			}
			if tc.outcome == "" {
				s.wants(tc.next)
				return
			}
			s.ends(tc.outcome, tc.why)
			require.Equal(t, protocol.Unanswered, s.record().Phase, "a later run goes on")
			require.Equal(t, "1", s.lane().Order)
		})
	}
}

func TestReadThatBeganTooEarlyProvesNothing(t *testing.T) {
	s := newStand(t).start().pushes(protocol.NoAnswer).sleeps(noon.Add(timeout + settle))
	s.reads(protocol.Reading{Began: s.now.Add(-1), Change: "it is completed"})
	s.wants(protocol.StepRead)
}

func TestReadsOfAnUnansweredPushAreRepeated(t *testing.T) {
	s := newStand(t).start().pushes(protocol.NoAnswer).sleeps(noon.Add(timeout + settle))
	for range 9 { // Commerce as a whole does not answer
		s.reads(protocol.Reading{Err: errLost, Outage: true}).sleeps(s.now.Add(time.Minute))
	}
	for range 4 {
		s.reads(protocol.Reading{Err: errLost}).sleeps(s.now.Add(time.Minute))
	}
	s.reads(protocol.Reading{Err: errLost}).ends(protocol.Unknown, "could not be read: connection reset")
}

func TestLookUpsAreRepeated(t *testing.T) {
	s := newStand(t).start().pushes(protocol.NoAnswer).sleeps(noon.Add(timeout + settle))
	s.reads(protocol.Reading{}).sleeps(s.now.Add(settle)).reads(protocol.Reading{})
	for range 4 {
		s.looksUp(protocol.LookUp{Err: errLost}).sleeps(s.now.Add(time.Minute))
	}
	s.looksUp(protocol.LookUp{Err: errLost}).ends(protocol.Unknown, "Connect could not be asked: connection reset")
}

func TestSecondAttempt(t *testing.T) {
	s := newStand(t)
	s.policy.Retry.Spacing = 20 * time.Minute
	s.start().pushes(protocol.NoAnswer).provesUnchanged()
	require.True(t, s.m.Next(s.now).Durable)
	s.sleeps(noon.Add(timeout + 20*time.Minute))
	require.Equal(t, protocol.Open, s.record().Phase)
	s.pushes(protocol.NoAnswer).next()
	rec := s.record()
	require.Equal(t, 2, rec.Attempts)
	require.Equal(t, 2, rec.Resubmissions)
	require.Equal(t, noon, rec.FirstClaimAt)
	s.provesUnchanged().ends(protocol.NotMoved, "pushed 2 times without an answer, and proven unchanged")
	require.True(t, s.lane().Blocked)
}

func TestSpacingHoldsAfterARestart(t *testing.T) {
	for name, kind := range map[string]protocol.AnswerKind{"counted": protocol.NoAnswer, "forgiven": protocol.ByGateway} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			s.policy.Retry.Spacing = 20 * time.Minute
			s.start().pushes(kind).provesUnchanged().next()
			s.restart().reads(protocol.Reading{}).claims().sleeps(noon.Add(timeout + 20*time.Minute))
			s.wants(protocol.StepAdmit)
		})
	}
}

func TestGatewayDoesNotCountFiveTimes(t *testing.T) {
	s := newStand(t)
	s.policy.MaxResubmissions = 100
	s.start()
	for i := range 5 {
		s.pushes(protocol.ByGateway).provesUnchanged().next()
		require.Equal(t, 0, s.record().Attempts)
		require.Equal(t, i+1, s.record().Forgiven)
	}
	s.pushes(protocol.ByGateway).provesUnchanged().next()
	require.Equal(t, 1, s.record().Attempts)
	s.pushes(protocol.ByGateway).provesUnchanged().ends(protocol.NotMoved, "pushed 7 times")
	require.Equal(t, 7, s.record().Resubmissions, "every push that may have been sent counts over all plans")
}

func TestLimitOverAllPlans(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before int
		named  bool
	}{
		"a second attempt":  {2, false},
		"named by operator": {2, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			s.planned.Named = tc.named
			s.seed(protocol.Order{Run: "old", Fingerprint: "g", Phase: protocol.Ended, Resubmissions: tc.before})
			s.start().pushes(protocol.NoAnswer).provesUnchanged()
			if tc.named {
				s.wants(protocol.StepAdmit)
				return
			}
			s.ends(protocol.NotMoved, "pushed 1 times")
		})
	}
	t.Run("a claim", func(t *testing.T) {
		s := newStand(t)
		s.seed(protocol.Order{Run: "old", Fingerprint: "f", Phase: protocol.Open, Resubmissions: 3})
		s.start().reads(protocol.Reading{}).claims().ends(protocol.Skipped, "resubmitted 3 times")
	})
}

func TestNamedOrderIsPushedByThatPlanOnly(t *testing.T) {
	s := newStand(t)
	s.planned.Named = true
	s.start().pushes(protocol.NoAnswer).next()
	s.owner.Run, s.planned.Named, s.planned.Version = "later", false, s.journal[protocol.OrderKey("1")].Version
	s.start().provesUnchanged().ends(protocol.NotMoved, "pushed 1 times")
}

func TestAttemptsThatWereUsedUpEndTheOrder(t *testing.T) {
	s := newStand(t)
	s.seed(protocol.Order{Run: "old", Fingerprint: "f", Phase: protocol.Open, Attempts: 2, Resubmissions: 2})
	s.start().reads(protocol.Reading{}).claims().ends(protocol.NotMoved, "2 pushes are all")
	require.Equal(t, protocol.NotMoved, s.record().Outcome)
}

func TestAttemptsByType(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		retry    protocol.RetryPolicy
		request  connect.RequestType
		attempts int
		spacing  time.Duration
	}{
		"default":         {protocol.RetryPolicy{}, connect.TypePurchase, 2, spacing},
		"twice settled":   {protocol.RetryPolicy{Spacing: -1}, "", 2, 2 * settle},
		"short":           {protocol.RetryPolicy{Spacing: time.Minute}, connect.TypePurchase, 2, time.Minute},
		"of cancels":      {protocol.RetryPolicy{MaxAttempts: 9, Spacing: time.Minute}, connect.TypeCancel, 4, spacing},
		"of resumes":      {protocol.RetryPolicy{MaxAttempts: 9, Spacing: time.Minute}, connect.TypeResume, 9, spacing},
		"of a type":       {protocol.RetryPolicy{ByType: map[commerce.OrderType]protocol.RetryPolicy{commerce.TypeChange: {MaxAttempts: 1}}}, "", 1, spacing},
		"of another type": {protocol.RetryPolicy{ByType: map[commerce.OrderType]protocol.RetryPolicy{commerce.TypeSales: {MaxAttempts: 1}}}, "", 2, spacing},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			s.policy = protocol.Policy{Retry: tc.retry, MaxResubmissions: 100}.WithDefaults()
			s.planned.Request = tc.request
			s.start()
			for i := range tc.attempts - 1 {
				s.pushes(protocol.NoAnswer).provesUnchanged().next()
				require.Equal(t, i+1, s.record().Attempts)
				sent := s.record().SentAt
				s.now = sent.Add(max(tc.spacing, 2*settle)) // it was resolved meanwhile
			}
			s.pushes(protocol.NoAnswer).provesUnchanged().ends(protocol.NotMoved, "")
			s.now = s.record().SentAt
			s.planned.Version = s.journal[protocol.OrderKey("1")].Version
			s.restart().reads(protocol.Reading{}).claims()
			s.sleeps(s.record().SentAt.Add(tc.spacing))
		})
	}
}

func TestClockThatWasSetBack(t *testing.T) {
	s := newStand(t)
	future := noon.Add(time.Hour)
	s.seed(protocol.Order{
		Run: "run", Fingerprint: "f", Phase: protocol.Unanswered, Target: "PD",
		ClaimedAt: future, SentAt: future, FirstClaimAt: future, FirstClaimInConnect: noon,
	})
	s.start().sleeps(noon.Add(10*time.Second + timeout + settle))
	rec, _ := s.m.Record()
	require.Zero(t, rec.FirstClaimAt, "when the first push was sent is not known")
	require.Zero(t, rec.FirstClaimInConnect)
	require.Equal(t, noon, rec.ClaimedAt)
	s.passes(2 * time.Hour).restart().reads(protocol.Reading{}).sleeps(s.now.Add(settle)).reads(protocol.Reading{})
	s.ends(protocol.Unknown, "when it was pushed first is not known")
}
