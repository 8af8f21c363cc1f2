package resubmit

import (
	"hash/maphash"
	"strings"
)

// overtaking keeps the younger orders of a subscription from passing an older one
// that is not sent now but may be later: quantities in change orders are absolute,
// so that the older one, sent last, would undo the younger
// (facts/resubmission.md F8, I5).
//
// It needs memory for each order that waits, is held or needs a person, about 60
// bytes for each of its lanes, and for no other. Lanes are kept as hashes of 64 bits:
// should two be the same, an order waits without need.
type overtaking struct {
	seed  maphash.Seed
	first map[uint64]string // lane → the order that was first in it
}

func newOvertaking() *overtaking {
	return &overtaking{seed: maphash.MakeSeed(), first: make(map[uint64]string)}
}

// pass sees the entries in the order of the plan. It makes one that would overtake
// another wait.
func (o *overtaking) pass(e *Entry) {
	switch e.Decision.Action {
	case Quarantine, Complete: // never sent again
		return
	case Resubmit:
		first := o.before(e)
		if first == "" {
			return
		}
		e.Target = ""
		e.Decision = Decision{
			Action: Wait, RuleID: ruleOlderFirst,
			Why: "the older order " + first + " of the same subscription is not sent now but may be later, and must not be overtaken: settle that one first",
		}
	}
	if atRest(e.Before.Status) { // it was listed as failed, and came to its end since
		return
	}
	name := e.Number
	if name == "" {
		name = e.OrderID
	}
	for _, lane := range laneKeys(e) {
		if key, ok := o.key(lane); ok && o.first[key] == "" {
			o.first[key] = strings.Clone(name) // not what it may have been cut out of
		}
	}
}

// before is the order that stops an entry; "" when none does.
func (o *overtaking) before(e *Entry) string {
	if len(o.first) == 0 {
		return ""
	}
	for _, lane := range laneKeys(e) {
		if key, ok := o.key(lane); ok && o.first[key] != "" {
			return o.first[key]
		}
	}
	return ""
}

// key is what a lane is kept as; false for the lane that an order has to itself.
func (o *overtaking) key(lane string) (uint64, bool) {
	return maphash.String(o.seed, lane), !strings.HasPrefix(lane, "order ")
}
