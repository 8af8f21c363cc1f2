package commercetest

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/rql"
)

// query is an RQL query over the orders (commerce/WIRE.md#2.5).
type query struct {
	terms        []predicate
	sort         []sortKey
	start, count int
	details      bool // select(orderDetails) and its like: lists carry what single orders have
	orderDetails bool
}

type predicate func(*Order) bool

type sortKey struct {
	field      field
	descending bool
}

// field reads a property of an order as text.
type field func(*Order) string

// fields are the properties that can be asked for. Which ones the real system
// takes is not known (commerce/WIRE.md#8.3).
var fields = map[string]field{
	"orderId":            func(o *Order) string { return o.ID },
	"internalId":         func(o *Order) string { return o.InternalID },
	"orderNumber":        func(o *Order) string { return o.Number },
	"type":               func(o *Order) string { return string(o.Type) },
	"status":             func(o *Order) string { return string(o.Status) },
	"provisioningStatus": func(o *Order) string { return string(o.Provisioning) },
	"orderDate":          func(o *Order) string { return o.PlacedAt.Format(time.RFC3339) },
	"endCustomerName":    func(o *Order) string { return o.CustomerName },
	"vendorAccountId":    func(o *Order) string { return o.Vendor },
	"customerId":         func(o *Order) string { return o.Customer },
	"subscriptionId":     func(o *Order) string { return o.Subscription },
	"tenantId":           func(o *Order) string { return o.Tenant },
	"total.code":         func(o *Order) string { return o.Total.Currency },
	"total.value":        func(o *Order) string { return o.Total.Amount.String() },
}

func fieldNamed(name string) (field, error) {
	if f, ok := fields[name]; ok {
		return f, nil
	}
	return nil, fmt.Errorf("orders have no property %q to ask for", name)
}

func parseQuery(raw string) (*query, error) {
	q := &query{count: defaultCount}
	if raw == "" {
		return q, nil
	}
	terms, err := rql.Parse(rql.APS, raw)
	if err != nil {
		return nil, err
	}
	for i := range terms {
		if err := q.add(&terms[i]); err != nil {
			return nil, err
		}
	}
	return q, nil
}

func (q *query) add(e *rql.Expr) error {
	switch e.Op {
	case "sort":
		return q.addSort(e.Args)
	case "limit":
		return q.setLimit(e.Args)
	case "select":
		for _, a := range e.Args {
			switch a.Value {
			case "orderDetails":
				q.details, q.orderDetails = true, true
			case "errorDetails", "possiblePushToStatus":
				q.details = true
			}
		}
		return nil
	default:
		p, err := compile(e)
		if err != nil {
			return err
		}
		q.terms = append(q.terms, p)
		return nil
	}
}

func (q *query) addSort(args []rql.Arg) error {
	for _, a := range args {
		name, descending := strings.CutPrefix(a.Value, "-")
		f, err := fieldNamed(strings.TrimPrefix(name, "+"))
		if err != nil {
			return fmt.Errorf("sort: %w", err)
		}
		q.sort = append(q.sort, sortKey{f, descending})
	}
	return nil
}

func (q *query) setLimit(args []rql.Arg) error {
	if len(args) < 1 || len(args) > 2 {
		return errors.New("limit wants (start) or (start,count)")
	}
	for i, into := range []*int{&q.start, &q.count}[:len(args)] {
		n, err := number.Atoi(args[i].Value)
		if err != nil || n < 0 {
			return fmt.Errorf("limit: %q is not a number from 0", args[i].Value)
		}
		*into = n
	}
	return nil
}

// shuffle prepares orders for a sort that leaves ties in another order on each call.
func (s *System) shuffle(orders []Order) {
	random := rand.New(rand.NewPCG(s.cfg.Seed, s.shuffles.Add(1)))
	random.Shuffle(len(orders), func(i, j int) { orders[i], orders[j] = orders[j], orders[i] })
}

