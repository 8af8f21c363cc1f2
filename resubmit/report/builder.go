package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// builder counts the orders of a document.
type builder struct {
	doc *Document
	in  *Input
	// done has the report's items by order id; again those of an order that the plan has more than once.
	done  map[string]*resubmit.Item
	again map[string][]*resubmit.Item
	all   bool // all orders to resubmit are completed, so that no items are needed to know that

	customers   map[string]int
	total       counter
	shares      [4]map[string]*share // vendors, channels, types, classes
	reasons     groups
	failedAgain groups
	use         plan.WindowUse
	attributed  map[string]int
	times       points
	examples    map[string]string // the number of the first order of each action and outcome
}

func newBuilder(d *Document, in *Input) *builder {
	b := &builder{
		doc: d, in: in, done: make(map[string]*resubmit.Item), again: make(map[string][]*resubmit.Item),
		customers: make(map[string]int), attributed: make(map[string]int),
		examples: make(map[string]string),
		times:    points{classes: make(map[failure.Class]instants)},
		all:      d.allVerified(),
	}
	if !in.OmitItems {
		d.Items = make([]Item, 0, d.Planned.Total)
	}
	for i := range b.shares {
		b.shares[i] = make(map[string]*share)
	}
	if in.Report == nil {
		return b
	}
	for i := range in.Report.Items {
		item := &in.Report.Items[i]
		if b.done[item.OrderID] == nil {
			b.done[item.OrderID] = item
		} else {
			b.again[item.OrderID] = append(b.again[item.OrderID], item)
		}
	}
	return b
}

// result returns what became of the next entry of an order; nil if that is not known.
func (b *builder) result(e *plan.Entry) *resubmit.Item {
	if e.Decision.Action != rules.Resubmit {
		return nil
	}
	done := b.done[e.OrderID]
	switch again := b.again[e.OrderID]; {
	case len(again) > 0:
		b.done[e.OrderID], b.again[e.OrderID] = again[0], again[1:]
	case done != nil:
		delete(b.done, e.OrderID)
	case b.all:
		done = &resubmit.Item{Outcome: protocol.Completed, Target: e.Target}
	}
	return done
}

// add counts an order.
func (b *builder) add(e *plan.Entry) {
	i, d := itemOf(e, b.result(e)), b.doc
	switch {
	case i.Outcome == protocol.NotStarted && d.Error == "" && stopped(d.Canary):
		i.Actor = ActorPlan // the same plan would stop again
	case d.State == StateRunning && (i.Outcome == protocol.Progressing || i.Outcome == protocol.Unknown):
		i.Actor = ActorRun // it is in flight
	}
	b.use.Add(e)
	if e.Attribution.WindowID != "" {
		b.attributed[e.Attribution.WindowID]++
	}
	if i.Actor != ActorNone {
		if d.ByActor == nil {
			d.ByActor = make(map[Actor]int)
		}
		d.ByActor[i.Actor]++
	}
	if i.Actor == ActorPerson && len(d.People) < maxPeople {
		d.People = append(d.People, i)
	}
	if !b.in.OmitItems {
		d.Items = append(d.Items, i)
	}
	d.Deadlines.add(&i)
	for _, key := range []string{string(i.Action), string(i.Outcome)} {
		if b.examples[key] == "" {
			b.examples[key] = i.Number
		}
	}
	b.count(&i)
	b.times.add(&i, d.MadeAt)
}

func (b *builder) count(i *Item) {
	customer := b.customer(i)
	waits := i.waits()
	b.total.add(i, customer, waits)
	for n, key := range [...]string{i.Vendor, string(i.Channel), string(i.Type), string(i.Class)} {
		s := b.shares[n][key]
		if s == nil {
			s = new(share)
			b.shares[n][key] = s
		}
		s.add(i, customer, waits)
	}
	b.reasons.add(i, i.Class, i.Reason, customer)
	if i.Outcome == protocol.FailedAgain {
		b.failedAgain.add(i, cmp.Or(i.ClassAfter, i.Class), i.ReasonAfter, customer)
	}
}

