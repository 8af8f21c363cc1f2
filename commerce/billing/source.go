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
	"github.com/cloudblue-go/cloudblue/internal/callback"
)

// Lister lists the orders that the user names by id or number, because Billing cannot list orders.
// Create it with [Client.FromIDs],
// [Client.FromIDSeq], [Client.FromRefs] or [Client.FromText]. It is safe for concurrent use
// unless it was created from a sequence that is not.
type Lister struct {
	client *Client
	read   func() ([]OrderRef, error)
}

// OrderRef names an order by its id, its number, or both.
type OrderRef struct {
	// Where is the place of the line, for errors: "failed.csv:3".
	Where string
	// ID is the id in Billing, such as "1000027"; "" if only the number is known.
	ID string
	// Number is the order number, such as "SO000027"; "" if unknown.
	Number string
	// Subscription is the id in Operations of a subscription of the order; "" if unknown.
	// Billing does not report it. An order with several subscriptions has a line for each.
	Subscription string
}

// FromIDs returns a Lister of the orders with these ids. Order numbers need a resolver, see
// [WithNumberResolver].
func (c *Client) FromIDs(ids ...string) *Lister {
	return c.FromIDSeq(func(yield func(string, error) bool) {
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	})
}

// FromIDSeq is like [Client.FromIDs] for a sequence of ids, such as the rows of an SQL query. An
// error in the sequence ends the list. Each list ranges over the sequence again.
func (c *Client) FromIDSeq(ids iter.Seq2[string, error]) *Lister {
	return &Lister{client: c, read: func() ([]OrderRef, error) {
		var lines []OrderRef
		for id, err := range ids {
			where := fmt.Sprintf("id %d", len(lines)+1)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", where, err)
			}
			l := OrderRef{Where: where, ID: id}
			if isNumber(id) {
				l.ID, l.Number = "", id
			}
			lines = append(lines, l)
		}
		return lines, nil
	}}
}

// FromRefs returns a Lister of the given orders, such as those that [ReadOrderRefs] returned.
func (c *Client) FromRefs(lines []OrderRef) *Lister {
	lines = slices.Clone(lines)
	return &Lister{client: c, read: func() ([]OrderRef, error) { return lines, nil }}
}

// FromText returns a Lister of the orders that a text names, such as a CSV export; see
// [ReadOrderRefs]. The text is read once, when the first list begins.
//
// If a line has an id and a number, the order that Billing returns must have that number;
// otherwise the list ends with an error, because the ids may be those of something else. If a
// line names a subscription, the order gets it.
func (c *Client) FromText(r io.Reader) *Lister {
	return &Lister{client: c, read: sync.OnceValues(func() ([]OrderRef, error) { return ReadOrderRefs(r) })}
}

// Orders reads the orders and yields those that match the query, each once,
// sorted by PlacedAt. An order that does not exist is an error, which names the line and the
// id. An order that cannot be read completely is yielded with its Problems, and so is one whose
// read Billing does not answer, or answers with an error of its own (5xx), while it answers most.
//
// Each order is one call to Billing; as many run at once as [WithConcurrency] allows. All
// orders are read before the first is yielded, so that they can be sorted; those that match
// are held in memory, about 1 KiB each. With q.IDs only these orders are read.
// A query with q.Account is an error, because Billing does not know the APS ids of accounts.
//
// An error ends the sequence. Ranging over it again reads the orders again.
func (s *Lister) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
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

func (s *Lister) list(ctx context.Context, q commerce.Query) ([]*commerce.Order, error) {
	switch {
	case q.Account != "":
		return nil, notSent(opList, errors.New("the orders of an account cannot be listed by its APS id in "+
			"Billing: leave out the account"))
	case q.Limit < 0:
		return nil, notSent(opList, fmt.Errorf("the limit is %d: it must not be negative", q.Limit))
	}
	lines, err := s.read()
	if err != nil {
		return nil, notSent(opList, err)
	}
	orders, err := s.client.fetch(ctx, &q, lines)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(orders, byPlacing)
	orders = merged(orders)
	if q.Sort == commerce.NewestFirst {
		slices.Reverse(orders)
	}
	if q.Limit > 0 && len(orders) > q.Limit {
		orders = orders[:q.Limit]
	}
	return orders, nil
}

