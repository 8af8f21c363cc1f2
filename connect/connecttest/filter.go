package connecttest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/rql"
)

// field is what a list can be filtered by.
type field[T any] struct {
	lookups string // the operators it takes, and null, separated by blanks
	orders  bool
	times   bool             // its values are times, written by sortable
	get     func(T) []string // none is null; more than one where any may match
}

func (f field[T]) takes(lookup string) bool {
	return slices.Contains(strings.Fields(f.lookups), lookup)
}

// first is the value that rows are ordered by.
func (f field[T]) first(row T) string {
	if values := f.get(row); len(values) > 0 {
		return values[0]
	}
	return ""
}

// field finds a field; __ is the old way to write a dot.
func (t table[T]) field(name string) (field[T], bool) {
	f, ok := t.fields[strings.ReplaceAll(name, "__", ".")]
	return f, ok
}

// compile makes a predicate of an expression. rql.Parse has checked its shape.
func (t table[T]) compile(e rql.Expr) (func(T) bool, error) {
	switch e.Op {
	case "and", "or", "not":
		return t.compileLogic(e)
	case "eq", "ne", "like", "ilike", "gt", "ge", "lt", "le", "in", "out":
	default:
		return nil, fmt.Errorf("%q is not an operator of this list", e.Op)
	}
	name := e.Args[0].Value
	f, ok := t.field(name)
	if !ok {
		return nil, fmt.Errorf("there is no filter on %q", name)
	}
	if !f.takes(e.Op) {
		return nil, fmt.Errorf("%q does not take the operator %s", name, e.Op)
	}
	if e.Args[1].Value == "null()" {
		return f.null(name, e.Op)
	}
	values, err := f.values(name, e.Args[1])
	if err != nil {
		return nil, err
	}
	test, negate := comparison(e.Op, values)
	return func(row T) bool { return slices.ContainsFunc(f.get(row), test) != negate }, nil
}

// narrow finds the rows that a term leaves in question by an index; nil when
// none serves. The term itself is checked on them all the same.
func (t table[T]) narrow(e rql.Expr) []T {
	switch e.Op {
	case "and":
		for _, arg := range e.Args {
			if rows := t.narrow(*arg.Expr); rows != nil {
				return rows
			}
		}
		return nil
	case "eq", "in":
	default:
		return nil
	}
	find := t.indexes[e.Args[0].Value]
	values := e.Args[1].List
	if values == nil {
		values = []string{e.Args[1].Value}
	}
	if find == nil || slices.Contains(values, "null()") || slices.Contains(values, "empty()") {
		return nil
	}
	return find(values)
}

func (t table[T]) compileLogic(e rql.Expr) (func(T) bool, error) {
	parts := make([]func(T) bool, 0, len(e.Args))
	for _, arg := range e.Args {
		part, err := t.compile(*arg.Expr)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	holds := func(row T) func(func(T) bool) bool { return func(part func(T) bool) bool { return part(row) } }
	fails := func(row T) func(func(T) bool) bool { return func(part func(T) bool) bool { return !part(row) } }
	if e.Op == "or" {
		return func(row T) bool { return slices.ContainsFunc(parts, holds(row)) }, nil
	}
	if e.Op == "not" {
		return func(row T) bool { return !parts[0](row) }, nil
	}
	return func(row T) bool { return !slices.ContainsFunc(parts, fails(row)) }, nil
}

func (f field[T]) null(name, op string) (func(T) bool, error) {
	if !f.takes("null") || op != "eq" && op != "ne" {
		return nil, fmt.Errorf("%q does not take null() with %s", name, op)
	}
	return func(row T) bool { return (len(f.get(row)) == 0) == (op == "eq") }, nil
}

// values are the operands, in the form in which rows hold theirs.
func (f field[T]) values(name string, arg rql.Arg) ([]string, error) {
	values := slices.Clone(arg.List)
	if arg.List == nil {
		values = []string{arg.Value}
	}
	for i, v := range values {
		if v == "empty()" {
			values[i] = ""
			continue
		}
		if !f.times {
			continue
		}
		t, err := readTime(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		values[i] = sortable(t)
	}
	return values, nil
}

// comparison is the test of one value, and whether its outcome is turned round.
func comparison(op string, operands []string) (test func(string) bool, negate bool) {
	operand := operands[0]
	switch op {
	case "eq", "ne":
		return func(v string) bool { return v == operand }, op == "ne"
	case "like":
		return func(v string) bool { return rql.Like(operand, v) }, false
	case "ilike":
		return func(v string) bool { return rql.ILike(operand, v) }, false
	case "gt":
		return func(v string) bool { return v > operand }, false
	case "ge":
		return func(v string) bool { return v >= operand }, false
	case "lt":
		return func(v string) bool { return v < operand }, false
	case "le":
		return func(v string) bool { return v <= operand }, false
	default: // in and out
		set := make(map[string]bool, len(operands))
		for _, v := range operands {
			set[v] = true
		}
		return func(v string) bool { return set[v] }, op == "out"
	}
}

// readTime takes the dates and date-times of RQL (connect/WIRE.md#3). Without a zone they mean UTC.
func readTime(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date or a date-time", text)
}

// sortable writes a time so that text compares as time does.
func sortable(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000") }
