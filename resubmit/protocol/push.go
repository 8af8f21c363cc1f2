package protocol

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// Admitted reports that a push is allowed.
func (m *Machine) Admitted() { m.stage, m.at = stageRead, time.Time{} }

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

// Read reports a reading of the order.
func (m *Machine) Read(r Reading, now time.Time) {
	if r.Err == nil {
		if r.Began.Before(m.at) {
			return // too early: it is read again
		}
		m.rec.Status = r.Status
	}
	switch m.stage {
	case stageFirstRead, stageSecondRead:
		m.resolveRead(r, now)
	case stageLastRead:
		m.lastRead(r, now)
	default:
		m.readBeforeClaim(r, now)
	}
}

func (m *Machine) readBeforeClaim(r Reading, now time.Time) {
	switch {
	case r.Gone && (m.rec.Refused || m.unanswered()):
		m.end(Unknown, "the push to %s may have been accepted, and then: %v", m.rec.Target, r.Err)
	case r.Gone:
		m.skip(false, now, "%v", r.Err)
	case r.Err != nil:
		m.stage = stageAdmit // whoever runs the machine waits, or gives up
	case r.Change != "" && (m.rec.Refused || m.unanswered()):
		m.credit(r, now)
	case r.Change != "":
		m.skip(r.AtRest, now, "moved since the plan was made: %s", r.Change)
	default:
		m.chooseTarget(r, now)
	}
}

func (m *Machine) chooseTarget(r Reading, now time.Time) {
	for _, t := range r.Targets {
		if !slices.Contains(m.tried, t) {
			m.target, m.readBegan, m.stage = t, r.Began, stageClaim
			return
		}
	}
	if len(m.tried) > 0 { // all were refused
		m.endWith(m.notPushed(Skipped), r.AtRest, now, "%s", r.NoTarget)
		return
	}
	m.skip(false, now, "%s", r.NoTarget)
}

// skip ends an order without a push. If it is at rest, the lanes that it has from an earlier claim are freed.
func (m *Machine) skip(atRest bool, now time.Time, format string, args ...any) {
	m.end(m.notPushed(Skipped), format, args...)
	if m.version > 0 && atRest {
		m.closing = &closing{at: now, free: true}
		m.close()
	}
}

// unanswered reports whether an earlier push of this failure got no answer. The order was proven unchanged since.
func (m *Machine) unanswered() bool { return m.rec.Attempts+m.rec.Forgiven > 0 }

// notPushed returns the outcome of an order that is not pushed, or not pushed again.
func (m *Machine) notPushed(o Outcome) Outcome {
	if m.unanswered() {
		return NotMoved
	}
	return o
}

// credit treats an earlier push as accepted, because the order was moved, by the push or by somebody else.
func (m *Machine) credit(r Reading, now time.Time) {
	what := "got no answer"
	if m.rec.Refused {
		what = "was refused"
		m.rec.Attempts++
		m.rec.Resubmissions++
	}
	m.accept(now, fmt.Sprintf("the push to %s %s, but the order was moved, by the push or by somebody else: %s",
		m.rec.Target, what, r.Change))
}

func (m *Machine) accept(now time.Time, why string) {
	m.rec.Phase, m.rec.Why, m.rec.Refused = Pushed, why, false
	m.write(now, false)
	m.stage, m.at = stageVerify, now
}

// Claim returns the records that claim the order and its lanes, given the records of the lanes in the journal. It
// returns none if the order cannot be claimed; Next says what to do then.
func (m *Machine) Claim(lanes []Record, now time.Time) []Record {
	m.setLanes(lanes)
	most, spacing := m.policy.attempts(m.planned.Type, m.planned.Request)
	next := m.nextPush(spacing)
	switch {
	case age(now, m.readBegan) > MaxReadAge:
		m.readAgain()
		return nil
	case m.rec.Attempts >= most:
		m.endWith(NotMoved, false, now, "%d pushes are all that the policy allows", most)
		return nil
	case m.rec.Resubmissions >= m.policy.MaxResubmissions && !m.planned.Named:
		m.skip(false, now, "it was resubmitted %d times, and only the operator may resubmit it again", m.rec.Resubmissions)
		return nil
	case now.Before(next):
		m.stage, m.at, m.why = stageAdmit, next, "the next push of the order must wait"
		return nil
	}
	if m.busy() || m.overtaken() {
		return nil
	}
	before := m.rec
	m.before, m.claiming = &before, true
	m.rec.Phase, m.rec.Outcome, m.rec.Lanes = Claimed, "", m.planned.Lanes
	m.rec.Attempts++
	m.rec.Resubmissions++
	m.rec.Named = m.planned.Named
	m.rec.Target, m.rec.ClaimedAt, m.rec.Why = m.target, now, "about to be pushed"
	m.rec.Refused, m.rec.Gateway, m.rec.SentAt = false, false, time.Time{}
	if m.rec.FirstClaimAt.IsZero() {
		m.rec.FirstClaimAt = now
	}
	m.claimedAt = now
	m.write(now, true)
	for _, l := range m.lanes {
		m.put = append(m.put, Record{Key: l.Key, Version: l.Version, At: now, Lane: m.taken(l.Lane)})
	}
	m.stage = stagePush
	return m.put
}