// byPlacing sorts by PlacedAt and then by id, which is a number.
func byPlacing(a, b *commerce.Order) int {
	return cmp.Or(a.PlacedAt.Compare(b.PlacedAt), cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
}

// merged merges equal neighbors of sorted orders: each order once, with all subscriptions.
func merged(orders []*commerce.Order) []*commerce.Order {
	once := orders[:0]
	for _, o := range orders {
		if n := len(once); n == 0 || once[n-1].ID != o.ID {
			once = append(once, o)
			continue
		}
		first := once[len(once)-1]
		for _, id := range o.SubscriptionIDs {
			if !slices.Contains(first.SubscriptionIDs, id) {
				first.SubscriptionIDs = append(first.SubscriptionIDs, id)
			}
		}
		slices.Sort(first.SubscriptionIDs) // they were read in no order
	}
	return once
}

// fetch reads the orders of lines and returns those that match the query.
func (c *Client) fetch(ctx context.Context, q *commerce.Query, lines []OrderRef) ([]*commerce.Order, error) {
	rows := rows{query: q}
	group, inner := errgroup.WithContext(ctx)
	// More goroutines would only wait for the limit of the client.
	group.SetLimit(cap(c.slots))
	done := make(map[OrderRef]bool, len(lines))
	for _, l := range lines {
		known := l // equal for all lines that name the same order
		known.Where = ""
		if done[known] || inner.Err() != nil {
			continue
		}
		done[known] = true
		group.Go(func() error {
			o, err := callback.Call(func() (*commerce.Order, error) { return c.look(inner, q, l) })
			if err != nil {
				err = named(l, err)
			}
			return rows.add(o, err)
		})
	}
	if err := cmp.Or(group.Wait(), rows.error(0)); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, notSent(opList, err)
	}
	return rows.orders, nil
}

// rows are the orders that were read, and those that could not be.
type rows struct {
	query *commerce.Query

	mu     sync.Mutex
	orders []*commerce.Order
	read   int
	unread int
	err    error // of the first of them
}

// add adds an order. err is why it could not be read; then o says which it is, or is nil if the list must end.
func (r *rows) add(o *commerce.Order, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.read++
	case o == nil:
		return err
	default:
		r.unread++
		r.err = cmp.Or(r.err, err)
		o.Problems = []string{"it could not be read: " + err.Error()}
	}
	if o != nil && r.query.Match(o) {
		r.orders = append(r.orders, o)
	}
	return r.error(10)
}

// error returns an error if more orders could not be read than could, and more than some: then it is not about them.
func (r *rows) error(some int) error {
	if r.unread > max(some, r.read) {
		return r.err
	}
	return nil
}

// look reads the order of a line; it returns nil if the query excludes its id. If there is an error that may be about
// the order alone, it returns an order that has nothing but its ids; without a subscription it could be overtaken.
func (c *Client) look(ctx context.Context, q *commerce.Query, l OrderRef) (*commerce.Order, error) {
	id := l.ID
	if id == "" {
		if c.resolve == nil {
			return nil, notSent(opList, errors.New("this is an order's number, and Billing reads orders by their ids: "+
				"give the column OrderID, or WithNumberResolver"))
		}
		var err error
		if id, err = c.resolve(ctx, l.Number); err != nil {
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
	if err != nil && ctx.Err() == nil && l.Subscription != "" && ofServer(err) {
		return &commerce.Order{ID: id, Number: l.Number, SubscriptionIDs: []string{l.Subscription}}, err
	}
	if err != nil {
		return nil, err
	}
	if len(o.Problems) > 0 && o.Number == "" {
		o.Number = l.Number
	}
	if l.Number != "" && l.Number != o.Number {
		return nil, &commerce.Error{Op: opList, Err: fmt.Errorf("order %s has the number %q in Billing: are these "+
			"the ids of orders?", id, clip(o.Number))}
	}
	if l.Subscription != "" {
		o.SubscriptionIDs = []string{l.Subscription}
	}
	return o, nil
}

// ofServer reports whether the read of an order failed in Billing or on the way, for no reason that another order has
// too.
func ofServer(err error) bool {
	e, ok := errors.AsType[*commerce.Error](err)
	return ok && (e.HTTPStatus >= 500 || errors.Is(err, commerce.ErrUnavailable))
}

// named adds the line and the order to an error.
func named(l OrderRef, err error) error {
	failed, ok := errors.AsType[*commerce.Error](err)
	if !ok {
		return err
	}
	changed := *failed
	changed.Op = fmt.Sprintf("%s: %s: order %s", opList, l.Where, strconv.Quote(clip(cmp.Or(l.ID, l.Number))))
	return &changed
}
