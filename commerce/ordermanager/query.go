package ordermanager

import (
	"strconv"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/rql"
)

// mostConditions limits the conditions of a query in bytes, so that proxies accept the URL.
const mostConditions = 4000

// conditions returns the conditions that the server is asked to check, which select at least the
// orders that the query selects, and the part of the query that they cover. The client checks the rest.
func (c *Client) conditions(q *commerce.Query) (terms []rql.Expr, asked commerce.Query) {
	size := 0
	ask := func(f ServerFilter, op string, arg rql.Arg) bool {
		term := rql.Call(op, rql.Val(string(f)), arg)
		text, err := rql.Format(rql.APS, ",", term)
		if size += len(text); c.off[f] || err != nil || size > mostConditions {
			size -= len(text)
			return false
		}
		terms = append(terms, term)
		return true
	}
	if len(q.Statuses) > 0 && ask(FilterStatus, "in", list(q.Statuses)) {
		asked.Statuses = q.Statuses
	}
	if len(q.Types) > 0 && ask(FilterType, "in", list(q.Types)) {
		asked.Types = q.Types
	}
	if !q.PlacedFrom.IsZero() && ask(FilterPlaced, "ge", rql.Val(second(q.PlacedFrom))) {
		asked.PlacedFrom = q.PlacedFrom.Truncate(time.Second)
	}
	if !q.PlacedTo.IsZero() {
		// Rounded up, because an order of that second may have been placed before PlacedTo.
		to := q.PlacedTo.Add(time.Second - 1)
		if ask(FilterPlaced, "lt", rql.Val(second(to))) {
			asked.PlacedTo = to.Truncate(time.Second)
		}
	}
	if len(q.Numbers) > 0 && ask(FilterNumber, "in", list(q.Numbers)) {
		asked.Numbers = q.Numbers
	}
	// How APS escapes a wildcard is not published.
	if q.NumberLike != "" && !strings.Contains(q.NumberLike, `\`) && ask(FilterNumber, "like", rql.Val(q.NumberLike)) {
		asked.NumberLike = q.NumberLike
	}
	return terms, asked
}

// query returns the query string of one page (commerce/WIRE.md#2.5). Orders of the same time
// are also sorted by internalId, which grows with each order, so that the older one comes
// first and pages fit together. Several sort keys are documented; that internalId can be one
// is inferred.
func (l *listing) query(byID bool, start, count int) (string, error) {
	by := []rql.Arg{rql.Val("+orderDate"), rql.Val("+internalId")}
	if l.newest {
		by = []rql.Arg{rql.Val("-orderDate"), rql.Val("-internalId")}
	}
	if !byID {
		by = by[:1]
	}
	all := append(l.terms[:len(l.terms):len(l.terms)],
		rql.Call("sort", by...),
		rql.Call("limit", rql.Val(strconv.Itoa(start)), rql.Val(strconv.Itoa(count))))
	return rql.Format(rql.APS, ",", all...)
}

func second(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func list[T ~string](codes []T) rql.Arg {
	values := make([]string, len(codes))
	for i, code := range codes {
		values[i] = string(code)
	}
	return rql.Vals(values...)
}
