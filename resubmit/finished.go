package resubmit

import (
	"hash/maphash"
	"math/bits"
	"slices"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// finishedOrders are the orders of which the journal says that they came to an end behind
// which the next of their lanes may go. A run that goes on passes over them without
// taking them in hand. There may be as many as orders: of each it keeps no more than
// its counts need, 16 bytes in a table that is at most three quarters full, where a look
// costs one access to the memory.
type finishedOrders struct {
	ids, fingerprints maphash.Seed
	// An order is in the slot that its key names or, if that is taken, in the next that
	// is free.
	slots []finishedOrder
	n     int
	most  int // orders that there can be
}

// finishedOrder is one of them. Its id and its fingerprint are held against those of the
// plan before anything else of it is believed: together they are 124 bits of hashes
// with seeds that nobody knows.
type finishedOrder struct {
	key         uint64 // a hash of the id, and in its last bits how the order ended; 0 for none
	fingerprint uint64 // a hash of it
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

// grow makes room for twice as many, or for all when many are in.
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

// place is the slot that a key names.
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

// find returns what the journal says of the order of an entry, if it has ended.
func (o *finishedOrders) find(e *plan.Entry) (finishedOrder, bool) {
	key, fingerprint := keyOf(maphash.String(o.ids, e.OrderID)), maphash.String(o.fingerprints, e.Fingerprint)
	for at := o.place(key); o.slots[at].key != 0; at = o.after(at) {
		if found := o.slots[at]; keyOf(found.key) == key {
			return found, found.fingerprint == fingerprint
		}
	}
	return finishedOrder{}, false
}
