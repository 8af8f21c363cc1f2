package testkit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/rql"
)

// Table describes how rows of type T are filtered and sorted by RQL. It is read-only in
// use, and safe for concurrent use.
type Table[T any] struct {
	Fields map[string]Field[T]
	// Unknown is the error for a property that is not in Fields, with one %q.
	Unknown string
	// Ignores reports whether a condition on a property that is not in Fields is ignored, as if it
	// was not there; nil means that none is.
	Ignores func(name string) bool
	// Compare orders two values; nil compares them as text.
	Compare func(a, b string) int
	// Like returns the test of the operator like for a pattern; nil means [rql.Like].
	Like func(pattern string) func(value string) bool
}

// Field is a property by which rows can be filtered.
type Field[T any] struct {
	// Operators are the operators that the property accepts, separated by spaces. The
	// word null in it allows eq, ne, in and out with null(), the word empty allows empty().
	Operators string
	// Sortable says that rows can be sorted by the property.
	Sortable bool
	// Parse converts an operand to the form of Values; nil leaves it unchanged.
	Parse func(operand string) (string, error)
	// Values returns the values of a row: none means null, and a filter holds if it
	// holds for any of several.
	Values func(T) []string
}

// SortKey is a field to sort by.
type SortKey[T any] struct {
	Field      Field[T]
	Descending bool
}

// Field returns the field of a property, in which __ is the old notation of a dot.
func (t *Table[T]) Field(name string) (Field[T], error) {
	f, ok := t.Fields[strings.ReplaceAll(name, "__", ".")]
	if !ok {
		return f, fmt.Errorf(t.Unknown, name)
	}
	return f, nil
}

// Filter compiles an expression that [rql.Parse] returned. It returns nil for a condition that is
// ignored.
func (t *Table[T]) Filter(e rql.Expr) (func(T) bool, error) {
	switch e.Op {
	case "and", "or", "not":
		return t.logic(e)
	case "eq", "ne", "like", "ilike", "gt", "ge", "lt", "le", "in", "out":
	default:
		return nil, fmt.Errorf("%q is not an operator of this list", e.Op)
	}
	name := e.Args[0].Value
	f, err := t.Field(name)
	switch {
	case err != nil && t.Ignores != nil && t.Ignores(name):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if !f.accepts(e.Op) {
		return nil, fmt.Errorf("%q does not take the operator %s", name, e.Op)
	}
	operands, null, err := f.operands(name, e)
	if err != nil {
		return nil, err
	}
	test, negate := t.comparison(e.Op, operands)
	return func(row T) bool {
		values := f.Values(row)
		return (null && len(values) == 0 || slices.ContainsFunc(values, test)) != negate
	}, nil
}

// Sort sorts rows by keys; equal rows keep their order.
func (t *Table[T]) Sort(rows []T, keys []SortKey[T]) {
	slices.SortStableFunc(rows, func(a, b T) int {
		for _, k := range keys {
			c := t.compare(k.Field.first(a), k.Field.first(b))
			if k.Descending {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
}

func (t *Table[T]) logic(e rql.Expr) (func(T) bool, error) {
	terms := make([]func(T) bool, 0, len(e.Args))
	for _, arg := range e.Args {
		term, err := t.Filter(*arg.Expr)
		if err != nil {
			return nil, err
		}
		if term != nil {
			terms = append(terms, term)
		}
	}
	if len(terms) == 0 {
		return nil, nil
	}
	if e.Op == "not" {
		return func(row T) bool { return !terms[0](row) }, nil
	}
	decisive := e.Op == "or" // the first term with this result decides
	return func(row T) bool {
		return slices.ContainsFunc(terms, func(term func(T) bool) bool { return term(row) == decisive }) == decisive
	}, nil
}

// comparison returns the test of one value, and whether its result is negated.
func (t *Table[T]) comparison(op string, operands []string) (test func(string) bool, negate bool) {
	compared := func(holds func(c int) bool) func(string) bool {
		return func(v string) bool { return holds(t.compare(v, operands[0])) }
	}
	switch op {
	case "like":
		if t.Like != nil {
			return t.Like(operands[0]), false
		}
		return func(v string) bool { return rql.Like(operands[0], v) }, false
	case "ilike":
		return func(v string) bool { return rql.ILike(operands[0], v) }, false
	case "gt":
		return compared(func(c int) bool { return c > 0 }), false
	case "ge":
		return compared(func(c int) bool { return c >= 0 }), false
	case "lt":
		return compared(func(c int) bool { return c < 0 }), false
	case "le":
		return compared(func(c int) bool { return c <= 0 }), false
	default: // eq, ne, in, out
		return func(v string) bool {
			return slices.ContainsFunc(operands, func(o string) bool { return v == o || t.compare(v, o) == 0 })
		}, op == "ne" || op == "out"
	}
}

func (t *Table[T]) compare(a, b string) int {
	if t.Compare != nil {
		return t.Compare(a, b)
	}
	return strings.Compare(a, b)
}

func (f Field[T]) accepts(operator string) bool {
	return slices.Contains(strings.Fields(f.Operators), operator)
}

// operands returns the operands of a condition in the form of Values, and whether null() is among
// them.
func (f Field[T]) operands(name string, e rql.Expr) (operands []string, null bool, err error) {
	for _, o := range e.Args[1].Values() {
		switch {
		case o.Constant && o.Value == "null()":
			if !f.accepts("null") || !slices.Contains([]string{"eq", "ne", "in", "out"}, e.Op) {
				return nil, false, fmt.Errorf("%q does not take null() with %s", name, e.Op)
			}
			null = true
			continue
		case o.Constant && !f.accepts("empty"):
			return nil, false, fmt.Errorf("%q does not take empty()", name)
		case o.Constant:
			o.Value = ""
		case f.Parse != nil:
			if o.Value, err = f.Parse(o.Value); err != nil {
				return nil, false, fmt.Errorf("%s: %w", name, err)
			}
		}
		operands = append(operands, o.Value)
	}
	return operands, null, nil
}

// first is the value that rows are sorted by.
func (f Field[T]) first(row T) string {
	if values := f.Values(row); len(values) > 0 {
		return values[0]
	}
	return ""
}
