package resubmit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// OutcomeCounts counts orders by outcome. The counts of a report sum to the number of orders that
// the plan marks for resubmission.
type OutcomeCounts struct {
	Completed        int `json:"completed"`
	Progressing      int `json:"progressing"`
	FailedAgain      int `json:"failedAgain"`
	FalseSuccess     int `json:"falseSuccess"`
	NotMoved         int `json:"notMoved"`
	Unknown          int `json:"unknown"`
	Skipped          int `json:"skipped"`
	Blocked          int `json:"blocked"`
	ClaimedElsewhere int `json:"claimedElsewhere"`
	NotStarted       int `json:"notStarted"`
}

// Total returns the sum of the counts.
func (r OutcomeCounts) Total() int {
	sum := 0
	for _, o := range protocol.Outcomes() {
		sum += *r.of(o)
	}
	return sum
}

// Of returns the count of an outcome.
func (r OutcomeCounts) Of(o protocol.Outcome) int {
	if n := r.of(o); n != nil {
		return *n
	}
	return 0
}

// of returns the count of an outcome; nil if it is not known.
func (r *OutcomeCounts) of(o protocol.Outcome) *int {
	switch o {
	case protocol.Completed:
		return &r.Completed
	case protocol.Progressing:
		return &r.Progressing
	case protocol.FailedAgain:
		return &r.FailedAgain
	case protocol.FalseSuccess:
		return &r.FalseSuccess
	case protocol.NotMoved:
		return &r.NotMoved
	case protocol.Unknown:
		return &r.Unknown
	case protocol.Skipped:
		return &r.Skipped
	case protocol.Blocked:
		return &r.Blocked
	case protocol.ClaimedElsewhere:
		return &r.ClaimedElsewhere
	case protocol.NotStarted:
		return &r.NotStarted
	default:
		return nil
	}
}

func (r *OutcomeCounts) add(o protocol.Outcome) {
	if n := r.of(o); n != nil {
		*n++
	}
}

// Item is the result of one order.
type Item struct {
	OrderID         string             `json:"id"`
	Number          string             `json:"number"`
	Type            commerce.OrderType `json:"type"`
	Class           failure.Class      `json:"class"`
	VendorAccountID string             `json:"vendor,omitempty"`
	Channel         commerce.Channel   `json:"channel,omitempty"`
	Customer        string             `json:"customer,omitempty"`
	Subscriptions   []string           `json:"subscriptions,omitempty"`

	// Before is the order as in the plan; After as it was last read, zero if it was not.
	Before plan.Snapshot `json:"before"`
	After  plan.Snapshot `json:"after,omitzero"`
	// Action is that of the plan. Target is the transition that was pushed; "" if none was.
	Action  rules.Action     `json:"action"`
	Target  commerce.Status  `json:"target,omitempty"`
	Outcome protocol.Outcome `json:"outcome"`
	// Why is the reason for the outcome, in a sentence; Evidence is what it is based on.
	Why      string             `json:"why"`
	Evidence []failure.Evidence `json:"evidence,omitempty"`
	// SameReason reports whether an order that failed again did so for the same reason;
	// AfterClass is the class of the new reason.
	SameReason bool          `json:"sameReason,omitempty"`
	AfterClass failure.Class `json:"afterClass,omitempty"`
	// CommerceOnly reports that a completed order was not confirmed by Connect, because
	// Connect was not queried.
	CommerceOnly bool `json:"commerceOnly,omitempty"`
	// Attempts counts the pushes that were sent or refused.
	Attempts int `json:"attempts"`
	// PushedAt is when the last push was answered, DoneAt when the outcome was known.
	PushedAt time.Time `json:"pushedAt,omitzero"`
	DoneAt   time.Time `json:"doneAt"`
	// Earlier reports that an earlier run of the same plan has recorded the outcome, at DoneAt.
	Earlier bool `json:"earlier,omitempty"`
	// BlockedBy is the number of the order that blocks a blocked one.
	BlockedBy string `json:"blockedBy,omitempty"`
	// CorrelationID is that of the last error that had one, for support.
	CorrelationID string `json:"correlationId,omitempty"`
}

// Group counts the outcomes of the orders of one class, vendor and channel.
type Group struct {
	Class           failure.Class    `json:"class"`
	VendorAccountID string           `json:"vendor,omitempty"`
	Channel         commerce.Channel `json:"channel,omitempty"`
	Result          OutcomeCounts    `json:"result"`
}

