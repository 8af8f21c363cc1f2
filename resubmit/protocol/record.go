package protocol

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Kind is what a record is about.
type Kind string

// The kinds of records.
const (
	KindOrder  Kind = "order"  // an order, by its id
	KindLane   Kind = "lane"   // what one order at a time may use, such as a subscription; see plan.Entry.Lanes
	KindRun    Kind = "run"    // a run, by the digest of its plan, or one of its leases, see LeaseKey
	KindSystem Kind = "system" // what holds for all runs, such as a Retry-After
)

// Key names a record of a journal.
type Key struct {
	Kind Kind   `json:"kind"`
	ID   string `json:"id"`
}

// OrderKey returns the key of an order's record.
func OrderKey(id string) Key { return Key{KindOrder, id} }

// RunKey returns the key of the record of a run, which is written when it begins for the first time.
func RunKey(run string) Key { return Key{KindRun, run} }

// LeaseKey returns the key of the record of one lease of a run. Each process that applies a plan has its own.
func LeaseKey(run string, epoch uint64) Key {
	return Key{KindRun, run + "#" + strconv.FormatUint(epoch, 10)}
}

// Record is the last thing known about its key. Exactly the field of its kind is set.
type Record struct {
	Key
	// Version is the sequence number of the write that stored the record. In a record to be written
	// it is the version that the record replaces; 0 if there must be none.
	Version uint64    `json:"version"`
	At      time.Time `json:"at"` // when it was written
	Order   *Order    `json:"order,omitempty"`
	Lane    *Lane     `json:"lane,omitempty"`
	Run     *Run      `json:"run,omitempty"`
	System  *System   `json:"system,omitempty"`
}

// Removes reports whether the record has only a key: written to a journal, it removes the key.
func (r Record) Removes() bool {
	return r.Order == nil && r.Lane == nil && r.Run == nil && r.System == nil
}

// Clone returns a copy that shares no memory.
func (r Record) Clone() Record {
	switch {
	case r.Order != nil:
		r.Order = r.Order.clone()
	case r.Lane != nil:
		c := *r.Lane
		r.Lane = &c
	case r.Run != nil:
		c := *r.Run
		r.Run = &c
	case r.System != nil:
		c := *r.System
		r.System = &c
	}
	return r
}

// AdjustForLoss returns the record as a journal keeps it after it lost others: its time is not after the loss, also if
// the clock was set back since it was written. It is for those who implement a journal.
func (r Record) AdjustForLoss(loss time.Time) Record {
	r = r.Clone()
	if r.At.After(loss) {
		r.At = loss
	}
	if o := r.Order; o != nil && o.ClaimedAt.After(loss) {
		o.ClaimedAt = loss
		o.forgetFirstClaim()
	}
	return r
}

// AtRest reports whether a journal may remove the record when it is old, because nothing is pushed for want of it: an
// order that is completed or cancelled, a free lane, or a lease that has ended. An order that was settled by hand
// may still be listed as failed, so its record is kept.
func (r Record) AtRest() bool {
	if o := r.Order; o != nil {
		return o.Phase == Ended &&
			(o.Outcome == Completed && !o.Settled || o.Status.Provisioned() || o.Status == commerce.StatusCancelled)
	}
	return r.Lane != nil && r.Lane.Order == "" || r.Run != nil && r.Run.Epoch > 0 && !r.Run.Ended.IsZero()
}

// CheckRecords returns an error if records cannot be written in one step: if one has no id, an unknown
// kind or another field than that of its kind, or if two have the same key or the same order number.
// It is for those who implement a journal.
func CheckRecords(records []Record) error {
	for i, r := range records {
		if r.ID == "" {
			return fmt.Errorf("a record of the kind %q has no id", text.Short(string(r.Kind)))
		}
		if !r.fits() {
			return fmt.Errorf("the record of the %s %s must have only the field of its kind",
				text.Short(string(r.Kind)), text.Short(r.ID))
		}
		for _, other := range records[:i] {
			if r.Key == other.Key {
				return fmt.Errorf("two records of the %s %s in one write", r.Kind, text.Short(r.ID))
			}
			if r.Order != nil && other.Order != nil && r.Order.Number != "" && r.Order.Number == other.Order.Number {
				return fmt.Errorf("two orders with the number %s in one write", text.Short(r.Order.Number))
			}
		}
	}
	return nil
}

// fits reports whether no field but that of the kind is set.
func (r Record) fits() bool {
	order, lane, run, system := r.Order == nil, r.Lane == nil, r.Run == nil, r.System == nil
	switch r.Kind {
	case KindOrder:
		return lane && run && system
	case KindLane:
		return order && run && system
	case KindRun:
		return order && lane && system
	case KindSystem:
		return order && lane && run
	default:
		return false
	}
}

