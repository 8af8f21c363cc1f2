package protocol_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// plain encodes everything.
type plain struct{ now time.Time }

func (p plain) Age(t time.Time) uint64                { return uint64(p.now.Sub(t)) }
func (p plain) Wait(t time.Time) uint64               { return uint64(t.Sub(p.now)) }
func (plain) Version(_ protocol.Key, v uint64) uint64 { return v }
func (plain) Owner(run string, epoch uint64) uint64   { return uint64(len(run)) + epoch<<8 }
func (s *stand) state() string                        { return string(s.m.AppendState(nil, plain{s.now})) }
func (s *stand) clone() *stand                        { c := *s; c.m = s.m.Clone(); return &c }

func TestStatesOfStepsDiffer(t *testing.T) {
	s := newStand(t).start()
	var none *protocol.Order
	seen := map[string]bool{string(none.AppendState(nil, plain{})): true}
	differs := func() {
		t.Helper()
		require.Equal(t, s.state(), s.clone().state())
		require.False(t, seen[s.state()])
		seen[s.state()] = true
	}
	differs()
	s.reads(protocol.Reading{})
	differs()
	s.claims()
	differs()
	s.wants(protocol.StepPush)
	differs()
	s.sends()
	differs()
	s.answers(protocol.NotOffered)
	differs()
	s.reads(protocol.Reading{})
	differs()
	s.claims().sends().answers(protocol.NoAnswer)
	differs()
	s.provesUnchanged()
	differs()
	s.pushes(protocol.Accepted)
	differs()
	s.wants(protocol.StepVerify)
	s.restart()
	differs()
	s.m.Verified(protocol.Verification{Outcome: protocol.Completed}, s.now)
	require.Equal(t, protocol.StepLanes, s.m.Next(s.now).Kind)
	differs()
	s.next()
	differs()
}

func TestCloneIsIndependent(t *testing.T) {
	s := newStand(t).start().pushes(protocol.NotOffered).reads(protocol.Reading{}).claims()
	before := s.state()
	c := s.clone()
	c.next()
	c.sends().answers(protocol.NotOffered)
	require.NotEqual(t, before, c.state())
	require.Equal(t, before, s.state())
	require.Len(t, s.m.RefusedTargets(), 1)
}
