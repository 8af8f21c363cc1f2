package plan

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// Index is the list of the orders that a plan resubmits, oldest first, numbered from 0. It has what a run must know of
// all orders at once, in 41 bytes each; the entries stay in the file. It is immutable and safe for concurrent use.
//
// A chain is a connected component of orders that share a lane, see [Entry.Lanes]; entries of one order are in one
// chain. The orders of a chain must be handled one after the other.
type Index struct {
	plan   *Plan
	seed   maphash.Seed
	pages  []*page
	length int
	// table is a hash table of the ids with linear probing. It has the oldest order of each id.
	table   []orderRef
	kinds   []kindOf
	groups  []Group
	readers *sync.Pool // of *entryReader; not in here, because the runtime keeps what a pool is in for a while
}

// Group is a group of the canary: the orders of one vendor, type and class of failure, which it releases on their own.
type Group struct {
	VendorAccountID string
	Type            commerce.OrderType
	Class           failure.Class
}

// ReportGroup is a group of orders that the report counts together.
type ReportGroup struct {
	Class           failure.Class
	VendorAccountID string
	Channel         commerce.Channel
}

// orderRef is the number of an order plus 1; 0 is none.
type orderRef uint32

// refTo returns a reference to order i. A plan of more than 2^32 orders would have a terabyte.
func refTo(i int) orderRef { return orderRef(i + 1) } //nolint:gosec // see above

// number returns the number of the order; ok is false if there is none.
func (r orderRef) number() (i int, ok bool) { return int(r) - 1, r != 0 }

const pageOrders = 4096

// page has consecutive orders of an Index.
type page struct {
	ids     [pageOrders]uint64 // hashes of the order ids
	offsets [pageOrders]int64  // of the lines
	orders  [pageOrders]indexed
}

// indexed is one order of an Index.
type indexed struct {
	customer uint32 // hash
	failedAt uint32 // seconds since 1970; 0 if unknown
	kind     uint32
	next     orderRef // of the same chain
	previous orderRef // of the same chain
}

// kindOf is what orders of one kind have in common.
type kindOf struct {
	group    int
	reported ReportGroup
	verdict  failure.Verdict
}

func (ix *Index) at(i int) *indexed { return &ix.pages[i/pageOrders].orders[i%pageOrders] }

// Len returns the number of orders to resubmit.
func (ix *Index) Len() int { return ix.length }

// Next returns the next order of the chain of order i; ok is false if i is the last one.
func (ix *Index) Next(i int) (next int, ok bool) { return ix.at(i).next.number() }

// Previous returns the previous order of the chain of order i; ok is false if i is the first one.
func (ix *Index) Previous(i int) (previous int, ok bool) { return ix.at(i).previous.number() }

// First reports whether order i is the first one of its chain.
func (ix *Index) First(i int) bool { return ix.at(i).previous == 0 }

// Group returns the number of the order's group in [Index.Groups].
func (ix *Index) Group(i int) int { return ix.kinds[ix.at(i).kind].group }

// Groups returns the groups, in the order in which they first appear in the plan.
func (ix *Index) Groups() []Group { return ix.groups }

// ReportGroup returns the group of the report that the order belongs to.
func (ix *Index) ReportGroup(i int) ReportGroup { return ix.kinds[ix.at(i).kind].reported }

// Customer returns a number that is equal for orders of one customer, and hardly ever for those of two; 0 if the
// customer is unknown. It differs each time a plan is opened.
func (ix *Index) Customer(i int) uint32 { return ix.at(i).customer }

// Verdict returns whether a maintenance caused the failure of order i.
func (ix *Index) Verdict(i int) failure.Verdict { return ix.kinds[ix.at(i).kind].verdict }

// FailedAt returns when order i failed, in seconds and UTC; zero if that is unknown or not between 1970 and 2106.
func (ix *Index) FailedAt(i int) time.Time {
	s := ix.at(i).failedAt
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// Find returns the number of the order with an id, the oldest one if there are several. It compares 64-bit hashes with
// a random seed, so compare the id of its Entry before anything is done to the order.
func (ix *Index) Find(orderID string) (i int, ok bool) {
	if ix.length == 0 {
		return 0, false
	}
	return ix.slot(ix.hash(orderID)).number()
}

// slot returns where the table has the order with an id, which is 0 if there is none.
func (ix *Index) slot(id uint64) *orderRef {
	for n := id % uint64(len(ix.table)); ; n = (n + 1) % uint64(len(ix.table)) {
		slot := &ix.table[n]
		if i, ok := slot.number(); !ok || ix.pages[i/pageOrders].ids[i%pageOrders] == id {
			return slot
		}
	}
}

func (ix *Index) hash(s string) uint64 { return maphash.String(ix.seed, s) }

// Entry reads order i from the file. It returns an error if the file cannot be read or has changed since it was opened.
// The caller may keep and modify the entry.
func (ix *Index) Entry(i int) (*Entry, error) {
	return ix.entryAt(ix.pages[i/pageOrders].offsets[i%pageOrders])
}

func (ix *Index) entryAt(offset int64) (*Entry, error) {
	r, ok := ix.readers.Get().(*entryReader)
	if !ok {
		r = new(entryReader)
	}
	defer ix.readers.Put(r)
	e := new(Entry)
	if err := r.read(ix.plan, offset, e); err != nil {
		return nil, fmt.Errorf("%s: byte %d: %w; make a new plan", ix.plan.prefix(), offset+1, err)
	}
	return e, nil
}

// entryReader reads single entries. It is kept for its buffers.
type entryReader struct {
	buf []byte
	dec decoder
}

func (r *entryReader) read(p *Plan, offset int64, e *Entry) error {
	start := offset - offset%sumSize
	for size := int64(2 * sumSize); ; size *= 4 {
		size = min(size, p.size-start)
		if int64(cap(r.buf)) < size {
			r.buf = make([]byte, size)
		}
		block := r.buf[:size]
		if err := p.readBlock(block, start, false); err != nil {
			return err
		}
		line, _, ended := bytes.Cut(block[offset-start:], []byte{'\n'})
		if ended {
			return r.dec.decode(string(line), e)
		}
		if start+size == p.size {
			return errChanged
		}
	}
}
