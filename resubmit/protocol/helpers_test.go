package protocol_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

const (
	settle  = 240 * time.Second
	timeout = 120 * time.Second
	spacing = 300 * time.Second
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// stand drives a machine as a run does, with a journal.
type stand struct {
	*testing.T

	policy  protocol.Policy
	planned protocol.Planned
	owner   protocol.Owner
	now     time.Time
	// inConnect is what the clock of Connect shows; zero if that is not known.
	inConnect time.Time
	journal   map[protocol.Key]protocol.Record
	seq       uint64
	m         *protocol.Machine
}

func newStand(t *testing.T) *stand {
	t.Helper()
	t.Parallel()
	return &stand{
		T:      t,
		policy: protocol.Policy{}.WithDefaults(),
		planned: protocol.Planned{
			ID: "1", Number: "SO1", Type: commerce.TypeChange, Fingerprint: "f", Template: "t",
			Lanes: []string{"s"}, PlacedAt: noon.Add(-time.Hour), Provable: true, Connect: true,
		},
		owner:   protocol.Owner{Run: "run", Epoch: 1},
		now:     noon,
		journal: map[protocol.Key]protocol.Record{},
	}
}

func laneKey(id string) protocol.Key { return protocol.Key{Kind: protocol.KindLane, ID: id} }

// start starts the order, of which the journal may have a record.
func (s *stand) start() *stand { return s.startWithin(time.Time{}) }

func (s *stand) startWithin(leaseEnd time.Time) *stand {
	s.m = protocol.Start(s.planned, &s.policy, s.owner, s.journal[protocol.OrderKey(s.planned.ID)], leaseEnd, s.now)
	return s
}

// restart starts the order in the next process.
func (s *stand) restart() *stand {
	s.owner.Epoch++
	return s.start()
}

// put stores records like a journal, unless another version is there.
func (s *stand) put(records ...protocol.Record) (seq uint64, conflict *protocol.Record) {
	for _, r := range records {
		if is := s.journal[r.Key]; is.Version != r.Version {
			is.Key = r.Key
			return 0, &is
		}
	}
	s.seq++
	for _, r := range records {
		r.Version = s.seq
		s.journal[r.Key] = r
	}
	return s.seq, nil
}

func (s *stand) seed(o protocol.Order) protocol.Record {
	s.seq++
	r := protocol.Record{Key: protocol.OrderKey(s.planned.ID), Version: s.seq, At: s.now, Order: &o}
	s.journal[r.Key] = r
	s.planned.Version = s.seq
	return r
}

func (s *stand) seedLane(l protocol.Lane) {
	s.seq++
	s.journal[laneKey("s")] = protocol.Record{Key: laneKey("s"), Version: s.seq, Lane: &l}
}

func (s *stand) record() protocol.Order {
	s.Helper()
	r := s.journal[protocol.OrderKey(s.planned.ID)]
	require.NotNil(s, r.Order, "there is no record")
	return *r.Order
}

func (s *stand) lane() protocol.Lane {
	s.Helper()
	r := s.journal[laneKey("s")]
	require.NotNil(s, r.Lane, "there is no record of the lane")
	return *r.Lane
}

func (s *stand) lanes(ids []string) []protocol.Record {
	var records []protocol.Record
	for _, id := range ids {
		r := s.journal[laneKey(id)]
		r.Key = laneKey(id)
		records = append(records, r)
	}
	return records
}

// next carries out what needs no answer, and returns the next step.
func (s *stand) next() protocol.Step {
	s.Helper()
	for {
		step := s.m.Next(s.now)
		switch step.Kind {
		case protocol.StepPut:
			if seq, conflict := s.put(step.Records...); conflict != nil {
				s.m.Rejected(*conflict)
			} else {
				s.m.Stored(seq)
			}
		case protocol.StepLanes:
			s.m.Lanes(s.lanes(step.Lanes))
		default:
			return step
		}
	}
}

func (s *stand) wants(kind protocol.StepKind) protocol.Step {
	s.Helper()
	step := s.next()
	require.Equal(s, kind, step.Kind, "%+v", step)
	return step
}

// ends requires that the order has ended.
func (s *stand) ends(o protocol.Outcome, why string) *stand {
	s.Helper()
	step := s.wants(protocol.StepEnd)
	require.Equal(s, o, step.Outcome, step.Why)
	require.Contains(s, step.Why, why)
	return s
}

// sleeps requires that the machine waits until a time, and waits.
func (s *stand) sleeps(until time.Time) *stand {
	s.Helper()
	step := s.wants(protocol.StepWait)
	require.Equal(s, until, step.At, step.Why)
	require.NotEmpty(s, step.Why)
	s.now = until
	return s
}

func (s *stand) passes(d time.Duration) *stand {
	s.now = s.now.Add(d)
	return s
}

// reads reads the order as a reading says; the zero one says that it is as planned.
func (s *stand) reads(r protocol.Reading) *stand {
	s.Helper()
	if s.next().Kind == protocol.StepAdmit {
		s.m.Admitted()
	}
	s.wants(protocol.StepRead)
	if r.Began.IsZero() {
		r.Began = s.now
	}
	if r.Targets == nil && r.Change == "" && r.NoTarget == "" {
		r.Targets = []commerce.Status{"PD", "PR"}
	}
	s.m.Read(r, s.now)
	return s
}

func (s *stand) claims() *stand {
	s.Helper()
	step := s.wants(protocol.StepClaim)
	s.m.Claim(s.lanes(step.Lanes), s.now, s.inConnect)
	return s
}

func (s *stand) sends() *stand {
	s.Helper()
	s.wants(protocol.StepPush)
	require.True(s, s.m.MaySend(protocol.Check{Lease: true}, s.now))
	return s
}

func (s *stand) answers(k protocol.AnswerKind) *stand {
	s.m.Answered(protocol.Answer{Kind: k, Why: "answered"}, s.now)
	return s
}

func (s *stand) pushes(k protocol.AnswerKind) *stand {
	s.Helper()
	return s.reads(protocol.Reading{}).claims().sends().answers(k)
}

func (s *stand) looksUp(l protocol.LookUp) *stand {
	s.Helper()
	s.wants(protocol.StepLookUp)
	s.m.LookedUp(l, s.now)
	return s
}

// provesUnchanged resolves an unanswered push.
func (s *stand) provesUnchanged() *stand {
	s.Helper()
	if step := s.next(); step.Kind == protocol.StepWait {
		s.now = step.At
	}
	s.reads(protocol.Reading{}).sleeps(s.now.Add(settle))
	return s.reads(protocol.Reading{}).looksUp(protocol.LookUp{})
}

func (s *stand) verifies(v protocol.Verification) *stand {
	s.Helper()
	s.wants(protocol.StepVerify)
	s.m.Verified(v, s.now)
	return s
}
