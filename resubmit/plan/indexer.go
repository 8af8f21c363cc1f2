package plan

import (
	"cmp"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// indexer builds an Index from the entries in the order of the plan.
type indexer struct {
	ix     *Index
	kinds  map[kindKey]uint32
	groups map[Group]int
	lanes  [4096][]inLane // by the first 12 bits of the hash
}

// inLane is an order in a lane. Should the hashes of two lanes have equal bits, their orders are only in one chain.
type inLane struct {
	lane  uint32 // the last 32 bits of the hash
	order orderRef
}

type kindKey struct {
	vendor  string
	typ     commerce.OrderType
	class   failure.Class
	channel commerce.Channel
	verdict failure.Verdict
}

func newIndexer(p *Plan) *indexer {
	return &indexer{
		ix:    &Index{plan: p, seed: maphash.MakeSeed(), readers: &sync.Pool{}},
		kinds: make(map[kindKey]uint32), groups: make(map[Group]int),
	}
}

// add appends an order, whose texts may refer to the line.
func (x *indexer) add(e *Entry, offset int64) {
	ix, n := x.ix, x.ix.length
	if n%pageOrders == 0 {
		ix.pages = append(ix.pages, new(page))
	}
	ix.length++
	page, at := ix.pages[n/pageOrders], n%pageOrders
	page.ids[at], page.offsets[at] = ix.hash(e.OrderID), offset
	page.orders[at] = indexed{
		customer: ix.hashCustomer(e),
		failedAt: secondsOf(e.Before.FailedAt),
		kind:     x.kind(e),
	}
	for _, name := range e.Lanes() {
		hash := ix.hash(name)
		part := &x.lanes[hash>>52]
		*part = append(*part, inLane{uint32(hash), refTo(n)}) //nolint:gosec // the last bits
	}
}

// hashCustomer returns the number of a customer.
func (ix *Index) hashCustomer(e *Entry) uint32 {
	customer := cmp.Or(e.CustomerID, e.Customer)
	if customer == "" {
		return 0
	}
	return max(1, uint32(ix.hash(customer)>>32))
}

// secondsOf returns a time in seconds since 1970, or 0 if it does not fit.
func secondsOf(t time.Time) uint32 {
	if s := t.Unix(); s > 0 && s <= math.MaxUint32 {
		return uint32(s)
	}
	return 0
}

// kind returns the number of the kind of an order. The names of a new one are copied, since they may refer to the line.
func (x *indexer) kind(e *Entry) uint32 {
	key := kindKey{e.VendorAccountID, e.Type, e.Attribution.Class, e.Channel, e.Attribution.Verdict}
	if n, ok := x.kinds[key]; ok {
		return n
	}
	key = kindKey{copyOf(key.vendor), copyOf(key.typ), copyOf(key.class), copyOf(key.channel), copyOf(key.verdict)}
	n := uint32(len(x.kinds)) //nolint:gosec // there are at most as many as orders
	x.kinds[key] = n
	g := Group{key.vendor, key.typ, key.class}
	if _, known := x.groups[g]; !known {
		x.groups[g] = len(x.ix.groups)
		x.ix.groups = append(x.ix.groups, g)
	}
	x.ix.kinds = append(x.ix.kinds, kindOf{x.groups[g], ReportGroup{key.class, key.vendor, key.channel}, key.verdict})
	return n
}

func copyOf[S ~string](s S) S { return S(strings.Clone(string(s))) }

// finish links the chains and fills the table. Until they are linked, next is an older order of the same chain.
func (x *indexer) finish() *Index {
	for n, part := range &x.lanes {
		slices.SortFunc(part, func(a, b inLane) int { return cmp.Compare(a.lane, b.lane) })
		for i := 1; i < len(part); i++ {
			if part[i].lane == part[i-1].lane {
				x.join(part[i].order, part[i-1].order)
			}
		}
		x.lanes[n] = nil // its memory is used again below
	}
	x.fillTable()
	ix := x.ix
	last := make([]orderRef, ix.length) // by the oldest order of a chain: the order linked last
	for i := ix.length - 1; i >= 0; i-- {
		o, oldest := ix.at(i), x.oldest(i)
		if next, ok := last[oldest].number(); ok {
			ix.at(next).previous = refTo(i)
		}
		o.next, last[oldest] = last[oldest], refTo(i)
	}
	return ix
}

// fillTable enters the oldest order of each id, and joins entries of one order.
func (x *indexer) fillTable() {
	ix := x.ix
	ix.table = make([]orderRef, ix.length*5/4+1) // so that a fifth is free
	for i := range ix.length {
		slot := ix.slot(ix.pages[i/pageOrders].ids[i%pageOrders])
		if oldest := *slot; oldest != 0 {
			x.join(refTo(i), oldest)
		} else {
			*slot = refTo(i)
		}
	}
}

// join joins the chains of two orders.
func (x *indexer) join(a, b orderRef) {
	m, n := x.oldest(int(a)-1), x.oldest(int(b)-1)
	if m != n {
		x.ix.at(max(m, n)).next = refTo(min(m, n))
	}
}

// oldest returns the oldest order of the chain of order n, and shortens the path to it.
func (x *indexer) oldest(n int) int {
	for {
		o := x.ix.at(n)
		older, ok := o.next.number()
		if !ok {
			return n
		}
		if oldest := x.ix.at(older).next; oldest != 0 {
			o.next = oldest
		}
		n = older
	}
}
