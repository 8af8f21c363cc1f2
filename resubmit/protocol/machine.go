package protocol

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// MaxReadAge is how long ago the read of an order may have begun when its push is sent.
const MaxReadAge = 5 * time.Second

const (
	// maxReleases is how often a claim may be taken back before anything was sent.
	maxReleases = 10
	// maxForgiven is how many pushes that a gateway answered do not count as attempts.
	maxForgiven = 5
	// maxEarlier is how many templates of earlier failures a record keeps.
	maxEarlier = 5
	// maxReadErrors is how many reads in a row may fail before an unanswered push stays unknown.
	maxReadErrors = 5
)

// Owner is a run that makes claims: the digest of its plan and the epoch of its lease.
type Owner struct {
	Run   string
	Epoch uint64
}

// Planned is what the plan and the clients say about an order.
type Planned struct {
	ID, Number string
	Type       commerce.OrderType
	// Request is the type of the order's request in Connect; "" if it leads to none.
	Request connect.RequestType
	// Fingerprint and Template are those of the failure.
	Fingerprint, Template string
	// Version is that of the order's record on which the decision was based; 0 if there was none.
	Version  uint64
	Lanes    []string
	PlacedAt time.Time
	// Named means that the operator named the order: it may be pushed more often than
	// Policy.MaxResubmissions, and after a newer order of its lanes.
	Named bool
	// Provable means that the client reports failure texts and transitions, so that an order can
	// be proven unchanged.
	Provable bool
	// Connect means that Connect can be asked about the order.
	Connect bool
	// NoConnect means that the order can be proven unchanged without Connect: a purchase that
	// has no subscription yet (inferred, resubmit/SAFETY.md#f5), or an order without a request.
	NoConnect bool
}

// StepKind is what to do next.
type StepKind int

// The steps.
const (
	// StepEnd: the order is done. Outcome and Why say how.
	StepEnd StepKind = iota
	// StepWait: wait until At, then call Next.
	StepWait
	// StepReload: wait until At, read the record and the lease of its run from the journal, and
	// call Reload.
	StepReload
	// StepAdmit: wait until a push is allowed, then call Admitted.
	StepAdmit
	// StepRead: read the order and call Read.
	StepRead
	// StepLookUp: ask Connect and call LookedUp.
	StepLookUp
	// StepClaim: take a token of the rate limit, read the records of Lanes, call Claim, write the
	// records durably and call Claimed or Rejected. If Claim returns no records, call Next.
	StepClaim
	// StepPush: call MaySend right before sending; if it allows that, push the order to Target and
	// call Answered.
	StepPush
	// StepPut: write Records, durably if Durable is set, and call Stored or Rejected.
	StepPut
	// StepVerify: verify the push and call Verified.
	StepVerify
	// StepLanes: read the records of Lanes and call Lanes. It follows only after a restart or a
	// conflict; after StepClaim the lanes are known.
	StepLanes
)

// Step is what to do next.
type Step struct {
	Kind   StepKind
	At     time.Time       // of StepWait and StepReload
	Target commerce.Status // of StepPush
	Lanes  []string        // of StepClaim and StepLanes
	// BeforePush means that a StepRead precedes a push, so that it must not wait.
	BeforePush bool
	Records    []Record // of StepPut
	Durable    bool     // of StepPut
	Outcome    Outcome  // of StepEnd
	Why        string   // of StepEnd and StepWait
}

type stage int

const (
	stageEnd        stage = iota
	stageReload           // a claim of a run that may still live
	stageAdmit            // wait for a permission to push
	stageRead             // read before the claim
	stageClaim            // write the claim
	stagePush             // send
	stageLastRead         // read before the order ends after a refused push
	stageFirstRead        // unanswered: first read
	stageSecondRead       // unanswered: second read
	stageLookUp           // unanswered: ask Connect
	stageVerify           // accepted
)

// Machine is the state machine of one order in one run.
type Machine struct {
	planned Planned
	policy  *Policy
	owner   Owner

	stage stage
	at    time.Time // not before
	// put has the records to be written before anything else, and durable how.
	put     []Record
	durable bool

	rec      Order    // as stored, or as it will be with put
	version  uint64   // of the stored record
	lanes    []Record // nil while they are not known
	before   *Order   // the record that a release restores
	claiming bool     // put is a claim
	closing  *closing // what is to be recorded when the lanes are known

	target    commerce.Status
	tried     []commerce.Status // targets that the flow of the order lacks
	readBegan time.Time
	claimedAt time.Time
	sentAt    time.Time // when the push began
	releases  int       // and reads that were too old for a claim
	readFails int

	outcome Outcome
	why     string
	blocker string
}

// Record returns the record as it was last written or will be written by the next step, and its version.
func (m *Machine) Record() (Order, uint64) { return m.rec, m.version }

// Tried returns the targets that Commerce refused because the flow of the order lacks them.
func (m *Machine) Tried() []commerce.Status { return m.tried }

// Blocker returns the number of the order that has a lane of this one; "" unless that is why it is Blocked.
func (m *Machine) Blocker() string { return m.blocker }

// Postpone returns to StepAdmit instead of making a claim.
func (m *Machine) Postpone() { m.stage = stageAdmit }

// InFlight reports whether a push of the order was sent, or may have been, and its outcome is not known.
func (m *Machine) InFlight() bool { return m.rec.InFlight() }

