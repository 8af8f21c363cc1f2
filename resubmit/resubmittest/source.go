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

// TestSource proves that a source keeps the contract of resubmit.OrderLister and of commerce.Query.
func TestSource(t *testing.T, f Fixture) {
	t.Helper()
	run(t, f, sourceChecks())
}

func sourceChecks() []check {
	return []check{
		{"every order is listed, once, however many there are", nil, listsAll},
		{"orders come the oldest first, or the newest when asked", nil, sorts},
		{"orders that were placed at the same time are all listed, once", nil, listsTies},
		{"what is listed is what each field of the query asks for", nil, answersQueries},
		{"no more orders are listed than the limit", nil, limits},
		{"an account's orders are listed apart, or refused", nil, accounts},
		{"a source of given ids lists these and no others, and any other source needs none", nil, given},
		{"an order that stays is listed once while others come and go", nil, shifts},
		{"nothing found is an empty list and no error", nil, findsNothing},
		{"a list tells of an order what is true", nil, listsTruth},
		{"what the adapter cannot tell is in no list", nil, listsNothingUntold},
		{"a loop that breaks off ends the list", nil, breaksOff},
		{"a cancelled context ends the list with its error", nil, listCancelled},
		{"a list that is cancelled half-way is whole or ends with the error", nil, listCancelledHalfWay},
		{"lists at the same time do not disturb each other", nil, listsTogether},
		{"a system that is away is an error of the list, ErrUnavailable", []Fault{Unavailable}, listWhileAway},
		{"a list that breaks half-way is whole or ends with an error", []Fault{Unavailable}, listBreaks},
		{"refused credentials are an error of the list, ErrUnauthorized or ErrForbidden", []Fault{Denied}, listDenied},
		{"a page of HTML is not an empty list", []Fault{Page}, listOfPage},
		{"a lost answer is an error of the list, ErrUnavailable", []Fault{AnswerLost}, listLost},
		{"half of an answer is an error of the list", []Fault{AnswerHalf}, listHalf},
		{"a list of a slow system ends with the context", []Fault{Slow}, listSlow},
	}
}

// listing is a list as it was yielded.
type listing struct {
	orders []*commerce.Order
	err    error
	wrong  []string // against the contract of a sequence
}

// list ranges by hand, to see what a loop does not show: what comes after an
// error, or after the loop has broken off. each may be nil; it breaks off by false.
func (s *stand) list(ctx context.Context, source resubmit.OrderLister, q commerce.Query,
	each func(*commerce.Order) bool) listing {
	s.Helper()
	var l listing
	s.within("the list", func() {
		over := ""
		source.Orders(ctx, q)(func(o *commerce.Order, err error) bool {
			switch {
			case over != "":
				l.wrong = append(l.wrong, "it goes on after "+over)
				return false
			case err != nil:
				l.err, over = err, "an error"
				if o != nil {
					l.wrong = append(l.wrong, "it yields an order together with an error")
				}
				return true // a loop may go on; the source must not
			case o == nil:
				l.wrong = append(l.wrong, "it yields neither an order nor an error")
				return true
			}
			l.orders = append(l.orders, o)
			if each != nil && !each(o) {
				over = "the loop broke off"
			}
			return over == ""
		})
	})
	if len(l.wrong) > 0 {
		s.Errorf("%s", few(l.wrong))
	}
	s.inspect(l.err)
	return l
}

// mustList lists without an error.
func (s *stand) mustList(source resubmit.OrderLister, q commerce.Query) []*commerce.Order {
	s.Helper()
	l := s.list(s.Context(), source, q, nil)
	if l.err != nil {
		s.Fatalf("the list of %+v ended with the error %q", q, l.err)
	}
	return l.orders
}

// source makes the source for orders.
func (s *stand) source(orders []*commerce.Order) resubmit.OrderLister {
	s.Helper()
	if s.sys.Source == nil {
		s.Fatalf("the fixture has no System.Source")
	}
	var ids []string
	if s.fix.Given {
		ids = idsOf(orders)
	}
	return s.sys.Source(s.TB, ids)
}

