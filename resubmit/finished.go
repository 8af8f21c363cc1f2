package resubmit

import (
	"hash/maphash"
	"math/bits"
	"slices"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// finishedOrders is a table of the orders that an earlier run has finished in a way that does not
// block their lanes. A resumed run passes over them. There may be as many as the plan has orders, so
// the table is compact: 16 bytes for each order, at most three quarters full.
type finishedOrders struct {
	ids, fingerprints maphash.Seed
	// An order is in the slot of its key or, if that is taken, in the next free one.
	slots []finishedOrder
	n     int
	most  int // how many orders there can be
}

// finishedOrder is one of them. It counts only if the hashes of its id and its fingerprint match the
// plan's: together 124 bits with random seeds.
type finishedOrder struct {
	key         uint64 // a hash of the id, with the outcome in the last bits; 0 for none
	fingerprint uint64 // a hash of the fingerprint
}

// The last bits of a key.
const (
	endTaken  = 1 << 0
	endPushed = 1 << 1 // it was pushed, or a push of it was refused
	endState  = 2      // the index in finalStates from this bit on
	endBits   = 4
)

func (e *finishedOrder) outcome() Outcome { return Outcome(finalStates[e.key>>endState&3]) }

func (e *finishedOrder) pushed() bool { return e.key&endPushed != 0 }

func newFinishedOrders(most int) *finishedOrders {
	return &finishedOrders{ids: maphash.MakeSeed(), fingerprints: maphash.MakeSeed(), slots: make([]finishedOrder, 64),
		most: most}
}

func (o *finishedOrders) add(r *RecordHead) {
	state := slices.Index(finalStates[:], r.State)
	if state < 0 || !free(Outcome(r.State), r.Seen) {
		return
	}
	key := keyOf(maphash.String(o.ids, r.OrderID)) | endTaken | uint64(state)<<endState
	if r.Attempt > 0 {
		key |= endPushed
	}
	if o.n++; o.n > len(o.slots)/4*3 {
		o.grow()
	}
	o.slots[o.free(key)] = finishedOrder{key: key, fingerprint: maphash.String(o.fingerprints, r.Fingerprint)}
}

// grow doubles the table, or makes room for all orders if many are in.
func (o *finishedOrders) grow() {
	old, size := o.slots, 2*len(o.slots)
	if o.n > o.most/16 {
		size = max(size, o.most+o.most/2)
	}
	o.slots = make([]finishedOrder, size)
	for _, e := range old {
		if e.key != 0 {
			o.slots[o.free(e.key)] = e
		}
	}
}

func keyOf(hash uint64) uint64 { return hash >> endBits << endBits }

// place returns the slot of a key.
func (o *finishedOrders) place(key uint64) int {
	place, _ := bits.Mul64(keyOf(key), uint64(len(o.slots)))
	return int(place) //nolint:gosec // it is less than their number
}

func (o *finishedOrders) after(place int) int {
	if place++; place < len(o.slots) {
		return place
	}
	return 0
}

func (o *finishedOrders) free(key uint64) int {
	at := o.place(key)
	for o.slots[at].key != 0 {
		at = o.after(at)
	}
	return at
}

// find returns the finished order of an entry, if there is one.
func (o *finishedOrders) find(e *plan.Entry) (finishedOrder, bool) {
	key, fingerprint := keyOf(maphash.String(o.ids, e.OrderID)), maphash.String(o.fingerprints, e.Fingerprint)
	for at := o.place(key); o.slots[at].key != 0; at = o.after(at) {
		if found := o.slots[at]; keyOf(found.key) == key {
			return found, found.fingerprint == fingerprint
		}
	}
	return finishedOrder{}, false
}
