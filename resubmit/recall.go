package resubmit

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// recall reads how far earlier runs of the plan got.
func (x *run) recall() error {
	index, others := x.scheduler.index, 0
	for r, err := range x.cfg.Journal.Records(x.ctx) {
		if err != nil {
			return fmt.Errorf("resubmit: the journal: read its records: %w", err)
		}
		if x.isOther(&r) {
			others++
		}
		if r.Kind != protocol.KindOrder || r.Order == nil || r.Order.Run != x.digest {
			continue
		}
		place, ok := index.Find(r.ID)
		if !ok {
			continue
		}
		if err := x.recallOrder(int32(place), &r); err != nil { //nolint:gosec // a plan has fewer orders
			return err
		}
	}
	x.scheduler.recounted()
	x.scheduler.first = part(others, index.Len())
	return x.ctx.Err()
}

// isOther reports whether a record is the lease of another process that applies the plan.
func (x *run) isOther(r *protocol.Record) bool {
	return r.Run != nil && r.Run.Epoch > 0 && r.Run.Epoch < x.lease.Epoch && r.Run.LeaseOver().After(time.Now()) &&
		r.Key == protocol.LeaseKey(x.digest, r.Run.Epoch)
}

// part returns with which of n orders a process begins if others have begun before it: the second one in the middle,
// the next ones in the middle of the parts that are left.
func part(others, n int) int {
	reversed := bits.Reverse32(uint32(others))     //nolint:gosec // there are few processes
	return int(uint64(reversed) * uint64(n) >> 32) //nolint:gosec // it is less than n
}

func (x *run) recallOrder(place int32, r *protocol.Record) error {
	rec := r.Order
	if !x.scheduler.recall(place, rec) {
		return nil
	}
	if !x.tally.items {
		group := x.scheduler.index.ReportGroups()[x.scheduler.index.ReportGroup(int(place))]
		x.tally.addUnseen(group, rec.Outcome, true)
		return nil
	}
	e, err := x.scheduler.index.Entry(int(place))
	if err != nil {
		return fmt.Errorf("resubmit: read the plan: %w", err)
	}
	item := recalledItem(e, r)
	x.tally.add(&item)
	return nil
}

// recalledItem returns the item of an order that an earlier run has recorded.
func recalledItem(e *plan.Entry, r *protocol.Record) Item {
	rec, item := r.Order, newItem(e)
	item.Outcome, item.Why, item.Attempts, item.Target = rec.Outcome, rec.Why, rec.Attempts, rec.Target
	item.After.Status, item.PushedAt = rec.Status, rec.SentAt
	item.DoneAt, item.Earlier = r.At, true
	return item
}

// followPolls is for how many polls an order is left to the process that works on it, before its record is read again.
const followPolls = 5

// awaitOther reads the record of the order when no other process of this run works on it, or when the run ends. An
// order that nobody has recorded anything about for longer than its verification takes is not waited for: the other
// process leaves it as it is, and may itself wait for an order of this one.
func (o *order) awaitOther() (rec protocol.Record, leaseEnd time.Time, err error) {
	var alive, changed time.Time
	patience := max(0, o.x.cfg.Verify.Timeout) + o.x.cfg.SettleDelay + o.x.cfg.PushTimeout
	for seen := uint64(0); ; seen = rec.Version {
		rec, leaseEnd, err = o.load()
		if err != nil || o.x.scheduler.single || o.x.stopping() || !o.othersOf(&rec) ||
			rec.Order.Phase == protocol.Open || rec.Order.Phase == protocol.Ended {
			return rec, leaseEnd, err
		}
		now := time.Now()
		switch {
		case rec.Version != seen:
			changed = now
		case now.Sub(changed) > patience:
			return rec, leaseEnd, nil
		}
		if !now.Before(alive) {
			if alive, err = o.aliveUntil(rec.Order.Epoch); err != nil || !now.Before(alive) {
				return rec, leaseEnd, err
			}
		}
		o.x.scheduler.admitted(o) // others do not wait for it
		if sleep(o.ctx, followPolls*o.x.lease.poll()) != nil {
			return rec, leaseEnd, nil //nolint:nilerr // the run has ended, which the state machine handles
		}
	}
}

