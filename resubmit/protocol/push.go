package protocol

import (
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// attempt is the push of an order, from the choice of its target to its answer.
type attempt struct {
	target    commerce.Status
	readBegan time.Time // when the read before the claim began
	claimedAt time.Time
	before    *Order    // the record before the claim
	claiming  bool      // the claim is being written
	sentAt    time.Time // when the push began

	tried    []commerce.Status // targets that the flow of the order lacks
	releases int               // of claims whose push was not sent, and reads that were too old for a claim
}

// choose chooses the first target of a reading that was not tried, and reports whether there is one.
func (a *attempt) choose(r Reading) bool {
	for _, t := range r.Targets {
		if !slices.Contains(a.tried, t) {
			a.target, a.readBegan = t, r.Began
			return true
		}
	}
	return false
}

// spent counts a try that sent nothing, and reports whether there must be no further one.
func (a *attempt) spent() bool {
	a.releases++
	return a.releases >= maxReleases
}

// Admitted tells the machine that a push is allowed.
func (m *Machine) Admitted() { m.course.stage, m.course.at = stageRead, time.Time{} }

// Reading is what a read of the order shows.
type Reading struct {
	Began time.Time // when the call began
	// Err is why there is no reading; nil for a success. An order that does not exist any more, or
	// is another one than the plan's, is Gone.
	Err  error
	Gone bool
	// Outage means that Err concerns Commerce as a whole. It does not count against the order.
	Outage bool
	// Change says what differs from the plan; "" if the order is unchanged.
	Change string
	// AtRest means that nothing more happens to the order: it is completed or cancelled.
	AtRest bool
	Status commerce.Status
	// Targets are the transitions to try, the best first; NoTarget says why there is none.
	Targets  []commerce.Status
	NoTarget string
}

// Read tells the machine what a read of the order shows.
func (m *Machine) Read(r Reading, now time.Time) {
	c := &m.course
	if r.Err == nil {
		if r.Began.Before(c.at) {
			return // too early: it is read again
		}
		c.rec.Status = r.Status
	}
	switch c.stage {
	case stageFirstRead, stageSecondRead:
		m.resolveRead(r, now)
	case stageLastRead:
		m.lastRead(r, now)
	default:
		m.readBeforeClaim(r, now)
	}
}

func (m *Machine) readBeforeClaim(r Reading, now time.Time) {
	c := &m.course
	pushed := c.rec.Refused || c.rec.unanswered()
	switch {
	case r.Gone && pushed:
		c.end(Unknown, "the push to %s may have been accepted, and then: %v", c.rec.Target, r.Err)
	case r.Gone:
		c.skip(false, now, "%v", r.Err)
	case r.Err != nil:
		c.stage = stageAdmit // whoever runs the machine waits, or gives up
	case r.Change != "" && pushed:
		c.credit(r.Change, now)
	case r.Change != "":
		c.skip(r.AtRest, now, "moved since the plan was made: %s", r.Change)
	case m.attempt.choose(r):
		c.stage = stageClaim
	case len(m.attempt.tried) > 0: // all were refused
		c.endWith(c.rec.notPushed(), r.AtRest, now, "%s", r.NoTarget)
	default:
		c.skip(false, now, "%s", r.NoTarget)
	}
}

// Claim returns the records that claim the order and its lanes, given the records of the lanes in the journal. It
// returns none if the order cannot be claimed; Next says what to do then. inConnect is what the clock of Connect shows;
// zero if that is not known.
func (m *Machine) Claim(records []Record, now, inConnect time.Time) []Record {
	c, a := &m.course, &m.attempt
	c.lanes = knownLanes(records)
	most, spacing := m.policy.attempts(m.planned.Type, m.planned.Request)
	next := c.rec.nextPush(spacing)
	switch {
	case age(now, a.readBegan) > MaxReadAge:
		c.stage = stageRead
		if a.spent() {
			c.end(NotStarted, "given up after %d tries to claim it within %v of the read before: the journal or the clients "+
				"are too slow", a.releases, MaxReadAge)
		}
		return nil
	case c.rec.Attempts >= most:
		c.endWith(NotMoved, false, now, "%d pushes are all that the policy allows", most)
		return nil
	case c.rec.Resubmissions >= m.policy.MaxResubmissions && !m.planned.Named:
		c.skip(false, now, "it was resubmitted %d times, and only the operator may resubmit it again", c.rec.Resubmissions)
		return nil
	case now.Before(next):
		c.stage, c.at, c.why = stageAdmit, next, "the next push of the order must wait"
		return nil
	}
	if c.blockedBy(c.lanes.busy(c.id)) || !m.planned.Named && c.blockedBy(c.lanes.overtaken(&m.planned)) {
		return nil
	}
	before := c.rec
	a.before, a.claiming, a.claimedAt = &before, true, now
	c.rec.claim(&m.planned, a.target, now, inConnect)
	c.write(now, true)
	c.put = append(c.put, c.lanes.taken(&m.planned, now)...)
	c.stage = stagePush
	return c.put
}

// Check is the state of the gate and of the lease right before a push is sent.
type Check struct {
	// Closed is why the gate is closed; "" if it is open.
	Closed string
	// Lease is whether the lease of the run is still valid.
	Lease bool
}

// MaySend reports whether the push may be sent now. Otherwise the claim is released.
func (m *Machine) MaySend(c Check, now time.Time) bool {
	var why string
	switch {
	case m.course.stage != stagePush || m.attempt.claiming:
		return false // there is no claim
	case !c.Lease:
		why = "the lease of the run is over"
	case c.Closed != "":
		why = c.Closed
	default:
		if why = m.Late(now); why == "" {
			m.attempt.sentAt = now
			return true
		}
	}
	m.release(now, "held back right before the push: "+why)
	return false
}

// Late returns why it is too late to send the push of a claim; "" if it is not.
func (m *Machine) Late(now time.Time) string {
	switch {
	case age(now, m.attempt.claimedAt) > m.policy.MaxClaimAge:
		return "the claim is too old"
	case age(now, m.attempt.readBegan) > MaxReadAge:
		return "the order was read too long ago"
	default:
		return ""
	}
}

// age returns how long ago t was, by the monotonic or the wall clock, whichever is longer: the monotonic one may stop
// while the machine is suspended.
func age(now, t time.Time) time.Duration {
	return max(now.Sub(t), now.Round(0).Sub(t.Round(0)))
}

// release takes a claim back before anything was sent, but not for ever.
func (m *Machine) release(now time.Time, why string) {
	c, a := &m.course, &m.attempt
	c.restore(a.before, now, why)
	if a.spent() {
		c.end(NotStarted, "given up after %d claims whose push was not sent; the last one: %s", a.releases, why)
	}
}

// AnswerKind is what became of a push.
type AnswerKind int

// The answers.
const (
	// Accepted: Commerce accepted the push.
	Accepted AnswerKind = iota
	// NotSent: nothing was sent.
	NotSent
	// Refused: Commerce refused the push, for good.
	Refused
	// RefusedForNow: Commerce refused the push, but may accept it later: 429, or refused credentials.
	RefusedForNow
	// NotOffered: Commerce refused the push because the flow of the order lacks the target.
	NotOffered
	// ByGateway: a gateway answered, which proves nothing.
	ByGateway
	// NoAnswer: there was no answer.
	NoAnswer
)

// Answer is what became of a push.
type Answer struct {
	Kind AnswerKind
	Why  string
}

// Answered tells the machine what became of the push.
func (m *Machine) Answered(a Answer, now time.Time) {
	c := &m.course
	switch a.Kind {
	case Accepted:
		c.accept(now, "Commerce accepted the push to "+string(m.attempt.target))
	case NotSent:
		m.release(now, a.Why)
	case Refused, RefusedForNow, NotOffered:
		m.refused(a, now)
	case ByGateway, NoAnswer:
		c.rec.Phase, c.rec.Why = Unanswered, a.Why
		c.rec.Gateway = a.Kind == ByGateway
		// Neither a gateway nor a broken connection ends a push: its deadline does.
		if c.rec.SentAt = m.attempt.sentAt.Add(m.policy.PushTimeout); now.After(c.rec.SentAt) {
			c.rec.SentAt = now
		}
		c.write(now, true)
		m.resolve()
	}
}

// refused handles a push that Commerce itself refused. It does not count as an attempt. The order is read before it is
// pushed again or ends, because a server can act on a push and still refuse it.
func (m *Machine) refused(a Answer, now time.Time) {
	c, push := &m.course, &m.attempt
	first, inConnect := c.rec.FirstClaimAt, c.rec.FirstClaimInConnect
	c.restore(push.before, now, a.Why)
	c.rec.Refused, c.rec.SentAt, c.rec.Target, c.rec.ClaimedAt = true, now, push.target, push.claimedAt
	c.rec.FirstClaimAt, c.rec.FirstClaimInConnect = first, inConnect
	c.write(now, false)
	switch a.Kind {
	case NotOffered:
		push.tried = append(push.tried, push.target)
	case Refused:
		c.stage, c.why = stageLastRead, a.Why
	default:
	}
}

// lastRead ends an order after a refused push, unless it was moved.
func (m *Machine) lastRead(r Reading, now time.Time) {
	c := &m.course
	why, o := c.why, c.outcome
	switch {
	case r.Err != nil:
		c.unread("the order could not be read: " + r.Err.Error())
	case r.Change != "":
		c.credit(r.Change, now)
	case o != "": // given up
		c.leave(o, why)
	default:
		c.endWith(c.rec.notPushed(), r.AtRest, now, "%s", why)
	}
}
