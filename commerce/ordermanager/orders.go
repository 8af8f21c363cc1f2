package ordermanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/fields"
	"github.com/cloudblue-go/cloudblue/internal/paging"
	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/rql"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

const (
	ordersPath  = "aps/2/services/order-manager/orders"
	accountPath = "aps/2/resources/%s/orders/"
)

// Orders lists the orders that match a query, each once, sorted by orderDate if the server
// supports it. With q.Account it lists the orders of that account, otherwise all that the
// token may see.
//
// The server is asked to filter, and the client checks the result: only orders that match are
// yielded. Orders that the server should have left out are reported, see [commerce.Query]; an
// order whose status is missing or unknown is yielded with Problems. If the server returned
// orders and none of them matches, the list ends with an error.
//
// An order that is in the list from the first page to the last is not missed, even if others
// come and go and orders of the same time change places; a list that cannot be completed ends
// with an error. Finding the end takes one or two requests more than there are pages, because
// a server may return shorter pages than requested.
//
// A row that cannot be read completely is yielded with its Problems. A row without a usable id
// gets an id that starts with "unreadable-row:", with which it can be neither read nor pushed;
// of identical such rows at least one is yielded.
//
// An error ends the sequence. Ranging over it again lists the orders again.
func (c *Client) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		if err := c.list(ctx, q, func(o *commerce.Order) bool { return yield(o, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

// list calls yield for each order until the list ends or yield returns false.
func (c *Client) list(ctx context.Context, q commerce.Query, yield func(*commerce.Order) bool) error {
	path := ordersPath
	if q.Account != "" {
		account, err := rest.PathEscape(q.Account)
		if err != nil {
			return notSent(opList, fmt.Errorf("the account: %w", err))
		}
		path = fmt.Sprintf(accountPath, account)
	}
	if q.Limit < 0 {
		return notSent(opList, fmt.Errorf("the limit is %d: it must not be negative", q.Limit))
	}
	terms, asked := c.conditions(&q)
	l := listing{path: path, terms: terms, newest: q.Sort == commerce.NewestFirst}
	filter := commerce.NewListChecker(q, asked)
	left := q.Limit
	for w := paging.New(c.pageSize); !w.Done(); {
		page, err := c.page(ctx, &l, w.Start())
		if err != nil {
			return err
		}
		// No source documents a header with the total (commerce/WIRE.md#2.5).
		for _, i := range w.Take(l.rows(page), paging.Unknown) {
			if !filter.Keep(page[i]) {
				continue
			}
			if !yield(page[i]) {
				return nil
			}
			if left--; left == 0 {
				return nil
			}
		}
		if err := w.Err(); err != nil {
			return &commerce.Error{Op: opList, Err: err}
		}
	}
	if err := filter.Finish(c.logger); err != nil {
		return &commerce.Error{Op: opList, Err: err}
	}
	return nil
}

// listing is what all pages of one list share.
type listing struct {
	path   string
	terms  []rql.Expr
	newest bool
}

// page reads one page. If the server rejects the request, page tries a simpler sort, because
// it is not published which properties a server sorts by.
func (c *Client) page(ctx context.Context, l *listing, start int) ([]*commerce.Order, error) {
	byID := !c.sortsByTime.Load()
	page, err := c.readPage(ctx, l, byID, start)
	if e, ok := errors.AsType[*commerce.Error](err); ok && byID && e.HTTPStatus == http.StatusBadRequest {
		if page, err := c.readPage(ctx, l, false, start); err == nil {
			c.sortsByTime.Store(true)
			return page, nil
		}
	}
	return page, err
}

func (c *Client) readPage(ctx context.Context, l *listing, byID bool, start int) ([]*commerce.Order, error) {
	query, err := l.query(byID, start, c.pageSize)
	if err != nil {
		return nil, notSent(opList, err)
	}
	var rows []json.RawMessage
	req := rest.Request{Op: opList, Method: http.MethodGet, Path: l.path, RawQuery: query, Safety: rest.Read}
	resp, err := c.rest.JSON(ctx, req, &rows)
	if err != nil {
		return nil, c.convert(ctx, opList, err)
	}
	if rows == nil {
		// Taken for an empty list, null or no content would say that no order has failed.
		return nil, &commerce.Error{Op: opList, HTTPStatus: resp.Status, Err: errors.New("the answer is null, not a list")}
	}
	if err := paging.CheckPage(len(rows)); err != nil {
		return nil, &commerce.Error{Op: opList, HTTPStatus: resp.Status, Err: err}
	}
	page := make([]*commerce.Order, len(rows))
	var ids fields.RowIDs
	for i, row := range rows {
		o := c.decode(row)
		if o.ID == "" {
			o.ID = ids.Next(row)
			o.Problems = append(o.Problems,
				fmt.Sprintf("row %d of the list has no id by which the order could be read: %s", start+i+1, fields.Excerpt(row)))
		}
		resp.CleanTexts(o.Problems)
		page[i] = o
	}
	return page, nil
}

func (l *listing) rows(page []*commerce.Order) []paging.Row {
	rows := make([]paging.Row, len(page))
	for i, o := range page {
		rows[i] = paging.Row{
			ID: o.ID, Nameless: strings.HasPrefix(o.ID, fields.RowPrefix), Key: paging.TimeKey(o.PlacedAt, l.newest),
		}
	}
	return rows
}

// Order reads one order, with its failure and the transitions that it offers.
func (c *Client) Order(ctx context.Context, id string) (*commerce.Order, error) {
	elem, err := rest.PathEscape(id)
	if err != nil {
		return nil, notSent(opRead, fmt.Errorf("the order's id: %w", err))
	}
	var row json.RawMessage
	req := rest.Request{Op: opRead, Method: http.MethodGet, Path: ordersPath + "/" + elem, Safety: rest.Read, Fresh: true}
	resp, err := c.rest.JSON(ctx, req, &row)
	if err != nil {
		return nil, c.convert(ctx, opRead, err)
	}
	o := c.decode(row)
	resp.CleanTexts(o.Problems)
	switch {
	case o.ID == "":
		err = errors.New(strings.Join(o.Problems, "; "))
	case o.ID != text.ID(id) && o.BillingID != id:
		err = fmt.Errorf("the server returned order %q instead", o.ID)
	}
	if err != nil {
		return nil, &commerce.Error{Op: opRead, HTTPStatus: resp.Status, Err: resp.Clean(fmt.Errorf("order %q: %w", id, err))}
	}
	return o, nil
}

// Push asks Commerce to move an order along one manual transition of its flow. The call was
// found in a public program and is not documented (commerce/WIRE.md#2.3). It is sent at most
// once; Push does not check Order.Transitions. A nil error means that provisioning was
// requested, not that it is done. After an error whose Delivery is neither commerce.DeliveryNotSent nor
// DeliveryRefused, the order may have been moved.
func (c *Client) Push(ctx context.Context, id string, to commerce.Status) error {
	elem, err := rest.PathEscape(id)
	if err != nil {
		return notSent(opPush, fmt.Errorf("the order's id: %w", err))
	}
	if !fields.IsCode(string(to)) {
		return notSent(opPush, fmt.Errorf("%q is not a status: it must be letters and digits, such as "+
			"%q", to, commerce.StatusPaid))
	}
	body, err := json.Marshal(map[string]string{"ofStatus": string(to)})
	if err != nil {
		return notSent(opPush, err)
	}
	resp, err := c.rest.Do(ctx, rest.Request{Op: opPush, Method: http.MethodPost, Path: ordersPath + "/" + elem + "/push",
		Body: body})
	if err != nil {
		return c.convert(ctx, opPush, err)
	}
	defer func() { _ = resp.Body.Close() }()
	// The answer may be JSON or text and has no useful content. But a page or a part of an
	// answer does not prove that Commerce accepted the push.
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return c.convert(ctx, opPush, err)
	}
	if rest.IsPage(answer) {
		answer = resp.Scrub(answer)
		return &commerce.Error{
			Op: opPush, HTTPStatus: resp.Status, Body: string(answer[:min(len(answer), 1024)]),
			Err: fmt.Errorf("%w: the answer is a page: %w", commerce.ErrUnavailable, errNotCommerce),
		}
	}
	return nil
}

var errNotCommerce = errors.New("a proxy or a login page may have answered instead of Commerce")