// aliveUntil returns when the lease of another process of this run is over.
func (o *order) aliveUntil(epoch uint64) (time.Time, error) {
	r, err := o.x.cfg.Journal.Get(o.ctx, protocol.LeaseKey(o.x.digest, epoch))
	return r.Run.LeaseOver(), err
}

// othersOf reports whether a record is of another process that applies the same plan.
func (o *order) othersOf(rec *protocol.Record) bool {
	r := rec.Order
	return r != nil && r.Run == o.x.digest && r.Epoch != o.x.lease.Epoch && r.Fingerprint == o.entry.Fingerprint &&
		rec.Version > o.entry.Version && o.x.lease.Duration > 0
}

// joins begins an order again that another process of this run has claimed meanwhile, so that the report has its
// outcome, and the orders behind it continue. If that process has given it back, this one takes it.
func (o *order) joins() bool {
	if o.step.Outcome != protocol.Skipped && o.step.Outcome != protocol.ClaimedElsewhere || o.x.scheduler.single {
		return false
	}
	rec, err := o.x.cfg.Journal.Get(o.ctx, protocol.OrderKey(o.entry.OrderID))
	if err != nil || !o.othersOf(&rec) || rec.Version == o.joined ||
		rec.Order.Phase == protocol.Open && o.step.Outcome != protocol.ClaimedElsewhere {
		return false
	}
	o.joined = rec.Version
	fresh := newItem(o.entry)
	o.item.After, o.item.Evidence = fresh.After, fresh.Evidence
	if err := o.start(); err != nil {
		o.startFailed(err)
	}
	return true
}

// Recall returns what a journal says about the orders of a plan, while another process applies it or after its process
// was killed: a report without FinishedAt. Orders that were pushed are progressing or unknown until their outcome is
// recorded; those that were skipped, blocked or not started are not known. It is nil if the plan was not applied.
func Recall(ctx context.Context, j Journal, p *plan.Plan) (*Report, error) {
	begun, err := j.Get(ctx, protocol.RunKey(p.Digest()))
	if err != nil {
		return nil, fmt.Errorf("resubmit: the journal: %w", err)
	}
	if begun.Run == nil || begun.Run.Started.IsZero() {
		return nil, nil //nolint:nilnil // documented
	}
	report := &Report{PlanDigest: p.Digest(), StartedAt: begun.Run.Started, Plan: p.Counts()}
	for r, err := range j.Records(ctx) {
		if err != nil {
			return nil, fmt.Errorf("resubmit: the journal: read its records: %w", err)
		}
		if r.Order == nil || r.Order.Run != p.Digest() || r.Order.Phase == protocol.Open {
			continue
		}
		place, ok := p.Index().Find(r.ID)
		if !ok {
			continue
		}
		e, err := p.Index().Entry(place)
		if err != nil {
			return nil, fmt.Errorf("resubmit: read the plan: %w", err)
		}
		item := recalledItem(e, &r)
		switch r.Order.Phase {
		case protocol.Pushed:
			item.Outcome, item.Why = protocol.Progressing, "its push was accepted, and is not verified yet"
		case protocol.Claimed, protocol.Unanswered:
			item.Outcome, item.Why = protocol.Unknown, "its push has no known answer yet"
		}
		report.Items = append(report.Items, item)
		report.Result.add(item.Outcome)
	}
	slices.SortFunc(report.Items, func(a, b Item) int { return a.DoneAt.Compare(b.DoneAt) })
	return report, nil
}

// AddUnrecorded adds an order of the plan whose outcome a program with its own loop knows, but no journal, because
// nothing was sent.
func (r *Report) AddUnrecorded(e *plan.Entry, o protocol.Outcome) {
	item := newItem(e)
	item.Outcome, item.Why = o, "nothing was sent, and the journal has no reason"
	r.Items = append(r.Items, item)
	r.Result.add(o)
}