// Phase is how far the resubmission of a failure has come.
type Phase string

// The phases of an order.
const (
	// Open: nothing was sent, or every push was refused. The order may be claimed.
	Open Phase = "open"
	// Claimed: a push may have been sent. If the run that made the claim is over, it counts as Unanswered.
	Claimed Phase = "claimed"
	// Unanswered: a push got no answer that proves whether it took effect. Only reads may follow,
	// until the order is proven unchanged.
	Unanswered Phase = "unanswered"
	// Pushed: a push was accepted. The order is verified, never pushed.
	Pushed Phase = "pushed"
	// Ended: the outcome is known, as far as it can be.
	Ended Phase = "ended"
)

// Outcome is the result of an order.
type Outcome string

// The outcomes.
const (
	// Completed: the service is provisioned, in Commerce and, if it was queried, in Connect.
	Completed Outcome = "completed"
	// Progressing: pushed, and not ended yet. The reason says who must act.
	Progressing Outcome = "progressing"
	// FailedAgain: pushed, and ended without the service.
	FailedAgain Outcome = "failedAgain"
	// FalseSuccess: done in Commerce, but not in Connect.
	FalseSuccess Outcome = "falseSuccess"
	// NotMoved: pushed without an answer, and proven unchanged. A later plan may resubmit it.
	NotMoved Outcome = "notMoved"
	// Unknown: pushed without an answer, and not proven to be unchanged. The reason names the
	// missing proof.
	Unknown Outcome = "unknown"
	// Skipped: not pushed, or certainly refused.
	Skipped Outcome = "skipped"
	// Blocked: not pushed, because another order of its lanes did not end well.
	Blocked Outcome = "blocked"
	// ClaimedElsewhere: another run has the order, or had it after the plan was made.
	ClaimedElsewhere Outcome = "claimedElsewhere"
	// NotStarted: not pushed, because the run ended or its canary stopped.
	NotStarted Outcome = "notStarted"
)

// Outcomes returns all outcomes.
func Outcomes() []Outcome {
	return []Outcome{
		Completed, Progressing, FailedAgain, FalseSuccess, NotMoved, Unknown, Skipped, Blocked, ClaimedElsewhere, NotStarted,
	}
}

// Order is what a journal knows about an order.
type Order struct {
	Number string `json:"number"`
	// Run and Epoch name the run that wrote the record: the digest of its plan and the epoch of its lease.
	Run   string `json:"run"`
	Epoch uint64 `json:"epoch"`
	// Fingerprint is that of the failure, see plan.Fingerprint. Template is that of its text, see failure.Template.
	Fingerprint string    `json:"fingerprint"`
	Template    string    `json:"template,omitempty"`
	Lanes       []string  `json:"lanes,omitempty"`
	PlacedAt    time.Time `json:"placedAt,omitzero"`

	Phase   Phase   `json:"phase"`
	Outcome Outcome `json:"outcome,omitempty"` // of Ended
	// Attempts counts the pushes of this failure that were or may have been sent. Forgiven counts those of them that do
	// not use up an attempt, because a gateway answered and they are proven to have changed nothing.
	Attempts int `json:"attempts,omitempty"`
	Forgiven int `json:"forgiven,omitempty"`
	// Resubmissions counts the claims that may have been sent for any failure, over all plans.
	Resubmissions int `json:"resubmissions,omitempty"`
	// Named reports that the last plan had the order because the operator named it, in spite of its history.
	Named bool `json:"named,omitempty"`
	// Target is the status that the order was pushed to last. Status is the status in which it was last read.
	Target commerce.Status `json:"target,omitempty"`
	Status commerce.Status `json:"status,omitempty"`
	// ClaimedAt is when the last claim was made, and FirstClaimAt the first one for this failure.
	ClaimedAt    time.Time `json:"claimedAt,omitzero"`
	FirstClaimAt time.Time `json:"firstClaimAt,omitzero"`
	// FirstClaimInConnect is FirstClaimAt by the clock of Connect; zero if that was not known.
	FirstClaimInConnect time.Time `json:"firstClaimInConnect,omitzero"`
	// SentAt is the latest time at which the last push can have been sent: when its answer came, or its deadline. Without
	// an answer to a push that took effect, it is when that was seen.
	SentAt time.Time `json:"sentAt,omitzero"`
	// DoneAt is when the order was first read as done in Commerce; zero before.
	DoneAt time.Time `json:"doneAt,omitzero"`
	// Refused reports that the last push was refused by Commerce itself: if the order is found
	// moved, the push is credited. Gateway reports that a gateway answered it.
	Refused bool `json:"refused,omitempty"`
	Gateway bool `json:"gateway,omitempty"`
	// After is the template of the failure with which the order ended as FailedAgain.
	After string `json:"after,omitempty"`
	// Earlier has the templates of the failures that were resubmitted before this one, or before this one was resubmitted
	// again; the last few of them.
	Earlier []string `json:"earlier,omitempty"`
	// Why is the reason, in a sentence.
	Why string `json:"why,omitempty"`
	// Settled reports that an operator has settled the order by hand, see Policy.Resolve.
	Settled bool `json:"settled,omitempty"`
}

