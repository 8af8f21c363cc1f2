package ordermanager

import (
	"strconv"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/rql"
)

// mostNumbers limits the length of the URL to what proxies accept.
const mostNumbers = 50

// terms returns the conditions that the server is asked to check. They select at least the
// orders that the query selects.
func (c *Client) terms(q *commerce.Query) []rql.Expr {
	var terms []rql.Expr
	add := func(f ServerFilter, op string, arg rql.Arg) {
		if !c.off[f] {
			terms = append(terms, rql.Call(op, rql.Val(string(f)), arg))
		}
	}
	if len(q.Statuses) > 0 {
		add(FilterStatus, "in", list(q.Statuses))
	}
	if len(q.Types) > 0 {
		add(FilterType, "in", list(q.Types))
	}
	if !q.PlacedFrom.IsZero() {
		add(FilterPlaced, "ge", rql.Val(second(q.PlacedFrom)))
	}
	if !q.PlacedTo.IsZero() {
		// Rounded up, because an order of that second may have been placed before PlacedTo.
		add(FilterPlaced, "lt", rql.Val(second(q.PlacedTo.Add(time.Second-1))))
	}
	if n := len(q.Numbers); n > 0 && n <= mostNumbers {
		add(FilterNumber, "in", rql.Vals(q.Numbers...))
	}
	if q.NumberLike != "" && !strings.Contains(q.NumberLike, `\`) {
		// How APS escapes a wildcard is not published.
		add(FilterNumber, "like", rql.Val(q.NumberLike))
	}
	return terms
}

// asked returns the part of a query that the server is asked to check.
func (c *Client) asked(q *commerce.Query) commerce.Query {
	var asked commerce.Query
	if !c.off[FilterStatus] {
		asked.Statuses = q.Statuses
	}
	if !c.off[FilterType] {
		asked.Types = q.Types
	}
	if !c.off[FilterPlaced] && !q.PlacedFrom.IsZero() {
		asked.PlacedFrom = q.PlacedFrom.Truncate(time.Second)
	}
	if !c.off[FilterPlaced] && !q.PlacedTo.IsZero() {
		asked.PlacedTo = q.PlacedTo.Add(time.Second - 1).Truncate(time.Second)
	}
	if !c.off[FilterNumber] && len(q.Numbers) <= mostNumbers {
		asked.Numbers = q.Numbers
	}
	if !c.off[FilterNumber] && !strings.Contains(q.NumberLike, `\`) {
		asked.NumberLike = q.NumberLike
	}
	return asked
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
