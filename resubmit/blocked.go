package resubmit

import (
	"cmp"
	"slices"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// barrier is an order that was not completed, so that younger orders of its lanes are skipped.
type barrier struct {
	number  string
	head    *barrier // the first barrier in its chain; nil if it is that itself
	outcome Outcome  // of a head
	why     string   // of a head
	blocked int      // orders that a head blocks, directly or through others
}

// first returns the order that an operator has to check.
func (b *barrier) first() *barrier { return cmp.Or(b.head, b) }

func newBarrier(j *job) *barrier {
	if j.blockedBy != nil {
		return &barrier{number: j.item.Number, head: j.blockedBy.first()}
	}
	return &barrier{number: j.item.Number, outcome: j.item.Outcome, why: j.item.Why}
}

// Blocker is an order that was not completed, so that younger orders of its subscriptions were skipped.
type Blocker struct {
	Number  string  `json:"number"`
	Outcome Outcome `json:"outcome"`
	Why     string  `json:"why"`
	// Orders counts the orders that it blocks, directly or through others.
	Orders int `json:"orders"`
}

// blockerList returns the heads, those that block the most orders first.
func blockerList(heads []*barrier) []Blocker {
	list := make([]Blocker, 0, len(heads))
	for _, h := range heads {
		list = append(list, Blocker{Number: h.number, Outcome: h.outcome, Why: h.why, Orders: h.blocked})
	}
	slices.SortFunc(list, func(a, b Blocker) int {
		return cmp.Or(cmp.Compare(b.Orders, a.Orders), cmp.Compare(a.Number, b.Number))
	})
	return list
}

// block skips an order because an older one of its lanes was not completed.
func (x *run) block(j *job, by *barrier) {
	stopping := x.stopping()
	x.mu.Lock()
	x.canary.unqueue(j)
	x.room.Signal()
	if !stopping {
		x.lanes.block(by)
	}
	number := text.Short(by.number)
	x.mu.Unlock()
	why := "blocked by " + number + ", an older order of the same subscription that was not completed"
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