// readAgain returns to the read before the claim, which took too long, but not for ever.
func (m *Machine) readAgain() {
	m.stage = stageRead
	if m.releases++; m.releases >= maxReleases {
		m.end(NotStarted, "given up after %d tries to claim it within %v of the read before: the journal or the clients "+
			"are too slow", m.releases, MaxReadAge)
	}
}

// nextPush returns when the order may be pushed again: not before the spacing after a push that may have been sent.
func (m *Machine) nextPush(spacing time.Duration) time.Time {
	if m.rec.SentAt.IsZero() || m.rec.Refused && m.rec.Attempts+m.rec.Forgiven == 0 {
		return time.Time{}
	}
	return m.rec.SentAt.Add(spacing)
}

// taken returns a lane that this order has.
func (m *Machine) taken(l *Lane) *Lane {
	next := Lane{Order: m.planned.ID, Number: m.planned.Number, Newest: m.planned.ID, NewestAt: m.planned.PlacedAt}
	if l != nil && l.NewestAt.After(next.NewestAt) {
		next.Newest, next.NewestAt = l.Newest, l.NewestAt
	}
	return &next
}

// busy ends the order if another one has a lane.
func (m *Machine) busy() bool {
	for _, r := range m.lanes {
		l := r.Lane
		if l == nil || l.Order == m.planned.ID || l.Order == "" {
			continue
		}
		what := "has not ended yet"
		if l.Blocked {
			what = "did not end well"
		}
		m.blocker = cmp.Or(l.Number, l.Order)
		m.end(Blocked, "blocked by %s, another order of the same %s, which %s", m.blocker, r.ID, what)
		return true
	}
	return false
}

// overtaken ends the order if a newer one had a lane, unless the operator named the order.
func (m *Machine) overtaken() bool {
	for _, r := range m.lanes {
		l := r.Lane
		if l != nil && l.Order != m.planned.ID && l.Overtook(m.planned.ID, m.planned.PlacedAt) && !m.planned.Named {
			m.blocker = l.Newest
			m.end(Blocked, "a newer order of the same %s was pushed before: %s", r.ID, l.Newest)
			return true
		}
	}
	return false
}

// Claimed reports that the records of the claim were written with a sequence number.
func (m *Machine) Claimed(seq uint64) {
	m.Stored(seq)
	m.stage = stagePush
}

// Check is what is known right before a push is sent.
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
	case m.stage != stagePush || m.claiming:
		return false // there is no claim
	case !c.Lease:
		why = "the lease of the run is over"
	case c.Closed != "":
		why = c.Closed
	default:
		if why = m.Late(now); why == "" {
			m.sentAt = now
			return true
		}
	}
	m.release(now, "held back right before the push: "+why)
	return false
}

