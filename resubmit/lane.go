package resubmit

import (
	"hash/maphash"
	"slices"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// lanes serialize the orders of one subscription: one at a time, in the order
// of the plan, which is oldest first (resubmit/SAFETY.md#f8, resubmit/SAFETY.md#i5). An order
// is in several lanes at once if it touches several subscriptions. Since all orders enter in
// the order of the plan, two can never wait for each other.
type lanes struct {
	queues map[string][]*job
	// stopped has the barrier of each lane that has ended. It is all that remains of orders that
	// are done, so the lanes are hashed to save memory.
	stopped map[uint64]*barrier
	seed    maphash.Seed
	heads   []*barrier // block at least one order
	// waiting counts the orders with another before them. If there are most, no order is added that
	// would have to wait.
	waiting, most int
}

func newLanes(most int) *lanes {
	return &lanes{
		queues: make(map[string][]*job), stopped: make(map[uint64]*barrier), seed: maphash.MakeSeed(),
		most: most,
	}
}

// shut ends a lane. The lane of the order itself gets no barrier, to save memory: if the plan has an
// order twice, the journal prevents a second push.
func (l *lanes) shut(lane string, j *job, b *barrier) {
	if lane == orderLane(j.entry) {
		return
	}
	if h := l.hash(lane); l.stopped[h] == nil {
		l.stopped[h] = b
	}
}

// block counts an order that is blocked.
func (l *lanes) block(by *barrier) {
	head := by.first()
	if head.blocked++; head.blocked == 1 {
		l.heads = append(l.heads, head)
	}
}

func (l *lanes) hash(lane string) uint64 { return maphash.String(l.seed, lane) }

// laneKeys returns the lanes of an order: its subscriptions and its tenant. Order Management may not
// return the subscription (commerce/WIRE.md#2.4), so an order that is no purchase and has none shares
// a lane with the others of its customer. The order itself is a lane too, so that a plan that has it
// twice does not push it twice at once.
func laneKeys(e *plan.Entry) []string {
	keys := make([]string, 0, len(e.Subscriptions)+2)
	keys = append(keys, orderLane(e))
	for _, id := range e.Subscriptions {
		keys = append(keys, "subscription "+id)
	}
	if e.TenantID != "" {
		keys = append(keys, "tenant "+e.TenantID)
	}
	if len(keys) == 1 && e.Type != commerce.TypeSales && e.Customer != "" {
		keys = append(keys, "customer "+e.VendorAccountID+" "+e.Customer)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func orderLane(e *plan.Entry) string { return "order " + e.OrderID }

// full reports whether an order would have to wait and too many do.
func (l *lanes) full(j *job) bool {
	if l.waiting < l.most {
		return false
	}
	waits := false
	for _, k := range j.lanes {
		if l.stopped[l.hash(k)] != nil {
			return false
		}
		waits = waits || len(l.queues[k]) > 0
	}
	return waits
}

// add adds an order to its lanes. It is ready if no order is before it; by is the barrier if it is
// blocked.
func (l *lanes) add(j *job) (ready bool, by *barrier) {
	for _, k := range j.lanes {
		if b := l.stopped[l.hash(k)]; b != nil {
			l.bar(j, b)
			return false, b
		}
	}
	j.before = 0
	for _, k := range j.lanes {
		if len(l.queues[k]) > 0 {
			j.before++
		}
		l.queues[k] = append(l.queues[k], j)
	}
	if j.before > 0 {
		l.waiting++
	}
	return j.before == 0, nil
}

// bar ends the lanes of an order that is blocked before it was added.
func (l *lanes) bar(j *job, by *barrier) {
	j.blockedBy = by
	own := newBarrier(j)
	for _, k := range j.lanes {
		l.shut(k, j, own)
	}
}

// waitsForUnreleased reports whether an order waits for one that the canary has not released. It must not use
// the limit of the group meanwhile, because the older one may wait for that.
func (l *lanes) waitsForUnreleased(j *job) bool {
	if j.before == 0 || j.blockedBy != nil {
		return false
	}
	for _, k := range j.lanes {
		for _, older := range l.queues[k] {
			if older != j && !older.released {
				return true
			}
		}
	}
	return false
}

// leave removes an order that is done from its lanes and returns the orders that are ready now.
func (l *lanes) leave(j *job) (ready []*job) {
	for _, k := range j.lanes {
		q := l.queues[k][1:]
		if len(q) == 0 {
			delete(l.queues, k)
			continue
		}
		l.queues[k] = q
		q[0].before--
		if q[0].before == 0 {
			l.waiting--
			ready = append(ready, q[0])
		}
	}
	return ready
}

// stop ends the lanes of an order that was not completed, those of the orders after it, and so on. It
// returns the blocked orders, with blockedBy set.
func (l *lanes) stop(j *job) (blocked []*job) {
	work := []*job{j}
	for len(work) > 0 {
		j, work = work[0], work[1:]
		own := newBarrier(j)
		for _, k := range j.lanes {
			q := l.queues[k]
			at := slices.Index(q, j)
			if at < 0 {
				continue // the order that blocks this one has ended the lane
			}
			l.shut(k, j, own)
			for _, b := range q[at+1:] {
				if b.blockedBy == nil {
					b.blockedBy = own
					l.waiting--
					blocked, work = append(blocked, b), append(work, b)
				}
			}
			if at == 0 {
				delete(l.queues, k)
			} else {
				l.queues[k] = q[:at]
			}
		}
	}
	return blocked
}

// laneSet is a set of lanes of fixed size, a Bloom filter with one hash: it may report a lane that was
// not added.
type laneSet struct {
	bits []uint64
	used bool // a lane was added
	seed maphash.Seed
}

// mostLaneBits is 4 MiB: with a million lanes, one in 32 others is reported wrongly.
const mostLaneBits = 1 << 25

// newLaneSet returns a set for the lanes of a number of orders.
func newLaneSet(orders int) *laneSet {
	bits := 1 << 20
	for bits < mostLaneBits && bits/64 < orders {
		bits *= 2
	}
	return &laneSet{bits: make([]uint64, bits/64), seed: maphash.MakeSeed()}
}

func (s *laneSet) hash(lane string) uint64 { return maphash.String(s.seed, lane) }

// place returns the position of a hash.
func (s *laneSet) place(hash uint64) (word, bit uint64) {
	hash %= uint64(64 * len(s.bits))
	return hash / 64, 1 << (hash % 64)
}

func (s *laneSet) add(lanes []string) {
	s.used = true
	for _, k := range lanes {
		word, bit := s.place(s.hash(k))
		s.bits[word] |= bit
	}
}

func (s *laneSet) hasAny(lanes []string) bool {
	return s.used && slices.ContainsFunc(lanes, func(k string) bool {
		word, bit := s.place(s.hash(k))
		return s.bits[word]&bit != 0
	})
}

// places is a set of orders of a plan, by their index among those to resubmit.
type places struct {
	bits []uint64
	n    int
}

func (p *places) add(place int) {
	for len(p.bits) <= place/64 {
		p.bits = append(p.bits, 0)
	}
	p.bits[place/64] |= 1 << (place % 64)
	p.n++
}

func (p *places) has(place int) bool {
	return place/64 < len(p.bits) && p.bits[place/64]&(1<<(place%64)) != 0
}
