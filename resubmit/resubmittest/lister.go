package resubmittest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// many is the number of orders in a long list; documented at Fixture.New.
const many = 40

// TestLister checks that a lister keeps the contracts of [resubmit.OrderLister] and [commerce.Query].
func TestLister(t *testing.T, f Fixture) {
	t.Helper()
	run(t, f, listerPromises())
}

func listerPromises() []promise {
	return []promise{
		{"lists every order once", "", listsAll},
		{"sorts oldest first, or newest first on request", "", sorts},
		{"lists orders placed at the same time once each", "", listsTies},
		{"applies each field of the query", "", answersQueries},
		{"lists at most as many orders as the limit", "", limits},
		{"lists the orders of an account, or rejects the account", "", accounts},
		{"lists exactly the given ids if it needs ids", "", given},
		{"lists an unchanged order once while others change", "", shifts},
		{"returns no error if nothing matches", "", findsNothing},
		{"lists correct fields", "", listsFields},
		{"lists declared fields only", "", listsDeclaredOnly},
		{"stops when the loop breaks", "", stopsEarly},
		{"returns the error of a cancelled context", "", listCancelled},
		{"is complete or returns the error if cancelled half-way", "", listCancelledHalfWay},
		{"serves concurrent lists", "", listsTogether},
		{"returns ErrUnavailable if the system is unavailable", FaultUnavailable,
			listsDuring(FaultUnavailable, commerce.ErrUnavailable)},
		{"is complete or returns an error if the system fails half-way", FaultUnavailable, listBreaks},
		{"returns ErrUnauthorized or ErrForbidden if credentials are refused", FaultUnauthorized,
			listsDuring(FaultUnauthorized, commerce.ErrUnauthorized, commerce.ErrForbidden)},
		{"returns an error for an HTML page", FaultHTMLPage, listsDuring(FaultHTMLPage, commerce.ErrUnavailable)},
		{"returns ErrUnavailable for a lost response", FaultResponseLost,
			listsDuring(FaultResponseLost, commerce.ErrUnavailable)},
		{"returns an error for a truncated response", FaultResponseTruncated, listsDuring(FaultResponseTruncated)},
		{"ends with the context if the system is slow", FaultResponseDelayed, listSlow},
	}
}

// listing is the orders and the error that a list yielded.
type listing struct {
	orders []*commerce.Order
	err    error
	wrong  []string // how it breaks the contract of a sequence
}

// list calls the sequence directly, to see what it yields after an error or after a break, which a loop does not show.
// each may be nil; it breaks the loop by returning false.
func (s *suite) list(
	ctx context.Context, lister resubmit.OrderLister, q commerce.Query, each func(*commerce.Order) bool,
) listing {
	var l listing
	s.within("the list", func() {
		ended := ""
		lister.Orders(ctx, q)(func(o *commerce.Order, err error) bool {
			switch {
			case ended != "":
				l.wrong = append(l.wrong, "it continues after "+ended)
				return false
			case err != nil:
				l.err, ended = err, "an error"
				if o != nil {
					l.wrong = append(l.wrong, "it yields an order together with an error")
				}
				return true // a loop could continue, but the lister must not
			case o == nil:
				l.wrong = append(l.wrong, "it yields neither an order nor an error")
				return true
			}
			l.orders = append(l.orders, o)
			if each != nil && !each(o) {
				ended = "the loop broke"
			}
			return ended == ""
		})
	})
	if len(l.wrong) > 0 {
		s.Errorf("%s", few(l.wrong))
	}
	s.checkError(l.err)
	return l
}

// mustList lists orders and requires that there is no error.
func (s *suite) mustList(lister resubmit.OrderLister, q commerce.Query) []*commerce.Order {
	l := s.list(s.Context(), lister, q, nil)
	if l.err != nil {
		s.Fatalf("the list of %+v ended with the error %q", q, l.err)
	}
	return l.orders
}

// lister makes the lister for orders.
func (s *suite) lister(orders []*commerce.Order) resubmit.OrderLister {
	if s.system.Lister == nil {
		s.Fatalf("the fixture needs System.Lister")
	}
	var ids []string
	if s.fixture.ListsByID {
		ids = idsOf(orders)
	}
	return s.system.Lister(s.TB, ids)
}

func idsOf(orders []*commerce.Order) []string {
	ids := make([]string, len(orders))
	for i, o := range orders {
		ids[i] = o.ID
	}
	return ids
}

