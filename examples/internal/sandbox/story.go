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

// The products of the story differ in how their vendors answer.
const (
	productQuick  = "PRD-100-200-300" // approved within minutes
	productSlow   = "PRD-100-200-301" // approved within hours
	productStrict = "PRD-100-200-302" // always rejected
)

const operatorsMark = "Marked as failed by the operator: see ticket 4711."

// scene is one thing that happens in the story.
type scene struct {
	at time.Time
	do func(*World) error
}

// timeline is when the story plays, told from its end.
type timeline struct {
	begin, outage, outageEnd, before, start, end, after time.Time
}

func timelineUntil(now time.Time) timeline {
	now = now.UTC().Truncate(time.Minute)
	return timeline{
		begin:     now.Add(-72 * time.Hour), // the subscriptions are bought that are changed later
		before:    now.Add(-14 * time.Hour),
		outage:    now.Add(-9 * time.Hour), // unannounced, a quarter of an hour
		outageEnd: now.Add(-9*time.Hour + 15*time.Minute),
		start:     now.Add(-5 * time.Hour), // the maintenance
		end:       now.Add(-3 * time.Hour),
		after:     now.Add(-90 * time.Minute), // nothing is placed any more
	}
}

// author invents the orders of a story.
type author struct {
	*rand.Rand
	timeline
	scenes        []scene
	subscriptions []subscription // to be changed and renewed
	roots         int            // subscriptions made so far
}

type subscription struct {
	id, customer, name, vendor string
}

func newAuthor(seed uint64, now time.Time) *author {
	return &author{Rand: testkit.Random(seed, "story"), timeline: timelineUntil(now)}
}

// write makes a story of n orders, besides the purchases that made the
// subscriptions which some of them change.
func (a *author) write(n int) []scene {
	for range max(4, n/5) {
		a.subscriptions = append(a.subscriptions, a.root())
	}
	for i := range n {
		a.order(i)
	}
	maintenance := func(on bool) func(*World) error {
		return func(w *World) error { w.Connect.SetMaintenance(on); return nil }
	}
	a.scenes = append(a.scenes,
		scene{a.outage, maintenance(true)}, scene{a.outageEnd, maintenance(false)},
		scene{a.start, maintenance(true)}, scene{a.end, maintenance(false)})
	slices.SortStableFunc(a.scenes, func(x, y scene) int { return x.at.Compare(y.at) })
	return a.scenes
}

// root is a new subscription, bought long before.
func (a *author) root() subscription {
	a.roots++
	s := subscription{id: fmt.Sprint(2000100 + a.roots), customer: fmt.Sprint(3000100 + a.roots), name: a.company(),
		vendor: a.vendor()}
	a.place(a.begin.Add(a.within(a.before.Sub(a.begin)/2)), commercetest.NewOrder{
		Type: commerce.TypeSales, Subscription: s.id, Customer: s.customer, CustomerName: s.name, Vendor: s.vendor,
		Product: productQuick, Total: a.money(),
	})
	return s
}

func (a *author) order(i int) {
	at, inWindow := a.moment()
	n := commercetest.NewOrder{Type: a.orderType(), Product: productQuick, Total: a.money()}
	switch n.Type {
	case commerce.TypeSales:
		n.Customer, n.CustomerName, n.Vendor = fmt.Sprint(3100000+i), a.company(), a.vendor()
		if a.IntN(4) == 0 {
			n.Product = productSlow
		}
	case commerce.TypeCancellation, commerce.TypeCancellationCharge:
		a.on(&n, a.root())
	default:
		a.on(&n, a.subscriptions[a.IntN(len(a.subscriptions))])
	}
	switch dice := a.IntN(100); {
	case dice < 12:
		n.FailWith = a.failure(n.Type, n.Vendor)
	case dice < 18 && n.Type == commerce.TypeSales && !inWindow &&
		(at.Before(a.outage.Add(-time.Hour)) || at.After(a.end)):
		n.Product = productStrict
	case dice < 22 && n.Type == commerce.TypeSales && !inWindow && at.After(a.end):
		n.Product = productSlow
		a.placeAndMark(at, n)
		return
	}
	a.place(at, n)
}