// customer returns a number for the customer of an order; 0 if it is unknown.
func (b *builder) customer(i *Item) int {
	key := cmp.Or(i.CustomerID, i.Customer)
	if key == "" {
		return 0
	}
	n, ok := b.customers[key]
	if !ok {
		n = len(b.customers) + 1
		b.customers[key] = n
	}
	return n
}

func (d *Deadlines) add(i *Item) {
	switch {
	case i.Action != rules.Wait:
	case i.Due.IsZero():
		d.Undated++
	default:
		d.First, d.Last = widen(d.First, d.Last, i.Due)
	}
}

// finish sets what is known when all orders are counted.
func (b *builder) finish() error {
	if len(b.done) > 0 {
		id := slices.Min(slices.Collect(maps.Keys(b.done)))
		return fmt.Errorf("the report has %s that the plan does not resubmit, such as %s", text.Orders(len(b.done)),
			text.Short(cmp.Or(b.done[id].Number, id)))
	}
	d := b.doc
	d.All, d.Waiting = b.total.tallies()
	d.Vendors, d.Channels = shareList(b.shares[0]), shareList(b.shares[1])
	d.Types, d.Classes = shareList(b.shares[2]), shareList(b.shares[3])
	d.Reasons, d.FailedAgain = b.reasons.list(), b.failedAgain.list()
	d.Ungrouped = b.reasons.ungrouped + b.failedAgain.ungrouped
	b.times.sort()
	_, d.Times.LastVerifiedAt = b.times.verified.span()
	if err := b.windows(); err != nil {
		return err
	}
	d.Timeline = b.times.timeline(d)
	d.Next = (&steps{doc: d, command: b.in.Command, examples: b.examples}).next()
	return nil
}

// counter makes the Tally of orders, and of those that wait.
type counter struct {
	all, waiting Tally
	customers    []uint64 // of each order: twice the number of its customer, and 1 if it waits
	money        map[string]*sums
}

// sums are the totals of all orders in a currency, and of those that wait.
type sums struct {
	all, waiting sum
	waits        bool // there is one that waits
}

// sum adds amounts. Those of up to 15 digits with the decimal places of the first one are added as integers, which is
// much faster.
type sum struct {
	others   decimal.Decimal
	units    int64
	exponent int32
	begun    bool
}

func (s *sum) add(d decimal.Decimal) {
	if !s.begun {
		s.begun, s.exponent = true, d.Exponent()
	}
	const most = 1 << 62 // with another amount it is still an int64
	if d.Exponent() != s.exponent || d.NumDigits() > 15 || s.units > most || s.units < -most {
		s.others = s.others.Add(d)
		return
	}
	s.units += d.CoefficientInt64()
}

func (s *sum) total() decimal.Decimal { return decimal.New(s.units, s.exponent).Add(s.others) }

// add counts an order. customer is the number of its customer.
func (c *counter) add(i *Item, customer int, waits bool) {
	if c.money == nil {
		c.money = make(map[string]*sums)
	}
	mark := 2 * uint64(customer) //nolint:gosec // it is not negative
	c.all.count(i, customer)
	if waits {
		c.waiting.count(i, customer)
		mark++
	}
	if customer != 0 {
		c.customers = append(c.customers, mark)
	}
	if i.Total.IsZero() {
		return
	}
	sum := c.money[i.Total.Currency]
	if sum == nil {
		sum = new(sums)
		c.money[i.Total.Currency] = sum
	}
	sum.all.add(i.Total.Amount)
	if waits {
		sum.waiting.add(i.Total.Amount)
		sum.waits = true
	}
}

// count counts an order, but not its customer and money.
func (t *Tally) count(i *Item, customer int) {
	t.Orders++
	if customer == 0 {
		t.NoCustomer++
	}
	if i.Total.IsZero() {
		t.NoTotal++
	}
}

