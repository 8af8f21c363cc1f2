package resubmit

import (
	"cmp"
	"slices"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// blocker is an order that did not come to a good end, so that younger orders of its lanes are skipped.
type blocker struct {
	number  string
	head    *blocker // the first blocker in its chain; nil if it is that itself
	outcome Outcome  // of a head
	why     string   // of a head
	blocked int      // orders that a head blocks, directly or through others
}

// first returns the order that someone has to deal with.
func (b *blocker) first() *blocker { return cmp.Or(b.head, b) }

func newBlocker(j *job) *blocker {
	if j.blockedBy != nil {
		return &blocker{number: j.item.Number, head: j.blockedBy.first()}
	}
	return &blocker{number: j.item.Number, outcome: j.item.Outcome, why: j.item.Why}
}

// Blocked is an order that did not come to a good end, so that younger orders of its
// subscriptions were skipped.
type Blocked struct {
	Number  string  `json:"number"`
	Outcome Outcome `json:"outcome"`
	Why     string  `json:"why"`
	// Orders counts the orders that it blocks, directly or through others.
	Orders int `json:"orders"`
}

// blockedList describes the heads, those that block most orders first.
func blockedList(heads []*blocker) []Blocked {
	list := make([]Blocked, 0, len(heads))
	for _, h := range heads {
		list = append(list, Blocked{Number: h.number, Outcome: h.outcome, Why: h.why, Orders: h.blocked})
	}
	slices.SortFunc(list, func(a, b Blocked) int {
		return cmp.Or(cmp.Compare(b.Orders, a.Orders), cmp.Compare(a.Number, b.Number))
	})
	return list
}

// block skips an order that may not pass another.
func (x *run) block(j *job, by *blocker) {
	stopping := x.stopping()
	x.mu.Lock()
	x.canary.unqueue(j)
	x.room.Signal()
	if !stopping {
		x.lanes.block(by)
	}
	number := text.Short(by.number)
	x.mu.Unlock()
	why := "blocked by " + number + ", an older order of the same subscription that did not come to a good end"
	if stopping {
		why = x.notStarted(j)
	}
	j.item.Outcome, j.item.Why = OutcomeSkipped, why
	if !stopping {
		x.recallBlocked(j)
	}
	x.mu.Lock()
	ready, stopped := x.canary.judge(j, x.healthOf(j, j.item.Outcome))
	x.room.Signal()
	x.mu.Unlock()
	x.resumeParked(ready, stopped)
	x.account(j)
}
