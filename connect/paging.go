package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"

	"github.com/google/go-querystring/query"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/paging"
)

// list describes a list of rows. row identifies and orders a row.
type list[T any] struct {
	op     string
	path   string
	terms  string // the RQL, ready for the wire, without limit and offset
	size   int    // rows to ask for at once
	decode func([]byte) (T, error)
	row    func(T) paging.Row
	full   func(ctx context.Context, rows int) int // see paging.Walk.Full; nil: unknown
}

// walk iterates over the rows of a list, each once, page by page. An error ends it, so that
// an incomplete list never looks complete. It counts the rows of the body, since the server
// silently reduces a limit that is too large (connect/WIRE.md#4).
func walk[T any](ctx context.Context, c *Client, l list[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for w := paging.New(l.size); !w.Done(); {
			p, err := fetch(ctx, c, l, w.Size(), w.Start())
			if err != nil {
				yield(none, err)
				return
			}
			if l.full != nil && p.total == w.Start()+len(p.rows) {
				w.Full = l.full(ctx, len(p.rows))
			}
			for _, i := range w.Take(p.walked, p.total) {
				if !yield(p.rows[i], nil) {
					return
				}
			}
			if err := w.Err(); err != nil {
				yield(none, unfit(l.op, p.url, err))
				return
			}
		}
	}
}

// page is one answer of a list.
type page[T any] struct {
	rows   []T
	walked []paging.Row
	total  int // paging.Unknown: not given
	url    string
}

func fetch[T any](ctx context.Context, c *Client, l list[T], size, offset int) (page[T], error) {
	rawQuery, err := withSlice(l.terms, size, offset)
	if err != nil {
		return page[T]{}, &Error{Op: l.op, Err: err}
	}
	rows, header, err := c.rows(ctx, l.op, l.path, rawQuery)
	if err != nil {
		return page[T]{}, err
	}
	p := page[T]{rows: make([]T, len(rows)), walked: make([]paging.Row, len(rows)), total: total(header),
		url: c.url(l.path, rawQuery)}
	if len(rows) == 0 && offset == 0 && p.total > 0 {
		return page[T]{}, unfit(l.op, p.url, fmt.Errorf("no rows of %d: the list is not complete", p.total))
	}
	for i, raw := range rows {
		if p.rows[i], err = l.decode(raw); err != nil {
			return page[T]{}, unfit(l.op, p.url, fmt.Errorf("row %d: %w", offset+i, err))
		}
		p.walked[i] = l.row(p.rows[i])
	}
	return p, nil
}

// rows reads a list. null or no content is an error, not an empty list: orders would seem
// never to have reached Connect.
func (c *Client) rows(ctx context.Context, op, path, rawQuery string) ([]json.RawMessage, http.Header, error) {
	var rows []json.RawMessage
	header, err := c.get(ctx, op, path, rawQuery, &rows)
	if err == nil && rows == nil {
		err = unfit(op, c.url(path, rawQuery), errors.New("the answer is null where a list should be"))
	}
	if err == nil {
		if many := paging.CheckPage(len(rows)); many != nil {
			err = unfit(op, c.url(path, rawQuery), many)
		}
	}
	return rows, header, err
}

// slice is the part of a list to answer with. Connect reads it from the RQL
// string, where each may stand once and only as an equality.
type slice struct {
	Limit  int `url:"limit"`
	Offset int `url:"offset"`
}

// withSlice appends the slice to encoded RQL.
func withSlice(terms string, limit, offset int) (string, error) {
	values, err := query.Values(slice{Limit: limit, Offset: offset})
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(terms+"&"+values.Encode(), "&"), nil
}

// count returns the number of rows of a list without reading them.
func (c *Client) count(ctx context.Context, op, path, terms string) (int, error) {
	rawQuery, err := withSlice(terms, 0, 0)
	if err != nil {
		return 0, &Error{Op: op, Err: err}
	}
	_, header, err := c.rows(ctx, op, path, rawQuery)
	if err != nil {
		return 0, err
	}
	n := total(header)
	if n == paging.Unknown {
		err := errors.New("the answer has no Content-Range header with the total; does a proxy remove it?")
		return 0, unfit(op, c.url(path, rawQuery), err)
	}
	return n, nil
}

func total(h http.Header) int {
	n, ok := parseContentRange(h.Get("Content-Range"))
	if !ok {
		return paging.Unknown
	}
	return n
}

// parseContentRange reads the total of "items 0-99/250". The range is not reliable: an empty
// list has 0-0.
func parseContentRange(s string) (total int, ok bool) {
	unit, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	span, of, found := strings.Cut(rest, "/")
	if !found || !strings.EqualFold(unit, "items") || strings.Trim(span, "0123456789-* ") != "" {
		return 0, false
	}
	n, err := number.ParseUint(strings.TrimSpace(of), 10, 31)
	if err != nil {
		return 0, false
	}
	return int(n), true
}
