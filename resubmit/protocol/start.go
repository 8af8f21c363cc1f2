package protocol

import "time"

// Start begins the resubmission of an order. record is the order's record in the journal, the zero Record if there is
// none. leaseEnd is when the lease of the run that wrote it is over, zero if that run has ended.
func Start(p Planned, policy *Policy, owner Owner, record Record, leaseEnd, now time.Time) *Machine {
	m := &Machine{planned: p, policy: policy, owner: owner}
	m.start(record, leaseEnd, now)
	return m
}

// Reload continues after StepReload.
func (m *Machine) Reload(record Record, leaseEnd, now time.Time) {
	m.at = time.Time{}
	m.start(record, leaseEnd, now)
}

func (m *Machine) start(record Record, leaseEnd, now time.Time) {
	rec := record.Order
	switch {
	case rec == nil && m.planned.Version == 0:
		m.fresh(now)
		return
	case rec == nil || record.Version < m.planned.Version:
		m.end(ClaimedElsewhere, "the journal lacks the record on which the plan is based; make a new plan")
		return
	}
	m.version = record.Version
	rec = m.notLater(rec, now)
	same := rec.Fingerprint == m.planned.Fingerprint
	own := rec.Run == m.owner.Run && same
	switch {
	case record.Version > m.planned.Version && !own:
		m.claimedElsewhere(record)
	case rec.Phase == Ended && record.Version > m.planned.Version:
		m.rec = *rec.clone()
		m.end(rec.Outcome, "%s", rec.Why)
	case rec.Phase == Claimed && !m.over(rec, leaseEnd, now):
	case !same:
		m.freshAfter(rec, leaseEnd, now)
	default:
		m.resume(rec, leaseEnd, now)
		if rec != record.Order && rec.InFlight() { // later the times would look right
			m.write(now, true)
		}
	}
}

// notLater returns a record without times in the future, which it has if the clock was set back. When the first push
// was sent is not known then.
func (m *Machine) notLater(rec *Order, now time.Time) *Order {
	latest := now.Add(m.policy.MaxClaimAge + m.policy.PushTimeout)
	if !rec.ClaimedAt.After(latest) && !rec.SentAt.After(latest) {
		return rec
	}
	rec = rec.clone()
	rec.FirstClaimAt = time.Time{}
	if rec.ClaimedAt.After(now) {
		rec.ClaimedAt = now
	}
	if rec.SentAt.After(latest) {
		rec.SentAt = latest
	}
	return rec
}

// over reports whether the run that made a claim is over. Otherwise the record is read again when its lease is over.
func (m *Machine) over(rec *Order, leaseEnd, now time.Time) bool {
	if rec.Run == m.owner.Run && rec.Epoch == m.owner.Epoch {
		m.end(ClaimedElsewhere, "this run has the order already")
		return false
	}
	if !leaseEnd.After(now) {
		return true
	}
	m.stage, m.at = stageReload, leaseEnd
	return false
}

// fresh starts with a failure that nobody has pushed.
func (m *Machine) fresh(now time.Time) {
	m.rec = Order{
		Number: m.planned.Number, Fingerprint: m.planned.Fingerprint, Template: m.planned.Template,
		Lanes: m.planned.Lanes, PlacedAt: m.planned.PlacedAt, Phase: Open,
	}
	m.stage, m.at = stageAdmit, now
}

// freshAfter starts with a failure that followed another one.
func (m *Machine) freshAfter(rec *Order, leaseEnd, now time.Time) {
	m.fresh(now)
	m.rec.Resubmissions, m.rec.Earlier = rec.Resubmissions, rec.earlier()
	if m.rec.SentAt = m.policy.pushEnd(rec, leaseEnd); !m.rec.SentAt.IsZero() {
		m.at, m.why = m.rec.SentAt.Add(m.policy.SettleDelay), "an earlier push must have settled"
	}
}

// resume continues with the failure of the record.
func (m *Machine) resume(rec *Order, leaseEnd, now time.Time) {
	m.rec = *rec.clone()
	m.at = now
	switch rec.Phase {
	case Open, Ended:
		m.rec.Phase, m.rec.Outcome = Open, ""
		m.rec.Template, m.rec.PlacedAt = m.planned.Template, m.planned.PlacedAt
		if rec.Phase == Ended { // resubmitted by a later plan
			m.rec.Attempts, m.rec.Forgiven, m.rec.Refused, m.rec.FirstClaimAt = 0, 0, false, time.Time{}
			m.rec.Earlier = rec.earlier()
		}
		m.stage = stageAdmit
	case Claimed:
		m.rec.SentAt = m.policy.pushEnd(rec, leaseEnd)
		m.rec.Phase, m.rec.Why = Unanswered, "a run ended between the claim and the result of the push"
		m.write(now, true)
		m.resolve()
	case Unanswered:
		m.resolve()
	case Pushed:
		m.stage = stageVerify
	}
}
