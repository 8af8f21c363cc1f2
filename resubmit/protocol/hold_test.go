package protocol_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

func TestHold(t *testing.T) {
	t.Parallel()
	ended := func(o protocol.Outcome) *protocol.Order {
		return &protocol.Order{
			Run: "old", Fingerprint: "f", Template: "t", Phase: protocol.Ended, Outcome: o, Resubmissions: 1, SentAt: noon,
		}
	}
	with := func(o *protocol.Order, change func(*protocol.Order)) *protocol.Order {
		change(o)
		return o
	}
	sameAgain := ended(protocol.FailedAgain)
	for name, tc := range map[string]struct {
		last *protocol.Order
		h    protocol.History
		f    protocol.Failure // default: fingerprint f, template t
		why  string           // "" if it may be resubmitted
	}{
		"no record":                    {last: nil},
		"not moved":                    {last: ended(protocol.NotMoved), why: "nothing has changed since"},
		"failed again, same template":  {last: sameAgain, why: "run old resubmitted it at 2026-05-04T12:00:00Z"},
		"failed again, other template": {last: sameAgain, f: protocol.Failure{Fingerprint: "g", Template: "u"}},
		"completed, then failed":       {last: ended(protocol.Completed), why: "nothing has changed since"},
		"false success":                {last: ended(protocol.FalseSuccess), why: "nothing has changed since"},
		"skipped":                      {last: ended(protocol.Skipped)},
		"named":                        {last: sameAgain, h: protocol.History{Named: true}},
		"outage ended since":           {last: sameAgain, h: protocol.History{OutageEnded: noon.Add(1)}},
		"outage ended before":          {last: sameAgain, h: protocol.History{OutageEnded: noon}, why: "nothing has changed since"},
		"circuit open, Connect up":     {last: sameAgain, h: protocol.History{Run: &protocol.Run{End: protocol.RunCircuitOpen}, ConnectUp: true}},
		"canary stopped, Connect up":   {last: sameAgain, h: protocol.History{Run: &protocol.Run{End: protocol.RunCanaryStopped}, ConnectUp: true}},
		"circuit open, Connect down": {
			last: sameAgain, h: protocol.History{Run: &protocol.Run{End: protocol.RunCircuitOpen}},
			why: "nothing has changed since",
		},
		"the run finished": {
			last: sameAgain, h: protocol.History{Run: &protocol.Run{End: protocol.RunFinished}, ConnectUp: true},
			why: "nothing has changed since",
		},
		"an earlier failure had the template": {
			last: with(ended(protocol.FailedAgain), func(o *protocol.Order) { o.Template, o.Earlier = "u", []string{"t"} }),
			why:  "nothing has changed since",
		},
		"claimed again and released": {
			last: with(ended(""), func(o *protocol.Order) { o.Phase, o.Earlier = protocol.Open, []string{"t"} }),
			why:  "nothing has changed since",
		},
		"open": {last: with(ended(""), func(o *protocol.Order) { o.Phase = protocol.Open })},
		"pushed as often as allowed": {
			last: with(ended(""), func(o *protocol.Order) { o.Phase, o.Resubmissions = protocol.Open, 3 }),
			why:  "3 times already",
		},
		"in flight": {last: with(ended(""), func(o *protocol.Order) { o.Phase, o.Resubmissions = protocol.Unanswered, 3 })},
		"in flight, and failed again": {
			last: with(ended(""), func(o *protocol.Order) {
				o.Phase, o.ClaimedAt, o.SentAt = protocol.Claimed, noon, time.Time{}
			}),
			f: protocol.Failure{Fingerprint: "g", Template: "t"}, why: "at 2026-05-04T12:00:00Z",
		},
		"in flight, and failed otherwise": {
			last: with(ended(""), func(o *protocol.Order) { o.Phase = protocol.Pushed }),
			f:    protocol.Failure{Fingerprint: "g", Template: "u"},
		},
		"placed before a loss": {last: nil, h: protocol.History{ForgottenBefore: noon}, why: "the journal lost what was done"},
		"placed before a loss, older record": {
			last: ended(protocol.Skipped), h: protocol.History{ForgottenBefore: noon.Add(time.Hour)},
			why: "the journal lost what was done",
		},
		"placed before a loss, claimed since": {
			last: with(ended(protocol.Skipped), func(o *protocol.Order) { o.ClaimedAt = noon.Add(1) }),
			h:    protocol.History{ForgottenBefore: noon},
		},
		"placed before a loss, claim released since": {
			last: ended(""), h: protocol.History{ForgottenBefore: noon}, why: "the journal lost what was done",
		},
		"placed before a loss, named": {last: nil, h: protocol.History{ForgottenBefore: noon, Named: true}},
		"placed after a loss": {
			last: nil, h: protocol.History{ForgottenBefore: noon},
			f: protocol.Failure{Fingerprint: "f", Template: "t", PlacedAt: noon},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := tc.f
			if f.Fingerprint == "" {
				f = protocol.Failure{Fingerprint: "f", Template: "t"}
			}
			if f.PlacedAt.IsZero() {
				f.PlacedAt = noon.Add(-time.Hour)
			}
			p := protocol.Policy{}.WithDefaults()
			last := protocol.Record{Order: tc.last}
			if tc.last != nil {
				last.At = noon.Add(time.Minute)
			}
			why := protocol.HoldReason(last, f, tc.h, &p)
			if tc.why == "" {
				require.Empty(t, why)
				return
			}
			require.Contains(t, why, tc.why)
			require.Contains(t, why, "name it")
		})
	}
}

