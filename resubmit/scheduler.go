package resubmit

import (
	"cmp"
	"slices"
	"sync"

	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// scheduler decides which order of the plan is opened next. The orders of a chain, which share lanes, are opened one
// after the other (resubmit/SAFETY.md#f8, resubmit/SAFETY.md#i5); a few orders of each group go first; and only so many
// orders are open at the same time.
type scheduler struct {
	index *plan.Index
	most  int // open orders

	mu      sync.Mutex
	ahead   int // how many orders may wait to be admitted, so that they are pushed in the order of the plan
	early   int // orders that were opened and not admitted yet
	changed sync.Cond
	canary  *canary
	queues  []groupQueue
	// resumed are the orders that an earlier run may have pushed. They go first, whatever the canary says, because they
	// are only read.
	resumed []int32
	// progress is how far an earlier run got with each order.
	progress []progress
	// counted are orders that recount has counted. Their customers are of interest only in groups that still climb.
	counted OrderSet
	behind  map[int32]int32  // how many orders a chain has from its next order on, if that is not the last one
	chains  map[int32]*chain // of orders that are not the first of their chain, and wait or are open
	open    map[int32]*order
	waiting int // chains with an order that is not open yet
	stopped bool
	first   int  // the order to begin with, so that processes that apply one plan do not try the same orders
	single  bool // a Session, which knows the chains, opens the orders
}

// progress is how far an order of the plan got in earlier runs.
type progress uint8

const (
	notRecorded progress = iota
	inFlight             // it may have been pushed, and its outcome is not known
	accepted             // it was pushed, and its outcome is not known
	finished             // its outcome is known
)

// left returns the outcome of an order with this progress if the run ends before it, and why.
func (p progress) left(why string) (protocol.Outcome, string) {
	switch p {
	case inFlight:
		return protocol.Unknown, "the push got no answer, and that was not resolved before the run ended: " + why
	case accepted:
		return protocol.Progressing, "pushed, and not verified before the run ended: " + why
	default:
		return protocol.NotStarted, why
	}
}

// chain is what the orders of a chain know of the ones before them.
type chain struct {
	blocked map[string]blockage // by lane
}

// blockage is why a lane is blocked.
type blockage struct {
	by   string // the label of the order that did not end well
	root string // the label of the order that blocks that one, or the same
}

// groupQueue has the orders of one canary group that may be opened.
type groupQueue struct {
	places []int32 // in the order of the plan, from next on
	next   int
	// preferred are the same orders in the order in which the canary tries them; nil until it needs one.
	preferred []int32
	taken     map[int32]bool // of places, taken by the canary
}

func newScheduler(index *plan.Index, c *Config, events *events) *scheduler {
	s := &scheduler{
		index: index, most: c.MaxOpenOrders, ahead: c.Concurrency, canary: newCanary(c.Canary, index, events),
		queues: make([]groupQueue, len(index.Groups())), progress: make([]progress, index.Len()),
		behind: make(map[int32]int32),
		chains: make(map[int32]*chain), open: make(map[int32]*order),
	}
	s.changed.L = &s.mu
	return s
}

// begin queues the first order of each chain.
func (s *scheduler) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.index.Len()
	for i := range n {
		if place := (s.first + i) % n; s.index.First(place) {
			s.measure(int32(place)) //nolint:gosec // a plan has fewer orders
			s.enqueue(int32(place)) //nolint:gosec // a plan has fewer orders
		}
	}
}

// measure counts the orders of a chain.
func (s *scheduler) measure(first int32) {
	n := int32(1)
	for at, ok := s.index.Next(int(first)); ok; at, ok = s.index.Next(at) {
		n++
	}
	if n > 1 {
		s.behind[first] = n
	}
}

// enqueue queues an order and, behind it, its chain. Orders of the chain that are finished are passed over.
func (s *scheduler) enqueue(place int32) {
	for s.progress[place] == finished {
		next, ok := s.index.Next(int(place))
		if !ok {
			return
		}
		s.follow(place, int32(next)) //nolint:gosec // a plan has fewer orders
		place = int32(next)          //nolint:gosec // a plan has fewer orders
	}
	s.waiting++
	if p := s.progress[place]; p == inFlight || p == accepted {
		s.resumed = append(s.resumed, place)
	} else {
		q := &s.queues[s.index.Group(int(place))]
		q.places = append(q.places, place)
		if q.preferred != nil {
			q.preferred = append(q.preferred, place)
		}
	}
	s.changed.Broadcast()
}

