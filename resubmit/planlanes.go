package resubmit

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/orders"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// laneOrder lets an order wait if an older order of one of its lanes is not sent now but may be later, whether the
// filter selects that one or not: quantities in change orders are absolute, so the older one, sent last, would undo the
// younger one (resubmit/SAFETY.md#f8, resubmit/SAFETY.md#i5). It also lets an order wait while another one has one of
// its lanes in the journal.
//
// It needs memory for each order that waits, is held, needs a person or is rejected by the filter: about 25 bytes for
// each of its lanes and the length of its number. Lanes are stored as 64-bit hashes; if two collide, an order waits
// unnecessarily. It is used by one goroutine.
type laneOrder struct {
	planner *planner
	seed    maphash.Seed
	first   map[uint64]uint64 // lane → place of the name of the first order in it
	names   nameList
	// recorded has the orders of the plan so far that the journal knows, by hash, and whether they are resubmitted.
	recorded map[uint64]bool
	blockers map[string]blocker // orders outside the plan that have lanes, by id
	unread   unreadOrders
}

func newLaneOrder(p *planner) *laneOrder {
	return &laneOrder{
		planner: p, seed: maphash.MakeSeed(), first: make(map[uint64]uint64), recorded: make(map[uint64]bool),
		blockers: make(map[string]blocker), unread: unreadOrders{last: make(map[uint64]uint64)},
	}
}

// key returns the hash of a lane, an order or a customer.
func (l *laneOrder) key(name string) uint64 { return maphash.String(l.seed, name) }

// pass changes an entry that must not be sent before another order to wait. It must be called for all entries in the
// order of the plan.
func (l *laneOrder) pass(ctx context.Context, it *item) error {
	e := it.entry
	switch e.Decision.Action {
	case rules.Quarantine, rules.Complete: // never sent again
		return nil
	case rules.Resubmit:
		v, err := l.wait(ctx, it)
		if err != nil {
			return err
		}
		if v.Action == "" {
			if e.Version != 0 {
				l.recorded[l.key(e.OrderID)] = true
			}
			return nil
		}
		e.Decision, e.Target, e.Due = v.Decision, "", v.due.Round(0).UTC()
		e.Decision.Why = text.Sentence(e.Decision.Why)
	}
	if orders.AtRest(e.Before.Status) { // it was listed as failed, and has ended since
		return nil
	}
	lanes := it.lanes
	if lanes == nil {
		lanes = e.Lanes()
	}
	l.block(lanes, e.Label())
	return nil
}

// wait makes an order wait for an older one of its lanes, or for the one that has them.
func (l *laneOrder) wait(ctx context.Context, it *item) (choice, error) {
	if err := l.readOlder(ctx, it); err != nil {
		return choice{}, err
	}
	if first := l.before(it.lanes); first != "" {
		why := "blocked by the older order " + text.Short(first) + " of the same subscription, which is not sent now but " +
			"may be later, and must not be overtaken: resolve that one first"
		return decided(rules.Wait, rules.IDOlderOrderFirst, why), nil
	}
	for _, lane := range it.busy {
		id := lane.Lane.Order
		if sent, planned := l.recorded[l.key(id)]; planned && sent {
			continue // before this one
		}
		if b := l.blockers[id]; !b.freed {
			return waitUntil(b.due, rules.IDLaneBusy, fmt.Sprintf("blocked by %s, another order of the same %s, which was "+
				"resubmitted and %s", text.Short(cmp.Or(lane.Lane.Number, id)), text.Short(lane.ID),
				cmp.Or(b.why, "is not sent now: resolve that one first"))), nil
		}
	}
	return choice{}, nil
}

// before returns the older order that blocks one of some lanes; "" if there is none.
func (l *laneOrder) before(lanes []string) string {
	if len(l.first) == 0 {
		return ""
	}
	for _, lane := range lanes {
		if place, known := l.first[l.key(lane)]; known {
			return l.names.get(place)
		}
	}
	return ""
}

// block makes younger orders of some lanes wait for an order.
func (l *laneOrder) block(lanes []string, label string) {
	var place uint64
	kept := false
	for _, lane := range lanes {
		key := l.key(lane)
		if _, known := l.first[key]; known {
			continue
		}
		if !kept {
			place, kept = l.names.add(label), true
		}
		l.first[key] = place
	}
}

// reject remembers an order that the filter rejects. An order that was listed without subscriptions is remembered by
// its customer, and read only if it matters.
func (l *laneOrder) reject(it *item) {
	o := it.order
	switch {
	case it.lanes == nil: // it is not sent later
	case l.planner.Reader != nil && !o.HasTransitions() && len(o.SubscriptionIDs) == 0 && o.TenantID == "":
		l.unread.add(l.customerKey(o.VendorAccountID, o.CustomerID, orders.Customer(o)), o.ID)
	default:
		l.block(it.lanes, o.Label())
	}
}