// Next returns the next step. It changes nothing.
func (m *Machine) Next(now time.Time) Step {
	if len(m.put) > 0 {
		return Step{Kind: StepPut, Records: m.put, Durable: m.durable}
	}
	if m.closing != nil {
		return Step{Kind: StepLanes, Lanes: m.rec.Lanes}
	}
	if m.stage == stageEnd {
		return Step{Kind: StepEnd, Outcome: m.outcome, Why: m.why}
	}
	if m.stage == stageReload {
		return Step{Kind: StepReload, At: m.at}
	}
	if now.Before(m.at) {
		return Step{Kind: StepWait, At: m.at, Why: m.why}
	}
	switch m.stage {
	case stageAdmit:
		return Step{Kind: StepAdmit}
	case stageRead, stageLastRead, stageFirstRead, stageSecondRead:
		return Step{Kind: StepRead, BeforePush: m.stage == stageRead}
	case stageClaim:
		return Step{Kind: StepClaim, Lanes: m.planned.Lanes}
	case stagePush:
		return Step{Kind: StepPush, Target: m.target}
	case stageLookUp:
		return Step{Kind: StepLookUp}
	default:
		return Step{Kind: StepVerify}
	}
}

// end ends the order without another record.
func (m *Machine) end(o Outcome, format string, args ...any) {
	m.stage, m.outcome, m.why = stageEnd, o, fmt.Sprintf(format, args...)
}

// closing is an end that is recorded together with the lanes.
type closing struct {
	at time.Time
	// free says that the lanes are free. Otherwise they stay blocked.
	free bool
	// always says that the order is recorded even if it has no lane.
	always bool
}

// endWith ends the order and records that. The lanes are freed if the order ended well or is at rest, so that nothing
// more happens to it; otherwise they stay blocked.
func (m *Machine) endWith(o Outcome, free bool, now time.Time, format string, args ...any) {
	m.end(o, format, args...)
	m.closing = &closing{at: now, free: free, always: true}
	m.close()
}

// Lanes continues after StepLanes, with the records of the lanes as they are in the journal.
func (m *Machine) Lanes(lanes []Record) {
	m.setLanes(lanes)
	m.close()
}

func (m *Machine) setLanes(lanes []Record) {
	m.lanes = slices.Clone(lanes)
	if m.lanes == nil {
		m.lanes = []Record{}
	}
}

// close writes the end of the order, once the lanes are known.
func (m *Machine) close() {
	c := m.closing
	if c == nil || m.lanes == nil && len(m.rec.Lanes) > 0 {
		return
	}
	lanes := laneEnds(m.lanes, m.planned.ID, c.free, c.at)
	if len(lanes) == 0 && !c.always {
		m.closing = nil
		return
	}
	m.rec.Phase, m.rec.Outcome, m.rec.Why = Ended, m.outcome, m.why
	m.write(c.at, false)
	m.put = append(m.put, lanes...)
}

// laneEnds returns the records of the lanes that an order has, after its end.
func laneEnds(lanes []Record, order string, free bool, now time.Time) []Record {
	var ends []Record
	for _, r := range lanes {
		if r.Lane == nil || r.Lane.Order != order {
			continue
		}
		next := *r.Lane
		if next.Blocked = !free; free {
			next.Order, next.Number = "", ""
		}
		ends = append(ends, Record{Key: r.Key, Version: r.Version, At: now, Lane: &next})
	}
	return ends
}

// write schedules the record to be written.
func (m *Machine) write(now time.Time, durable bool) {
	m.rec.Run, m.rec.Epoch = m.owner.Run, m.owner.Epoch
	m.put = []Record{{Key: OrderKey(m.planned.ID), Version: m.version, At: now, Order: m.rec.clone()}}
	m.durable = durable
}

// Stored reports that the records of a StepPut were written with a sequence number.
func (m *Machine) Stored(seq uint64) {
	for _, r := range m.put {
		if r.Kind == KindOrder {
			m.version = seq
			continue
		}
		for i := range m.lanes {
			if m.lanes[i].Key == r.Key {
				m.lanes[i] = r
				m.lanes[i].Version = seq
			}
		}
	}
	m.put, m.claiming, m.closing = nil, false, nil
}

// Rejected reports that records were not written, because the current record of a key is another version than they
// replace. If it is the order's, another run has the order.
func (m *Machine) Rejected(current Record) {
	if m.claiming { // again with the lanes as they are now, and a new token
		m.rec, m.claiming, m.stage = *m.before, false, stageClaim
	}
	m.put, m.lanes = nil, nil
	if current.Kind != KindLane {
		m.claimedElsewhere(current)
	}
}

func (m *Machine) claimedElsewhere(current Record) {
	rec := current.Order
	m.closing = nil
	if rec == nil {
		m.end(ClaimedElsewhere, "its record in the journal was removed by another run")
		return
	}
	m.rec, m.version = *rec.clone(), current.Version
	if rec.Run == m.owner.Run && rec.Phase == Ended {
		m.end(rec.Outcome, "%s", rec.Why)
		return
	}
	m.end(ClaimedElsewhere, "claimed by run %s after the plan was made; it is %s there",
		text.Short(rec.Run), cmp.Or(string(rec.Outcome), string(rec.Phase)))
}
