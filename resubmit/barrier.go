package resubmit

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// barrier is an order that nothing may pass.
type barrier struct {
	number string
	head   barrierID // the first of those that stand one behind the other; 0 if it is that
	cause  int       // of a head
}

// barrierID names a barrier; 0 is none.
type barrierID uint64

// barriers keep what stops the lanes. There may be as many as orders, so that each has
// no more than a few bytes beside its number, and only those that block others have a
// count.
type barriers struct {
	packed nameList
	causes []cause
	behind map[barrierID]int // how many orders stand behind a head
}

// cause is what became of a head. Many often have the same.
type cause struct {
	outcome Outcome
	why     string
}

// Blocked is an order that did not come to a good end, so that younger ones of its
// subscriptions were skipped.
type Blocked struct {
	Number  string  `json:"number"`
	Outcome Outcome `json:"outcome"`
	Why     string  `json:"why"`
	// Orders counts all that stand behind it, also behind one another.
	Orders int `json:"orders"`
}

func newBarriers() *barriers {
	b := &barriers{behind: make(map[barrierID]int)}
	b.packed.add("") // so that no barrier is 0
	return b
}

// add makes a barrier of an order that is done.
func (b *barriers) add(j *job) barrierID {
	var place int
	head := b.first(j.blockedBy)
	if head == 0 {
		place = b.cause(cause{j.item.Outcome, j.item.Why})
	}
	packed := binary.AppendUvarint(make([]byte, 0, 64), uint64(head))
	packed = binary.AppendUvarint(packed, uint64(place))
	return barrierID(b.packed.add(string(append(packed, j.item.Number...))))
}

// cause keeps what became of a head and returns its place.
func (b *barriers) cause(c cause) int {
	if last := len(b.causes) - 1; last >= 0 && b.causes[last] == c {
		return last
	}
	b.causes = append(b.causes, c)
	return len(b.causes) - 1
}

func (b *barriers) get(id barrierID) barrier {
	packed := []byte(b.packed.get(uint64(id)))
	head, n := binary.Uvarint(packed)
	place, m := binary.Uvarint(packed[n:])
	return barrier{number: string(packed[n+m:]), head: barrierID(head), cause: int(place)} //nolint:gosec // add wrote it
}

// first is the order that has to be seen to.
func (b *barriers) first(id barrierID) barrierID { return cmp.Or(b.get(id).head, id) }

// block counts an order that stands behind a barrier.
func (b *barriers) block(id barrierID) { b.behind[b.first(id)]++ }

// blocked lists the orders that block others, those first that block most.
func (b *barriers) blocked() []Blocked {
	list := make([]Blocked, 0, len(b.behind))
	for id, orders := range b.behind {
		head := b.get(id)
		c := b.causes[head.cause]
		list = append(list, Blocked{Number: head.number, Outcome: c.outcome, Why: c.why, Orders: orders})
	}
	slices.SortFunc(list, func(a, b Blocked) int {
		return cmp.Or(cmp.Compare(b.Orders, a.Orders), cmp.Compare(a.Number, b.Number))
	})
	return list
}
