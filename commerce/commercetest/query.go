package commercetest

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/rql"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// query is an RQL query for orders (commerce/WIRE.md#2.5).
type query struct {
	terms        []func(*Order) bool
	sort         []testkit.SortKey[*Order]
	start, count int
	details      bool // by select(orderDetails) and similar: lists have what single orders have
	orderDetails bool
}

// table has the properties that a query may name. The real list is unknown (commerce/WIRE.md#8.3).
var table = func() testkit.Table[*Order] {
	t := testkit.Table[*Order]{
		Fields: map[string]testkit.Field[*Order]{}, Unknown: "orders have no property %q", Compare: compare, Like: like,
	}
	for name, value := range map[string]func(*Order) string{
		"orderId":            func(o *Order) string { return o.ID },
		"internalId":         func(o *Order) string { return o.BillingID },
		"orderNumber":        func(o *Order) string { return o.Number },
		"type":               func(o *Order) string { return string(o.Type) },
		"status":             func(o *Order) string { return string(o.Status) },
		"provisioningStatus": func(o *Order) string { return string(o.ProvisioningStatus) },
		"orderDate":          func(o *Order) string { return o.PlacedAt.Format(time.RFC3339) },
		"endCustomerName":    func(o *Order) string { return o.CustomerName },
		"vendorAccountId":    func(o *Order) string { return o.VendorAccount },
		"customerId":         func(o *Order) string { return o.Customer },
		"subscriptionId":     func(o *Order) string { return o.Subscription },
		"tenantId":           func(o *Order) string { return o.Tenant },
		"total.code":         func(o *Order) string { return o.Total.Currency },
		"total.value":        func(o *Order) string { return o.Total.Amount.String() },
	} {
		t.Fields[name] = testkit.Field[*Order]{
			Operators: "eq ne like gt ge lt le in out null empty",
			Values:    func(o *Order) []string { return []string{value(o)} },
		}
	}
	return t
}()

func parseQuery(raw string) (*query, error) {
	q := &query{count: defaultCount}
	terms, err := rql.Parse(rql.APS, raw)
	if err != nil {
		return nil, err
	}
	for _, e := range terms {
		if err := q.add(e); err != nil {
			return nil, err
		}
	}
	return q, nil
}

func (q *query) add(e rql.Expr) error {
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
		term, err := table.Filter(e)
		q.terms = append(q.terms, term)
		return err
	}
}

func (q *query) addSort(args []rql.Arg) error {
	for _, a := range args {
		f, err := table.Field(strings.TrimLeft(a.Value, "+-"))
		if err != nil {
			return fmt.Errorf("sort: %w", err)
		}
		q.sort = append(q.sort, testkit.SortKey[*Order]{Field: f, Descending: strings.HasPrefix(a.Value, "-")})
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
func (s *System) shuffle(orders []*Order) {
	random := rand.New(rand.NewPCG(s.cfg.Seed, s.shuffles.Add(1)))
	random.Shuffle(len(orders), func(i, j int) { orders[i], orders[j] = orders[j], orders[i] })
}

// run returns the page that the query selects, and whether it has all orders found.
// Orders are in the order of placing unless the query sorts them.
func (q *query) run(orders []*Order, maxPage int) (page []*Order, complete bool) {
	found := orders[:0]
	for _, o := range orders {
		if matches(q.terms, o) {
			found = append(found, o)
		}
	}
	table.Sort(found, q.sort)
	count := q.count
	if maxPage > 0 {
		count = min(count, maxPage)
	}
	from := min(q.start, len(found))
	to := from + min(count, len(found)-from)
	return found[from:to], to-from == len(found)
}

// matches reports whether all terms hold for an order.
func matches(terms []func(*Order) bool, o *Order) bool {
	for _, term := range terms {
		if !term(o) {
			return false
		}
	}
	return true
}

// compare orders two values as times or as numbers, if both are, or else as text.
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

// instant reads a time, or a date as its beginning in UTC.
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

// like returns the test for a pattern in which * matches any text and ? any one
// character, which APS has and Connect has not. It tries again from the last * only.
func like(pattern string) func(string) bool {
	p := []rune(pattern)
	return func(value string) bool {
		text := []rune(value)
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
		return strings.Trim(string(p[i:]), "*") == ""
	}
}
