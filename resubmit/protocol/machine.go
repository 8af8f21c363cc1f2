package protocol

import (
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
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
	// ProvableWithoutConnect means that the order can be proven unchanged without Connect: a purchase that
	// has no subscription yet (inferred, resubmit/SAFETY.md#f5), or an order without a request.
	ProvableWithoutConnect bool
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
	// records durably and call Stored or Rejected. If Claim returns no records, call Next.
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
	Blocker    string   // of StepEnd: the number of the order that has a lane of this one, if that is why it is Blocked
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
	planned   Planned
	policy    *Policy
	course    course
	attempt   attempt
	readFails int // in a row, of reads and look-ups about a push without an answer
}

// Record returns the record as it was last written or will be written by the next step, and its version.
func (m *Machine) Record() (Order, uint64) { return m.course.rec, m.course.version }

// RefusedTargets returns the targets that Commerce refused because the flow of the order lacks them.
func (m *Machine) RefusedTargets() []commerce.Status { return m.attempt.tried }

// Postpone goes back to StepAdmit without making a claim.
func (m *Machine) Postpone() { m.course.stage = stageAdmit }

// InFlight reports whether a push of the order was sent, or may have been, and its outcome is not known.
func (m *Machine) InFlight() bool { return m.course.rec.InFlight() }

// Next returns the next step. It changes nothing.
func (m *Machine) Next(now time.Time) Step {
	c := &m.course
	if len(c.put) > 0 {
		return Step{Kind: StepPut, Records: c.put, Durable: c.durable}
	}
	if c.closing != nil {
		return Step{Kind: StepLanes, Lanes: c.rec.Lanes}
	}
	if c.stage == stageEnd {
		return Step{Kind: StepEnd, Outcome: c.outcome, Why: c.why, Blocker: c.blocker}
	}
	if c.stage == stageReload {
		return Step{Kind: StepReload, At: c.at}
	}
	if now.Before(c.at) {
		return Step{Kind: StepWait, At: c.at, Why: c.why}
	}
	switch c.stage {
	case stageAdmit:
		return Step{Kind: StepAdmit}
	case stageRead, stageLastRead, stageFirstRead, stageSecondRead:
		return Step{Kind: StepRead, BeforePush: c.stage == stageRead}
	case stageClaim:
		return Step{Kind: StepClaim, Lanes: m.planned.Lanes}
	case stagePush:
		return Step{Kind: StepPush, Target: m.attempt.target}
	case stageLookUp:
		return Step{Kind: StepLookUp}
	default:
		return Step{Kind: StepVerify}
	}
}

// Lanes gives the machine the records of the lanes as they are in the journal: after StepLanes, and before StepAdmit if
// whoever runs the machine wants an order that another one blocks to end at once, without waiting for anything.
func (m *Machine) Lanes(records []Record) {
	c := &m.course
	switch {
	case c.closing != nil:
		c.lanes = knownLanes(records)
		c.close()
	case c.stage == stageAdmit && !c.rec.InFlight() && !c.rec.Refused:
		c.lanes = knownLanes(records)
		c.blockedBy(c.lanes.busy(c.id))
	}
}

// Stored tells the machine that the records of a claim or of a StepPut were written with a sequence number.
func (m *Machine) Stored(seq uint64) {
	m.course.stored(seq)
	m.attempt.claiming = false
}

// Rejected tells the machine that records were not written, because the current record of a key is another version than
// they replace. If it is the order's, another run has the order.
func (m *Machine) Rejected(current Record) {
	c := &m.course
	if m.attempt.claiming { // again with the lanes as they are now, and a new token
		c.rec, c.stage, m.attempt.claiming = *m.attempt.before, stageClaim, false
	}
	c.put, c.lanes = nil, nil
	if current.Kind != KindLane {
		c.takenOver(current)
	}
}

// GiveUp ends an order with Skipped or NotStarted, if it has not ended and is not in flight. If its last push was
// refused, it is read once more, because it may have been moved. What was written about an order in flight stays as it
// is; a later run continues.
func (m *Machine) GiveUp(o Outcome, why string) {
	c := &m.course
	if m.attempt.claiming { // whether the claim is in the journal is not known, but nothing was sent
		c.rec, c.put, m.attempt.claiming = *m.attempt.before, nil, false
	}
	c.closing = nil // its end is not recorded, so that a later run finds it out again
	switch {
	case c.stage == stageEnd:
	case c.stage == stageReload:
		c.end(Unknown, "another process may have pushed it: %s", why)
	case c.rec.Phase == Pushed:
		c.end(Progressing, "pushed; the verification was stopped: %s", why)
	case c.rec.InFlight():
		c.end(Unknown, "the push got no answer, and that was not resolved before the run ended: %s", why)
	case c.stage == stageLastRead:
		c.unread("the run ended before")
	case c.rec.Refused:
		c.stage, c.outcome, c.why, c.at = stageLastRead, o, why, time.Time{}
	default:
		c.leave(o, why)
	}
}