// sameOrders compares listed orders with the wanted ones.
func (s *suite) sameOrders(what string, wants, got []*commerce.Order) {
	if differences := compareLists(wants, got); len(differences) > 0 {
		s.Errorf("%s%s", what, few(differences))
	}
}

func listsAll(s *suite) {
	wants := s.addFailed(many)
	lister := s.lister(wants)
	s.sameOrders("", wants, s.mustList(lister, commerce.Query{}))
	s.sameOrders("with the query for failed orders: ", wants, s.mustList(lister, commerce.FailedOrdersView().Query()))
}

func sorts(s *suite) {
	news := make([]OrderSpec, many)
	for i := range news {
		news[i] = newOrder(i * 17 % many / 2 * 2) // unsorted, two each at the same time
	}
	lister := s.lister(s.add(news...))
	oldest := s.mustList(lister, commerce.Query{})
	newest := s.mustList(lister, commerce.Query{Sort: commerce.NewestFirst})
	slices.Reverse(newest)
	for name, orders := range map[string][]*commerce.Order{"oldest": oldest, "newest": newest} {
		for i := 1; i < len(orders); i++ {
			if orders[i].PlacedAt.Before(orders[i-1].PlacedAt) {
				s.Errorf("sorted %s first, %s of %s and %s of %s are in the wrong order", name,
					orders[i-1].Number, orders[i-1].PlacedAt.Format(time.TimeOnly), orders[i].Number,
					orders[i].PlacedAt.Format(time.TimeOnly))
				return
			}
		}
	}
}

func listsTies(s *suite) {
	news := make([]OrderSpec, many)
	for i := range news {
		news[i] = newOrder(i)
		news[i].PlacedAt = newOrder(0).PlacedAt
	}
	wants := s.add(news...)
	lister := s.lister(wants)
	for _, sort := range []commerce.Sort{commerce.OldestFirst, commerce.NewestFirst} {
		for range 3 { // a system may sort them differently each time
			q := commerce.FailedOrdersView().Query()
			q.Sort = sort
			s.sameOrders("", wants, s.mustList(lister, q))
		}
	}
}

func shifts(s *suite) {
	const fresh = 1000
	stay := s.addFailed(many)
	lister := s.lister(stay)
	if s.system.CancelOrder == nil {
		s.Fatalf("the fixture has no System.CancelOrder")
	}
	gone, came := map[string]bool{}, map[string]bool{}
	seen := 0
	l := s.list(s.Context(), lister, commerce.FailedOrdersView().Query(), func(o *commerce.Order) bool {
		seen++
		if seen%3 != 0 {
			return true
		}
		late := stay[len(stay)-1-seen/3] // probably not listed yet
		for _, id := range []string{o.ID, late.ID} {
			if !gone[id] && !came[id] {
				gone[id] = true
				s.system.CancelOrder(s.TB, id)
			}
		}
		n := newOrder(fresh + seen)
		if seen%2 == 0 {
			n = newOrder(-seen) // in a page that was already listed
		}
		came[s.system.AddOrder(s.TB, n).ID] = true
		return true
	})
	if l.err != nil {
		s.Fatalf("the list ended with the error %q", l.err)
	}
	wants := slices.DeleteFunc(slices.Clone(stay), func(o *commerce.Order) bool { return gone[o.ID] })
	got := slices.Clone(l.orders)
	once := map[string]int{}
	got = slices.DeleteFunc(got, func(o *commerce.Order) bool {
		once[o.ID]++
		return (gone[o.ID] || came[o.ID]) && once[o.ID] == 1
	})
	s.sameOrders("", wants, got)
}

func findsNothing(s *suite) {
	s.sameOrders("in an empty system: ", nil, s.mustList(s.lister(nil), commerce.FailedOrdersView().Query()))
	done := newOrder(0)
	done.Status, done.Failure = commerce.StatusCompleted, ""
	s.sameOrders("", nil, s.mustList(s.lister(s.add(done)), commerce.FailedOrdersView().Query()))
}

