package resubmittest

import (
	"fmt"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// addMixed adds orders of all kinds that queries select.
func (s *suite) addMixed() []*commerce.Order {
	news := make([]OrderSpec, 16)
	for i := range news {
		news[i] = newOrder(i)
		if i%3 == 0 {
			news[i].Status, news[i].Failure = commerce.StatusCompleted, ""
		}
		if i%4 < 2 {
			news[i].Type = commerce.TypeChange
		}
	}
	return s.add(news...)
}

// queryCase is a query and the field that it tests.
type queryCase struct {
	field string
	query commerce.Query
}

func queryCases(o []*commerce.Order) []queryCase {
	failed, done := commerce.StatusProvisioningFailed, commerce.StatusCompleted
	at := func(i int) time.Time { return o[i].PlacedAt }
	number := o[7].Number
	zone := time.FixedZone("", -5*3600-1800)
	return []queryCase{
		{"Statuses", commerce.Query{Statuses: []commerce.Status{failed}}},
		{"Statuses", commerce.Query{Statuses: []commerce.Status{done}}},
		{"Statuses", commerce.Query{Statuses: []commerce.Status{done, failed}}},
		{"Statuses", commerce.Query{Statuses: []commerce.Status{commerce.StatusLongRunning}}},
		{"Types", commerce.Query{Types: []commerce.OrderType{commerce.TypeSales}}},
		{"Types", commerce.Query{Types: []commerce.OrderType{commerce.TypeChange}}},
		{"Types", commerce.Query{Types: []commerce.OrderType{commerce.TypeRenewal, commerce.TypeChange}}},
		{"PlacedFrom", commerce.Query{PlacedFrom: at(5)}},
		{"PlacedFrom, to the nanosecond", commerce.Query{PlacedFrom: at(5).Add(1)}},
		{"PlacedTo", commerce.Query{PlacedTo: at(9)}},
		{"PlacedTo, to the nanosecond", commerce.Query{PlacedTo: at(9).Add(1)}},
		{"PlacedFrom and PlacedTo in another zone", commerce.Query{PlacedFrom: at(3).In(zone), PlacedTo: at(11).In(zone)}},
		{"IDs", commerce.Query{IDs: []string{o[2].ID, o[12].ID}}},
		{"IDs with special characters", commerce.Query{IDs: append(specialIDs(), o[2].ID)}},
		{"Numbers", commerce.Query{Numbers: []string{number}}},
		{"Numbers", commerce.Query{Numbers: []string{number, o[1].Number, o[15].Number}}},
		{"Numbers with special characters", commerce.Query{Numbers: append(specialIDs(), number)}},
		{"NumberLike", commerce.Query{NumberLike: number}},
		{"NumberLike", commerce.Query{NumberLike: "*" + number[len(number)-1:]}},
		{"NumberLike", commerce.Query{NumberLike: number[:1] + "*"}},
		{"NumberLike with special characters", commerce.Query{NumberLike: "a&b=(c),*%#"}},
		{"Statuses and Types", commerce.Query{Statuses: []commerce.Status{failed},
			Types: []commerce.OrderType{commerce.TypeChange}}},
		{"Statuses, PlacedFrom and NumberLike", commerce.Query{
			Statuses: []commerce.Status{failed}, PlacedFrom: at(2), NumberLike: "*" + o[4].Number[len(o[4].Number)-1:],
		}},
	}
}

func answersQueries(s *suite) {
	orders := s.addMixed()
	lister := s.lister(orders)
	for _, ask := range queryCases(orders) {
		var wants []*commerce.Order
		for _, o := range orders {
			if ask.query.Match(o) {
				wants = append(wants, o)
			}
		}
		s.sameOrders(ask.field+": ", wants, s.mustList(lister, ask.query))
	}
}

func limits(s *suite) {
	orders := s.addMixed()
	lister := s.lister(orders)
	failed := slices.DeleteFunc(slices.Clone(orders),
		func(o *commerce.Order) bool { return o.Status != commerce.StatusProvisioningFailed })
	newest := slices.Clone(failed)
	slices.Reverse(newest)
	for _, limit := range []int{1, 3, len(failed) - 1, len(failed), len(failed) + 1} {
		q := commerce.FailedOrdersView().Query()
		q.Limit = limit
		s.sameOrders(fmt.Sprintf("limit %d: ", limit), failed[:min(limit, len(failed))], s.mustList(lister, q))
		q.Sort = commerce.NewestFirst
		s.sameOrders(fmt.Sprintf("limit %d, newest first: ", limit), newest[:min(limit, len(failed))], s.mustList(lister, q))
	}
}

func accounts(s *suite) {
	if len(s.fixture.Accounts) == 0 {
		orders := s.addFailed(3)
		l := s.list(s.Context(), s.lister(orders), commerce.Query{Account: "1000001"}, nil)
		if len(l.orders) > 0 || l.err == nil {
			s.Errorf("a query with an account lists %d orders, with the error %v: the fixture has no Accounts, so the "+
				"lister must reject it", len(l.orders), l.err)
		}
		return
	}
	var news []OrderSpec
	for i := range many {
		n := newOrder(i)
		if k := i % (len(s.fixture.Accounts) + 1); k < len(s.fixture.Accounts) {
			n.Account = s.fixture.Accounts[k]
		}
		news = append(news, n)
	}
	orders := s.add(news...)
	lister := s.lister(orders)
	for _, account := range s.fixture.Accounts {
		var wants []*commerce.Order
		for i, n := range news {
			if n.Account == account {
				wants = append(wants, orders[i])
			}
		}
		s.sameOrders(fmt.Sprintf("account %q: ", account), wants, s.mustList(lister, commerce.Query{Account: account}))
	}
	s.sameOrders("without an account: ", orders, s.mustList(lister, commerce.Query{}))
}

func given(s *suite) {
	orders := s.addFailed(6)
	given, others := orders[:4], orders[4:]
	if !s.fixture.ListsByID {
		s.sameOrders("", orders, s.mustList(s.lister(nil), commerce.Query{}))
		return
	}
	lister := s.lister(given)
	s.sameOrders("", given, s.mustList(lister, commerce.FailedOrdersView().Query()))
	s.sameOrders("given twice: ", given, s.mustList(s.lister(slices.Repeat(given, 2)),
		commerce.FailedOrdersView().Query()))
	s.sameOrders("query for ids that were not given: ", nil, s.mustList(lister, commerce.Query{IDs: idsOf(others)}))
	missing := s.system.Lister(s.TB, append(idsOf(given), s.fixture.MissingID))
	if l := s.list(s.Context(), missing, commerce.Query{}, nil); l.err == nil {
		s.Errorf("the given id %q has no order: the list must end with an error", s.fixture.MissingID)
	}
}
