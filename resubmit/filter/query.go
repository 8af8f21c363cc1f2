package filter

import (
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// ToQuery adds the conditions of a filter that a server can check to a query. It returns the narrowed query and the
// rest of the filter, or [Everything] if there is no rest. The narrowed query and the rest together select the same
// orders as q and f.
//
// If q and f contradict each other, or f is invalid, the narrowed query selects an empty interval of time. (An empty
// list of values would select everything.)
//
// A query with a limit is returned unchanged, because the limit would count other orders. To limit the number of
// selected orders, count the matches of the filter.
func ToQuery(f Filter, q commerce.Query) (narrowed commerce.Query, rest Filter) {
	if err := Validate(f); err != nil {
		return unsatisfiable(q), &invalid{err}
	}
	if q.Limit > 0 {
		return q, f
	}
	left := []Filter{Everything()}
	for _, term := range conjuncts(f) {
		var done bool
		if q, done = pushTerm(term, q); !done {
			left = append(left, term)
		}
	}
	return q, And(left...)
}

// pushTerm narrows a query by one term, and reports whether the query now implies the term.
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

// sameProperty merges alternatives that are all values of one property.
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

// intersect returns the values of the query's list that are also in values, in a new slice; all values if the list is
// empty. If nothing would be left, it returns the list unchanged and false.
func intersect[S ~string](list []S, values []string) ([]S, bool) {
	var both []S
	for _, v := range values {
		if len(list) == 0 || slices.Contains(list, S(v)) {
			both = append(both, S(v))
		}
	}
	if len(both) == 0 {
		return list, false
	}
	return both, true
}

// pushLike uses the only pattern of a query if it is still free.
func pushLike(f *like, q commerce.Query) (commerce.Query, bool) {
	if f.prop != propNumber || f.fold || q.NumberLike != "" && q.NumberLike != f.pattern {
		return q, false
	}
	q.NumberLike = f.pattern
	return q, true
}

// pushTime narrows the interval. A query supports only ≥ and <. Other comparisons become a slightly wider bound in
// whole seconds, the resolution of some servers.
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

// unsatisfiable makes a query select nothing, by an empty interval.
func unsatisfiable(q commerce.Query) commerce.Query {
	if q.PlacedFrom.IsZero() {
		q.PlacedFrom = time.Unix(0, 0).UTC()
	}
	q.PlacedTo = q.PlacedFrom
	return q
}