func (l *laneOrder) customerKey(vendor, customerID, customer string) uint64 {
	return l.key(vendor + "\x00" + cmp.Or(customerID, customer))
}

// readOlder reads the older orders of the customer of an order whose lanes are not known.
func (l *laneOrder) readOlder(ctx context.Context, it *item) error {
	e := it.entry
	if len(it.lanes) == 0 || len(l.unread.last) == 0 {
		return nil
	}
	ids := l.unread.take(l.customerKey(e.VendorAccountID, e.CustomerID, e.Customer))
	return l.planner.details.all(ctx, ids, func(id string, o *commerce.Order, err error) error {
		switch {
		case errors.Is(err, commerce.ErrNotFound):
		case err != nil: // it may have the lanes of this order
			l.block(it.lanes, id)
		default:
			later, err := l.planner.mayBeSentLater(ctx, orders.Readable(o))
			if later {
				l.block(lanesOf(o), o.Label())
			}
			return err
		}
		return nil
	})
}

// mayBeSentLater reports whether an order that the filter rejects may be resubmitted by another plan.
func (p *planner) mayBeSentLater(ctx context.Context, o *commerce.Order) (bool, error) {
	if !p.view.Match(o) || orders.AtRest(o.Status) {
		return false, nil
	}
	class, _ := p.Classifier.Classify(o.Failure.Message())
	if class == failure.Permanent || class == failure.AlreadyProvisioned {
		return false, nil
	}
	known, err := p.history.get(ctx, protocol.OrderKey(o.ID))
	return !known.Order.DoneByHand(), err
}

// lanesOf returns the lanes of an order as its entry would have them, never nil.
func lanesOf(o *commerce.Order) []string {
	e := plan.Entry{
		Type: o.Type, VendorAccountID: o.VendorAccountID, Customer: orders.Customer(o), Subscriptions: o.SubscriptionIDs,
		TenantID: o.TenantID,
	}
	return e.Lanes()
}

// findLanes reads the lanes of an order that is to be resubmitted, and holds it if a newer order went first.
func (h *history) findLanes(ctx context.Context, it *item) error {
	e := it.entry
	if e.Decision.Action != rules.Resubmit {
		return nil
	}
	it.lanes = e.Lanes()
	for _, name := range it.lanes {
		r, err := h.get(ctx, protocol.Key{Kind: protocol.KindLane, ID: name})
		if err != nil {
			return err
		}
		switch lane := r.Lane; {
		case lane == nil || lane.Order == e.OrderID:
			continue
		case lane.Order != "":
			it.busy = append(it.busy, r)
		}
		if r.Lane.Overtook(e.OrderID, e.Before.PlacedAt) && !e.Named && e.Decision.Action == rules.Resubmit {
			e.Target = ""
			e.Decision = decided(rules.Hold, rules.IDNewerOrderSent, "a newer order of the same "+text.Short(name)+
				" was resubmitted before, "+text.Short(r.Lane.Newest)+": name this one to resubmit it all the same").Decision
		}
	}
	return nil
}

// blocker is an order outside the plan that has lanes of orders in the plan.
type blocker struct {
	freed bool
	why   string // why it was not freed
	due   time.Time
}

// settle reads the orders outside the plan that have lanes of the orders of a batch, and frees the lanes of those that
// are completed or cancelled, whether these orders are sent or not.
func (l *laneOrder) settle(ctx context.Context, b *orderBatch) error {
	for i := range b.items {
		if e := b.items[i].entry; e != nil && e.Version != 0 {
			l.recorded[l.key(e.OrderID)] = false
		}
	}
	p := l.planner
	pasts := make(map[string]past)
	var ids []string
	for i := range b.items {
		for _, lane := range b.items[i].busy {
			id := lane.Lane.Order
			_, planned := l.recorded[l.key(id)]
			if _, known := l.blockers[id]; planned || known {
				continue
			}
			h, err := p.history.of(ctx, id)
			if err != nil {
				return err
			}
			if l.blockers[id] = l.notYet(&h); l.blockers[id].why == "" {
				pasts[id] = h
				ids = append(ids, id)
			}
		}
	}
	return p.details.all(ctx, ids, func(id string, o *commerce.Order, err error) error {
		if err == nil {
			err = orders.Unreadable(o)
		}
		switch {
		case err != nil:
			l.blockers[id] = blocker{why: "could not be read: " + text.Short(err.Error())}
		case !orders.AtRest(o.Status):
			l.blockers[id] = blocker{why: "is " + string(o.Status) + ": resolve that one first"}
		default:
			l.blockers[id], err = l.free(ctx, o, pasts[id].record)
			return err
		}
		return nil
	})
}