// follow hands what is known of a chain to its next order.
func (s *scheduler) follow(place, next int32) {
	if n := s.behind[place]; n > 2 {
		s.behind[next] = n - 1
	}
	delete(s.behind, place)
	if c := s.chains[place]; c != nil {
		delete(s.chains, place)
		s.chains[next] = c
	}
}

// next opens an order, or waits until one may be opened. ok is false when all orders are done or none may be opened any
// more.
func (s *scheduler) next() (place int32, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.stopped || s.waiting == 0 && len(s.open) == 0 {
			return 0, false
		}
		if len(s.open) < s.most && s.early < s.ahead {
			if place, ok := s.pick(); ok {
				s.waiting--
				s.early++
				s.open[place] = nil
				return place, true
			}
		}
		s.changed.Wait()
	}
}

// pick takes the order that goes next: of all groups of which an order may be tried, the one that is first in the plan.
func (s *scheduler) pick() (int32, bool) {
	if len(s.resumed) > 0 {
		place := s.resumed[0]
		s.resumed = s.resumed[1:]
		s.canary.groups[s.index.Group(int(place))].try(s.index.Customer(int(place)))
		return place, true
	}
	best := -1
	for i := range s.queues {
		q := &s.queues[i]
		q.skipTaken()
		if q.next < len(q.places) && s.canary.allows(&s.canary.groups[i]) &&
			(best < 0 || q.places[q.next] < s.queues[best].places[s.queues[best].next]) {
			best = i
		}
	}
	if best < 0 {
		return 0, false
	}
	q, g := &s.queues[best], &s.canary.groups[best]
	if !g.climbs() {
		place := q.places[q.next]
		q.next++
		return place, true
	}
	place := s.candidate(q, g)
	g.try(s.index.Customer(int(place)))
	return place, true
}

func (q *groupQueue) skipTaken() {
	for q.next < len(q.places) && q.taken[q.places[q.next]] {
		delete(q.taken, q.places[q.next])
		q.next++
	}
}

// candidate takes the order that the canary tries next: of a customer that was not tried yet, certainly caused by the
// maintenance before likely, and the latest failure first.
func (s *scheduler) candidate(q *groupQueue, g *canaryGroup) int32 {
	if q.preferred == nil {
		q.preferred = slices.Clone(q.places[q.next:])
		q.taken = make(map[int32]bool)
		slices.SortStableFunc(q.preferred, func(a, b int32) int {
			return cmp.Or(cmp.Compare(rank(s.index.Verdict(int(a))), rank(s.index.Verdict(int(b)))),
				s.index.FailedAt(int(b)).Compare(s.index.FailedAt(int(a))))
		})
	}
	at := 0
	for i, place := range q.preferred {
		if !g.customers[s.index.Customer(int(place))] {
			at = i
			break
		}
	}
	place := q.preferred[at]
	q.preferred = slices.Delete(q.preferred, at, at+1)
	q.taken[place] = true
	return place
}

func rank(v failure.Verdict) int { return slices.Index(failure.Verdicts(), v) }

// admitted counts an order that does not wait to be admitted any more.
func (s *scheduler) admitted(o *order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !o.admitted {
		o.admitted = true
		s.early--
		s.changed.Broadcast()
	}
}

// setAhead sets how many orders may wait to be admitted.
func (s *scheduler) setAhead(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead = n
	s.changed.Broadcast()
}

// opened registers an order that was opened.
func (s *scheduler) opened(o *order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[o.place] = o
}

// blockedBy returns the order before another one, of the same lane, that did not end well in this run.
func (s *scheduler) blockedBy(o *order) (b blockage, blocked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chains[o.place]
	if c == nil {
		return b, false
	}
	for _, lane := range o.entry.Lanes() {
		if b, blocked = c.blocked[lane]; blocked {
			break
		}
	}
	return b, blocked
}

