package protocol

import (
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// resolve begins to find out what became of a push without an answer: by reads only, the first a settle delay after
// the end of the push.
func (m *Machine) resolve() {
	c := &m.course
	c.stage, m.readFails = stageFirstRead, 0
	c.at = c.rec.SentAt.Add(m.policy.SettleDelay)
	c.why = "the push got no answer; it is read when it has settled"
}

// resolveRead decides by a reading of an order whose push got no answer.
func (m *Machine) resolveRead(r Reading, now time.Time) {
	c := &m.course
	switch {
	case r.Err != nil:
		if !r.Outage {
			m.readFails++
		}
		if m.readFails >= maxReadErrors {
			c.unknown("the order could not be read: %v", r.Err)
			return
		}
		c.at = now.Add(min(m.policy.SettleDelay, time.Minute))
	case r.Change != "":
		c.accept(now, "its state shows that it was moved, by the push or by somebody else: "+r.Change)
	case !m.planned.Provable:
		c.unknown("the client does not report why orders fail and which transitions they offer")
	case !slices.Contains(r.Targets, c.rec.Target):
		c.unknown("the order does not offer the transition to %s any more", c.rec.Target)
	case c.stage == stageFirstRead:
		c.stage, m.readFails = stageSecondRead, 0
		c.at = now.Add(m.policy.SettleDelay)
	case m.planned.ProvableWithoutConnect && !m.planned.Connect:
		m.unchanged(now)
	case !m.planned.Connect:
		c.unknown("Connect cannot be asked about the order")
	case c.rec.FirstClaimAt.IsZero():
		c.unknown("when it was pushed first is not known, because the clock was set back since")
	default:
		c.stage, c.at, m.readFails = stageLookUp, now, 0
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

// LookedUp tells the machine what Connect says.
func (m *Machine) LookedUp(l LookUp, now time.Time) {
	c := &m.course
	switch {
	case l.Err != nil && m.readFails+1 < maxReadErrors:
		m.readFails++
		c.at = now.Add(min(m.policy.SettleDelay, time.Minute))
	case l.Err != nil:
		c.unknown("Connect could not be asked: %v", l.Err)
	case l.Request != "":
		c.accept(now, "in Connect "+l.Request+" was made since the push, so it was accepted")
	case l.Down != "":
		c.unknown("Connect was not up all the time since the push: %s", l.Down)
	case l.Forbidden != "":
		c.unknown("%s", l.Forbidden)
	default:
		m.unchanged(now)
	}
}

// unchanged continues with an order that is proven unchanged: with another attempt if there is one left.
func (m *Machine) unchanged(now time.Time) {
	c := &m.course
	if c.rec.Gateway && c.rec.Forgiven < maxForgiven {
		c.rec.Forgiven++
		c.rec.Attempts--
	}
	most, spacing := m.policy.attempts(m.planned.Type, m.planned.Request)
	// That the operator named the order counts for that plan only.
	over := (c.rec.Resubmissions >= m.policy.MaxResubmissions || c.rec.Named) && !m.planned.Named
	if c.rec.Attempts >= most || over {
		c.endWith(NotMoved, false, now, "pushed %d times without an answer, and proven unchanged",
			c.rec.Attempts+c.rec.Forgiven)
		return
	}
	c.rec.Phase, c.rec.Why = Open, "the push changed nothing, so another attempt is allowed"
	c.write(now, true)
	c.stage, c.at = stageAdmit, c.rec.SentAt.Add(spacing)
	c.why = "the next push of the order must wait"
}

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

// Verified tells the machine the result of verifying a push.
func (m *Machine) Verified(v Verification, now time.Time) {
	c := &m.course
	first := c.rec.DoneAt.IsZero() && !v.DoneAt.IsZero()
	if first {
		c.rec.DoneAt = v.DoneAt
	}
	if v.Outcome == Progressing {
		c.end(Progressing, "%s", v.Why)
		if first {
			c.write(now, false)
		}
		return
	}
	c.rec.After, c.rec.Status = v.Template, v.Status
	c.endWith(v.Outcome, v.Outcome == Completed || v.AtRest, now, "%s", v.Why)
}
