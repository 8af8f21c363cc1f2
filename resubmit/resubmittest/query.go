package resubmittest

import (
	"fmt"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// mixture is orders of all kinds that queries tell apart.
func (s *stand) mixture() []*commerce.Order {
	s.Helper()
	news := make([]NewOrder, 16)
	for i := range news {
		news[i] = usual(i)
		if i%3 == 0 {
			news[i].Status, news[i].Failure = commerce.StatusCompleted, ""
		}
		if i%4 < 2 {
			news[i].Type = commerce.TypeChange
		}
	}
	return s.put(news...)
}

// question is a query and the field that it is about.
type question struct {
	field string
	query commerce.Query
}

func questions(o []*commerce.Order) []question {
	failed, done := commerce.StatusProvisioningFailed, commerce.StatusCompleted
	at := func(i int) time.Time { return o[i].PlacedAt }
	number := o[7].Number
	zone := time.FixedZone("", -5*3600-1800)
	return []question{
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
		{"IDs with odd characters", commerce.Query{IDs: append(oddities(), o[2].ID)}},
		{"Numbers", commerce.Query{Numbers: []string{number}}},
		{"Numbers", commerce.Query{Numbers: []string{number, o[1].Number, o[15].Number}}},
		{"Numbers with odd characters", commerce.Query{Numbers: append(oddities(), number)}},
		{"NumberLike", commerce.Query{NumberLike: number}},
		{"NumberLike", commerce.Query{NumberLike: "*" + number[len(number)-1:]}},
		{"NumberLike", commerce.Query{NumberLike: number[:1] + "*"}},
		{"NumberLike with odd characters", commerce.Query{NumberLike: "a&b=(c),*%#"}},
		{"Statuses and Types", commerce.Query{Statuses: []commerce.Status{failed},
			Types: []commerce.OrderType{commerce.TypeChange}}},
		{"Statuses, PlacedFrom and NumberLike", commerce.Query{
			Statuses: []commerce.Status{failed}, PlacedFrom: at(2), NumberLike: "*" + o[4].Number[len(o[4].Number)-1:],
		}},
	}
}

func answersQueries(s *stand) {
	orders := s.mixture()
	source := s.source(orders)
	for _, ask := range questions(orders) {
		var wants []*commerce.Order
		for _, o := range orders {
			if ask.query.Match(o) {
				wants = append(wants, o)
			}
		}
		s.same(ask.field+": ", wants, s.mustList(source, ask.query))
	}
}

func limits(s *stand) {
	orders := s.mixture()
	source := s.source(orders)
	failed := slices.DeleteFunc(slices.Clone(orders),
		func(o *commerce.Order) bool { return o.Status != commerce.StatusProvisioningFailed })
	newest := slices.Clone(failed)
	slices.Reverse(newest)
	for _, limit := range []int{1, 3, len(failed) - 1, len(failed), len(failed) + 1} {
		q := commerce.FailedOrders().Query()
		q.Limit = limit
		s.same(fmt.Sprintf("limit %d: ", limit), failed[:min(limit, len(failed))], s.mustList(source, q))
		q.Sort = commerce.NewestFirst
		s.same(fmt.Sprintf("limit %d, the newest first: ", limit), newest[:min(limit, len(failed))], s.mustList(source, q))
	}
}

func accounts(s *stand) {
	if len(s.fix.Accounts) == 0 {
		orders := s.failed(3)
		l := s.list(s.Context(), s.source(orders), commerce.Query{Account: "1000001"}, nil)
		if len(l.orders) > 0 || l.err == nil {
			s.Errorf("the fixture has no Accounts, yet a query with an account lists %d orders, with the error %v: "+
				"an adapter that cannot list by account must refuse", len(l.orders), l.err)
		}
		return
	}
	var news []NewOrder
	for i := range many {
		n := usual(i)
		if k := i % (len(s.fix.Accounts) + 1); k < len(s.fix.Accounts) {
			n.Account = s.fix.Accounts[k]
		}
		news = append(news, n)
	}
	orders := s.put(news...)
	source := s.source(orders)
	for _, account := range s.fix.Accounts {
		var wants []*commerce.Order
		for i, n := range news {
			if n.Account == account {
				wants = append(wants, orders[i])
			}
		}
		s.same(fmt.Sprintf("account %q: ", account), wants, s.mustList(source, commerce.Query{Account: account}))
	}
	s.same("without an account: ", orders, s.mustList(source, commerce.Query{}))
}

func given(s *stand) {
	orders := s.failed(6)
	told, untold := orders[:4], orders[4:]
	if !s.fix.Given {
		s.same("", orders, s.mustList(s.source(nil), commerce.Query{}))
		return
	}
	source := s.source(told)
	s.same("", told, s.mustList(source, commerce.FailedOrders().Query()))
	s.same("given twice: ", told, s.mustList(s.source(slices.Repeat(told, 2)), commerce.FailedOrders().Query()))
	s.same("asked for ids that were not given: ", nil, s.mustList(source, commerce.Query{IDs: idsOf(untold)}))
	missing := s.sys.Source(s.TB, append(idsOf(told), s.fix.Missing))
	if l := s.list(s.Context(), missing, commerce.Query{}, nil); l.err == nil {
		s.Errorf("the id %q was given and there is no such order: it must not be left out without an error", s.fix.Missing)
	}
}
