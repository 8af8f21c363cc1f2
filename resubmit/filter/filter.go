package filter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// Filter selects orders. Implementations must be immutable and safe for concurrent use. Match must neither modify nor
// keep the order. String returns the filter in RQL, as [Parse] reads it.
//
// Check a filter with [Validate] once it is complete: a filter made from invalid arguments, and every filter that
// contains it, matches nothing.
//
// A filter of your own is assumed to need the full order (see [NeedsFullOrder]) unless it has a method
// NeedsFullOrder() bool that returns false.
type Filter interface {
	Match(o *commerce.Order) bool
	String() string
}

// Validate returns an error if a filter is nil or was made from invalid arguments. To select every order use
// [Everything].
func Validate(f Filter) error {
	if f == nil {
		return errors.New("filter: the filter is empty; to select every order use everything()")
	}
	if bad, ok := f.(*invalid); ok {
		return bad.err
	}
	return nil
}

// invalid is the result of a constructor with invalid arguments. Every filter that contains it is invalid too, because
// Not would turn a mistake into a filter that selects everything.
type invalid struct{ err error }

func (*invalid) Match(*commerce.Order) bool { return false }

// String returns a text that Parse rejects.
func (f *invalid) String() string { return fmt.Sprintf("invalid(%q)", f.err.Error()) }

func reject(format string, args ...any) Filter {
	return &invalid{fmt.Errorf("filter: "+format, args...)}
}

type everything struct{}

// Everything returns a filter that matches every order. Its text form is everything().
func Everything() Filter { return everything{} }

func (everything) Match(*commerce.Order) bool { return true }
func (everything) String() string             { return "everything()" }

type all struct{ terms []Filter }

// And returns a filter that matches if all terms match. Terms that are themselves And are merged, and [Everything] is
// omitted beside another term. Without terms it is invalid (see [Validate]).
func And(terms ...Filter) Filter {
	flat, bad := flatten("And", terms, func(f Filter) []Filter {
		switch f := f.(type) {
		case *all:
			return f.terms
		case everything:
			return nil
		default:
			return []Filter{f}
		}
	})
	switch {
	case bad != nil:
		return bad
	case len(flat) == 0:
		return Everything()
	case len(flat) == 1:
		return flat[0]
	default:
		return bounded(&all{flat})
	}
}

func (f *all) Match(o *commerce.Order) bool {
	for _, term := range f.terms {
		if !term.Match(o) {
			return false
		}
	}
	return true
}

func (f *all) String() string { return groupText("and", f.terms) }

type anyOf struct{ terms []Filter }

// Or returns a filter that matches if at least one term matches. Terms that are themselves Or are merged. Without terms
// it is invalid (see [Validate]).
func Or(terms ...Filter) Filter {
	flat, bad := flatten("Or", terms, func(f Filter) []Filter {
		if nested, ok := f.(*anyOf); ok {
			return nested.terms
		}
		return []Filter{f}
	})
	switch {
	case bad != nil:
		return bad
	case len(flat) == 1:
		return flat[0]
	default:
		return bounded(&anyOf{flat})
	}
}

func (f *anyOf) Match(o *commerce.Order) bool {
	for _, term := range f.terms {
		if term.Match(o) {
			return true
		}
	}
	return false
}

func (f *anyOf) String() string { return groupText("or", f.terms) }

type not struct{ term Filter }

// Not returns a filter that matches if the term does not. Not(Not(f)) is f.
func Not(term Filter) Filter {
	if err := Validate(term); err != nil {
		return &invalid{err}
	}
	if inner, ok := term.(*not); ok {
		return inner.term
	}
	return bounded(&not{term})
}

func (f *not) Match(o *commerce.Order) bool { return !f.term.Match(o) }
func (f *not) String() string               { return groupText("not", []Filter{f.term}) }

