package billing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// Source lists orders whose ids the user knows. Make it with [Client.FromIDs],
// [Client.FromSeq] or [Client.FromLines]. Safe for concurrent use, unless it was made
// from a sequence that is not.
type Source struct {
	client *Client
	read   func() ([]entry, error)
}

// entry is what the user says about an order.
type entry struct {
	where  string // "line 3"
	id     string // "" when only the number is given
	number string // "" when it is not given
}

// FromIDs lists the orders with these ids, or numbers when there is a resolver ([WithNumberResolver]).
func (c *Client) FromIDs(ids ...string) *Source {
	return c.FromSeq(func(yield func(string, error) bool) {
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	})
}

// FromSeq is like [Client.FromIDs] for ids that come from somewhere else, for instance
// the rows of an SQL query. An error in the sequence ends it, and the list. The sequence is ranged
// over anew for each list.
func (c *Client) FromSeq(ids iter.Seq2[string, error]) *Source {
	return &Source{client: c, read: func() ([]entry, error) {
		var entries []entry
		for id, err := range ids {
			where := fmt.Sprintf("id %d", len(entries)+1)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", where, err)
			}
			e := entry{where: where, id: id}
			if isNumber(id) {
				e.id, e.number = "", id
			}
			entries = append(entries, e)
		}
		return entries, nil
	}}
}

// FromLines lists the orders that a text names. The text is one of:
//
//   - ids, one a line;
//   - an export from the panel as CSV, separated by commas, semicolons or tabs, whose header names a column
//     of ids: "OrderID", "Order ID" or "ID";
//   - what psql prints, with or without header, line and count:
//     " 1000027 | SO000027 | PF". A count must agree with the rows.
//
// Without a header the ids are in the first column. Where there is a column of numbers ("OrderNumber",
// "Order Number" or "Number"; without a header the second, if it looks so), the order that Billing
// returns must have that number: an error, if not, as the ids may be those of something else.
// Empty lines are skipped.
//
// The text is read once, when orders are first asked for. An error names the line.
func (c *Client) FromLines(r io.Reader) *Source {
	return &Source{client: c, read: sync.OnceValues(func() ([]entry, error) { return readLines(r) })}
}

// Orders reads all orders of the source and yields those that match the query,
// each once, sorted by the time of placing. Nothing is dropped silently: an order that does not
// exist is an error, which names the line and the id.
//
// Each order is a call to Billing, as many at once as [WithConcurrency] allows. All
// of them are read before the first is yielded, because they come in no order; those that match are
// in memory then, about 1 KiB each. With q.IDs only the orders of the source with these ids are read.
// Billing does not know accounts by their APS id: a query with q.Account is an error.
//
// An error ends the sequence. Ranging over it again reads the orders anew.
func (s *Source) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		orders, err := s.list(ctx, q)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, o := range orders {
			if !yield(o, nil) {
				return
			}
		}
	}
}

func (s *Source) list(ctx context.Context, q commerce.Query) ([]*commerce.Order, error) {
	switch {
	case q.Account != "":
		return nil, notSent(opList, errors.New("the orders of an account cannot be listed by its APS id in Billing: leave out the account"))
	case q.Limit < 0:
		return nil, notSent(opList, fmt.Errorf("the limit is %d: it must not be negative", q.Limit))
	}
	entries, err := s.read()
	if err != nil {
		return nil, notSent(opList, err)
	}
	orders, err := s.client.fetch(ctx, &q, entries)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(orders, byPlacing)
	orders = slices.CompactFunc(orders, func(a, b *commerce.Order) bool { return a.ID == b.ID })
	if q.Sort == commerce.NewestFirst {
		slices.Reverse(orders)
	}
	if q.Limit > 0 && len(orders) > q.Limit {
		orders = orders[:q.Limit]
	}
	return orders, nil
}

// byPlacing sorts the oldest first, and by id what was placed at the same time.
func byPlacing(a, b *commerce.Order) int {
	return cmp.Or(a.PlacedAt.Compare(b.PlacedAt), cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
}

// fetch reads the orders of entries and returns those that match.
func (c *Client) fetch(ctx context.Context, q *commerce.Query, entries []entry) ([]*commerce.Order, error) {
	var (
		mu     sync.Mutex
		orders []*commerce.Order
	)
	group, inner := errgroup.WithContext(ctx)
	// More at once would only wait for the limit of the client.
	group.SetLimit(cap(c.slots))
	done := make(map[entry]bool, len(entries))
	for _, e := range entries {
		known := entry{id: e.id, number: e.number} // as another line may have it
		if done[known] || inner.Err() != nil {
			continue
		}
		done[known] = true
		group.Go(func() error {
			o, err := c.look(inner, q, e)
			if err != nil {
				return named(e, err)
			}
			if o != nil && q.Match(o) {
				mu.Lock()
				defer mu.Unlock()
				orders = append(orders, o)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, notSent(opList, err)
	}
	return orders, nil
}

// look reads the order of an entry; nil when the query does not ask for its id.
func (c *Client) look(ctx context.Context, q *commerce.Query, e entry) (*commerce.Order, error) {
	id := e.id
	if id == "" {
		if c.resolve == nil {
			return nil, notSent(opList, errors.New("this is an order's number, and Billing reads orders by their ids: "+
				"give the column OrderID, or WithNumberResolver"))
		}
		var err error
		if id, err = c.resolve(ctx, e.number); err != nil {
			return nil, notSent(opList, fmt.Errorf("the number cannot be resolved: %w", err))
		}
	}
	if len(q.IDs) > 0 && !slices.Contains(q.IDs, id) {
		if _, err := orderID(id); err != nil {
			return nil, notSent(opList, err)
		}
		return nil, nil
	}
	o, err := c.Order(ctx, id)
	if err != nil {
		return nil, err
	}
	if e.number != "" && e.number != o.Number {
		return nil, &commerce.Error{Op: opList, Err: fmt.Errorf("order %s has the number %q in Billing: are these the ids of orders?", id, clip(o.Number))}
	}
	return o, nil
}

// named says in an error for which order of the source it is.
func named(e entry, err error) error {
	failed, ok := errors.AsType[*commerce.Error](err)
	if !ok {
		return err
	}
	changed := *failed
	changed.Op = fmt.Sprintf("%s: %s: order %s", opList, e.where, strconv.Quote(clip(cmp.Or(e.id, e.number))))
	return &changed
}
