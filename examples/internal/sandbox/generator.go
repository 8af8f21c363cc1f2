package sandbox

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// The products differ in how their vendors answer.
const (
	productQuick  = "PRD-100-200-300" // approved within minutes
	productSlow   = "PRD-100-200-301" // approved within hours
	productStrict = "PRD-100-200-302" // always rejected
)

const markedByOperator = "Marked as failed by the operator: see ticket 4711."

// event is one thing that happens.
type event struct {
	at time.Time
	do func(*World) error
}

// timeline has the times of the history, which ends now.
type timeline struct {
	begin, outage, outageEnd, before, start, end, after time.Time
}

func timelineUntil(now time.Time) timeline {
	now = now.UTC().Truncate(time.Minute)
	return timeline{
		begin:     now.Add(-72 * time.Hour), // subscriptions are bought, which later orders change
		before:    now.Add(-14 * time.Hour),
		outage:    now.Add(-9 * time.Hour), // unannounced, a quarter of an hour
		outageEnd: now.Add(-9*time.Hour + 15*time.Minute),
		start:     now.Add(-5 * time.Hour), // the maintenance
		end:       now.Add(-3 * time.Hour),
		after:     now.Add(-90 * time.Minute), // no orders are placed from here on
	}
}

// generator makes up the events.
type generator struct {
	*rand.Rand
	timeline
	events        []event
	subscriptions []subscription // for changes and renewals
	roots         int            // number of subscriptions so far
}

type subscription struct {
	id, customer, name, vendor string
}

func newGenerator(seed uint64, now time.Time) *generator {
	return &generator{Rand: testkit.Random(seed, "story"), timeline: timelineUntil(now)}
}

// generate returns the events of n orders, and of the purchases of the subscriptions that some of them change.
func (g *generator) generate(n int) []event {
	for range max(4, n/5) {
		g.subscriptions = append(g.subscriptions, g.root())
	}
	for i := range n {
		g.order(i)
	}
	maintenance := func(on bool) func(*World) error {
		return func(w *World) error { w.Connect.SetMaintenance(on); return nil }
	}
	g.events = append(g.events,
		event{g.outage, maintenance(true)}, event{g.outageEnd, maintenance(false)},
		event{g.start, maintenance(true)}, event{g.end, maintenance(false)})
	slices.SortStableFunc(g.events, func(x, y event) int { return x.at.Compare(y.at) })
	return g.events
}

// root adds the purchase of a subscription that later orders change.
func (g *generator) root() subscription {
	g.roots++
	s := subscription{id: fmt.Sprint(2000100 + g.roots), customer: fmt.Sprint(3000100 + g.roots), name: g.company(),
		vendor: g.vendor()}
	g.place(g.begin.Add(g.within(g.before.Sub(g.begin)/2)), commercetest.OrderSpec{
		Type: commerce.TypeSales, Subscription: s.id, Customer: s.customer, CustomerName: s.name, VendorAccount: s.vendor,
		Product: productQuick, Total: g.money(),
	})
	return s
}

func (g *generator) order(i int) {
	at, inWindow := g.randomTime()
	n := commercetest.OrderSpec{Type: g.orderType(), Product: productQuick, Total: g.money()}
	switch n.Type {
	case commerce.TypeSales:
		n.Customer, n.CustomerName, n.VendorAccount = fmt.Sprint(3100000+i), g.company(), g.vendor()
		if g.IntN(4) == 0 {
			n.Product = productSlow
		}
	case commerce.TypeCancellation, commerce.TypeCancellationCharge:
		g.on(&n, g.root())
	default:
		g.on(&n, g.subscriptions[g.IntN(len(g.subscriptions))])
	}
	switch dice := g.IntN(100); {
	case dice < 12:
		n.FailWith = g.failure(n.Type, n.VendorAccount)
	case dice < 18 && n.Type == commerce.TypeSales && !inWindow &&
		(at.Before(g.outage.Add(-time.Hour)) || at.After(g.end)):
		n.Product = productStrict
	case dice < 22 && n.Type == commerce.TypeSales && !inWindow && at.After(g.end):
		n.Product = productSlow
		g.placeAndMark(at, n)
		return
	}
	g.place(at, n)
}