func idsOf(orders []*commerce.Order) []string {
	ids := make([]string, len(orders))
	for i, o := range orders {
		ids[i] = o.ID
	}
	return ids
}

func (s *stand) same(what string, wants, got []*commerce.Order) {
	s.Helper()
	if differences := unlike(wants, got); len(differences) > 0 {
		s.Errorf("%s%s", what, few(differences))
	}
}

func listsAll(s *stand) {
	wants := s.failed(many)
	source := s.source(wants)
	s.same("", wants, s.mustList(source, commerce.Query{}))
	s.same("with the query of the failed orders: ", wants, s.mustList(source, commerce.FailedOrders().Query()))
}

func sorts(s *stand) {
	news := make([]NewOrder, many)
	for i := range news {
		news[i] = usual(i * 17 % many / 2 * 2) // neither forwards nor backwards, and two each at the same time
	}
	source := s.source(s.put(news...))
	oldest := s.mustList(source, commerce.Query{})
	newest := s.mustList(source, commerce.Query{Sort: commerce.NewestFirst})
	slices.Reverse(newest)
	for name, orders := range map[string][]*commerce.Order{"the oldest": oldest, "the newest": newest} {
		for i := 1; i < len(orders); i++ {
			if orders[i].PlacedAt.Before(orders[i-1].PlacedAt) {
				s.Errorf("asked for %s first, %s of %s and %s of %s are the wrong way round", name,
					orders[i-1].Number, orders[i-1].PlacedAt.Format(time.TimeOnly), orders[i].Number,
					orders[i].PlacedAt.Format(time.TimeOnly))
				return
			}
		}
	}
}

func listsTies(s *stand) {
	news := make([]NewOrder, many)
	for i := range news {
		news[i] = usual(i)
		news[i].PlacedAt = usual(0).PlacedAt
	}
	wants := s.put(news...)
	source := s.source(wants)
	for _, sort := range []commerce.Sort{commerce.OldestFirst, commerce.NewestFirst} {
		for range 3 { // a system may order them differently each time
			q := commerce.FailedOrders().Query()
			q.Sort = sort
			s.same("", wants, s.mustList(source, q))
		}
	}
}

func shifts(s *stand) {
	const fresh = 1000
	stay := s.failed(many)
	source := s.source(stay)
	if s.sys.TakeAway == nil {
		s.Fatalf("the fixture has no System.TakeAway")
	}
	gone, came := map[string]bool{}, map[string]bool{}
	seen := 0
	l := s.list(s.Context(), source, commerce.FailedOrders().Query(), func(o *commerce.Order) bool {
		seen++
		if seen%3 != 0 {
			return true
		}
		late := stay[len(stay)-1-seen/3] // most likely not listed yet
		for _, id := range []string{o.ID, late.ID} {
			if !gone[id] && !came[id] {
				gone[id] = true
				s.sys.TakeAway(s.TB, id)
			}
		}
		n := usual(fresh + seen)
		if seen%2 == 0 {
			n = usual(-seen) // in a page that was listed already
		}
		came[s.sys.Put(s.TB, n).ID] = true
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
	s.same("", wants, got)
}

func findsNothing(s *stand) {
	s.same("in an empty system: ", nil, s.mustList(s.source(nil), commerce.FailedOrders().Query()))
	done := usual(0)
	done.Status, done.Failure = commerce.StatusCompleted, ""
	s.same("", nil, s.mustList(s.source(s.put(done)), commerce.FailedOrders().Query()))
}

// delicate are orders whose values are easily spoilt on the way.
func (s *stand) delicate() []*commerce.Order {
	s.Helper()
	news := make([]NewOrder, 0, 24)
	for _, total := range []commerce.Money{
		{Amount: decimal.RequireFromString("12.50"), Currency: "USD"},
		{Amount: decimal.RequireFromString("0.10"), Currency: "EUR"},
		{Amount: decimal.RequireFromString("1200"), Currency: "JPY"},
		{Amount: decimal.RequireFromString("1234567.89"), Currency: "PLN"},
		{Amount: decimal.RequireFromString("-0.07"), Currency: "USD"},
	} {
		n := usual(len(news))
		n.Total = total
		news = append(news, n)
	}
	for i, at := range []time.Time{
		time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC), // summer time begins in Europe
		time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC),
		time.Date(2025, 12, 31, 23, 59, 59, 0, time.FixedZone("", 5*3600+1800)),
	} {
		n := usual(0)
		n.PlacedAt, n.Type = at, commerce.TypeChange
		if i == 1 {
			n.Status, n.Failure = commerce.StatusCompleted, ""
		}
		news = append(news, n)
	}
	for i, id := range oddities() {
		n := usual(100 + i)
		n.ID = id
		news = append(news, n)
	}
	return s.put(news...)
}

