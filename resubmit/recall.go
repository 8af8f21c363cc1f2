package resubmit

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"sync"
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
		if x.lease.isOther(&r, x.digest) {
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
func (l *lease) isOther(r *protocol.Record, digest string) bool {
	return r.Run != nil && r.Run.Epoch > 0 && r.Run.Epoch < l.Epoch && r.Run.LeaseExpiry().After(time.Now()) &&
		r.Key == protocol.LeaseKey(digest, r.Run.Epoch)
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
		x.tally.addUnseen(x.scheduler.index.ReportGroup(int(place)), rec.Outcome, true)
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

// sharing is what an order knows of the other processes that apply the plan.
type sharing struct {
	order   *order
	joined  uint64    // version of the record of another process with which the order began again
	seen    uint64    // version of the last record of another process that the order waited for
	changed time.Time // when that was first seen
	alive   time.Time // until when the lease of that process is valid at least
}

// await waits while another process of this run works on the order, and returns the record.
func (s *sharing) await() (rec protocol.Record, leaseEnd time.Time, err error) {
	for waits := true; waits; {
		if rec, leaseEnd, err = s.order.load(); err != nil || !s.isOthers(&rec) || rec.Order.Phase == protocol.Open {
			break
		}
		waits, err = s.waitFor(&rec)
	}
	return rec, leaseEnd, err
}

// awaitLanes waits while another process of this run works on another order that has a lane of this one. It returns the
// records of the lanes, and whether it has waited.
func (s *sharing) awaitLanes(ids []string) (lanes []protocol.Record, waited bool, err error) {
	o, gone := s.order, ""
	for {
		if lanes, err = o.lanes(o.ctx, ids); err != nil {
			return nil, waited, err
		}
		at := slices.IndexFunc(lanes, func(r protocol.Record) bool {
			return r.Lane != nil && r.Lane.Order != "" && r.Lane.Order != o.entry.OrderID && !r.Lane.Blocked
		})
		if at < 0 || o.x.scheduler.single {
			return lanes, waited, nil
		}
		holder := lanes[at].Lane.Order
		rec, err := o.x.cfg.Journal.Get(o.ctx, protocol.OrderKey(holder))
		if ended := rec.Order == nil || !rec.Order.InFlight(); err == nil && ended && holder != gone {
			gone = holder // it may have freed the lane since that was read
			continue
		}
		if err != nil || !s.isOfRun(rec.Order) {
			return lanes, waited, err
		}
		waits, err := s.waitFor(&rec)
		if err != nil || !waits {
			return lanes, waited, err
		}
		waited = true
	}
}

// waitFor waits for a while if the process that wrote a record works on its order. It does not wait when this run ends,
// nor when the record has not changed for longer than a verification takes: then the other process has given up, and
// may itself wait for an order of this one.
func (s *sharing) waitFor(rec *protocol.Record) (waited bool, err error) {
	o, now := s.order, time.Now()
	if rec.Version != s.seen {
		s.seen, s.changed, s.alive = rec.Version, now, time.Time{}
	}
	c := &o.x.cfg
	unchanged := max(0, c.Verify.Timeout) + c.SettleDelay + c.PushTimeout
	if o.x.scheduler.single || s.stopping() || rec.Order.Phase == protocol.Ended || now.Sub(s.changed) > unchanged {
		return false, nil
	}
	if !now.Before(s.alive) {
		r, err := c.Journal.Get(o.ctx, protocol.LeaseKey(o.x.digest, rec.Order.Epoch))
		if s.alive = r.Run.LeaseExpiry(); err != nil || !now.Before(s.alive) {
			return false, err
		}
	}
	o.x.scheduler.admitted(o) // others do not wait for it
	o.attempt.giveSlot()
	return sleep(o.ctx, followPolls*o.x.lease.poll()) == nil, nil
}

// stopping reports whether the run, or the call that is about the order, ends.
func (s *sharing) stopping() bool { return s.order.x.stopping() || s.order.ctx.Err() != nil }

// isOthers reports whether a record is of another process that applies the same plan.
func (s *sharing) isOthers(rec *protocol.Record) bool {
	e := s.order.entry
	return s.isOfRun(rec.Order) && rec.Order.Fingerprint == e.Fingerprint && rec.Version > e.Version
}

// isOfRun reports whether another process that applies the same plan has written a record of an order.
func (s *sharing) isOfRun(r *protocol.Order) bool {
	x := s.order.x
	return r != nil && r.Run == x.digest && r.Epoch != x.lease.Epoch && x.lease.Duration > 0
}

// joins begins an order again that another process of this run has claimed meanwhile, so that the report has its
// outcome, and the orders behind it continue. If that process has given it back, this one takes it.
func (s *sharing) joins() bool {
	o := s.order
	if o.step.Outcome != protocol.Skipped && o.step.Outcome != protocol.ClaimedElsewhere || o.x.scheduler.single {
		return false
	}
	rec, err := o.x.cfg.Journal.Get(o.ctx, protocol.OrderKey(o.entry.OrderID))
	if err != nil || !s.isOthers(&rec) || rec.Version == s.joined ||
		rec.Order.Phase == protocol.Open && o.step.Outcome != protocol.ClaimedElsewhere {
		return false
	}
	s.joined = rec.Version
	fresh := newItem(o.entry)
	o.item.After, o.item.Evidence = fresh.After, fresh.Evidence
	if err := o.start(); err != nil {
		o.startFailed(err)
	}
	return true
}

// RecordedReport returns the report of a plan as the journal has it, while another process applies the plan or after
// its process was killed: a report without FinishedAt. Orders that were pushed are progressing or unknown until their
// outcome is recorded; those that were skipped, blocked or not started are not known. It is nil if the plan was not
// applied.
func RecordedReport(ctx context.Context, j Journal, p *plan.Plan) (*Report, error) {
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

// AddUnrecorded adds an order of which the journal has no outcome because nothing was sent. It is for programs with a
// loop of their own, which know the outcome.
func (r *Report) AddUnrecorded(e *plan.Entry, o protocol.Outcome) {
	item := newItem(e)
	item.Outcome, item.Why = o, "nothing was sent, and the journal has no reason"
	r.Items = append(r.Items, item)
	r.Result.add(o)
}

// OrderSet is a set of orders of a plan, by their numbers in [plan.Index]. The zero value is empty. As JSON it is a
// string with one bit for each order.
type OrderSet []byte

// Add adds an order.
func (p *OrderSet) Add(place int) {
	for len(*p) <= place/8 {
		*p = append(*p, 0)
	}
	(*p)[place/8] |= 1 << (place % 8)
}

// addAll adds the orders of another set.
func (p *OrderSet) addAll(other OrderSet) {
	if len(*p) < len(other) {
		*p = append(*p, make(OrderSet, len(other)-len(*p))...)
	}
	for i, b := range other {
		(*p)[i] |= b
	}
}

// Has reports whether an order is in the set.
func (p OrderSet) Has(place int) bool { return place/8 < len(p) && p[place/8]&(1<<(place%8)) != 0 }

// Len returns the number of orders in the set.
func (p OrderSet) Len() (n int) {
	for _, b := range p {
		n += bits.OnesCount8(b)
	}
	return n
}

// NextChain is one or more orders that share a subscription or tenant and are to be handled one after the other.
type NextChain struct {
	Places []int    `json:"places"`
	IDs    []string `json:"ids"`
	Vendor string   `json:"vendor,omitempty"` // of the first one
}

// Ready has the orders that may be begun now, see [Session.Ready].
type Ready struct {
	Chains []NextChain `json:"chains,omitempty"`
	// Ended has the orders that an earlier run has done, by outcome, and that were neither in done nor tried.
	Ended map[protocol.Outcome]OrderSet `json:"ended,omitempty"`
	// NotStarted are the orders whose group the canary has stopped.
	NotStarted OrderSet `json:"notStarted,omitempty"`
	// Judging reports that some group is still in its steps. Until it is not, each chain has one order, which must be
	// judged with StepOptions.Judge, and Ready must be called again when one has another Health.
	Judging bool           `json:"judging,omitempty"`
	Canary  []CanaryStatus `json:"canary,omitempty"`
	// Left counts the chains that were neither begun before nor are in Chains.
	Left int `json:"left"`
}

// readyTogether is how many orders of a chain Ready returns at most.
const readyTogether = 20

// Ready returns the orders that may be begun now, for a program that handles each with [Session.Step]. The canary of
// the Runner decides, from what the program knows, and from what the journal said of the orders when the run of the
// program began, which it reads when run is another one than in the last call. done has the orders that are done, by
// outcome; tried those that were begun and are not done, and those that are done with a Health, by their place. At most
// most chains are returned. Nothing may begin when Chains is empty; when Left is 0 too, every order is done or begun.
func (s *Session) Ready(
	ctx context.Context, run string, done map[protocol.Outcome]OrderSet, tried map[int]Health, most int,
) (Ready, error) {
	earlier, err := s.earlier.of(ctx, s.x, run)
	if err != nil {
		return Ready{}, err
	}
	quiet := s.x.cfg
	quiet.OnEvent, quiet.Audit, quiet.Logger = nil, nil, Config{}.WithDefaults().Logger
	r := ready{
		done: done, tried: tried, index: s.x.scheduler.index, ended: make(map[protocol.Outcome]OrderSet),
		scheduler: newScheduler(s.x.scheduler.index, &quiet, newEvents(ctx, &quiet, func(error) {})),
	}
	r.recall(earlier)
	r.count()
	r.enqueue()
	return r.take(most)
}

// earlierOrders are the orders of the plan that the journal had when a run of the program began.
type earlierOrders struct {
	mu     sync.Mutex
	run    string
	orders []earlierOrder // nil before they are read
}

// earlierOrder is what the journal says of an order.
type earlierOrder struct {
	place   int32
	phase   protocol.Phase
	outcome protocol.Outcome
	refused bool
}

// of returns the orders, which it reads once for each run of the program: the journal may have those of many plans.
func (l *earlierOrders) of(ctx context.Context, x *run, name string) ([]earlierOrder, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.orders != nil && l.run == name {
		return l.orders, nil
	}
	orders := []earlierOrder{}
	for rec, err := range x.cfg.Journal.Records(ctx) {
		if err != nil {
			return nil, fmt.Errorf("resubmit: the journal: read its records: %w", err)
		}
		if o := rec.Order; o != nil && o.Run == x.digest {
			if place, ok := x.scheduler.index.Find(rec.ID); ok {
				orders = append(orders, earlierOrder{int32(place), o.Phase, o.Outcome, o.Refused}) //nolint:gosec // as above
			}
		}
	}
	l.run, l.orders = name, orders
	return orders, ctx.Err()
}

// ready finds the orders that may be begun.
type ready struct {
	scheduler *scheduler
	index     *plan.Index
	done      map[protocol.Outcome]OrderSet
	allDone   OrderSet
	tried     map[int]Health
	ended     map[protocol.Outcome]OrderSet
}

// recall counts what the journal said.
func (r *ready) recall(earlier []earlierOrder) {
	for _, places := range r.done {
		r.allDone.addAll(places)
	}
	for _, o := range earlier {
		rec := protocol.Order{Phase: o.phase, Outcome: o.outcome, Refused: o.refused}
		_, tried := r.tried[int(o.place)]
		if !r.scheduler.recall(o.place, &rec) || tried || r.allDone.Has(int(o.place)) {
			continue
		}
		p := r.ended[o.outcome]
		p.Add(int(o.place))
		r.ended[o.outcome] = p
	}
}

// count adds what the program knows.
func (r *ready) count() {
	for i := range r.index.Len() {
		place := int32(i)
		if r.scheduler.progress[place] == finished {
			continue
		}
		health, tried := r.tried[i]
		switch {
		case r.done[protocol.Completed].Has(i):
			health, tried = good, true
		case r.done[protocol.FailedAgain].Has(i) || r.done[protocol.FalseSuccess].Has(i):
			health, tried = bad, true
		}
		if tried {
			r.scheduler.recount(place, health)
		}
		if r.allDone.Has(i) {
			r.scheduler.progress[place] = finished
		}
	}
	r.scheduler.recounted()
}

// enqueue queues the first order of each chain that is not done, unless it was begun.
func (r *ready) enqueue() {
	for i := range r.index.Len() {
		if !r.index.First(i) {
			continue
		}
		place, left := i, true
		for left && r.scheduler.progress[place] == finished {
			place, left = r.index.Next(place)
		}
		if _, begun := r.tried[place]; left && !begun {
			r.scheduler.enqueue(int32(place))
		}
	}
}

// take takes the orders that the canary allows.
func (r *ready) take(most int) (out Ready, err error) {
	s := r.scheduler
	out.Canary, out.Ended = s.canaryView(), r.ended
	for i := range s.canary.groups {
		out.Judging = out.Judging || s.canary.groups[i].climbs()
	}
	for len(out.Chains) < most {
		resumed := len(s.resumed) > 0
		place, ok := s.pick()
		if !ok {
			break
		}
		s.waiting--
		if !resumed && s.canaryStopped(place) != "" {
			out.NotStarted.Add(int(place))
			continue
		}
		next, err := r.chain(int(place), !out.Judging)
		if err != nil {
			return Ready{}, err
		}
		out.Chains = append(out.Chains, next)
	}
	out.Left = s.waiting
	return out, nil
}

// chain returns an order, and if all is set the next ones of its chain.
func (r *ready) chain(place int, all bool) (next NextChain, err error) {
	for ok := true; ok && len(next.IDs) < readyTogether; place, ok = r.index.Next(place) {
		e, err := r.index.Entry(place)
		if err != nil {
			return next, fmt.Errorf("resubmit: read the plan: %w", err)
		}
		if len(next.IDs) == 0 {
			next.Vendor = e.VendorAccountID
		}
		next.Places, next.IDs = append(next.Places, place), append(next.IDs, e.OrderID)
		if !all {
			break
		}
	}
	return next, nil
}

// recall counts what a record says about an order, and reports whether it has ended.
func (s *scheduler) recall(place int32, rec *protocol.Order) (ended bool) {
	switch rec.Phase {
	case protocol.Claimed, protocol.Unanswered:
		s.mark(place, inFlight)
		return false
	case protocol.Pushed:
		s.mark(place, accepted)
		return false
	case protocol.Open:
		return false
	case protocol.Ended:
	}
	s.mark(place, finished)
	switch rec.Outcome {
	case protocol.Completed:
		s.recount(place, good)
	case protocol.FailedAgain, protocol.FalseSuccess:
		s.recount(place, bad)
	case protocol.Skipped:
		if rec.Refused {
			s.recount(place, bad)
		}
	default:
	}
	return true
}
