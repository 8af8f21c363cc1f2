package protocol

import "time"

// Start begins the resubmission of an order. record is the order's record in the journal, the zero Record if there is
// none. leaseEnd is when the lease of the run that wrote it is over, zero if that run has ended.
func Start(p Planned, policy *Policy, owner Owner, record Record, leaseEnd, now time.Time) *Machine {
	m := &Machine{planned: p, policy: policy, course: course{id: p.ID, owner: owner}}
	m.start(record, leaseEnd, now)
	return m
}

// Reload gives the machine the record that StepReload asked for.
func (m *Machine) Reload(record Record, leaseEnd, now time.Time) {
	m.course.at = time.Time{}
	m.start(record, leaseEnd, now)
}

func (m *Machine) start(record Record, leaseEnd, now time.Time) {
	c, rec := &m.course, record.Order
	switch {
	case rec == nil && m.planned.Version == 0:
		c.rec, c.stage, c.at = m.planned.open(), stageAdmit, now
		return
	case rec == nil || record.Version < m.planned.Version:
		c.end(ClaimedElsewhere, "the journal lacks the record on which the plan is based; make a new plan")
		return
	}
	c.version = record.Version
	rec = m.policy.notLater(rec, now)
	same := rec.Fingerprint == m.planned.Fingerprint
	own := rec.Run == c.owner.Run && same
	switch {
	case record.Version > m.planned.Version && !own:
		c.takenOver(record)
	case rec.Phase == Ended && record.Version > m.planned.Version:
		c.rec = *rec.clone()
		c.end(rec.Outcome, "%s", rec.Why)
	case rec.Phase == Claimed && c.owner == Owner{rec.Run, rec.Epoch}:
		c.end(ClaimedElsewhere, "this run has the order already")
	case rec.Phase == Claimed && leaseEnd.After(now): // its run may still push
		c.stage, c.at = stageReload, leaseEnd
	case !same:
		m.freshAfter(rec, leaseEnd, now)
	default:
		m.resume(rec, leaseEnd, now)
		if rec != record.Order && rec.InFlight() { // later the times would look right
			c.write(now, true)
		}
	}
}

// notLater returns a record without times in the future, which it has if the clock was set back. When the first push
// was sent is not known then.
func (p *Policy) notLater(rec *Order, now time.Time) *Order {
	latest := now.Add(p.MaxClaimAge + p.PushTimeout)
	if !rec.ClaimedAt.After(latest) && !rec.SentAt.After(latest) {
		return rec
	}
	rec = rec.clone()
	rec.forgetFirstClaim()
	if rec.ClaimedAt.After(now) {
		rec.ClaimedAt = now
	}
	if rec.SentAt.After(latest) {
		rec.SentAt = latest
	}
	return rec
}

// open returns the record of a failure that nobody has pushed.
func (p *Planned) open() Order {
	return Order{
		Number: p.Number, Fingerprint: p.Fingerprint, Template: p.Template, Lanes: p.Lanes, PlacedAt: p.PlacedAt, Phase: Open,
	}
}

// freshAfter starts with a failure that followed another one.
func (m *Machine) freshAfter(rec *Order, leaseEnd, now time.Time) {
	c := &m.course
	c.rec, c.stage, c.at = m.planned.open(), stageAdmit, now
	c.rec.Resubmissions, c.rec.Earlier = rec.Resubmissions, rec.earlier()
	if c.rec.SentAt = m.policy.pushEnd(rec, leaseEnd); !c.rec.SentAt.IsZero() {
		c.at, c.why = c.rec.SentAt.Add(m.policy.SettleDelay), "an earlier push must have settled"
	}
}

// resume continues with the failure of the record.
func (m *Machine) resume(rec *Order, leaseEnd, now time.Time) {
	c := &m.course
	c.rec = *rec.clone()
	c.at = now
	switch rec.Phase {
	case Open, Ended:
		c.rec.Phase, c.rec.Outcome = Open, ""
		c.rec.Template, c.rec.PlacedAt = m.planned.Template, m.planned.PlacedAt
		if rec.Phase == Ended { // resubmitted by a later plan
			c.rec.Attempts, c.rec.Forgiven, c.rec.Refused, c.rec.Settled = 0, 0, false, false
			c.rec.forgetFirstClaim()
			c.rec.Earlier = rec.earlier()
		}
		c.stage = stageAdmit
	case Claimed:
		c.rec.SentAt = m.policy.pushEnd(rec, leaseEnd)
		c.rec.Phase, c.rec.Why = Unanswered, "a run ended between the claim and the result of the push"
		c.write(now, true)
		m.resolve()
	case Unanswered:
		m.resolve()
	case Pushed:
		c.stage = stageVerify
	}
}