// addEdgeCases adds orders whose fields are easily changed in transit.
func (s *suite) addEdgeCases() []*commerce.Order {
	news := make([]OrderSpec, 0, 24)
	for _, total := range []commerce.Money{
		{Amount: decimal.RequireFromString("12.50"), Currency: "USD"},
		{Amount: decimal.RequireFromString("0.10"), Currency: "EUR"},
		{Amount: decimal.RequireFromString("1200"), Currency: "JPY"},
		{Amount: decimal.RequireFromString("1234567.89"), Currency: "PLN"},
		{Amount: decimal.RequireFromString("-0.07"), Currency: "USD"},
	} {
		n := newOrder(len(news))
		n.Total = total
		news = append(news, n)
	}
	for i, at := range []time.Time{
		time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC), // daylight saving time begins in Europe
		time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC),
		time.Date(2025, 12, 31, 23, 59, 59, 0, time.FixedZone("", 5*3600+1800)),
	} {
		n := newOrder(0)
		n.PlacedAt, n.Type = at, commerce.TypeChange
		if i == 1 {
			n.Status, n.Failure = commerce.StatusCompleted, ""
		}
		news = append(news, n)
	}
	for i, id := range specialIDs() {
		n := newOrder(100 + i)
		n.ID = id
		news = append(news, n)
	}
	return s.add(news...)
}

func listsFields(s *suite) {
	wants := s.addEdgeCases()
	got := map[string]*commerce.Order{}
	for _, o := range s.mustList(s.lister(wants), commerce.Query{}) {
		got[o.ID] = o
	}
	for _, want := range wants {
		if got[want.ID] == nil {
			s.Errorf("the order %s with the id %q is not in the list by that id", want.Number, want.ID)
			continue
		}
		for _, difference := range compareOrder(want, got[want.ID], true) {
			s.Errorf("%s: %s", want.Number, difference)
		}
	}
}

func listsDeclaredOnly(s *suite) {
	orders := s.addMixed()
	for _, o := range s.mustList(s.lister(orders), commerce.Query{}) {
		for _, reported := range undeclared(s.fixture.Capabilities, o) {
			s.Errorf("%s reports %s, which the fixture does not declare", o.Number, reported)
		}
	}
}

func stopsEarly(s *suite) {
	orders := s.addFailed(many)
	lister := s.lister(orders)
	for _, n := range []int{1, 7} {
		var seen int
		l := s.list(s.Context(), lister, commerce.Query{}, func(*commerce.Order) bool {
			seen++
			return seen < n
		})
		if len(l.orders) != n {
			s.Errorf("%d orders were yielded to a loop that breaks after %d", len(l.orders), n)
		}
	}
	s.sameOrders("afterwards: ", orders, s.mustList(lister, commerce.Query{}))
}

func listCancelled(s *suite) {
	lister := s.lister(s.addFailed(3))
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	l := s.list(ctx, lister, commerce.Query{}, nil)
	if !errors.Is(l.err, context.Canceled) || len(l.orders) > 0 {
		s.Errorf("it yielded %d orders and the error %v, which must match context.Canceled", len(l.orders), l.err)
	}
}

// completeOrError requires that a list has all orders, or an error.
func (s *suite) completeOrError(l listing, want int) {
	if l.err == nil && len(l.orders) < want {
		s.Errorf("it ended after %d of %d orders without an error", len(l.orders), want)
	}
}

func listCancelledHalfWay(s *suite) {
	lister := s.lister(s.addFailed(many))
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	l := s.list(ctx, lister, commerce.Query{}, func(*commerce.Order) bool {
		cancel()
		return true
	})
	s.completeOrError(l, many)
	if l.err != nil && !errors.Is(l.err, context.Canceled) {
		s.Errorf("the error %q does not match context.Canceled", l.err)
	}
}

func listsTogether(s *suite) {
	orders := s.addMixed()
	lister := s.lister(orders)
	const lists = 8
	types := []commerce.OrderType{commerce.TypeSales, commerce.TypeChange}
	got, errs := make([][]*commerce.Order, lists), make([]error, lists)
	s.within("concurrent lists", func() {
		var wg sync.WaitGroup
		for i := range lists {
			wg.Go(func() {
				for o, err := range lister.Orders(s.Context(), commerce.Query{Types: types[i%2 : i%2+1]}) {
					if err != nil {
						errs[i] = err
						return
					}
					got[i] = append(got[i], o)
				}
			})
		}
		wg.Wait()
	})
	for i := range lists {
		if errs[i] != nil {
			s.Errorf("one of %d lists ended with the error %q", lists, errs[i])
			continue
		}
		wants := slices.DeleteFunc(slices.Clone(orders), func(o *commerce.Order) bool { return o.Type != types[i%2] })
		s.sameOrders("", wants, got[i])
	}
}
