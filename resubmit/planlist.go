package resubmit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/fields"
	"github.com/cloudblue-go/cloudblue/internal/mismatch"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/orders"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

var errNoOrder = errors.New("the lister yielded neither an order nor an error")

// orderList lists the orders of the view, on one goroutine.
type orderList struct {
	lister    OrderLister
	calls     *planCalls
	query     commerce.Query // the orders to list
	cheap     filter.Filter  // the terms of the filter that need no details
	lookUps   *lookUps
	progress  *planProgress
	unmatched mismatch.Rows // listed although they do not match
	ties      ties
}

// listed yields the orders of the lister. It ends early, without an error, if Connect refuses the
// credentials, since there will be no plan.
func (l *orderList) listed(ctx context.Context) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		turn, err := l.calls.next(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		for o, err := range l.lister.Orders(turn, l.query) {
			if err == nil && o == nil {
				err = errNoOrder
			}
			if err == nil {
				err = ctx.Err()
			}
			if l.lookUps.refused() != nil || !yield(o, err) || err != nil {
				return
			}
		}
	}
}

// read passes on the orders that match the query, in batches, with those that the cheap terms of the filter reject.
func (l *orderList) read(ctx context.Context, pass func(*orderBatch) error) error {
	var b *orderBatch
	var rows fields.RowIDs
	var last *commerce.Order // of those with a time of placing
	for o, err := range tiesByID(l.listed(ctx)) {
		if err != nil {
			return err
		}
		o = identified(orders.Readable(o), &rows)
		if why := l.query.Mismatch(o); why != "" {
			l.unmatched.Add(o.Label(), why)
			continue
		}
		l.unmatched.Matched()
		if last, err = youngest(last, o); err != nil {
			return err
		}
		if l.ties.repeats(o) {
			continue
		}
		selected := selects(l.cheap, o)
		if selected {
			l.progress.listed.Add(1)
		}
		if b == nil {
			b = newBatch()
		}
		if b.items = append(b.items, item{order: o, rejected: !selected}); len(b.items) == planBatch {
			if err := pass(b); err != nil {
				return err
			}
			b = nil
		}
	}
	if err := l.unmatched.Err(); err != nil {
		return err
	}
	if b != nil {
		return pass(b)
	}
	return nil
}

// ties finds orders that a list has twice: those with the same id and time of placing.
type ties struct {
	placed time.Time
	ids    map[string]bool // of the orders placed then, so far
	twice  []string        // the labels of orders that were there already, at most maxTwice
	count  int             // of such orders
}

const maxTwice = 10

// repeats adds the next order of the list, and reports whether the list had it already.
func (t *ties) repeats(o *commerce.Order) bool {
	switch {
	case t.ids != nil && o.PlacedAt.Equal(t.placed):
	case len(t.ids) == 1: // nearly always, and for a million orders
		clear(t.ids)
	default:
		t.ids = make(map[string]bool, 1)
	}
	t.placed = o.PlacedAt
	if !t.ids[o.ID] {
		t.ids[o.ID] = true
		return false
	}
	if t.count++; len(t.twice) < maxTwice {
		t.twice = append(t.twice, text.Short(o.Label()))
	}
	return true
}

// planQuery returns the query of the orders that a plan needs: those of the view, since an older one that the filter
// rejects may come first in a lane of one that it selects. Orders that are younger than all that the filter can select
// are left out.
func planQuery(view commerce.Query, f filter.Filter) commerce.Query {
	narrowed, _ := filter.ToQuery(f, view)
	q := view
	q.PlacedTo = narrowed.PlacedTo
	q.Sort = commerce.OldestFirst
	return q
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
		unlimited := q
		unlimited.Limit = 0 // without sorting, it would cut off the wrong orders
		var all []*commerce.Order
		for o, err := range s.lister.Orders(ctx, unlimited) {
			if err == nil && o == nil {
				err = errNoOrder
			}
			if err != nil {
				yield(nil, err)
				return
			}
			lean := *o
			lean.Raw = nil
			all = append(all, &lean)
		}
		slices.SortStableFunc(all, func(a, b *commerce.Order) int {
			if q.Sort == commerce.NewestFirst {
				a, b = b, a
			}
			return a.PlacedAt.Compare(b.PlacedAt)
		})
		if q.Limit > 0 && len(all) > q.Limit {
			all = all[:q.Limit]
		}
		for _, o := range all {
			if !yield(o, nil) {
				return
			}
		}
	}
}

