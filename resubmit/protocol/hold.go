package protocol

import (
	"fmt"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Failure is the failure of an order about which a new plan decides.
type Failure struct {
	Fingerprint, Template string
	PlacedAt              time.Time // of the order
}

// History has what a new plan needs besides the order's record to decide about an order.
type History struct {
	// OutageEnded is when the last maintenance or observed outage ended; zero if there was none.
	OutageEnded time.Time
	// Run is the record of the run that the order's record names; nil if it is not known.
	Run *Run
	// ConnectUp means that Connect answers.
	ConnectUp bool
	// ForgottenBefore is when the journal lost records; zero if it lost none.
	ForgottenBefore time.Time
	// Named means that the operator named the order, to be resubmitted in spite of its history.
	Named bool
}

// DecidableAt returns the time from which a new plan can decide about a failure, given the last record of the order;
// the zero time if it can now. leaseEnd is as for [Start]. A run that lives has the orders that it pushed.
// After a push without an answer another failure is planned only when that push has settled, since it
// may still act on the failure. So may a push that the journal has forgotten, if the operator names the order;
// otherwise [HoldReason] holds it.
func DecidableAt(last Record, f Failure, h History, leaseEnd time.Time, p *Policy) time.Time {
	o := last.Order
	switch {
	case h.Named && h.forgot(o, f):
		return h.ForgottenBefore.Add(p.MaxClaimAge + p.PushTimeout + p.longestSpacing())
	case o == nil || !o.InFlight():
		return time.Time{}
	case o.Fingerprint == f.Fingerprint:
		return leaseEnd
	default:
		return p.SettledAt(o, leaseEnd)
	}
}

// HoldReason returns why a new plan must not resubmit a failure, given the last record of the order; "" if it may. An
// order that was resubmitted and failed again with the same template, or was not moved, is held until something has
// changed since, and one that the operator has settled as completed until it is named. A push whose outcome is not
// known is no reason: the run resolves it first, by reads only.
func HoldReason(last Record, f Failure, h History, p *Policy) (why string) {
	o := last.Order
	switch {
	case h.Named:
		return ""
	case h.forgot(o, f):
		return fmt.Sprintf("the journal lost what was done before %s, so it may have been pushed; name it to resubmit it",
			h.ForgottenBefore.UTC().Format(time.RFC3339))
	case o == nil || o.InFlight() && o.Fingerprint == f.Fingerprint:
		return ""
	case o.DoneByHand():
		return fmt.Sprintf("it was settled as completed by hand: %s; complete it in Commerce, or name it to resubmit it",
			text.Short(o.Why))
	case o.Resubmissions >= p.MaxResubmissions:
		return fmt.Sprintf("it was resubmitted %d times already; name it to resubmit it again", o.Resubmissions)
	case !o.repeated(f.Template) || h.OutageEnded.After(o.lastPush()):
		return ""
	case h.Run != nil && (h.Run.End == RunCircuitOpen || h.Run.End == RunCanaryStopped) && h.ConnectUp:
		return ""
	default:
		return fmt.Sprintf("run %s resubmitted it at %s, and it has the same failure again; nothing has changed since: "+
			"name it to resubmit it again", text.Short(o.Run), o.lastPush().UTC().Format(time.RFC3339))
	}
}

// forgot reports whether the journal may have lost what was done to an order: there was no claim since the loss, apart
// from claims that were released.
func (h *History) forgot(o *Order, f Failure) bool {
	return f.PlacedAt.Before(h.ForgottenBefore) && (o == nil || !o.ClaimedAt.After(h.ForgottenBefore))
}

// lastPush returns when the last push ended, or was claimed if that is not known.
func (o *Order) lastPush() time.Time {
	if o.SentAt.IsZero() {
		return o.ClaimedAt
	}
	return o.SentAt
}

// repeated reports whether a failure with a template, which is not the one of a record in flight, has
// the same template as one that was resubmitted.
func (o *Order) repeated(template string) bool { return slices.Contains(o.earlier(), template) }

// earlier returns the templates of the last failures that were resubmitted before the next claim.
func (o *Order) earlier() []string {
	switch {
	case o.Phase == Open, o.Outcome == Skipped, slices.Contains(o.Earlier, o.Template):
		return o.Earlier
	default:
		return append(slices.Clone(o.Earlier[max(0, len(o.Earlier)-maxEarlier+1):]), o.Template)
	}
}
