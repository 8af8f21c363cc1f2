package filter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// Filter selects orders. Implementations are immutable and safe for concurrent
// use, and Match neither keeps nor changes the order.
//
// String is the filter in RQL, which [Parse] reads back. The filters of
// this package are made by the constructors, which never fail: bad arguments
// (an empty list, an interval that ends before it starts) make a filter that
// matches nothing and that [Validate] refuses with the reason. Any composition with
// such a filter is refused too, so one Check of the whole is enough.
//
// A filter of your own is taken to need the details of an order (see
// [NeedsFullOrder]) unless it has a method NeedsFullOrder() bool that says otherwise.
type Filter interface {
	Match(o *commerce.Order) bool
	String() string
}

// Check tells whether a filter can be used. It refuses nil and filters made
// from bad arguments: an empty filter is an error, [Everything] has to be said.
func Validate(f Filter) error {
	if f == nil {
		return errors.New("filter: it is empty; to select every order say everything()")
	}
	if bad, ok := f.(*invalid); ok {
		return bad.err
	}
	return nil
}

// invalid is what constructors make of bad arguments. It takes over every
// composition that it is part of: otherwise Not would turn a mistake into a
// filter that selects all.
type invalid struct{ err error }

func (*invalid) Match(*commerce.Order) bool { return false }

// String is no RQL that Parse would read.
func (f *invalid) String() string { return fmt.Sprintf("invalid(%q)", f.err.Error()) }

func refuse(format string, args ...any) Filter {
	return &invalid{fmt.Errorf("filter: "+format, args...)}
}

type everything struct{}

// Everything matches every order. Its text form is everything().
func Everything() Filter { return everything{} }

func (everything) Match(*commerce.Order) bool { return true }
func (everything) String() string             { return "everything()" }

type all struct{ terms []Filter }

// All matches what every one of the terms matches. Terms that are themselves All
// are merged into it, and Everything is left out where there is another term. No
// terms at all is an error (see [Validate]).
func And(terms ...Filter) Filter {
	flat, bad := flatten("All", terms, func(f Filter) []Filter {
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

// Any matches what at least one of the terms matches. Terms that are themselves
// Any are merged into it. No terms at all is an error (see [Validate]).
func Or(terms ...Filter) Filter {
	flat, bad := flatten("Any", terms, func(f Filter) []Filter {
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

// Not matches what the term does not match. Not(Not(f)) is f.
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

// flatten checks the terms of a group and merges those that expand says are
// groups of the same kind.
func flatten(name string, terms []Filter, expand func(Filter) []Filter) ([]Filter, Filter) {
	if len(terms) == 0 {
		return nil, refuse("%s() has no terms; to select every order say everything()", name)
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

// maxDepth is how deep RQL may be nested to be read back.
const maxDepth = 64

func bounded(f Filter) Filter {
	if depth(f) > maxDepth {
		return refuse("more than %d levels deep", maxDepth)
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

// children are the terms of a composed filter.
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

// Func is a condition in code, with a name to show: func(name). Parse
// reads it back when it is told the function, with [WithFunc]. As nobody
// can see what fn looks at, it is taken to need the details of an order.
func Func(name string, fn func(*commerce.Order) bool) Filter {
	if name == "" || fn == nil {
		return refuse("Func needs a name and a function, got the name %q", name)
	}
	text, err := callText("func", name)
	if err != nil {
		return refuse("the name %q: %w", name, err)
	}
	return &named{name, fn, text}
}

func (f *named) Match(o *commerce.Order) bool { return f.fn(o) }
func (f *named) String() string               { return f.text }

// NeedsFullOrder tells whether a filter looks at what only reading one order
// gives for sure: the text of its failure, its subscriptions and its tenant. On an order from a list such a
// filter can refuse what it would match once the order has been read.
func NeedsFullOrder(f Filter) bool {
	switch f := f.(type) {
	case everything, *invalid, *timeBound, *amount:
		return false
	case *oneOf:
		return f.prop.inDetails()
	case *like:
		return f.prop.inDetails()
	case *not, *all, *anyOf:
		return slices.ContainsFunc(children(f), NeedsFullOrder)
	case interface{ NeedsFullOrder() bool }:
		return f.NeedsFullOrder()
	default:
		return true
	}
}

// Split splits a filter in two that together select the same orders: the terms that a
// row of a list can answer, and the terms that need the details of an order, see
// [NeedsFullOrder]. Either is Everything if it has no terms.
func Split(f Filter) (cheap, rest Filter) {
	cheapTerms, restTerms := []Filter{Everything()}, []Filter{Everything()}
	for _, term := range conjuncts(f) {
		if NeedsFullOrder(term) {
			restTerms = append(restTerms, term)
		} else {
			cheapTerms = append(cheapTerms, term)
		}
	}
	return And(cheapTerms...), And(restTerms...)
}

// conjuncts are the terms that must all hold.
func conjuncts(f Filter) []Filter {
	if group, ok := f.(*all); ok {
		return group.terms
	}
	return []Filter{f}
}
