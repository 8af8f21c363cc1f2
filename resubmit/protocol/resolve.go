package protocol

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// ErrUnresolvable means that an operator cannot settle an order, or not yet.
var ErrUnresolvable = errors.New("the order cannot be resolved")

// Resolution is what an operator knows about an order whose push has no known outcome.
type Resolution struct {
	// Outcome is Completed if the customer has the service, and NotMoved if the push certainly changed nothing.
	Outcome Outcome
	// Why says who settles the order and how that is known.
	Why string
	// Gone reports that the order was read and does not exist any more. Its lanes are freed then, whatever the outcome.
	Gone bool
}

// Resolve returns the records that settle an order by hand. order and taken are the records in the journal, of the
// order and of its lanes; run is the lease with which order was written, nil if it is not known. A completed order is
// never pushed again unless the operator names it. One that was not moved still blocks its lanes, and a later plan may
// push it.
//
// The error matches [ErrUnresolvable] if the order is not in flight, if its run lives, if its push may still act, or if
// an order whose push was accepted is to be NotMoved.
func (p *Policy) Resolve(order Record, run *Run, taken []Record, r Resolution, now time.Time) ([]Record, error) {
	o := order.Order
	if r.Outcome != Completed && r.Outcome != NotMoved {
		return nil, fmt.Errorf("%w as %q; give %q or %q", ErrUnresolvable, text.Short(string(r.Outcome)), Completed, NotMoved)
	}
	if o == nil {
		return nil, fmt.Errorf("%w: nothing was done to it", ErrUnresolvable)
	}
	leaseEnd := run.LeaseExpiry()
	settled := p.SettledAt(o, leaseEnd)
	switch {
	case o.Phase == Ended && r.Gone && slices.ContainsFunc(taken, func(l Record) bool { return l.Lane.has(order.ID) }):
		return lanes(taken).ends(order.ID, true, now), nil
	case !o.InFlight():
		return nil, fmt.Errorf("%w: its outcome is known: it is %s: %s", ErrUnresolvable, o.state(), text.Short(o.Why))
	case leaseEnd.After(now):
		return nil, fmt.Errorf("%w: run %s works on it; drain or cancel the run first", ErrUnresolvable, text.Short(o.Run))
	case settled.After(now):
		return nil, fmt.Errorf("%w before %s: its push may still act", ErrUnresolvable, settled.UTC().Format(time.RFC3339))
	case o.Phase == Pushed && r.Outcome == NotMoved:
		return nil, fmt.Errorf("%w as %q: its push was accepted", ErrUnresolvable, NotMoved)
	}
	records := Settle(order, taken, r.Outcome, r.Why, r.Gone || r.Outcome == Completed, now)
	records[len(records)-1].Order.Settled = true
	return records, nil
}

// DoneByHand reports whether an operator has settled the order as completed. It is not pushed again, and does not hold
// up the orders after it, even if Commerce still lists it as failed.
func (o *Order) DoneByHand() bool { return o != nil && o.Settled && o.Outcome == Completed }

// state returns the outcome of an order, or its phase.
func (o *Order) state() string {
	if o.Phase == Ended {
		return string(o.Outcome)
	}
	return string(o.Phase)
}

// has reports whether an order has the lane.
func (l *Lane) has(order string) bool { return l != nil && l.Order == order }