func (c *counter) tallies() (all, waiting Tally) {
	all, waiting = c.all, c.waiting
	slices.Sort(c.customers)
	for i, mark := range c.customers {
		if i+1 < len(c.customers) && c.customers[i+1]/2 == mark/2 {
			continue // the last order of a customer is one that waits, if there is one
		}
		all.Customers++
		waiting.Customers += int(mark % 2)
	}
	for _, currency := range slices.Sorted(maps.Keys(c.money)) {
		sum := c.money[currency]
		all.Money = append(all.Money, commerce.Money{Amount: sum.all.total(), Currency: currency})
		if sum.waits {
			waiting.Money = append(waiting.Money, commerce.Money{Amount: sum.waiting.total(), Currency: currency})
		}
	}
	return all, waiting
}

// share makes a Share.
type share struct {
	orders      counter
	completed   int
	failedAgain int
}

func (s *share) add(i *Item, customer int, waits bool) {
	s.orders.add(i, customer, waits)
	switch i.Outcome {
	case protocol.Completed:
		s.completed++
	case protocol.FailedAgain:
		s.failedAgain++
	default:
	}
}

func shareList(shares map[string]*share) []Share {
	list := make([]Share, 0, len(shares))
	for key, s := range shares {
		one := Share{Key: key, Completed: s.completed, FailedAgain: s.failedAgain}
		one.All, one.Waiting = s.orders.tallies()
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b Share) int {
		return cmp.Or(cmp.Compare(b.Waiting.Orders, a.Waiting.Orders), cmp.Compare(b.All.Orders, a.All.Orders),
			strings.Compare(a.Key, b.Key))
	})
	return list
}

const (
	maxGroups       = 1000
	maxGroupVendors = 5
)

// groups makes Groups. The zero value is empty.
type groups struct {
	byKey     map[groupKey]*group
	ungrouped int
}

type groupKey struct {
	class    failure.Class
	template string
}

type group struct {
	group   Group
	orders  counter
	vendors map[string]struct{}
}

func (g *groups) add(i *Item, class failure.Class, message string, customer int) {
	key := groupKey{class, failure.Template(message)}
	one := g.byKey[key]
	if one == nil {
		if len(g.byKey) == maxGroups {
			g.ungrouped++
			return
		}
		if g.byKey == nil {
			g.byKey = make(map[groupKey]*group)
		}
		one = &group{vendors: make(map[string]struct{}), group: Group{
			Class: class, Template: key.template, Example: i.Number, Text: message, Causes: make(map[failure.Verdict]int),
		}}
		g.byKey[key] = one
	}
	one.orders.add(i, customer, i.waits())
	one.vendors[i.Vendor] = struct{}{}
	one.group.Causes[i.Cause]++
	if i.waits() {
		one.group.Waiting++
	}
	one.group.First, one.group.Last = widen(one.group.First, one.group.Last, i.At())
}

// widen returns a range of times that includes another one, unless that is zero.
func widen(first, last, at time.Time) (time.Time, time.Time) {
	if at.IsZero() {
		return first, last
	}
	if first.IsZero() || at.Before(first) {
		first = at
	}
	if at.After(last) {
		last = at
	}
	return first, last
}

func (g *groups) list() []Group {
	list := make([]Group, 0, len(g.byKey))
	for _, one := range g.byKey {
		all := slices.Sorted(maps.Keys(one.vendors))
		one.group.Tally, _ = one.orders.tallies()
		one.group.VendorCount = len(all)
		one.group.Vendors = all[:min(maxGroupVendors, len(all))]
		list = append(list, one.group)
	}
	slices.SortFunc(list, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Orders, a.Orders), strings.Compare(a.Template, b.Template),
			strings.Compare(string(a.Class), string(b.Class)))
	})
	return list
}
