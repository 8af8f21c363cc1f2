package simpleapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-querystring/query"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/fields"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/paging"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// ListConditions are the conditions of [Client.ListUnchecked]. A zero field is no condition.
type ListConditions struct {
	// Reseller selects the orders of that reseller. It cannot be combined with Number and
	// StatusCode.
	Reseller       string `url:"-"`
	CustomerID     string `url:"customerId,omitempty"`
	SubscriptionID string `url:"subscriptionId,omitempty"`
	Number         string `url:"orderNumber,omitempty"`
	// Status is one word: submitted, processing, error, completed or cancelled.
	Status string `url:"status,omitempty"`
	// StatusCode is one internal code, such as "PF".
	StatusCode commerce.Status `url:"statusCode,omitempty"`
	// CreatedFrom and CreatedTo are sent in whole seconds, rounded outwards. Whether the
	// limits themselves are included is not published.
	CreatedFrom time.Time `url:"creationTimeFrom,omitempty" layout:"2006-01-02T15:04:05Z"`
	CreatedTo   time.Time `url:"creationTimeTo,omitempty" layout:"2006-01-02T15:04:05Z"`
}

// ListUnchecked lists orders as the server selects and sorts them, each once, one page at a time.
// Use it for conditions that only Simple API has; otherwise use [Client.Orders], which checks the
// conditions, supports more of them, and sorts.
//
// An order that is in the list from the first page to the last is not missed, even if others
// come and go. A list of several pages is read twice, because a server that sorts differently
// each time could hide an order. A list that cannot be completed ends with an error. The total
// of an answer is only a hint, and one more request checks the end. A total that is too large is
// an error for a list without conditions; otherwise it is logged as a warning, because the
// server may count orders that it left out.
//
// A row that cannot be read completely is yielded with its Problems. A row without a usable id
// gets an id that starts with "unreadable-row:", with which it can be neither read nor pushed;
// of identical such rows at least one is yielded.
//
// An error ends the sequence. Ranging over it again lists the orders again.
func (c *Client) ListUnchecked(ctx context.Context, opts ListConditions) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		if err := c.list(ctx, opts, func(o *commerce.Order) bool { return yield(o, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

// list calls yield for each order until the list ends or yield returns false.
func (c *Client) list(ctx context.Context, opts ListConditions, yield func(*commerce.Order) bool) error {
	path := "orders"
	if opts.Reseller != "" {
		reseller, err := rest.PathEscape(opts.Reseller)
		if err != nil {
			return notSent(opList, fmt.Errorf("the reseller's id: %w", err))
		}
		if opts.Number != "" || opts.StatusCode != "" {
			return notSent(opList, errors.New("the orders of a reseller cannot be filtered by number or status code"))
		}
		path = "resellers/" + reseller + "/orders"
	}
	if !opts.CreatedFrom.IsZero() {
		opts.CreatedFrom = opts.CreatedFrom.UTC().Truncate(time.Second)
	}
	if !opts.CreatedTo.IsZero() {
		opts.CreatedTo = opts.CreatedTo.UTC().Add(time.Second - 1).Truncate(time.Second)
	}
	w := paging.New(c.pageSize)
	w.Filtered = opts != ListConditions{Reseller: opts.Reseller}
	for !w.Done() {
		page, total, err := c.page(ctx, path, opts, w.Start())
		if err != nil {
			return err
		}
		for _, i := range w.Take(rowsOf(page), total) {
			if !yield(page[i]) {
				return nil
			}
		}
		if err := w.Err(); err != nil {
			return &commerce.Error{Op: opList, Err: err}
		}
	}
	if total := w.Excess(); total > 0 && c.logger != nil {
		c.logger.Warn("the server says that the list has more orders than it showed; it may count those that the "+
			"conditions leave out",
			"total", total, "shown", w.Seen())
	}
	return nil
}

// rowsOf returns rows without keys, because it is not published how the server sorts.
func rowsOf(page []*commerce.Order) []paging.Row {
	rows := make([]paging.Row, len(page))
	for i, o := range page {
		rows[i] = paging.Row{ID: o.ID, Nameless: strings.HasPrefix(o.ID, fields.RowPrefix), Key: paging.NoKey}
	}
	return rows
}

// page reads one page, and returns the total number of orders if known.
func (c *Client) page(ctx context.Context, path string, q ListConditions, start int) ([]*commerce.Order, int, error) {
	values, err := query.Values(struct {
		ListConditions
		Offset int `url:"offset"`
		Limit  int `url:"limit"`
	}{q, start, c.pageSize})
	if err != nil {
		return nil, 0, notSent(opList, err)
	}
	var answer struct {
		Data       []json.RawMessage `json:"data"`
		Pagination json.RawMessage   `json:"pagination"`
	}
	req := rest.Request{Op: opList, Method: http.MethodGet, Path: path, RawQuery: values.Encode(), Safety: rest.Read}
	resp, err := c.rest.JSON(ctx, req, &answer)
	if err != nil {
		return nil, 0, convert(ctx, opList, err)
	}
	total := totalOf(answer.Pagination)
	if answer.Data == nil && total != 0 {
		// An empty list would mean that there are no orders.
		return nil, 0, answered(opList, resp, errors.New("the answer has no list of data"))
	}
	if err := paging.CheckPage(len(answer.Data)); err != nil {
		return nil, 0, answered(opList, resp, err)
	}
	page := make([]*commerce.Order, len(answer.Data))
	var ids fields.RowIDs
	for i, row := range answer.Data {
		o := c.decode(row)
		if o.ID == "" {
			o.ID = ids.Next(row)
			o.Problems = append(o.Problems,
				fmt.Sprintf("row %d of the list has no id by which the order could be read: %s", start+i+1, fields.Excerpt(row)))
		}
		resp.CleanTexts(o.Problems)
		page[i] = o
	}
	return page, total, nil
}

// totalOf returns how many orders the list has according to a page.
func totalOf(pagination json.RawMessage) int {
	r, err := fields.Of(pagination)
	if err != nil {
		return paging.Unknown
	}
	if n, err := number.Atoi(r.Text("total")); err == nil && n >= 0 {
		return n
	}
	return paging.Unknown
}
