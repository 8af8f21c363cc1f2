package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/orders"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// Resolution is what an operator knows about an order whose push has no known outcome. All fields are required, except
// Version and By.
type Resolution struct {
	Order string // its id or number
	// Version is that of the record that the operator saw, see OrderHistory.Record; 0: any.
	Version uint64
	// Outcome is protocol.Completed if the customer has the service, or protocol.NotMoved if the push certainly changed
	// nothing.
	Outcome protocol.Outcome
	By      string // who settles it, with role and address if known; default: the user of this process
	Why     string // how that is known
}

// ErrChanged means that the record of an order is not the one that was shown.
var ErrChanged = errors.New("the order has changed since it was shown; look at it again")

// Resolve settles an order by hand, after it was pushed and nobody can prove what became of it; see
// [protocol.Policy.Resolve] for the rules. An order that is Completed is not sent again unless the operator names it,
// and frees its lanes. One that is NotMoved may be sent again by a later plan. If Commerce answers that the order does
// not exist any more, its lanes are freed, even if it had ended before. The audit log of the newest run has the record
// before the journal.
//
// The error matches [protocol.ErrUnresolvable] if that is not possible, or not yet, or if an order that is to be
// NotMoved has another status or failure in Commerce than before its push; [ErrChanged] if the record is not the one
// that the operator saw, [fs.ErrNotExist] if the journal does not have the order, and [*LockedError] if a process plans
// or applies.
func (d *Dir) Resolve(ctx context.Context, r Resolution) (err error) {
	if r.Order == "" || r.Why == "" {
		return errors.New("state: resolve needs the order, and why: how its outcome is known")
	}
	r.By, r.Why = cmp.Or(text.Short(r.By), d.owner), text.Short(r.Why)
	s, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, s.close(ctx)) }()
	run, _, err := s.runs.newest()
	if err == nil && run == nil {
		err = fmt.Errorf("state: %s has no run, in whose audit log this is recorded; use the directory of the run", d.path)
	}
	if err != nil {
		return err
	}
	order, err := findOrder(ctx, s.journal, r.Order)
	if err != nil {
		return err
	}
	if r.Version != 0 && r.Version != order.Version {
		return fmt.Errorf("state: order %s: %w", text.Short(r.Order), ErrChanged)
	}
	records, err := s.resolution(ctx, order, r)
	if err != nil {
		return fmt.Errorf("state: order %s: %w", text.Short(r.Order), err)
	}
	line := audit.Line{
		State: "resolve", By: r.By, Why: r.Why, Plan: run.Digest, Order: order.ID, Number: order.Order.Number,
		Outcome: r.Outcome,
	}
	if err := s.act(run, line); err != nil {
		return err
	}
	if err := s.runs.step("resolve the order"); err != nil {
		return failed("write the journal", err)
	}
	if _, err = s.journal.Put(ctx, resubmit.Durable, records...); err != nil {
		return failed("resolve order "+text.Short(r.Order), err)
	}
	d.log.Warn("an order was settled by hand", "order", order.Order.Number, "outcome", r.Outcome, "by", r.By, "why", r.Why)
	return nil
}

// findOrder returns the record of an order, by its id or number.
func findOrder(ctx context.Context, j resubmit.Journal, name string) (protocol.Record, error) {
	order, err := j.Get(ctx, protocol.OrderKey(name))
	if err != nil || order.Order != nil {
		return order, failed("read the journal", err)
	}
	for r, err := range j.Records(ctx) {
		if err != nil {
			return protocol.Record{}, failed("read the journal", err)
		}
		if r.Order != nil && r.Order.Number == name {
			return r, nil
		}
	}
	return protocol.Record{}, fmt.Errorf("state: order %s: %w in the journal: nothing was done to it", text.Short(name),
		fs.ErrNotExist)
}

// resolution returns the records that settle an order.
func (s *session) resolution(ctx context.Context, order protocol.Record, r Resolution) ([]protocol.Record, error) {
	lease, err := s.journal.Get(ctx, protocol.LeaseKey(order.Order.Run, order.Order.Epoch))
	if err != nil {
		return nil, err
	}
	var lanes []protocol.Record
	for _, name := range order.Order.Lanes {
		key := protocol.Key{Kind: protocol.KindLane, ID: name}
		lane, err := s.journal.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		lane.Key = key
		lanes = append(lanes, lane)
	}
	gone, err := s.gone(ctx, order, r.Outcome)
	if err != nil {
		return nil, err
	}
	policy := s.cfg.Policy.WithDefaults()
	return policy.Resolve(order, lease.Run, lanes, protocol.Resolution{
		Outcome: r.Outcome, Why: "settled by " + r.By + ": " + r.Why, Gone: gone,
	}, time.Now().Round(0).UTC())
}

// gone reads an order, and reports whether it does not exist any more. That it cannot be read is no error, since it is
// settled by hand because nobody can prove its state. It must not be NotMoved if it has moved.
func (s *session) gone(ctx context.Context, order protocol.Record, outcome protocol.Outcome) (bool, error) {
	if s.cfg.Systems.Reader == nil {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	o, err := callback.Call(func() (*commerce.Order, error) { return s.cfg.Systems.Reader.Order(ctx, order.ID) })
	switch {
	case errors.Is(err, commerce.ErrNotFound):
		return true, nil
	case err != nil || o == nil:
		s.log.Warn("the order that is settled by hand could not be read", "order", order.ID, "error", err)
		return false, nil
	case outcome == protocol.NotMoved && !unmoved(order, o):
		return false, fmt.Errorf("%w as %q: in Commerce it is %s now: %s", protocol.ErrUnresolvable, outcome,
			text.Short(string(o.Status)), cmp.Or(text.Short(o.Failure.Message()), "no failure"))
	}
	return false, nil
}

// unmoved reports whether an order still shows the failure of its record. Its fingerprint may differ even so, because
// lists may lack the times that a single order has.
func unmoved(was protocol.Record, o *commerce.Order) bool {
	now := plan.SnapshotOf(orders.Readable(o))
	return plan.Fingerprint(was.ID, now) == was.Order.Fingerprint ||
		now.Status == commerce.StatusProvisioningFailed && failure.Template(now.Message) == was.Order.Template &&
			!now.FailedAt.After(was.Order.ClaimedAt)
}
