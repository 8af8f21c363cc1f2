package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/go-querystring/query"
)

// list says what to walk. id tells rows apart that a page shows again.
type list[T any] struct {
	op     string
	path   string
	terms  string // the RQL, ready for the wire, without limit and offset
	size   int    // rows to ask for at once
	decode func([]byte) (T, error)
	id     func(T) string
}

// walk yields the rows of a list, each once, page after page. An error ends it.
func walk[T any](ctx context.Context, c *Client, l list[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		seen := make(map[string]struct{})
		at := cursor{size: l.size, total: unknownTotal}
		for more := true; more; {
			p, err := fetch(ctx, c, l, at.offset)
			if err != nil {
				yield(none, err)
				return
			}
			before := len(seen)
			for _, row := range p.rows {
				if _, again := seen[l.id(row)]; again {
					continue
				}
				seen[l.id(row)] = struct{}{}
				if !yield(row, nil) {
					return
				}
			}
			if more, err = at.advance(len(p.rows), p.total, len(seen) > before); err != nil {
				yield(none, unfit(l.op, p.url, err))
				return
			}
		}
	}
}

const (
	unknownTotal = -1
	maxBacks     = 10
)

// cursor is where a walk stands.
//
// Where the answer tells the total, the walk ends when it has been reached; the
// rows in the body are what counts, for the server cuts a limit it finds too
// large without a word (facts/connect.md 4). Where the answer does not tell, the
// walk ends with the first page that is shorter than asked for.
//
// Rows that leave the list during the walk shift the others towards its start.
// A total that shrank gives that away, and the walk steps back by as many rows.
type cursor struct {
	size   int // rows asked for at once
	offset int
	total  int // of the page before
	backs  int // steps back since the last row that was new
}

// advance moves past a page, and says whether to go on. An error says why rows
// must be missing that cannot be had: better no list than one that looks complete.
func (c *cursor) advance(rows, total int, fresh bool) (more bool, err error) {
	start, gone := c.offset, c.total-total
	if fresh {
		c.backs = 0
	}
	c.offset, c.total = start+rows, total
	switch {
	case total == unknownTotal && rows >= c.size && !fresh:
		return false, fmt.Errorf("the rows at offset %d were there before, and no Content-Range tells the total: the list may not be complete", start)
	case total == unknownTotal:
		return rows >= c.size, nil
	case rows == 0 && total > start:
		return false, fmt.Errorf("no rows at offset %d of %d: the list is not complete", start, total)
	case gone > 0 && c.backs == maxBacks:
		return false, fmt.Errorf("the total keeps changing, now from %d to %d: the list may not be complete, ask for less at once", total+gone, total)
	case gone > 0:
		c.backs++
		c.offset = max(0, start-gone)
		return true, nil
	default:
		return c.offset < total, nil
	}
}

// page is one answer of a list.
type page[T any] struct {
	rows  []T
	total int // unknownTotal: not told
	url   string
}

func fetch[T any](ctx context.Context, c *Client, l list[T], offset int) (page[T], error) {
	rawQuery, err := withSlice(l.terms, l.size, offset)
	if err != nil {
		return page[T]{}, &Error{Op: l.op, Err: err}
	}
	rows, header, err := c.rows(ctx, l.op, l.path, rawQuery)
	if err != nil {
		return page[T]{}, err
	}
	p := page[T]{rows: make([]T, len(rows)), total: total(header), url: c.url(l.path, rawQuery)}
	for i, raw := range rows {
		if p.rows[i], err = l.decode(raw); err != nil {
			return page[T]{}, unfit(l.op, p.url, fmt.Errorf("row %d: %w", offset+i, err))
		}
	}
	return p, nil
}

// rows reads a list. Null, or no content, is not an empty list: from that, orders
// would be taken for such as never reached Connect.
func (c *Client) rows(ctx context.Context, op, path, rawQuery string) ([]json.RawMessage, http.Header, error) {
	var rows []json.RawMessage
	header, err := c.get(ctx, op, path, rawQuery, &rows)
	if err == nil && rows == nil {
		err = unfit(op, c.url(path, rawQuery), errors.New("the answer is null where a list should be"))
	}
	return rows, header, err
}

// slice is the part of a list to answer with. Connect reads it from the RQL
// string, where each may stand once and only as an equality.
type slice struct {
	Limit  int `url:"limit"`
	Offset int `url:"offset"`
}

// withSlice appends the slice to RQL that is ready for the wire.
func withSlice(terms string, limit, offset int) (string, error) {
	values, err := query.Values(slice{Limit: limit, Offset: offset})
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(terms+"&"+values.Encode(), "&"), nil
}

// count asks how many rows a list has, without any.
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
	if n == unknownTotal {
		err := errors.New("the answer has no Content-Range header that tells the total; does a proxy remove it?")
		return 0, unfit(op, c.url(path, rawQuery), err)
	}
	return n, nil
}

func total(h http.Header) int {
	n, ok := parseContentRange(h.Get("Content-Range"))
	if !ok {
		return unknownTotal
	}
	return n
}

// parseContentRange reads the total of "items 0-99/250". The first and the last
// are not to be trusted: an empty list says 0-0.
func parseContentRange(s string) (total int, ok bool) {
	unit, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	span, of, found := strings.Cut(rest, "/")
	if !found || !strings.EqualFold(unit, "items") || strings.Trim(span, "0123456789-* ") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(of), 10, 31)
	return int(n), err == nil
}
