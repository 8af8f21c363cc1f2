package resubmit

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/callback"
)

// Sorted returns a lister that sorts the orders of another one by the time of placing. It holds all
// orders of a query in memory, without Order.Raw. Orders without a time come first, in the order
// of the other lister.
func Sorted(lister OrderLister) OrderLister { return sorted{lister} }

type sorted struct{ lister OrderLister }

func (s sorted) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		if callback.Nil(s.lister) {
			yield(nil, errors.New("resubmit: Sorted was given a nil lister"))
			return
		}
		all := q
		all.Limit = 0 // without sorting, it would cut off the wrong orders
		var orders []*commerce.Order
		for o, err := range s.lister.Orders(ctx, all) {
			if err == nil && o == nil {
				err = errNoOrder
			}
			if err != nil {
				yield(nil, err)
				return
			}
			lean := *o
			lean.Raw = nil
			orders = append(orders, &lean)
		}
		slices.SortStableFunc(orders, func(a, b *commerce.Order) int {
			if q.Sort == commerce.NewestFirst {
				a, b = b, a
			}
			return a.PlacedAt.Compare(b.PlacedAt)
		})
		if q.Limit > 0 && len(orders) > q.Limit {
			orders = orders[:q.Limit]
		}
		for _, o := range orders {
			if !yield(o, nil) {
				return
			}
		}
	}
}

// tiesByID sorts orders with the same time of placing by their ids: a purchase has a smaller id
// than the changes that depend on it, and a lister may not be able to sort by it. It holds orders
// of the same time in memory.
func tiesByID(orders iter.Seq2[*commerce.Order, error]) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		var ties []*commerce.Order
		flush := func() bool {
			sortByID(ties)
			for _, o := range ties {
				if !yield(o, nil) {
					return false
				}
			}
			ties = nil
			return true
		}
		for o, err := range orders {
			if err != nil {
				yield(nil, err)
				return
			}
			if len(ties) > 0 && (o.PlacedAt.IsZero() || !o.PlacedAt.Equal(ties[0].PlacedAt)) && !flush() {
				return
			}
			ties = append(ties, o)
		}
		flush()
	}
}

// sortByID sorts orders by their ids in Billing, or by the digits of their numbers if an order has
// no such id. Orders without digits come first.
func sortByID(orders []*commerce.Order) {
	id := func(o *commerce.Order) string { return o.BillingID }
	if slices.ContainsFunc(orders, func(o *commerce.Order) bool { return digits(o.BillingID) == "" }) {
		id = func(o *commerce.Order) string { return o.Number }
	}
	slices.SortStableFunc(orders, func(a, b *commerce.Order) int {
		x, y := digits(id(a)), digits(id(b))
		return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y))
	})
}

// digits returns the digits of an id without leading zeros.
func digits(id string) string {
	return strings.TrimLeft(strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, id), "0")
}