func TestEarlierTemplatesAreBounded(t *testing.T) {
	s := newStand(t)
	s.policy.MaxResubmissions = 100
	s.seed(protocol.Order{
		Run: "old", Fingerprint: "g", Template: "6", Phase: protocol.Ended, Outcome: protocol.FailedAgain,
		Earlier: []string{"1", "2", "3", "4", "5"},
	})
	s.start().reads(protocol.Reading{}).claims().next()
	require.Equal(t, []string{"2", "3", "4", "5", "6"}, s.record().Earlier)
}

func TestWaitUntil(t *testing.T) {
	t.Parallel()
	lease := noon.Add(time.Hour)
	settled := noon.Add(settle)
	order := func(p protocol.Phase) *protocol.Order {
		return &protocol.Order{Fingerprint: "f", Phase: p, SentAt: noon}
	}
	forgotten := noon.Add(10*time.Second + timeout + 2*settle)
	for name, tc := range map[string]struct {
		last        *protocol.Order
		fingerprint string
		lease       time.Time
		want        time.Time
	}{
		"no record":                    {nil, "f", lease, time.Time{}},
		"open":                         {order(protocol.Open), "f", lease, time.Time{}},
		"ended":                        {order(protocol.Ended), "g", lease, time.Time{}},
		"in flight":                    {order(protocol.Unanswered), "f", lease, lease},
		"in flight of a run that died": {order(protocol.Unanswered), "f", time.Time{}, time.Time{}},
		"another failure":              {order(protocol.Unanswered), "g", time.Time{}, settled},
		"another failure, run alive":   {order(protocol.Pushed), "g", lease, lease},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := protocol.Policy{}.WithDefaults()
			f := protocol.Failure{Fingerprint: tc.fingerprint}
			require.Equal(t, tc.want, protocol.DecidableAt(protocol.Record{Order: tc.last}, f, protocol.History{}, tc.lease, &p))
			h := protocol.History{ForgottenBefore: noon, Named: true}
			require.Equal(t, forgotten, protocol.DecidableAt(protocol.Record{Order: tc.last}, f, h, tc.lease, &p))
			h.Named = false // it is held
			require.Equal(t, tc.want, protocol.DecidableAt(protocol.Record{Order: tc.last}, f, h, tc.lease, &p))
		})
	}
}

func TestForgottenPushSettlesForTheLongestSpacing(t *testing.T) {
	t.Parallel()
	h := protocol.History{ForgottenBefore: noon, Named: true}
	for name, tc := range map[string]struct {
		policy protocol.Policy
		want   time.Duration
	}{
		"of cancellations": {protocol.Policy{SettleDelay: 100 * time.Second}, spacing},
		"of the policy":    {protocol.Policy{Retry: protocol.RetryPolicy{Spacing: time.Hour}}, time.Hour},
		"of a type":        {protocol.Policy{Retry: byType(protocol.RetryPolicy{Spacing: time.Hour})}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := tc.policy.WithDefaults()
			got := protocol.DecidableAt(protocol.Record{}, protocol.Failure{}, h, time.Time{}, &p)
			require.Equal(t, noon.Add(p.MaxClaimAge+p.PushTimeout+tc.want), got)
		})
	}
}
