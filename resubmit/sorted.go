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

// Sorted makes a source that yields its orders in the order of their placing out
// of one that does not. It holds all orders of a query in memory, without what the
// server sent (Order.Raw). Orders that do not tell when they were placed come
// first, in the order of the source.
func Sorted(source OrderLister) OrderLister { return sorted{source} }

type sorted struct{ source OrderLister }

func (s sorted) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		if callback.Nil(s.source) {
			yield(nil, errors.New("resubmit: Sorted was given a nil source"))
			return
		}
		all := q
		all.Limit = 0 // a source that does not sort would cut off the wrong ones
		var orders []*commerce.Order
		for o, err := range s.source.Orders(ctx, all) {
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

// tiesByID puts orders that were placed at the same time, as far as the source says, into
// the order of their ids: a purchase has a smaller one than the changes that depend on it,
// and a source may not be able to sort by it. It holds orders of the same time in memory.
func tiesByID(source iter.Seq2[*commerce.Order, error]) iter.Seq2[*commerce.Order, error] {
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
		for o, err := range source {
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

// sortByID sorts orders by their ids in Billing, or by the digits of their numbers if an
// order has no such id. Those without digits come first.
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