// Report is the result of a run.
type Report struct {
	PlanDigest string    `json:"plan"`
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt"`
	// ConnectAsked reports whether the results were looked up in Connect.
	ConnectAsked bool `json:"connectAsked"`
	// Plan counts the orders of the plan by action.
	Plan   plan.ActionCounts `json:"planned"`
	Result OutcomeCounts     `json:"result"`
	// Earlier counts the orders in Result whose outcome an earlier run of the same plan has recorded.
	Earlier int `json:"earlier,omitempty"`
	// CommerceOnly counts the completed orders that only Commerce confirms.
	CommerceOnly int `json:"commerceOnly"`
	// Blockers are the orders that block others, those that block the most first.
	Blockers []Blocker `json:"blocked,omitempty"`
	// Canary is the progress of each group of orders, by name; nil without a canary.
	Canary []CanaryStatus `json:"canary,omitempty"`
	// Groups are sorted by class, vendor and channel.
	Groups []Group `json:"groups"`
	// FailedAgain groups the reasons of the orders that failed again in this run, without
	// those of earlier runs; nil if there are none.
	FailedAgain *failure.Grouping `json:"failedAgain,omitempty"`
	// EventError is why Config.OnEvent was removed; "" if it was not.
	EventError string `json:"eventError,omitempty"`
	// Err is why the run stopped early; "" if it did not.
	Err string `json:"error,omitempty"`
	// Items are in the order in which they ended; nil with Config.OmitItems.
	Items []Item `json:"-"`
}

func groupList(groups map[plan.ReportGroup]*OutcomeCounts) []Group {
	list := make([]Group, 0, len(groups))
	for k, r := range groups {
		list = append(list, Group{Class: k.Class, VendorAccountID: k.VendorAccountID, Channel: k.Channel, Result: *r})
	}
	slices.SortFunc(list, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.VendorAccountID, b.VendorAccountID),
			cmp.Compare(a.Channel, b.Channel))
	})
	return list
}

// newItem returns the item of an order that is not done.
func newItem(e *plan.Entry) Item {
	return Item{
		OrderID: e.OrderID, Number: e.Label(), Type: e.Type, Class: e.Attribution.Class,
		VendorAccountID: e.VendorAccountID, Channel: e.Channel, Customer: e.Customer, Subscriptions: e.Subscriptions,
		Before: e.Before, Action: e.Decision.Action,
	}
}

// report returns the report of a run that has ended.
func (x *run) report(cause error) *Report {
	t := x.tally.close()
	r := &Report{
		PlanDigest: x.digest, StartedAt: x.started, FinishedAt: time.Now(), ConnectAsked: x.cfg.Requests != nil,
		Plan: x.plan.Counts(), Result: t.counts, Earlier: t.earlier, CommerceOnly: t.commerceOnly,
		Canary: x.scheduler.canaryView(), Blockers: t.blockerList(), Groups: groupList(t.groups), Items: t.list,
	}
	if groups := t.again.Groups(); groups.Orders > 0 {
		r.FailedAgain = groups
	}
	if cause != nil {
		r.Err = cause.Error()
	}
	return r
}

// OK reports whether everything that was to be done is done: all orders to resubmit are completed, none waits, and the
// run did not end early.
func (r *Report) OK() bool {
	return r.Err == "" && r.Result.Completed == r.Plan.Resubmit && r.Plan.Wait == 0
}

// String returns the counts that are not zero, such as "12 completed, 1 failed again".
func (r OutcomeCounts) String() string {
	var parts []string
	for _, o := range protocol.Outcomes() {
		if n := *r.of(o); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, outcomeText(o)))
		}
	}
	if parts == nil {
		return "nothing to do"
	}
	return strings.Join(parts, ", ")
}

// outcomeText returns an outcome in words, such as "failed again".
func outcomeText(o protocol.Outcome) string {
	var b strings.Builder
	for _, r := range string(o) {
		if unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// Blocker is an order that was not completed, so that younger orders of its subscriptions were not pushed.
type Blocker struct {
	Number string `json:"number"`
	// Orders counts the orders that it blocks, directly or through others.
	Orders int `json:"orders"`
}

// blockerList returns the orders that block others, those that block the most first.
func (t *tally) blockerList() []Blocker {
	list := make([]Blocker, 0, len(t.blockers))
	for _, b := range t.blockers {
		list = append(list, *b)
	}
	slices.SortFunc(list, func(a, b Blocker) int {
		return cmp.Or(cmp.Compare(b.Orders, a.Orders), cmp.Compare(a.Number, b.Number))
	})
	return list
}

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