func (g *generator) on(n *commercetest.OrderSpec, s subscription) {
	n.Subscription, n.Customer, n.CustomerName, n.VendorAccount = s.id, s.customer, s.name, s.vendor
}

func (g *generator) place(at time.Time, n commercetest.OrderSpec) {
	g.events = append(g.events, event{at, func(w *World) error { w.Commerce.Place(n); return nil }})
}

// placeAndMark adds an order that an operator marks as failed before the vendor answers.
func (g *generator) placeAndMark(at time.Time, n commercetest.OrderSpec) {
	var id string
	g.events = append(g.events,
		event{at, func(w *World) error { id = w.Commerce.Place(n).ID; return nil }},
		event{at.Add(10 * time.Minute), func(w *World) error { return w.Commerce.MarkFailed(id, markedByOperator) }})
}

// randomTime returns when an order is placed: mostly during the maintenance.
func (g *generator) randomTime() (at time.Time, inWindow bool) {
	from, to := g.start, g.end
	switch g.IntN(10) {
	case 0, 1:
		from, to = g.before, g.start
	case 2, 3:
		from, to = g.end, g.after
	}
	at = from.Add(g.within(to.Sub(from)))
	return at, !at.Before(g.start) && at.Before(g.end)
}

func (g *generator) within(d time.Duration) time.Duration {
	return time.Duration(g.Int64N(int64(d))).Truncate(time.Second)
}

func (g *generator) orderType() commerce.OrderType {
	return pick(g, weights[commerce.OrderType]{
		{40, commerce.TypeSales}, {22, commerce.TypeChange}, {14, commerce.TypeRenewal}, {8, commerce.TypeCancellation},
		{5, commerce.TypeCancellationCharge}, {4, commerce.TypeUpgrade}, {4, commerce.TypeDowngrade},
		{3, commerce.TypeBilling},
	})
}

func (g *generator) vendor() string {
	return pick(g, weights[string]{{6, ""}, {2, "1000101"}, {1, "1000102"}, {1, "1000103"}})
}

func (g *generator) failure(kind commerce.OrderType, vendor string) string {
	if vendor != "" && g.IntN(3) == 0 {
		return testkit.FailResellerInactive
	}
	texts := weights[string]{
		{4, testkit.FailAlreadyExists}, {3, testkit.FailInvalidValue},
		{2, testkit.FailCustomerNotFound}, {1, testkit.FailConcurrentOrder},
	}
	if kind == commerce.TypeSales { // unclassified, which would block later orders of a subscription
		texts = append(texts, weights[string]{{2, "Script local-check-7 returned 3: ask Basement Billing"}}...)
	}
	return pick(g, texts)
}

func (g *generator) company() string {
	first := []string{"Acme", "Borealis", "Cobalt", "Dunes", "Elm", "Fjord", "Granite", "Harbour", "Indigo", "Juniper"}
	second := []string{"Bakery", "Clinics", "Farms", "Freight", "Games", "Legal", "Motors", "Schools", "Textiles", "Works"}
	return first[g.IntN(len(first))] + " " + second[g.IntN(len(second))]
}

func (g *generator) money() commerce.Money {
	return commerce.Money{Amount: decimal.New(g.Int64N(900000)+99, -2),
		Currency: pick(g, weights[string]{{3, "USD"}, {2, "EUR"}})}
}

type weights[T any] []struct {
	weight int
	value  T
}

func pick[T any](g *generator, from weights[T]) T {
	total := 0
	for _, w := range from {
		total += w.weight
	}
	dice := g.IntN(total)
	for _, w := range from {
		if dice -= w.weight; dice < 0 {
			return w.value
		}
	}
	return from[len(from)-1].value
}