func (a *author) on(n *commercetest.NewOrder, s subscription) {
	n.Subscription, n.Customer, n.CustomerName, n.Vendor = s.id, s.customer, s.name, s.vendor
}

func (a *author) place(at time.Time, n commercetest.NewOrder) {
	a.scenes = append(a.scenes, scene{at, func(w *World) error { w.Commerce.Place(n); return nil }})
}

// placeAndMark lets an operator mark the order as failed while the vendor thinks.
func (a *author) placeAndMark(at time.Time, n commercetest.NewOrder) {
	var id string
	a.scenes = append(a.scenes,
		scene{at, func(w *World) error { id = w.Commerce.Place(n).ID; return nil }},
		scene{at.Add(10 * time.Minute), func(w *World) error { return w.Commerce.MarkFailed(id, operatorsMark) }})
}

// moment is when an order is placed: mostly inside the maintenance.
func (a *author) moment() (at time.Time, inWindow bool) {
	from, to := a.start, a.end
	switch a.IntN(10) {
	case 0, 1:
		from, to = a.before, a.start
	case 2, 3:
		from, to = a.end, a.after
	}
	at = from.Add(a.within(to.Sub(from)))
	return at, !at.Before(a.start) && at.Before(a.end)
}

func (a *author) within(d time.Duration) time.Duration {
	return time.Duration(a.Int64N(int64(d))).Truncate(time.Second)
}

func (a *author) orderType() commerce.OrderType {
	return pick(a, weights[commerce.OrderType]{
		{40, commerce.TypeSales}, {22, commerce.TypeChange}, {14, commerce.TypeRenewal}, {8, commerce.TypeCancellation},
		{5, commerce.TypeCancellationCharge}, {4, commerce.TypeUpgrade}, {4, commerce.TypeDowngrade},
		{3, commerce.TypeBilling},
	})
}

func (a *author) vendor() string {
	return pick(a, weights[string]{{6, ""}, {2, "1000101"}, {1, "1000102"}, {1, "1000103"}})
}

func (a *author) failure(kind commerce.OrderType, vendor string) string {
	if vendor != "" && a.IntN(3) == 0 {
		return testkit.FailResellerInactive
	}
	texts := weights[string]{
		{4, testkit.FailAlreadyExists}, {3, testkit.FailInvalidValue},
		{2, testkit.FailCustomerNotFound}, {1, testkit.FailConcurrentOrder},
	}
	if kind == commerce.TypeSales { // nobody can class it, so that it would hold up younger orders of a subscription
		texts = append(texts, weights[string]{{2, "Script local-check-7 returned 3: ask Basement Billing"}}...)
	}
	return pick(a, texts)
}

func (a *author) company() string {
	first := []string{"Acme", "Borealis", "Cobalt", "Dunes", "Elm", "Fjord", "Granite", "Harbour", "Indigo", "Juniper"}
	second := []string{"Bakery", "Clinics", "Farms", "Freight", "Games", "Legal", "Motors", "Schools", "Textiles", "Works"}
	return first[a.IntN(len(first))] + " " + second[a.IntN(len(second))]
}

func (a *author) money() commerce.Money {
	return commerce.Money{Amount: decimal.New(a.Int64N(900000)+99, -2),
		Currency: pick(a, weights[string]{{3, "USD"}, {2, "EUR"}})}
}

type weights[T any] []struct {
	weight int
	value  T
}

func pick[T any](a *author, from weights[T]) T {
	total := 0
	for _, w := range from {
		total += w.weight
	}
	dice := a.IntN(total)
	for _, w := range from {
		if dice -= w.weight; dice < 0 {
			return w.value
		}
	}
	return from[len(from)-1].value
}