func listsTruth(s *stand) {
	wants := s.delicate()
	got := map[string]*commerce.Order{}
	for _, o := range s.mustList(s.source(wants), commerce.Query{}) {
		got[o.ID] = o
	}
	for _, want := range wants {
		if got[want.ID] == nil {
			s.Errorf("the order %s with the id %q is not in the list by that id", want.Number, want.ID)
			continue
		}
		for _, difference := range compare(want, got[want.ID], true) {
			s.Errorf("%s: %s", want.Number, difference)
		}
	}
}

func listsNothingUntold(s *stand) {
	orders := s.mixture()
	for _, o := range s.mustList(s.source(orders), commerce.Query{}) {
		for _, told := range untold(s.fix.Capabilities, o) {
			s.Errorf("%s tells %s, although the adapter declares not to tell it", o.Number, told)
		}
	}
}

func breaksOff(s *stand) {
	orders := s.failed(many)
	source := s.source(orders)
	for _, n := range []int{1, 7} {
		var seen int
		l := s.list(s.Context(), source, commerce.Query{}, func(*commerce.Order) bool {
			seen++
			return seen < n
		})
		if len(l.orders) != n {
			s.Errorf("%d orders were yielded to a loop that breaks off at %d", len(l.orders), n)
		}
	}
	s.same("after that: ", orders, s.mustList(source, commerce.Query{}))
}

func listCancelled(s *stand) {
	source := s.source(s.failed(3))
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	l := s.list(ctx, source, commerce.Query{}, nil)
	if !errors.Is(l.err, context.Canceled) || len(l.orders) > 0 {
		s.Errorf("it yielded %d orders and the error %v: the error must match context.Canceled", len(l.orders), l.err)
	}
}

// whole says that a list may be as it is only if it has all, or an error.
func (s *stand) whole(l listing, want int) {
	s.Helper()
	if l.err == nil && len(l.orders) < want {
		s.Errorf("it ended after %d of %d orders without an error", len(l.orders), want)
	}
}

func listCancelledHalfWay(s *stand) {
	source := s.source(s.failed(many))
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	l := s.list(ctx, source, commerce.Query{}, func(*commerce.Order) bool {
		cancel()
		return true
	})
	s.whole(l, many)
	if l.err != nil && !errors.Is(l.err, context.Canceled) {
		s.Errorf("the error %q does not match context.Canceled", l.err)
	}
}

func listsTogether(s *stand) {
	orders := s.mixture()
	source := s.source(orders)
	const lists = 8
	got, errs := make([][]*commerce.Order, lists), make([]error, lists)
	s.within("lists at the same time", func() {
		var wg sync.WaitGroup
		for i := range lists {
			wg.Go(func() {
				for o, err := range source.Orders(s.Context(), commerce.Query{Types: []commerce.OrderType{commerce.TypeSales,
					commerce.TypeChange}[i%2 : i%2+1]}) {
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
		typ := []commerce.OrderType{commerce.TypeSales, commerce.TypeChange}[i%2]
		if errs[i] != nil {
			s.Errorf("one of %d lists ended with the error %q", lists, errs[i])
			continue
		}
		s.same("", slices.DeleteFunc(slices.Clone(orders), func(o *commerce.Order) bool { return o.Type != typ }), got[i])
	}
}
