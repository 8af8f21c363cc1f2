package orderlist

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Lister lists the orders of a table. Create it with [FromRows] or [FromCSV].
type Lister struct {
	// rows yields the names of the columns first, and then the values of each row: texts or times, nil for NULL.
	rows    func(ctx context.Context) iter.Seq2[[]any, error]
	options options
	err     error // of an option
}

// Option is an option of a [Lister].
type Option func(*options) error

type options struct {
	names   map[string]string // of columns, by the ones here
	ignored map[string]bool
	status  commerce.Status
	layout  string
	zone    *time.Location
}

// WithColumn says that a column of the table has another name: WithColumn("id", "ORDER_UUID").
func WithColumn(column, name string) Option {
	return func(o *options) error {
		if _, ok := columns[column]; !ok {
			return fmt.Errorf("WithColumn: %s", unknown(column))
		}
		if other, taken := o.names[name]; taken {
			return fmt.Errorf("WithColumn: %q is the name of %s already", text.Short(name), other)
		}
		o.names[name] = column
		return nil
	}
}

// WithIgnored names columns of the table that are not used.
func WithIgnored(names ...string) Option {
	return func(o *options) error {
		for _, name := range names {
			o.ignored[name] = true
		}
		return nil
	}
}

// WithStatus sets the status of all orders, for a table without this column.
func WithStatus(s commerce.Status) Option {
	return func(o *options) error {
		if o.status = s; s == "" {
			return errors.New("WithStatus: the status is empty")
		}
		return nil
	}
}

// WithTimeLayout sets the layout of times that are texts, see [time.Layout], and the zone of those that name none. The
// default is [time.RFC3339] only, which always names one.
func WithTimeLayout(layout string, zone *time.Location) Option {
	return func(o *options) error {
		if o.layout, o.zone = layout, zone; layout == "" || zone == nil {
			return errors.New("WithTimeLayout: give a layout, and a zone such as time.UTC")
		}
		return nil
	}
}

func newLister(rows func(ctx context.Context) iter.Seq2[[]any, error], opts []Option) *Lister {
	l := &Lister{rows: rows, options: options{
		names: make(map[string]string), ignored: make(map[string]bool), layout: time.RFC3339, zone: time.UTC,
	}}
	for _, opt := range opts {
		l.err = cmp.Or(l.err, opt(&l.options))
	}
	return l
}

// Orders implements resubmit.OrderLister. A query with an Account is an error, and so
// is one for a column that the table lacks.
func (l *Lister) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		orders, err := l.list(ctx, &q)
		if err != nil {
			yield(nil, &commerce.Error{Op: "list orders", Delivery: commerce.DeliveryNotSent, Err: err})
			return
		}
		for _, o := range orders {
			if !yield(o, nil) {
				return
			}
		}
	}
}

func (l *Lister) list(ctx context.Context, q *commerce.Query) ([]*commerce.Order, error) {
	switch {
	case l.err != nil:
		return nil, l.err
	case q.Account != "":
		return nil, errors.New("the orders of an account cannot be listed from a table; leave out the account")
	case q.Limit < 0:
		return nil, fmt.Errorf("the limit is %d; it must not be negative", q.Limit)
	}
	orders, err := l.read(ctx, q)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(orders, func(a, b *commerce.Order) int {
		return cmp.Or(a.PlacedAt.Compare(b.PlacedAt), cmp.Compare(a.ID, b.ID))
	})
	if q.Sort == commerce.NewestFirst {
		slices.Reverse(orders)
	}
	if q.Limit > 0 {
		orders = orders[:min(q.Limit, len(orders))]
	}
	return orders, nil
}

// read returns the orders that the query selects.
func (l *Lister) read(ctx context.Context, q *commerce.Query) (orders []*commerce.Order, err error) {
	var fields []string
	rowOf := make(map[string]int)
	row := 0
	for values, err := range l.rows(ctx) {
		switch {
		case err != nil:
			return nil, err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case fields == nil:
			if fields, err = l.options.fields(values); err == nil {
				err = checkQuery(q, fields)
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		row++
		o, err := l.options.order(fields, values)
		if err != nil {
			return nil, fmt.Errorf("row %d, %w", row, err)
		}
		if first, again := rowOf[o.ID]; again {
			return nil, fmt.Errorf("row %d, column id: the order %s is in row %d already", row, text.Short(o.ID), first)
		}
		if rowOf[o.ID] = row; q.Match(o) {
			orders = append(orders, o)
		}
	}
	if fields == nil {
		return nil, errors.New("the table has no names of columns")
	}
	return orders, nil
}

// checkQuery returns an error if a query needs a column that the table lacks, because it would select no order then.
func checkQuery(q *commerce.Query, fields []string) error {
	for _, need := range []struct {
		column, what string
		queried      bool
	}{
		{"type", "types", len(q.Types) > 0},
		{"placed_at", "times of placing", !q.PlacedFrom.IsZero() || !q.PlacedTo.IsZero()},
		{"number", "numbers", len(q.Numbers) > 0 || q.NumberLike != ""},
	} {
		if need.queried && !slices.Contains(fields, need.column) {
			return fmt.Errorf("the query selects %s of orders, but the table has no column %s; add it, or rename one with "+
				"WithColumn", need.what, need.column)
		}
	}
	return nil
}
