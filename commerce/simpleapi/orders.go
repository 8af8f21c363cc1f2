package simpleapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/fields"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// Orders lists the orders that match a query, each once, sorted by PlacedAt and then by id.
// With q.Account, the id of a reseller in Simple API, it lists the orders of that reseller,
// otherwise all that the caller may see.
//
// The server is asked to filter where it can (see [ServerFilter]), and the client checks the
// result: only orders that match are yielded. Orders that the server should have left out are
// reported, see [commerce.Query]; an order whose status is missing or unknown is yielded with
// Problems. If the server returned orders and none of them matches, the list ends with an
// error. See [Client.ListUnchecked] for what happens while orders change.
//
// Simple API cannot sort, so all matching orders are held in memory before the first is
// yielded: half a KiB per order, and its JSON. If that is too much, limit PlacedFrom and
// PlacedTo, or use ListUnchecked.
//
// Listed orders have no subscriptions, transitions or failure; reading an order adds its
// subscriptions. An error ends the sequence. Ranging over it again lists the orders again.
func (c *Client) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		orders, err := c.collect(ctx, &q)
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

// collect returns the orders of a query, sorted.
func (c *Client) collect(ctx context.Context, q *commerce.Query) ([]*commerce.Order, error) {
	if q.Limit < 0 {
		return nil, notSent(opList, fmt.Errorf("the limit is %d: it must not be negative", q.Limit))
	}
	var orders []*commerce.Order
	opts := c.options(q)
	filter := commerce.NewListChecker(*q, asked(q, &opts))
	err := c.list(ctx, opts, func(o *commerce.Order) bool {
		if word := statusWord(o); opts.StatusCode == "" && opts.Status != "" && word != "" && word != opts.Status {
			filter.Drop(o, fmt.Sprintf("status %q", word))
		} else if filter.Keep(o) {
			orders = append(orders, o)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	if err := filter.Finish(c.logger); err != nil {
		return nil, &commerce.Error{Op: opList, Err: err}
	}
	slices.SortStableFunc(orders, older)
	if q.Sort == commerce.NewestFirst {
		slices.Reverse(orders)
	}
	if q.Limit > 0 {
		orders = orders[:min(q.Limit, len(orders))]
	}
	return orders, nil
}

// older compares by PlacedAt and then by id, which is a number.
func older(a, b *commerce.Order) int {
	return cmp.Or(a.PlacedAt.Compare(b.PlacedAt), cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
}

// options returns the conditions that the server is asked to check. They select at least the
// orders that the query selects.
func (c *Client) options(q *commerce.Query) ListConditions {
	opts := ListConditions{Reseller: q.Account}
	if !c.off[FilterStatus] {
		opts.Status = c.word(q.Statuses)
	}
	if len(q.Statuses) == 1 && q.Account == "" && !c.off[FilterStatusCode] {
		opts.StatusCode = q.Statuses[0]
	}
	if len(q.Numbers) == 1 && q.Account == "" && !c.off[FilterNumber] {
		opts.Number = q.Numbers[0]
	}
	if !c.off[FilterPlaced] {
		if !q.PlacedFrom.IsZero() {
			opts.CreatedFrom = q.PlacedFrom.Add(-time.Second) // in case the server excludes the limit itself
		}
		opts.CreatedTo = q.PlacedTo
	}
	return opts
}

// asked returns the part of a query that opts ask the server to check. Whether the server
// includes the limits of a time is not published.
func asked(q *commerce.Query, opts *ListConditions) commerce.Query {
	var asked commerce.Query
	if opts.StatusCode != "" {
		asked.Statuses = q.Statuses
	}
	if opts.Number != "" {
		asked.Numbers = q.Numbers
	}
	if !opts.CreatedFrom.IsZero() {
		asked.PlacedFrom = opts.CreatedFrom.Truncate(time.Second)
	}
	if !opts.CreatedTo.IsZero() {
		asked.PlacedTo = opts.CreatedTo.Add(2 * time.Second).Truncate(time.Second)
	}
	return asked
}

// statusWord returns the word of an order's status as sent.
func statusWord(o *commerce.Order) string {
	r, err := fields.Of(o.Raw)
	if err != nil {
		return ""
	}
	return r.Text("status")
}

// word returns the one word that covers all statuses, or "" if there is none.
func (c *Client) word(statuses []commerce.Status) (word string) {
	for i, s := range statuses {
		w := c.words[s]
		if w == "" || i > 0 && w != word {
			return ""
		}
		word = w
	}
	return word
}

// Order reads one order, with its subscriptions if it already has some. Failure and
// Transitions stay empty, because Simple API does not report them.
func (c *Client) Order(ctx context.Context, id string) (*commerce.Order, error) {
	elem, err := rest.PathEscape(id)
	if err != nil {
		return nil, notSent(opRead, fmt.Errorf("the order's id: %w", err))
	}
	var raw json.RawMessage
	req := rest.Request{Op: opRead, Method: http.MethodGet, Path: "orders/" + elem, Safety: rest.Read, Fresh: true}
	resp, err := c.rest.JSON(ctx, req, &raw)
	if err != nil {
		return nil, convert(ctx, opRead, err)
	}
	o := c.decode(unwrap(raw))
	switch {
	case o.ID == "":
		err = errors.New(strings.Join(o.Problems, "; "))
	case o.ID != id:
		err = fmt.Errorf("the server returned order %q instead", o.ID)
	}
	if err != nil {
		return nil, answered(opRead, resp, fmt.Errorf("order %q: %w", id, err))
	}
	resp.CleanTexts(o.Problems)
	return o, nil
}

// unwrap returns the order inside {"data":{…}}, or raw itself: the schema of the specification
// has no data, but its links do.
func unwrap(raw json.RawMessage) json.RawMessage {
	r, err := fields.Of(raw)
	if err != nil || r.Text("id") != "" || r.Err() != nil {
		return raw
	}
	r.Read("data", func(data json.RawMessage) error {
		if _, err := fields.Of(data); err == nil {
			raw = data
		}
		return nil
	})
	return raw
}
