package connecttest

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	numeric "github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/rql"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// defaultLimit is the page size without a limit. Connect's own is not published; this
// is that of the official client (connect/WIRE.md#4).
const defaultLimit = 100

// list is a collection of the API: how its rows are filtered, sorted and encoded.
type list[T any] struct {
	testkit.Table[T]
	encode func(T) map[string]any
	sample T        // a row whose JSON has every property that can be selected
	extra  []string // properties that a row has only if they are selected
	// indexes return the rows that have one of some values in a property, in their
	// natural order.
	indexes map[string]func(values []string) []T
	// shuffle puts rows into another order on each call; nil keeps their order.
	shuffle func(rows []T)
}

// newList returns a list. Like the server, it ignores conditions on unknown fields
// (connect/WIRE.md#14.3), unless they are rejected.
func newList[T any](c Config, fields map[string]testkit.Field[T], encode func(T) map[string]any, sample T) list[T] {
	l := list[T]{encode: encode, sample: sample, Table: testkit.Table[T]{Fields: fields}}
	l.Unknown = "there is no filter on %q"
	l.Ignores = func(name string) bool { return !c.RejectUnknownFields || name == "limit" || name == "offset" }
	return l
}

// query is the parsed query string of a list.
type query[T any] struct {
	match    []func(T) bool
	narrowed []T // the rows that an index returned; nil without an index
	order    []testkit.SortKey[T]
	removed  []string // by select(-…)
	added    []string // by select(…)
	limit    int
	offset   int
}

// page answers a call of a list (connect/WIRE.md#3 and connect/WIRE.md#4). Status 400 and its code
// for an invalid query are inferred.
func page[T any](c call, l list[T], rows []T, pageMax int) answer {
	q, err := l.parse(c.URL.RawQuery)
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
	if l.shuffle != nil {
		l.shuffle(found)
		q.order = q.order[:min(1, len(q.order))]
	}
	if n := len(q.order); n > 0 && q.order[n-1].Descending {
		slices.Reverse(found) // equal rows follow the direction of the last key
	}
	l.Sort(found, q.order)
	total := len(found)
	from := min(q.offset, total)
	found = found[from:min(from+min(q.limit, pageMax), total)]
	body := make([]map[string]any, 0, len(found))
	for _, row := range found {
		object := l.encode(row)
		for _, path := range q.removed {
			remove(object, path)
		}
		for _, path := range q.added {
			put(object, path, map[string]any{})
		}
		body = append(body, object)
	}
	// As in django-rql, the range of an empty page is offset-offset.
	first, last := q.offset, q.offset+max(len(found)-1, 0)
	if q.limit == 0 {
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

// parse reads a raw query. Like the server, it first undoes the percent-encoding of the
// whole query, in which a plus is a plus (connect/WIRE.md#3).
func (l list[T]) parse(raw string) (*query[T], error) {
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
		if err := cmp.Or(slice(e, "limit", defaultLimit, &q.limit), slice(e, "offset", 0, &q.offset),
			l.term(q, e)); err != nil {
			return nil, err
		}
	}
	if q.limit < 0 {
		q.limit = defaultLimit
	}
	q.offset = max(q.offset, 0)
	return q, nil
}

func (l list[T]) term(q *query[T], e rql.Expr) error {
	switch e.Op {
	case "ordering":
		return l.ordering(q, e)
	case "select":
		return l.selection(q, e)
	default:
		match, err := l.Filter(e)
		if err != nil || match == nil {
			return err
		}
		q.match = append(q.match, match)
		if q.narrowed == nil {
			q.narrowed = l.narrow(e)
		}
		return nil
	}
}

// narrow returns the rows that can match a term according to an index; nil if there is
// no index for it. The term is checked on these rows nevertheless.
func (l list[T]) narrow(e rql.Expr) []T {
	switch e.Op {
	case "and":
		for _, arg := range e.Args {
			if rows := l.narrow(*arg.Expr); rows != nil {
				return rows
			}
		}
		return nil
	case "eq", "in":
	default:
		return nil
	}
	find := l.indexes[e.Args[0].Value]
	if find == nil {
		return nil
	}
	var values []string
	for _, v := range e.Args[1].Values() {
		if v.Constant {
			return nil
		}
		values = append(values, v.Value)
	}
	return find(values)
}

var comparisons = []string{"eq", "ne", "gt", "ge", "lt", "le"}

// slice reads limit=… or offset=… anywhere in a term, each at most once and only as equality. A value
// that is not a number from 0 counts as the default (connect/WIRE.md#14.5). Connect does the same with
// one in quotes, but here that is an error of [rql.Parse], because it is a mistake of the caller.
func slice(e rql.Expr, name string, otherwise int, into *int) error {
	for _, arg := range e.Args {
		if arg.Expr == nil {
			continue
		}
		if err := slice(*arg.Expr, name, otherwise, into); err != nil {
			return err
		}
	}
	if !slices.Contains(comparisons, e.Op) || e.Args[0].Value != name {
		return nil
	}
	n, err := numeric.Atoi(e.Args[1].Value)
	switch {
	case e.Op != "eq":
		return fmt.Errorf("%s takes no operator but =", name)
	case *into >= 0:
		return fmt.Errorf("%s is there twice", name)
	case err != nil || n < 0:
		n = otherwise
	}
	*into = n
	return nil
}

func (l list[T]) ordering(q *query[T], e rql.Expr) error {
	if len(q.order) > 0 {
		return errors.New("ordering is there twice")
	}
	for _, arg := range e.Args {
		name := strings.TrimLeft(arg.Value, "+-")
		f, err := l.Field(name)
		if err != nil || !f.Sortable {
			return fmt.Errorf("ordering by %q is not supported", name)
		}
		q.order = append(q.order, testkit.SortKey[T]{Field: f, Descending: strings.HasPrefix(arg.Value, "-")})
	}
	return nil
}

// selection reads select(-a,-b.c). Nearly all properties are present by default, so selecting
// one without a minus has no effect; it must exist nevertheless.
func (l list[T]) selection(q *query[T], e rql.Expr) error {
	for _, arg := range e.Args {
		path := strings.TrimLeft(arg.Value, "+-")
		if slices.Contains(l.extra, path) {
			if !strings.HasPrefix(arg.Value, "-") {
				q.added = append(q.added, path)
			}
			continue
		}
		if !remove(l.encode(l.sample), path) {
			return fmt.Errorf("select of %q is not supported", path)
		}
		if strings.HasPrefix(arg.Value, "-") {
			q.removed = append(q.removed, path)
		}
	}
	return nil
}

// parseTime reads a date or date-time of RQL (connect/WIRE.md#3), in UTC without a
// zone, and returns it in the form of sortable.
func parseTime(text string) (string, error) {
	for _, layout := range []string{
		time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", time.RFC3339,
	} {
		if t, err := time.Parse(layout, text); err == nil {
			return sortable(t), nil
		}
	}
	return "", fmt.Errorf("%q is not a date or a date-time", text)
}

// sortable formats a time so that text compares like time.
func sortable(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000") }
