package resubmit

import (
	"fmt"
	"hash/maphash"
	"math/bits"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
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
	endState  = 2      // the place in endStates from this bit on
	endBits   = 4
)

// endStates are the states of records behind which the next order may go.
var endStates = [...]RecordState{RecordCompleted, RecordFailedAgain, RecordSkipped}

func (e *finishedOrder) outcome() Outcome { return Outcome(endStates[e.key>>endState&3]) }

func (e *finishedOrder) pushed() bool { return e.key&endPushed != 0 }

func newFinishedOrders(most int) *finishedOrders {
	return &finishedOrders{ids: maphash.MakeSeed(), fingerprints: maphash.MakeSeed(), slots: make([]finishedOrder, 64),
		most: most}
}

// readFinished reads the finished orders from a journal that returns all its records at once. An error ends the run.
func (x *run) readFinished() *finishedOrders {
	ended := newFinishedOrders(x.total)
	journal, ok := journalAs[BulkJournal](x.cfg.Journal)
	if !ok {
		return ended
	}
	for r, err := range guardedHeads(journal) {
		if err != nil {
			x.cancel(fmt.Errorf("resubmit: the journal: read its records: %w", err))
			return ended
		}
		if x.ctx.Err() != nil {
			return ended
		}
		ended.add(&r)
	}
	return ended
}

func (o *finishedOrders) add(r *RecordHead) {
	state := slices.Index(endStates[:], r.State)
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

// passOver counts an order that an earlier run has finished, as if it were taken, looked
// up in the journal and done. It reports false, and counts nothing, where that could make a
// difference: if an order before it in one of its lanes was taken or left out, or if too
// many of its group wait.
func (x *run) passOver(j *job, e finishedOrder) bool {
	if x.touched.hasAny(j.lanes) || x.itemsWanted && !x.loadFinished(j, &e) {
		return false
	}
	return x.finishAgain(j, &e)
}

// loadFinished reads the record of a finished order, if items are wanted. It reports false if the record has
// changed since.
func (x *run) loadFinished(j *job, e *finishedOrder) bool {
	rec, found, err := x.cfg.Journal.Get(j.entry.OrderID)
	if err != nil || !found || rec.OrderID != j.entry.OrderID || rec.Fingerprint != j.entry.Fingerprint {
		return false
	}
	j.remember(rec, time.Now())
	j.finishFromRecord()
	return j.free && Outcome(rec.State) == e.outcome() && rec.Attempt > 0 == e.pushed()
}

// finishAgain finishes an order with its recorded outcome.
func (x *run) finishAgain(j *job, e *finishedOrder) bool {
	if !x.judgeFinished(x.groupOf(j.entry), e) {
		return false
	}
	j.item.Outcome, j.item.Why = e.outcome(), text.Sentence(j.rec.Why)
	x.tally(&j.item)
	return true
}

// judgeFinished counts a finished order in its canary group. It reports false if too many orders of the group wait.
func (x *run) judgeFinished(group string, e *finishedOrder) bool {
	attempts := 0
	if e.pushed() {
		attempts = 1
	}
	v := x.healthFor(x.ctx, e.outcome(), attempts, false)
	x.mu.Lock()
	r := x.canary.ramp(group)
	if x.canary.crowded(r) {
		x.mu.Unlock()
		return false
	}
	ready, stopped := x.canary.recount(r, v)
	x.mu.Unlock()
	x.resumeParked(ready, stopped)
	return true
}