// done closes an order and queues the next one of its chain. block means that the next orders of its lanes must not be
// pushed.
func (s *scheduler) done(o *order, block bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, o.place)
	if s.single {
		return
	}
	if !o.admitted {
		s.early--
	}
	s.progress[o.place] = finished
	next, ok := s.index.Next(int(o.place))
	if !ok {
		delete(s.chains, o.place)
		s.changed.Broadcast()
		return
	}
	if block {
		s.blockLanes(o)
	}
	s.follow(o.place, int32(next)) //nolint:gosec // a plan has fewer orders
	s.enqueue(int32(next))         //nolint:gosec // a plan has fewer orders
}

func (s *scheduler) blockLanes(o *order) {
	c := s.chains[o.place]
	if c == nil {
		c = &chain{blocked: make(map[string]blockage)}
		s.chains[o.place] = c
	}
	for _, lane := range o.entry.Lanes() {
		if _, blocked := c.blocked[lane]; !blocked {
			c.blocked[lane] = blockage{by: o.entry.Label(), root: cmp.Or(o.blocker, o.entry.Label())}
		}
	}
}

// judge tells the canary how an order is.
func (s *scheduler) judge(o *order, h Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.canary.judge(s.index.Group(int(o.place)), s.index.Customer(int(o.place)), o.health, h)
	o.health = h
	s.changed.Broadcast()
}

// canaryStopped returns why the group of an order was stopped; "" if it was not.
func (s *scheduler) canaryStopped(place int32) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.canary.groups[s.index.Group(int(place))].stopped
}

// climbs reports whether other orders wait for the judgment of an order.
func (s *scheduler) climbs(place int32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.canary.groups[s.index.Group(int(place))].climbs()
}

// mark records how far an earlier run got with an order.
func (s *scheduler) mark(place int32, p progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.progress[place] = p
}

// progressOf returns how far an earlier run got with an order.
func (s *scheduler) progressOf(place int32) progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress[place]
}

// recount counts an order that an earlier run has judged.
func (s *scheduler) recount(place int32, h Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &s.canary.groups[s.index.Group(int(place))]
	if g.climbs() {
		g.tried++
		s.counted.Add(int(place))
	}
	g.judge(s.index.Customer(int(place)), unjudged, h)
}

// recounted is called when all orders of earlier runs were counted. The canary judges them together, since the journal
// has them in any order.
func (s *scheduler) recounted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.canary.groups {
		s.canary.climb(&s.canary.groups[i])
	}
	for i := range s.index.Len() {
		if g := &s.canary.groups[s.index.Group(i)]; s.counted.Has(i) && g.climbs() {
			g.customers[s.index.Customer(i)] = true
		}
	}
	s.counted = nil
}

// stop opens no more orders.
func (s *scheduler) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	s.changed.Broadcast()
}

// rest returns the places of the orders that are not finished.
func (s *scheduler) rest() (open []*order, places []int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range s.progress {
		place := int32(i)
		if p == finished {
			continue
		}
		if o := s.open[place]; o != nil {
			open = append(open, o)
			continue
		}
		places = append(places, place)
	}
	return open, places
}

// openOrders counts the open orders: those that are not pushed yet, and those that were or may have been.
func (s *scheduler) openOrders() (pushing, verifying int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.open {
		if o != nil && o.sent.Load() {
			verifying++
		} else {
			pushing++
		}
	}
	return pushing, verifying
}

// backlog returns what is still to do.
func (s *scheduler) backlog() backlog {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := backlog{ready: s.waiting}
	if len(s.open) > 0 || s.waiting > 0 {
		b.chain = 1
	}
	for _, n := range s.behind {
		b.chain = max(b.chain, int(n))
	}
	for i := range s.queues {
		if q, g := &s.queues[i], &s.canary.groups[i]; q.next < len(q.places) && g.climbs() {
			b.steps = max(b.steps, s.canary.steps(g, g.tried+len(q.places)-q.next))
		}
	}
	return b
}

func (s *scheduler) canaryView() []CanaryStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.canary.view()
}

// anyStopped reports whether the canary has stopped a group.
func (s *scheduler) anyStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.canary.groups {
		if s.canary.groups[i].stopped != "" {
			return true
		}
	}
	return false
}

// leave leaves the canary and the chains to a Session.
func (s *scheduler) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.single = true
	for i := range s.canary.groups {
		s.canary.groups[i].done = true
	}
}
