package filter

import (
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// Pushdown narrows a query by what of the filter a server can answer, and
// returns the narrowed query and the rest of the filter, which is Everything
// when nothing is left. What the narrowed query yields and the rest matches is
// what the query yields and the filter matches.
//
// Where the two contradict each other, the narrowed query asks for an empty
// interval of time, so that it yields nothing: an empty list would ask for all.
//
// A query with a limit is returned as it is: the limit counts the orders that
// the query yields, and a narrowed query would yield others. To limit the orders
// that a filter selects, count what comes out of the filter.
func Pushdown(f Filter, q commerce.Query) (commerce.Query, Filter) {
	if err := Validate(f); err != nil {
		return unsatisfiable(q), &invalid{err}
	}
	if q.Limit > 0 {
		return q, f
	}
	rest := []Filter{Everything()}
	for _, term := range conjuncts(f) {
		var done bool
		if q, done = pushTerm(term, q); !done {
			rest = append(rest, term)
		}
	}
	return q, And(rest...)
}

// pushTerm narrows a query by one term, and tells whether that was all of it.
func pushTerm(term Filter, q commerce.Query) (commerce.Query, bool) {
	switch term := term.(type) {
	case *oneOf:
		return pushValues(term, q)
	case *like:
		return pushLike(term, q)
	case *timeBound:
		return pushTime(term, q)
	case *anyOf:
		if union, ok := sameProperty(term); ok {
			return pushValues(union, q)
		}
	}
	return q, false
}

// sameProperty merges alternatives that all are values of one property.
func sameProperty(f *anyOf) (*oneOf, bool) {
	union := &oneOf{}
	for i, term := range f.terms {
		one, ok := term.(*oneOf)
		if !ok || i > 0 && one.prop != union.prop {
			return nil, false
		}
		union.prop = one.prop
		union.values = append(union.values, one.values...)
	}
	union.values = unique(union.values)
	return union, true
}

func pushValues(f *oneOf, q commerce.Query) (commerce.Query, bool) {
	var possible bool
	switch f.prop {
	case propStatus:
		q.Statuses, possible = intersect(q.Statuses, f.values)
	case propType:
		q.Types, possible = intersect(q.Types, f.values)
	case propID:
		q.IDs, possible = intersect(q.IDs, f.values)
	case propNumber:
		q.Numbers, possible = intersect(q.Numbers, f.values)
	default:
		return q, false
	}
	if !possible {
		q = unsatisfiable(q)
	}
	return q, true
}

// intersect keeps what is asked for already and also one of the values, in a
// new slice; when nothing is asked for, all the values. Where nothing would be
// left it returns the list unchanged and false.
func intersect[S ~string](asked []S, values []string) ([]S, bool) {
	var both []S
	for _, v := range values {
		if len(asked) == 0 || slices.Contains(asked, S(v)) {
			both = append(both, S(v))
		}
	}
	if len(both) == 0 {
		return asked, false
	}
	return both, true
}

// pushLike can use the one pattern that a query has, if it is still free.
func pushLike(f *like, q commerce.Query) (commerce.Query, bool) {
	if f.prop != propNumber || f.fold || q.NumberLike != "" && q.NumberLike != f.pattern {
		return q, false
	}
	q.NumberLike = f.pattern
	return q, true
}

// pushTime narrows the interval. A query has only ≥ and <, so of the other
// comparisons it gets a bound that is a little too wide, in whole seconds as
// some servers count no finer.
func pushTime(f *timeBound, q commerce.Query) (commerce.Query, bool) {
	if f.prop != propPlaced {
		return q, false
	}
	switch f.op {
	case GreaterOrEqual, Greater:
		if q.PlacedFrom.IsZero() || q.PlacedFrom.Before(f.at) {
			q.PlacedFrom = f.at
		}
	case Less:
		q.PlacedTo = earlier(q.PlacedTo, f.at)
	case LessOrEqual:
		q.PlacedTo = earlier(q.PlacedTo, f.at.Truncate(time.Second).Add(time.Second))
	default:
		return q, false
	}
	return q, f.op == GreaterOrEqual || f.op == Less
}

func earlier(bound, at time.Time) time.Time {
	if bound.IsZero() || at.Before(bound) {
		return at
	}
	return bound
}

// unsatisfiable makes a query match nothing: no order is placed in an interval
// that ends where it starts.
func unsatisfiable(q commerce.Query) commerce.Query {
	if q.PlacedFrom.IsZero() {
		q.PlacedFrom = time.Unix(0, 0).UTC()
	}
	q.PlacedTo = q.PlacedFrom
	return q
}
