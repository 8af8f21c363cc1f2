package resubmit

import (
	"encoding/binary"
	"hash/maphash"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// overtaking lets an order wait if an older order of its subscription is not sent now but may be
// later: quantities in change orders are absolute, so the older one, sent last, would undo the
// younger one (resubmit/SAFETY.md#f8, resubmit/SAFETY.md#i5).
//
// It needs memory for each order that waits, is held or needs a person: about 25 bytes for each of
// its lanes and the length of its number. Lanes are stored as 64-bit hashes; if two collide, an
// order waits unnecessarily.
type overtaking struct {
	seed  maphash.Seed
	first map[uint64]uint64 // lane → place of the name of the first order in it
	names nameList
}

func newOvertaking() *overtaking {
	return &overtaking{seed: maphash.MakeSeed(), first: make(map[uint64]uint64)}
}

// nameBlock is the size of a block of names in bytes.
const nameBlock = 64 << 10

// nameList stores names without a string header for each.
type nameList struct{ blocks [][]byte }

// add stores a name and returns its place.
func (n *nameList) add(name string) (place uint64) {
	b := binary.AppendUvarint(nil, uint64(len(name)))
	last := len(n.blocks) - 1
	if last < 0 || len(n.blocks[last])+len(b)+len(name) > nameBlock {
		// A name that is longer than a block has its own block.
		n.blocks = append(n.blocks, make([]byte, 0, max(nameBlock, len(b)+len(name))))
		last++
	}
	at := len(n.blocks[last])
	n.blocks[last] = append(append(n.blocks[last], b...), name...)
	return uint64(last)*nameBlock + uint64(at) //nolint:gosec // neither is negative
}

// get returns the name at a place.
func (n *nameList) get(place uint64) string {
	b := n.blocks[place/nameBlock][place%nameBlock:]
	size, start := binary.Uvarint(b)
	return string(b[start : start+int(size)]) //nolint:gosec // add wrote it
}

// pass changes an entry that would overtake another one to wait. It must be called for all entries
// in the order of the plan.
func (o *overtaking) pass(e *plan.Entry) {
	switch e.Decision.Action {
	case rules.Quarantine, rules.Complete: // never sent again
		return
	case rules.Resubmit:
		first := o.before(e)
		if first == "" {
			return
		}
		e.Target = ""
		e.Decision = rules.Decision{
			Action: rules.Wait, RuleID: rules.IDOlderOrderFirst,
			Why: "the older order " + text.Short(first) +
				" of the same subscription is not sent now but may be later, and must not be overtaken: resolve that one first",
		}
	}
	if atRest(e.Before.Status) { // it was listed as failed, and has ended since
		return
	}
	name := e.Number
	if name == "" {
		name = e.OrderID
	}
	var place uint64
	kept := false
	for _, lane := range laneKeys(e) {
		key, ok := o.key(lane)
		if _, known := o.first[key]; !ok || known {
			continue
		}
		if !kept {
			place, kept = o.names.add(name), true
		}
		o.first[key] = place
	}
}

// before returns the older order that blocks an entry; "" if there is none.
func (o *overtaking) before(e *plan.Entry) string {
	if len(o.first) == 0 {
		return ""
	}
	for _, lane := range laneKeys(e) {
		key, ok := o.key(lane)
		if place, known := o.first[key]; ok && known {
			return o.names.get(place)
		}
	}
	return ""
}

// key returns the hash of a lane; false for a lane that belongs to one order only.
func (o *overtaking) key(lane string) (uint64, bool) {
	return maphash.String(o.seed, lane), !strings.HasPrefix(lane, "order ")
}
