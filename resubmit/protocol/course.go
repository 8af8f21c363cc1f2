package protocol

import (
	"cmp"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// course is how far an order has come: its record, what is to be written and done next, and how it ended.
type course struct {
	id    string
	owner Owner

	rec     Order  // as stored, or as it will be with put
	version uint64 // of the stored record
	lanes   lanes
	// put has the records to be written before anything else, and durable how.
	put     []Record
	durable bool
	closing *closing // what is to be recorded when the lanes are known

	stage   stage
	at      time.Time // not before
	outcome Outcome
	why     string // of the outcome, or of the wait
	blocker string
}

// closing is an end that is recorded together with the lanes.
type closing struct {
	at time.Time
	// free says that the lanes are free. Otherwise they stay blocked.
	free bool
	// always says that the order is recorded even if it has no lane.
	always bool
}

// write schedules the record to be written.
func (c *course) write(now time.Time, durable bool) {
	c.rec.Run, c.rec.Epoch = c.owner.Run, c.owner.Epoch
	c.put = []Record{{Key: OrderKey(c.id), Version: c.version, At: now, Order: c.rec.clone()}}
	c.durable = durable
}

// stored notes that the records to be written were, with a sequence number.
func (c *course) stored(seq uint64) {
	for _, r := range c.put {
		if r.Kind == KindOrder {
			c.version = seq
		} else {
			c.lanes.stored(r, seq)
		}
	}
	c.put, c.closing = nil, nil
}

// end ends the order without another record.
func (c *course) end(o Outcome, format string, args ...any) {
	c.stage, c.outcome, c.why = stageEnd, o, fmt.Sprintf(format, args...)
}

// endWith ends the order and records that. The lanes are freed if the order ended well or is at rest, so that nothing
// more happens to it; otherwise they stay blocked.
func (c *course) endWith(o Outcome, free bool, now time.Time, format string, args ...any) {
	c.end(o, format, args...)
	c.closing = &closing{at: now, free: free, always: true}
	c.close()
}

// skip ends the order without a push. If it is at rest, the lanes that it has from an earlier claim are freed.
func (c *course) skip(atRest bool, now time.Time, format string, args ...any) {
	c.end(c.rec.notPushed(), format, args...)
	if c.version > 0 && atRest {
		c.closing = &closing{at: now, free: true}
		c.close()
	}
}

// close writes the end of the order, once the lanes are known.
func (c *course) close() {
	end := c.closing
	if end == nil || c.lanes == nil && len(c.rec.Lanes) > 0 {
		return
	}
	ends := c.lanes.ends(c.id, end.free, end.at)
	if len(ends) == 0 && !end.always {
		c.closing = nil
		return
	}
	c.rec.Phase, c.rec.Outcome, c.rec.Why = Ended, c.outcome, c.why
	c.write(end.at, false)
	c.put = append(c.put, ends...)
}

// leave ends an order, which a later run may push, without a record.
func (c *course) leave(o Outcome, why string) {
	switch {
	case c.rec.unanswered():
		c.end(NotMoved, "pushed without an answer, and proven unchanged; %s", why)
	case o == NotStarted:
		c.end(o, "not started: %s", why)
	default:
		c.end(o, "%s", why)
	}
}

// unread ends an order whose last push was refused and that could not be read since.
func (c *course) unread(why string) {
	c.end(Unknown, "%s; the last push was refused, and whether it moved the order is not known: %s; apply the plan again",
		c.why, why)
}

// unknown ends an order whose push got no answer because a proof is missing.
func (c *course) unknown(format string, args ...any) {
	c.end(Unknown, "the push got no answer, and the order looks unchanged, but "+format, args...)
}

// blockedBy ends the order if it is blocked by another one, with the reason.
func (c *course) blockedBy(other, why string) bool {
	if other == "" {
		return false
	}
	c.blocker = other
	c.end(Blocked, "%s", why)
	return true
}

// takenOver ends the order, because another run has written its record.
func (c *course) takenOver(current Record) {
	rec := current.Order
	c.closing = nil
	if rec == nil {
		c.end(ClaimedElsewhere, "its record in the journal was removed by another run")
		return
	}
	c.rec, c.version = *rec.clone(), current.Version
	if rec.Run == c.owner.Run && rec.Phase == Ended {
		c.end(rec.Outcome, "%s", rec.Why)
		return
	}
	c.end(ClaimedElsewhere, "claimed by run %s after the plan was made; it is %s there",
		text.Short(rec.Run), cmp.Or(string(rec.Outcome), string(rec.Phase)))
}

// restore takes a claim back: the record is as before, with a new version. The order keeps its lanes.
func (c *course) restore(before *Order, now time.Time, why string) {
	c.rec = *before
	c.rec.Why = why
	c.write(now, false)
	c.stage, c.at = stageAdmit, now
}

// accept continues with the verification of a push. Without an answer, it may have taken effect until now.
func (c *course) accept(now time.Time, why string) {
	if !c.rec.Refused {
		c.rec.SentAt = now
	}
	c.rec.Phase, c.rec.Why, c.rec.Refused = Pushed, why, false
	c.write(now, false)
	c.stage, c.at = stageVerify, now
}

// credit treats an earlier push as accepted, because the order was moved, by the push or by somebody else.
func (c *course) credit(change string, now time.Time) {
	what := "got no answer"
	if c.rec.Refused {
		what = "was refused"
		c.rec.Attempts++
		c.rec.Resubmissions++
	}
	c.accept(now, fmt.Sprintf("the push to %s %s, but the order was moved, by the push or by somebody else: %s",
		c.rec.Target, what, change))
}

// unanswered reports whether an earlier push of this failure got no answer. The order was proven unchanged since.
func (o *Order) unanswered() bool { return o.Attempts+o.Forgiven > 0 }

// notPushed returns the outcome of an order that is not pushed, or not pushed again.
func (o *Order) notPushed() Outcome {
	if o.unanswered() {
		return NotMoved
	}
	return Skipped
}

// nextPush returns when the order may be pushed again: not before the spacing after a push that may have been sent.
func (o *Order) nextPush(spacing time.Duration) time.Time {
	if o.SentAt.IsZero() || o.Refused && !o.unanswered() {
		return time.Time{}
	}
	return o.SentAt.Add(spacing)
}

// forgetFirstClaim notes that when the order was claimed first is not known, or that it was not for this failure.
func (o *Order) forgetFirstClaim() { o.FirstClaimAt, o.FirstClaimInConnect = time.Time{}, time.Time{} }

// claim makes the record that of a claim.
func (o *Order) claim(p *Planned, target commerce.Status, now, inConnect time.Time) {
	o.Phase, o.Outcome, o.Lanes = Claimed, "", p.Lanes
	o.Attempts++
	o.Resubmissions++
	o.Named = p.Named
	o.Target, o.ClaimedAt, o.Why = target, now, "about to be pushed"
	o.Refused, o.Gateway, o.Settled, o.SentAt = false, false, false, time.Time{}
	if o.FirstClaimAt.IsZero() {
		o.FirstClaimAt, o.FirstClaimInConnect = now, inConnect
	}
}
