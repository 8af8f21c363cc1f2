package connecttest

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	numeric "github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/rql"
)

// defaultLimit is the page size when none is asked for: the one of Connect is
// not published, this is the official client's (connect/WIRE.md#4).
const defaultLimit = 100

// table is a list that can be asked for: its rows in their natural order, and
// how to filter, order and write them.
type table[T any] struct {
	fields map[string]field[T]
	write  func(T) map[string]any
	sample T // a row whose fields tell what can be selected
	// indexes find the rows that have one of some values in a field, in their
	// natural order and without looking at the others.
	indexes map[string]func(values []string) []T
	// shuffle puts rows into another order on each call; nil leaves them as they are.
	shuffle func(rows []T)
}

// query is a list's query string, understood.
type query[T any] struct {
	match    []func(T) bool
	narrowed []T // the rows that can match, where an index tells; else nil
	order    []key[T]
	removed  []string // by select(-…)
	limit    int
	offset   int
}

type key[T any] struct {
	field field[T]
	down  bool
}

// page answers a list call (connect/WIRE.md#3 and connect/WIRE.md#4). Status 400 and its code for a
// bad query are inferred.
func page[T any](c call, t table[T], rows []T, pageMax int) answer {
	q, err := t.parse(c.URL.RawQuery)
	if err != nil {
		return invalid("Bad query: %v.", err)
	}
	if q.narrowed != nil {
		rows = q.narrowed
	}
	found := make([]T, 0, len(rows))
	for _, row := range rows {
		if q.matches(row) {
			found = append(found, row)
		}
	}
	if t.shuffle != nil {
		t.shuffle(found)
		q.order = q.order[:min(1, len(q.order))]
	}
	q.sort(found)
	total := len(found)
	from := min(q.offset, total)
	found = found[from:min(from+min(q.limit, pageMax), total)]
	body := make([]map[string]any, 0, len(found))
	for _, row := range found {
		object := t.write(row)
		for _, path := range q.removed {
			remove(object, path)
		}
		body = append(body, object)
	}
	// The header counts as django-rql does: an empty page reads offset-offset.
	first, last := q.offset, q.offset+max(len(found)-1, 0)
	if q.limit == 0 || total == 0 {
		first, last = 0, 0
	}
	a := good(body)
	a.contentRange = fmt.Sprintf("items %d-%d/%d", first, last, total)
	return a
}

func (q *query[T]) matches(row T) bool {
	for _, match := range q.match {
		if !match(row) {
			return false
		}
	}
	return true
}

// sort orders rows that are in the order of their creation. Rows that are equal
// keep it, turned round when the last key runs down.
func (q *query[T]) sort(rows []T) {
	if len(q.order) == 0 {
		return
	}
	if q.order[len(q.order)-1].down {
		slices.Reverse(rows)
	}
	slices.SortStableFunc(rows, func(a, b T) int {
		for _, k := range q.order {
			n := cmp.Compare(k.field.first(a), k.field.first(b))
			if k.down {
				n = -n
			}
			if n != 0 {
				return n
			}
		}
		return 0
	})
}

// parse reads a raw query: the server undoes the percent-encoding of all of it,
// in which a plus is a plus, and then parses (connect/WIRE.md#3).
func (t table[T]) parse(raw string) (*query[T], error) {
	plain, err := url.PathUnescape(raw)
	if err != nil {
		return nil, err
	}
	terms, err := rql.Parse(rql.Connect, plain)
	if err != nil {
		return nil, err
	}
	q := &query[T]{limit: -1, offset: -1}
	for _, e := range terms {
		if err := t.term(q, e); err != nil {
			return nil, err
		}
	}
	if q.limit < 0 {
		q.limit = defaultLimit
	}
	q.offset = max(q.offset, 0)
	return q, nil
}

func (t table[T]) term(q *query[T], e rql.Expr) error {
	switch {
	case e.Op == "ordering":
		return t.ordering(q, e)
	case e.Op == "select":
		return t.selection(q, e)
	case isPaging(e, "limit"):
		return number(e, &q.limit)
	case isPaging(e, "offset"):
		return number(e, &q.offset)
	default:
		match, err := t.compile(e)
		if err != nil {
			return err
		}
		q.match = append(q.match, match)
		if q.narrowed == nil {
			q.narrowed = t.narrow(e)
		}
		return nil
	}
}

func isPaging(e rql.Expr, name string) bool { return len(e.Args) == 2 && e.Args[0].Value == name }

// number reads limit=… or offset=…, each at most once and only as equality.
func number(e rql.Expr, into *int) error {
	name := e.Args[0].Value
	n, err := numeric.Atoi(e.Args[1].Value)
	switch {
	case e.Op != "eq":
		return fmt.Errorf("%s takes no operator but =", name)
	case err != nil || n < 0:
		return fmt.Errorf("%s is %q: want a number from 0 on", name, e.Args[1].Value)
	case *into >= 0:
		return fmt.Errorf("%s is there twice", name)
	}
	*into = n
	return nil
}

func (t table[T]) ordering(q *query[T], e rql.Expr) error {
	if len(q.order) > 0 {
		return errors.New("ordering is there twice")
	}
	for _, arg := range e.Args {
		name := strings.TrimLeft(arg.Value, "+-")
		f, ok := t.field(name)
		if !ok || !f.orders {
			return fmt.Errorf("ordering by %q is not supported", name)
		}
		q.order = append(q.order, key[T]{field: f, down: strings.HasPrefix(arg.Value, "-")})
	}
	return nil
}

// selection takes select(-a,-b.c). All fields are there by default, so selecting
// one without a minus changes nothing; it must exist all the same.
func (t table[T]) selection(q *query[T], e rql.Expr) error {
	for _, arg := range e.Args {
		path := strings.TrimLeft(arg.Value, "+-")
		if !remove(t.write(t.sample), path) {
			return fmt.Errorf("select of %q is not supported", path)
		}
		if strings.HasPrefix(arg.Value, "-") {
			q.removed = append(q.removed, path)
		}
	}
	return nil
}