// notYet returns why the order of a past must not be read yet to free its lanes; the zero blocker if it may.
func (l *laneOrder) notYet(h *past) blocker {
	now, leaseExpiry, settled := time.Now(), h.run.LeaseExpiry(), h.settledAt(&l.planner.Policy)
	switch {
	case l.planner.Reader == nil:
		return blocker{why: "cannot be read without PlanConfig.Reader"}
	case leaseExpiry.After(now):
		return blocker{why: "is in the hands of a run", due: leaseExpiry}
	case settled.After(now):
		return blocker{why: "may still be under way", due: settled}
	default:
		return blocker{}
	}
}

// free ends an order in the journal that was read as completed or cancelled, and frees its lanes.
func (l *laneOrder) free(ctx context.Context, o *commerce.Order, rec protocol.Record) (blocker, error) {
	p, names := l.planner, lanesOf(o)
	outcome, why := protocol.FailedAgain, "a planner read it as cancelled: "+string(o.Status)
	if o.Status.Provisioned() {
		outcome, why = protocol.Completed, "a planner read it as completed: "+string(o.Status)
	}
	if rec.Order != nil {
		names = append(names, rec.Order.Lanes...)
		if rec.Order.Outcome == protocol.FalseSuccess {
			outcome, why = protocol.FalseSuccess, rec.Order.Why // Commerce says the same as before
		}
	}
	slices.Sort(names)
	var lanes []protocol.Record
	for _, name := range slices.Compact(names) {
		lane, err := p.history.get(ctx, protocol.Key{Kind: protocol.KindLane, ID: name})
		if err != nil {
			return blocker{}, err
		}
		lanes = append(lanes, lane)
	}
	rec.Key = protocol.OrderKey(o.ID)
	put := protocol.Settle(rec, lanes, outcome, why, true, time.Now())
	_, err := p.Journal.Put(ctx, Durable, put...)
	if _, changed := errors.AsType[*ConflictError](err); changed {
		return blocker{why: "has just been changed in the journal by somebody else"}, nil
	}
	if err != nil {
		return blocker{}, fmt.Errorf("resubmit: plan: free the lanes of order %s in the journal: %w",
			text.Short(o.Label()), err)
	}
	p.Logger.Info("an order that blocked others is at rest; its lanes are free", "order", o.Label(), "status", o.Status)
	return blocker{freed: true}, nil
}

// unreadOrders are the ids of the orders that the filter rejects and whose lanes are not known, by customer. Each is
// stored with the place of the one before it.
type unreadOrders struct {
	ids  nameList
	last map[uint64]uint64 // customer → place, plus 1
}

func (u *unreadOrders) add(customer uint64, id string) {
	previous := binary.BigEndian.AppendUint64(nil, u.last[customer])
	u.last[customer] = u.ids.add(string(previous)+id) + 1
}

// take removes the orders of a customer and returns their ids.
func (u *unreadOrders) take(customer uint64) (ids []string) {
	for place := u.last[customer]; place != 0; {
		stored := u.ids.get(place - 1)
		ids = append(ids, stored[8:])
		place = binary.BigEndian.Uint64([]byte(stored[:8]))
	}
	delete(u.last, customer)
	return ids
}

// nameBlock is the size of a block of names in bytes.
const nameBlock = 64 << 10

// nameList stores names without a string header for each.
type nameList struct{ blocks [][]byte }

// add stores a name and returns its place.
func (n *nameList) add(name string) (place uint64) {
	b := binary.AppendUvarint(nil, uint64(len(name)))
	last := len(n.blocks) - 1
	if last < 0 || len(n.blocks[last])+len(b)+len(name) > nameBlock {
		// A name that is longer than a block has its own block.
		n.blocks = append(n.blocks, make([]byte, 0, max(nameBlock, len(b)+len(name))))
		last++
	}
	at := len(n.blocks[last])
	n.blocks[last] = append(append(n.blocks[last], b...), name...)
	return uint64(last)*nameBlock + uint64(at) //nolint:gosec // neither is negative
}

// get returns the name at a place.
func (n *nameList) get(place uint64) string {
	b := n.blocks[place/nameBlock][place%nameBlock:]
	size, start := binary.Uvarint(b)
	return string(b[start : start+int(size)]) //nolint:gosec // add wrote it
}