// tiesByID sorts orders with the same time of placing by their ids: a purchase has a smaller id
// than the changes that depend on it, and a lister may not be able to sort by it. It holds orders
// of the same time in memory.
func tiesByID(list iter.Seq2[*commerce.Order, error]) iter.Seq2[*commerce.Order, error] {
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
		for o, err := range list {
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
func sortByID(ties []*commerce.Order) {
	id := func(o *commerce.Order) string { return o.BillingID }
	if slices.ContainsFunc(ties, func(o *commerce.Order) bool { return digits(o.BillingID) == "" }) {
		id = func(o *commerce.Order) string { return o.Number }
	}
	slices.SortStableFunc(ties, func(a, b *commerce.Order) int {
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

// MeasureBaseline measures failure rates for PlanConfig.Baseline: it lists the orders of a view that
// were placed in [from, to) and counts them. The zero view is commerce.FailedOrdersView. An order that
// was placed earlier and failed in that time is not counted. If the list has no reasons, as that
// of Order Management, all failures count for the account that sold the order. It makes at most
// five calls per second.
func MeasureBaseline(ctx context.Context, lister OrderLister, view commerce.View, from, to time.Time,
	c *failure.Classifier) (rates *failure.Baseline, err error) {
	if callback.Nil(lister) {
		return nil, errors.New("resubmit: baseline: the lister is nil; give the client that lists orders")
	}
	defer callback.Recover(&err)
	rates, err = failure.NewBaseline(from, to, c)
	if err != nil {
		return nil, err
	}
	if view.Name == "" && len(view.Statuses) == 0 {
		view = commerce.FailedOrdersView()
	}
	if view.PlacedFrom.Before(from) {
		view.PlacedFrom = from
	}
	if view.PlacedTo.IsZero() || view.PlacedTo.After(to) {
		view.PlacedTo = to
	}
	if err := view.Validate(); err != nil {
		return nil, fmt.Errorf("resubmit: baseline: view: %w", err)
	}
	calls, ctx := newPacedCalls(ctx, defaultRate, slog.New(slog.DiscardHandler), new(Systems))
	defer calls.stop(nil)
	turn, err := calls.next(ctx)
	if err != nil {
		return nil, fmt.Errorf("resubmit: baseline: list orders: %w", err)
	}
	for o, err := range lister.Orders(turn, view.Query()) {
		if err == nil && o == nil {
			err = errNoOrder
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("resubmit: baseline: list orders: %w", err)
		}
		if view.Match(o) {
			rates.Add(o)
		}
	}
	return rates, nil
}

// namedOrders are the orders that the operator named in PlanConfig.Override and OverrideIfFound, by number or id.
type namedOrders struct {
	names   map[string]bool
	planned map[string]bool // ids and numbers of those in the plan
}

func newNamedOrders(cfg *PlanConfig) namedOrders {
	n := namedOrders{names: make(map[string]bool), planned: make(map[string]bool)}
	for _, name := range slices.Concat(cfg.Override, cfg.OverrideIfFound) {
		n.names[name] = true
	}
	return n
}

func (n *namedOrders) has(o *commerce.Order) bool { return n.names[o.ID] || n.names[o.Number] }

// note remembers that an entry is in the plan.
func (n *namedOrders) note(e *plan.Entry) {
	if n.names[e.OrderID] || n.names[e.Number] {
		n.planned[e.OrderID], n.planned[e.Number] = true, true
	}
}

// missing returns the names that are not in the plan, sorted.
func (n *namedOrders) missing(names []string) (missing []string) {
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if !n.planned[name] {
			missing = append(missing, text.Short(name))
		}
	}
	return missing
}
