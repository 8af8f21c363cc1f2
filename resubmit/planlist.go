package resubmit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/fields"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

var errNoOrder = errors.New("the lister yielded neither an order nor an error")

// listed yields the orders of the lister. It ends early, without an error, if Connect refuses the
// credentials, since there will be no plan.
func (p *planner) listed(ctx context.Context) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		turn, err := p.calls.next(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		for o, err := range p.Lister.Orders(turn, p.query) {
			if err == nil && o == nil {
				err = errNoOrder
			}
			if err == nil {
				err = ctx.Err()
			}
			if p.lookUps.refused() != nil || !yield(o, err) || err != nil {
				return
			}
		}
	}
}

// guardedList is list, but a panic of the lister or of the filter is an error.
func (p *planner) guardedList(ctx context.Context, pass func([]*commerce.Order) error) error {
	return callback.Do(func() error { return p.list(ctx, pass) })
}

// list passes on the orders that match the query and the cheap terms of the filter, in batches.
func (p *planner) list(ctx context.Context, pass func([]*commerce.Order) error) error {
	var orders []*commerce.Order
	var rows fields.RowIDs
	var last *commerce.Order // of those with a time of placing
	for o, err := range tiesByID(p.listed(ctx)) {
		if err != nil {
			return err
		}
		o = identified(withCode(readable(o)), &rows)
		if why := p.query.Mismatch(o); why != "" {
			p.unmatched.Add(o.Label(), why)
			continue
		}
		p.unmatched.Matched()
		if !selects(p.cheap, o) {
			continue
		}
		if last, err = youngest(last, o); err != nil {
			return err
		}
		p.counters.listed.Add(1)
		if orders == nil {
			orders = make([]*commerce.Order, 0, planBatch)
		}
		if orders = append(orders, o); len(orders) == planBatch {
			if err := pass(orders); err != nil {
				return err
			}
			orders = nil
		}
	}
	if err := p.unmatched.Err(); err != nil {
		return err
	}
	if len(orders) > 0 {
		return pass(orders)
	}
	return nil
}

// youngest returns the youngest order of a list so far: last, which may be nil, or the next
// order o. It returns an error if the list is not sorted by time.
func youngest(last, o *commerce.Order) (*commerce.Order, error) {
	switch {
	case o.PlacedAt.IsZero():
		return last, nil
	case last != nil && o.PlacedAt.Before(last.PlacedAt):
		return nil, fmt.Errorf("the list is not sorted: order %s, placed %s, came after order %s, placed %s; wrap the "+
			"lister with Sorted",
			text.Short(o.Label()), o.PlacedAt.Format(time.RFC3339), text.Short(last.Label()), last.PlacedAt.Format(time.RFC3339))
	default:
		return o, nil
	}
}

// identified gives an order without a usable id a generated one, by which it can be neither read
// nor pushed.
func identified(o *commerce.Order, rows *fields.RowIDs) *commerce.Order {
	if strings.TrimSpace(o.ID) != "" {
		return o
	}
	odd := *o
	odd.ID = rows.Next(o.Raw)
	odd.Problems = append(slices.Clip(o.Problems), "it has no id by which it could be read")
	return &odd
}

// selects reports whether a filter selects an order, or may select it, because a field that could
// not be read might match.
func selects(f filter.Filter, o *commerce.Order) bool { return len(o.Problems) > 0 || f.Match(o) }
