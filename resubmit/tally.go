package resubmit

import (
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// tally counts the outcomes of a run and keeps its items.
type tally struct {
	events *events
	ended  func(*Item)
	items  bool // the items are wanted: by the report, an event or the log
	keep   bool // the report has the items

	mu           sync.Mutex
	closed       bool
	counts       OutcomeCounts
	groups       map[plan.ReportGroup]*OutcomeCounts
	again        *failure.Grouper // of the orders that failed again
	list         []Item
	commerceOnly int
	earlier      int // orders whose outcome an earlier run recorded
	blockers     map[string]*Blocker
}

// newTally returns a tally that calls ended for each item.
func newTally(c *Config, events *events, itemsLogged bool, ended func(*Item)) *tally {
	return &tally{
		events: events, ended: ended, items: !c.OmitItems || events.wanted() || itemsLogged, keep: !c.OmitItems,
		groups: make(map[plan.ReportGroup]*OutcomeCounts), again: failure.NewGrouper(c.Classifier, 0),
		blockers: make(map[string]*Blocker),
	}
}

// add counts an order that is done, and reports it as an event. After close it does nothing.
func (t *tally) add(i *Item) {
	if i.DoneAt.IsZero() {
		i.DoneAt = time.Now()
	}
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return
	}
	if i.Earlier {
		t.earlier++
	}
	t.count(plan.ReportGroup{Class: i.Class, VendorAccountID: i.VendorAccountID, Channel: i.Channel}, i.Outcome)
	if i.CommerceOnly {
		t.commerceOnly++
	}
	if t.keep {
		t.list = append(t.list, *i)
	}
	t.mu.Unlock()
	t.ended(i)
	t.events.emit(OrderDone{*i})
}

// addUnseen counts an order without an item. earlier means that an earlier run has finished it.
func (t *tally) addUnseen(g plan.ReportGroup, o protocol.Outcome, earlier bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if earlier {
		t.earlier++
	}
	t.count(g, o)
}

func (t *tally) count(g plan.ReportGroup, o protocol.Outcome) {
	t.counts.add(o)
	if t.groups[g] == nil {
		t.groups[g] = new(OutcomeCounts)
	}
	t.groups[g].add(o)
}

// failedAgain groups an order that failed again by the text of its failure.
func (t *tally) failedAgain(i *Item, now plan.Snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.again.Add(&commerce.Order{
		ID: i.OrderID, Number: i.Number, PlacedAt: now.PlacedAt, FailedAt: now.FailedAt,
		Failure: commerce.Failure{Messages: map[string]string{"en_US": now.Message}},
	})
}

// block counts an order that is blocked by another one.
func (t *tally) block(number string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.blockers[number]
	if b == nil {
		b = &Blocker{Number: number}
		t.blockers[number] = b
	}
	b.Orders++
}

// close returns the results. Whatever is added later is lost.
func (t *tally) close() *tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return t
}

func (t *tally) view() (OutcomeCounts, []Blocker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts, t.blockerList()
}
