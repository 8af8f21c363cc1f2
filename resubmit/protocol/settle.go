package protocol

import "time"

// SettledAt returns from when a read of an order shows what became of its last push; the zero time if
// any read does. leaseEnd is as for [Start]: while the lease lives, the outcome is left to its run.
func (p *Policy) SettledAt(o *Order, leaseEnd time.Time) time.Time {
	if o == nil || o.Phase != Claimed && o.Phase != Unanswered {
		return leaseEnd
	}
	if at := p.pushEnd(o, leaseEnd).Add(p.SettleDelay); at.After(leaseEnd) {
		return at
	}
	return leaseEnd
}

// pushEnd returns when the last push of a record was over at the latest, if the run that wrote it is
// over; the zero time if none was sent. The push of a claim began before the claim was too old, and,
// by the clock of the journal, before the lease ended.
func (p *Policy) pushEnd(o *Order, leaseEnd time.Time) time.Time {
	switch {
	case o.Phase != Claimed:
		return o.SentAt
	case leaseEnd.IsZero():
		return o.ClaimedAt.Add(p.MaxClaimAge + p.PushTimeout)
	default:
		return leaseEnd.Add(p.PushTimeout)
	}
}

// Settle returns the records with which a planner ends an order that it has read as completed or cancelled, not before
// [Policy.SettledAt]. An operator ends one by hand with [Policy.Resolve].
// order and taken are the records in the journal, of the order and of its lanes, which are freed or stay blocked.
func Settle(order Record, taken []Record, o Outcome, why string, free bool, now time.Time) []Record {
	records := lanes(taken).ends(order.ID, free, now)
	if order.Order != nil {
		next := order.Order.clone()
		if next.Phase == Claimed { // when its push ended is not known
			next.SentAt = now
		}
		next.Phase, next.Outcome, next.Why = Ended, o, why
		records = append(records, Record{Key: order.Key, Version: order.Version, At: now, Order: next})
	}
	return records
}
