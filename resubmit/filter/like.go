package filter

import (
	"slices"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/rql"
)

// like is the condition that a text property matches a pattern.
type like struct {
	onProperty

	pattern string
	fold    bool // ignore case
}

func newLike(prop property, pattern string, fold bool) Filter {
	if pattern == "" {
		return reject("the pattern for %s is empty; * matches any text", prop)
	}
	op := "like"
	if fold {
		op = "ilike"
	}
	text, err := callText(op, prop.String(), pattern)
	if err != nil {
		return reject("%s: %w", prop, err)
	}
	return &like{onProperty: onProperty{prop, text}, pattern: pattern, fold: fold}
}

func (f *like) Match(o *commerce.Order) bool {
	if f.prop == propSubscription {
		return slices.ContainsFunc(o.SubscriptionIDs, f.matches)
	}
	return f.matches(f.prop.value(o))
}

func (f *like) matches(value string) bool {
	if f.fold {
		return rql.ILike(f.pattern, value)
	}
	return rql.Like(f.pattern, value)
}