// Late returns why it is too late to send the push of a claim; "" if it is not.
func (m *Machine) Late(now time.Time) string {
	switch {
	case age(now, m.claimedAt) > m.policy.MaxClaimAge:
		return "the claim is too old"
	case age(now, m.readBegan) > MaxReadAge:
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

// release takes a claim back before anything was sent: the record is as before, with a new version. The order keeps
// its lanes.
func (m *Machine) release(now time.Time, why string) {
	m.restore(now, why)
	if m.releases++; m.releases >= maxReleases {
		m.end(NotStarted, "given up after %d claims whose push was not sent; the last one: %s", m.releases, why)
	}
}

func (m *Machine) restore(now time.Time, why string) {
	m.rec = *m.before
	m.rec.Why = why
	m.write(now, false)
	m.stage, m.at = stageAdmit, now
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

// Answered reports what became of the push.
func (m *Machine) Answered(a Answer, now time.Time) {
	switch a.Kind {
	case Accepted:
		m.rec.SentAt = now
		m.accept(now, "Commerce accepted the push to "+string(m.target))
	case NotSent:
		m.release(now, a.Why)
	case Refused, RefusedForNow, NotOffered:
		m.refused(a, now)
	case ByGateway, NoAnswer:
		m.rec.Phase, m.rec.Why = Unanswered, a.Why
		m.rec.Gateway = a.Kind == ByGateway
		// Neither a gateway nor a broken connection ends a push: its deadline does.
		if m.rec.SentAt = m.sentAt.Add(m.policy.PushTimeout); now.After(m.rec.SentAt) {
			m.rec.SentAt = now
		}
		m.write(now, true)
		m.resolve()
	}
}

// refused handles a push that Commerce itself refused. It does not count as an attempt. The order is read before it is
// pushed again or ends, because a server can act on a push and still refuse it.
func (m *Machine) refused(a Answer, now time.Time) {
	m.restore(now, a.Why)
	m.rec.Refused, m.rec.SentAt, m.rec.Target, m.rec.ClaimedAt = true, now, m.target, m.claimedAt
	if m.rec.FirstClaimAt.IsZero() {
		m.rec.FirstClaimAt = m.claimedAt
	}
	m.write(now, false)
	switch a.Kind {
	case NotOffered:
		m.tried = append(m.tried, m.target)
	case Refused:
		m.stage, m.why = stageLastRead, a.Why
	default:
	}
}

// GiveUp ends an order with Skipped or NotStarted, if it has not ended and is not in flight. If its last push was
// refused, it is read once more, because it may have been moved. What was written about an order in flight stays as it
// is; a later run continues.
func (m *Machine) GiveUp(o Outcome, why string) {
	if m.claiming { // whether the claim is in the journal is not known, but nothing was sent
		m.rec, m.put, m.claiming = *m.before, nil, false
	}
	m.closing = nil // its end is not recorded, so that a later run finds it out again
	switch {
	case m.stage == stageEnd:
	case m.stage == stageReload:
		m.end(Unknown, "another process may have pushed it: %s", why)
	case m.rec.Phase == Pushed:
		m.end(Progressing, "pushed; the verification was stopped: %s", why)
	case m.rec.InFlight():
		m.end(Unknown, "the push got no answer, and that was not resolved before the run ended: %s", why)
	case m.stage == stageLastRead:
		m.unread("the run ended before")
	case m.rec.Refused:
		m.stage, m.outcome, m.why, m.at = stageLastRead, o, why, time.Time{}
	default:
		m.leave(o, why)
	}
}

// leave ends an order, which a later run may push, without a record.
func (m *Machine) leave(o Outcome, why string) {
	switch {
	case m.unanswered():
		m.end(NotMoved, "pushed without an answer, and proven unchanged; %s", why)
	case o == NotStarted:
		m.end(o, "not started: %s", why)
	default:
		m.end(o, "%s", why)
	}
}

// unread ends an order whose last push was refused and that could not be read since.
func (m *Machine) unread(why string) {
	m.end(Unknown, "%s; the last push was refused, and whether it moved the order is not known: %s; apply the plan again",
		m.why, why)
}

// lastRead ends an order after a refused push, unless it was moved.
func (m *Machine) lastRead(r Reading, now time.Time) {
	why, o := m.why, m.outcome
	switch {
	case r.Err != nil:
		m.unread("the order could not be read: " + r.Err.Error())
	case r.Change != "":
		m.credit(r, now)
	case o != "": // given up
		m.leave(o, why)
	default:
		m.endWith(m.notPushed(Skipped), r.AtRest, now, "%s", why)
	}
}

// SeeLanes ends an order that is not in flight if another order has one of its lanes. Whoever runs the machine calls it
// before StepAdmit, so that a blocked order waits for nothing.
func (m *Machine) SeeLanes(lanes []Record) {
	if m.stage != stageAdmit || m.InFlight() || m.rec.Refused {
		return
	}
	m.setLanes(lanes)
	m.busy()
}
