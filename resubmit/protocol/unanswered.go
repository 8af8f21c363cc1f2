package protocol

import (
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// resolve begins to find out what became of a push without an answer: by reads only, the first a settle delay after
// the end of the push.
func (m *Machine) resolve() {
	m.stage, m.readFails = stageFirstRead, 0
	m.at = m.rec.SentAt.Add(m.policy.SettleDelay)
	m.why = "the push got no answer; it is read when it has settled"
}

// resolveRead decides by a reading of an order whose push got no answer.
func (m *Machine) resolveRead(r Reading, now time.Time) {
	switch {
	case r.Err != nil:
		if !r.Outage {
			m.readFails++
		}
		if m.readFails >= maxReadErrors {
			m.unknown("the order could not be read: %v", r.Err)
			return
		}
		m.at = now.Add(min(m.policy.SettleDelay, time.Minute))
	case r.Change != "":
		m.accept(now, "its state shows that it was moved, by the push or by somebody else: "+r.Change)
	case !m.planned.Provable:
		m.unknown("the client does not report why orders fail and which transitions they offer")
	case !slices.Contains(r.Targets, m.rec.Target):
		m.unknown("the order does not offer the transition to %s any more", m.rec.Target)
	case m.stage == stageFirstRead:
		m.stage, m.readFails = stageSecondRead, 0
		m.at = now.Add(m.policy.SettleDelay)
	case m.planned.NoConnect && !m.planned.Connect:
		m.unchanged(now)
	case !m.planned.Connect:
		m.unknown("Connect cannot be asked about the order")
	case m.rec.FirstClaimAt.IsZero():
		m.unknown("when it was pushed first is not known, because the clock was set back since")
	default:
		m.stage, m.at, m.readFails = stageLookUp, now, 0
	}
}

// LookUp is what Connect says about an order whose push got no answer.
type LookUp struct {
	Err error // why it says nothing
	// Down means that Connect was seen down since the push, or that maintenance was announced.
	Down string
	// Request is a request that was made since the first push; "" if there is none.
	Request string
	// Forbidden is why a request in Connect forbids another push; "" if none does.
	Forbidden string
}

// LookedUp reports what Connect says.
func (m *Machine) LookedUp(l LookUp, now time.Time) {
	switch {
	case l.Err != nil && m.readFails+1 < maxReadErrors:
		m.readFails++
		m.at = now.Add(min(m.policy.SettleDelay, time.Minute))
	case l.Err != nil:
		m.unknown("Connect could not be asked: %v", l.Err)
	case l.Request != "":
		m.accept(now, "in Connect "+l.Request+" was made since the push, so it was accepted")
	case l.Down != "":
		m.unknown("Connect was not up all the time since the push: %s", l.Down)
	case l.Forbidden != "":
		m.unknown("%s", l.Forbidden)
	default:
		m.unchanged(now)
	}
}

// unknown ends an order whose push got no answer because a proof is missing.
func (m *Machine) unknown(format string, args ...any) {
	m.end(Unknown, "the push got no answer, and the order looks unchanged, but "+format, args...)
}

// unchanged continues with an order that is proven unchanged: with another attempt if there is one left.
func (m *Machine) unchanged(now time.Time) {
	if m.rec.Gateway && m.rec.Forgiven < maxForgiven {
		m.rec.Forgiven++
		m.rec.Attempts--
	}
	most, spacing := m.policy.attempts(m.planned.Type, m.planned.Request)
	// That the operator named the order counts for that plan only.
	over := (m.rec.Resubmissions >= m.policy.MaxResubmissions || m.rec.Named) && !m.planned.Named
	if m.rec.Attempts >= most || over {
		m.endWith(NotMoved, false, now, "pushed %d times without an answer, and proven unchanged",
			m.rec.Attempts+m.rec.Forgiven)
		return
	}
	m.rec.Phase, m.rec.Why = Open, "the push changed nothing, so another attempt is allowed"
	m.write(now, true)
	m.stage, m.at = stageAdmit, m.rec.SentAt.Add(spacing)
	m.why = "the next push of the order must wait"
}

// Stop ends an order because the run ends.
func (m *Machine) Stop(why string) { m.GiveUp(NotStarted, why) }

// Verification is the result of verifying a push.
type Verification struct {
	Outcome Outcome // Completed, Progressing, FailedAgain or FalseSuccess
	Status  commerce.Status
	// AtRest means that nothing more happens to the order, so that its lanes are free.
	AtRest bool
	// DoneAt is when the order was first read as done in Commerce; zero if it was not.
	DoneAt time.Time
	// Template is that of the new failure.
	Template string
	Why      string
}

// Verified reports the result of verifying a push.
func (m *Machine) Verified(v Verification, now time.Time) {
	first := m.rec.DoneAt.IsZero() && !v.DoneAt.IsZero()
	if first {
		m.rec.DoneAt = v.DoneAt
	}
	if v.Outcome == Progressing {
		m.end(Progressing, "%s", v.Why)
		if first {
			m.write(now, false)
		}
		return
	}
	m.rec.After, m.rec.Status = v.Template, v.Status
	m.endWith(v.Outcome, v.Outcome == Completed || v.AtRest, now, "%s", v.Why)
}