// flatten checks the terms of a group and replaces each by the terms that expand returns.
func flatten(name string, terms []Filter, expand func(Filter) []Filter) ([]Filter, Filter) {
	if len(terms) == 0 {
		return nil, reject("%s() has no terms; to select every order use everything()", name)
	}
	flat := make([]Filter, 0, len(terms))
	for _, term := range terms {
		if err := Validate(term); err != nil {
			return nil, &invalid{err}
		}
		flat = append(flat, expand(term)...)
	}
	return flat, nil
}

// maxDepth is the deepest nesting that the RQL parser accepts.
const maxDepth = 64

func bounded(f Filter) Filter {
	if depth(f) > maxDepth {
		return reject("the filter is nested more than %d levels deep", maxDepth)
	}
	return f
}

func depth(f Filter) int {
	deepest := 0
	for _, term := range children(f) {
		deepest = max(deepest, depth(term))
	}
	return deepest + 1
}

// children returns the terms of a composed filter.
func children(f Filter) []Filter {
	switch f := f.(type) {
	case *all:
		return f.terms
	case *anyOf:
		return f.terms
	case *not:
		return []Filter{f.term}
	default:
		return nil
	}
}

func groupText(op string, terms []Filter) string {
	texts := make([]string, len(terms))
	for i, term := range terms {
		texts[i] = term.String()
	}
	return op + "(" + strings.Join(texts, ",") + ")"
}

type named struct {
	name string
	fn   func(*commerce.Order) bool
	text string
}

// Func returns a filter that calls fn. Its text form is func(name), which [Parse] reads if [WithFunc] defines the name.
// It is assumed to need the full order (see [NeedsFullOrder]).
func Func(name string, fn func(*commerce.Order) bool) Filter {
	if name == "" || fn == nil {
		return reject("Func requires a name and a function; the name is %q", name)
	}
	text, err := callText("func", name)
	if err != nil {
		return reject("the name %q: %w", name, err)
	}
	return &named{name, fn, text}
}

func (f *named) Match(o *commerce.Order) bool { return f.fn(o) }
func (f *named) String() string               { return f.text }

// NeedsFullOrder reports whether a filter uses properties that lists of orders may omit: the failure text, the
// subscriptions and the tenant. Do not reject a listed order by such a filter before you have read the order.
func NeedsFullOrder(f Filter) bool {
	switch f := f.(type) {
	case everything, *invalid:
		return false
	case *not, *all, *anyOf:
		return slices.ContainsFunc(children(f), NeedsFullOrder)
	case condition:
		return f.property().inFullOrder()
	case interface{ NeedsFullOrder() bool }:
		return f.NeedsFullOrder()
	default:
		return true
	}
}

// Properties returns the names of the properties that a filter tests, sorted. known is false if it has a function or a
// filter that this package does not know.
func Properties(f Filter) (names []string, known bool) {
	switch f := f.(type) {
	case everything, *invalid:
		return nil, true
	case condition:
		return []string{f.property().String()}, true
	case *not, *all, *anyOf:
		known = true
		for _, term := range children(f) {
			below, ok := Properties(term)
			names, known = append(names, below...), known && ok
		}
		slices.Sort(names)
		return slices.Compact(names), known
	default:
		return nil, false
	}
}

// Split splits a filter into a part for orders from a list and a part that needs full orders (see [NeedsFullOrder]).
// Together they select the same orders. Each is [Everything] if it has no terms.
func Split(f Filter) (listed, full Filter) {
	terms := [2][]Filter{{Everything()}, {Everything()}}
	for _, term := range conjuncts(f) {
		i := 0
		if NeedsFullOrder(term) {
			i = 1
		}
		terms[i] = append(terms[i], term)
	}
	return And(terms[0]...), And(terms[1]...)
}

// conjuncts returns the terms that must all match.
func conjuncts(f Filter) []Filter {
	if group, ok := f.(*all); ok {
		return group.terms
	}
	return []Filter{f}
}