// Lane is the record of something that only one order at a time may use, such as a subscription or a tenant, with the
// order that has it. See plan.Entry.Lanes.
type Lane struct {
	// Order and Number name the order that has the lane; "" if it is free. Blocked reports that
	// this order has ended, but not well.
	Order   string `json:"order,omitempty"`
	Number  string `json:"number,omitempty"`
	Blocked bool   `json:"blocked,omitempty"`
	// Newest is the id of the newest order that was claimed in the lane, NewestAt when it was placed.
	Newest   string    `json:"newest,omitempty"`
	NewestAt time.Time `json:"newestAt,omitzero"`
}

// Run is what a journal knows about a run, or about one of its leases.
type Run struct {
	Epoch uint64 `json:"epoch"`
	Owner string `json:"owner,omitempty"` // user, host and process
	// LeaseEnd is when the lease of the run is over, by the clock of the journal.
	LeaseEnd time.Time `json:"leaseEnd"`
	Renewals uint64    `json:"renewals,omitempty"`
	Started  time.Time `json:"started"`
	// Ended is when the run ended; zero while it has not. End is how.
	Ended time.Time `json:"ended,omitzero"`
	End   RunEnd    `json:"end,omitempty"`
	Error string    `json:"error,omitempty"`
	// Control is what operators want of the run, in the record of RunKey. All processes that apply the plan obey.
	Control Control `json:"control,omitzero"`
}

// Control is how operators have paused, slowed down or stopped a run.
type Control struct {
	Paused bool        `json:"paused,omitempty"` // sends nothing more until it is false again
	Rate   float64     `json:"rate,omitempty"`   // limit of calls per second; 0: as configured
	Stop   ControlStop `json:"stop,omitempty"`   // ends the run
	By     string      `json:"by,omitempty"`     // who has changed it last
	Why    string      `json:"why,omitempty"`
}

// ControlStop is how a run is to be ended.
type ControlStop string

// The stops.
const (
	StopDrain  ControlStop = "drain"  // nothing more is sent, and what was sent is verified
	StopCancel ControlStop = "cancel" // nothing more is sent
)

// RunEnd is how a run ended.
type RunEnd string

// The ends of a run.
const (
	RunFinished      RunEnd = "finished"
	RunStopped       RunEnd = "stopped"
	RunCircuitOpen   RunEnd = "circuitOpen"
	RunCanaryStopped RunEnd = "canaryStopped"
)

// System is a record that all runs with a journal share: a pause that a server asked for, or the state of the circuit
// breaker.
type System struct {
	// RetryAfter is the end of the pause that a server asked for at AskedAt.
	RetryAfter time.Time `json:"retryAfter,omitzero"`
	AskedAt    time.Time `json:"askedAt,omitzero"`
	// Why is why nothing is pushed, in the record of the circuit; "" if it is closed. Opens is how often the circuit
	// breaker had opened then.
	Why   string `json:"why,omitempty"`
	Opens int    `json:"opens,omitempty"`
}

// PauseEnd returns when the pause ends. If the clock was set back since, that is at most the whole pause from now.
func (s *System) PauseEnd(now time.Time) time.Time {
	if s.AskedAt.After(now) {
		return now.Add(s.RetryAfter.Sub(s.AskedAt))
	}
	return s.RetryAfter
}

// LeaseExpiry returns when the lease of a run is over, as [Start] needs it; zero if the run has ended or is nil.
func (r *Run) LeaseExpiry() time.Time {
	if r == nil || !r.Ended.IsZero() {
		return time.Time{}
	}
	return r.LeaseEnd
}

// Overtook reports whether an order that was placed later than the given one was claimed in the lane.
func (l *Lane) Overtook(orderID string, placedAt time.Time) bool {
	return l.Newest != orderID && l.NewestAt.After(placedAt)
}

// InFlight reports whether a push of the order was sent, or may have been, and its outcome is not known.
func (o *Order) InFlight() bool {
	switch o.Phase {
	case Claimed, Unanswered, Pushed:
		return true
	default:
		return false
	}
}

// clone returns a copy that shares no memory.
func (o *Order) clone() *Order {
	c := *o
	c.Lanes, c.Earlier = slices.Clone(o.Lanes), slices.Clone(o.Earlier)
	return &c
}