// run returns the page that the query asks for, and whether it is all there is.
// Orders come in the order of placing unless the query sorts them.
func (q *query) run(orders []Order, maxPage int) (page []Order, complete bool) {
	found := orders[:0]
	for i := range orders {
		if q.match(&orders[i]) {
			found = append(found, orders[i])
		}
	}
	slices.SortStableFunc(found, func(a, b Order) int {
		for _, key := range q.sort {
			c := compare(key.field(&a), key.field(&b))
			if key.descending {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	count := q.count
	if maxPage > 0 {
		count = min(count, maxPage)
	}
	from := min(q.start, len(found))
	to := from + min(count, len(found)-from)
	return found[from:to], to-from == len(found)
}

func (q *query) match(o *Order) bool {
	for _, p := range q.terms {
		if !p(o) {
			return false
		}
	}
	return true
}

func compile(e *rql.Expr) (predicate, error) {
	switch e.Op {
	case "and", "or", "not":
		return compileLogical(e)
	case "in", "out":
		return compileList(e)
	case "eq", "ne", "like", "gt", "ge", "lt", "le":
		return compileComparison(e)
	default:
		return nil, fmt.Errorf("there is no operator %q for orders", e.Op)
	}
}

func compileLogical(e *rql.Expr) (predicate, error) {
	var terms []predicate
	for _, a := range e.Args {
		if a.Expr == nil {
			return nil, fmt.Errorf("%s wants expressions", e.Op)
		}
		p, err := compile(a.Expr)
		if err != nil {
			return nil, err
		}
		terms = append(terms, p)
	}
	switch {
	case len(terms) == 0 || (e.Op == "not" && len(terms) > 1):
		return nil, fmt.Errorf("%s does not take %d expressions", e.Op, len(terms))
	case e.Op == "not":
		return func(o *Order) bool { return !terms[0](o) }, nil
	case e.Op == "or":
		return func(o *Order) bool {
			return slices.ContainsFunc(terms, func(p predicate) bool { return p(o) })
		}, nil
	default:
		return func(o *Order) bool {
			return !slices.ContainsFunc(terms, func(p predicate) bool { return !p(o) })
		}, nil
	}
}

func compileList(e *rql.Expr) (predicate, error) {
	if len(e.Args) != 2 || len(e.Args[1].List) == 0 {
		return nil, fmt.Errorf("%s wants (property,(value,…)) with at least one value", e.Op)
	}
	f, err := fieldNamed(e.Args[0].Value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Op, err)
	}
	list, wanted := e.Args[1].List, e.Op == "in"
	return func(o *Order) bool {
		have := f(o)
		return wanted == slices.ContainsFunc(list, func(v string) bool { return compare(have, v) == 0 })
	}, nil
}

func compileComparison(e *rql.Expr) (predicate, error) {
	if len(e.Args) != 2 || e.Args[1].Expr != nil || e.Args[1].List != nil {
		return nil, fmt.Errorf("%s wants (property,value)", e.Op)
	}
	f, err := fieldNamed(e.Args[0].Value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Op, err)
	}
	v := e.Args[1].Value
	if e.Op == "like" {
		return func(o *Order) bool { return glob(v, f(o)) }, nil
	}
	holds := map[string]func(int) bool{
		"eq": func(c int) bool { return c == 0 },
		"ne": func(c int) bool { return c != 0 },
		"gt": func(c int) bool { return c > 0 },
		"ge": func(c int) bool { return c >= 0 },
		"lt": func(c int) bool { return c < 0 },
		"le": func(c int) bool { return c <= 0 },
	}[e.Op]
	return func(o *Order) bool { return holds(compare(f(o), v)) }, nil
}

// compare orders two values as times, as numbers, or else as text, by what both are.
func compare(a, b string) int {
	if ta, ok := instant(a); ok {
		if tb, ok := instant(b); ok {
			return ta.Compare(tb)
		}
	}
	fa, errA := number.ParseFloat(a, 64)
	fb, errB := number.ParseFloat(b, 64)
	if errA == nil && errB == nil {
		return cmp.Compare(fa, fb)
	}
	return strings.Compare(a, b)
}

// instant reads a time, or a day as its beginning in UTC.
func instant(s string) (time.Time, bool) {
	if len(s) < len(time.DateOnly) || s[4] != '-' {
		return time.Time{}, false
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// glob matches * as any text and ? as any one character, which APS has and
// Connect has not.
func glob(pattern, s string) bool {
	p, text := []rune(pattern), []rune(s)
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(text) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == text[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}
