package failure_test

import (
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

func each(orders ...*commerce.Order) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		for _, o := range orders {
			if !yield(o, nil) {
				return
			}
		}
	}
}

func TestGroupOrders(t *testing.T) {
	t.Parallel()
	orders := []*commerce.Order{
		{Number: "SO1", Failure: failed("no answer for order 1"), PlacedAt: at("22 03:00"), FailedAt: at("22 03:30")},
		{Number: "SO2", Failure: failed("502 Bad Gateway"), PlacedAt: at("22 03:10")},
		{Number: "SO3", Failure: failed("no answer for order 33"), PlacedAt: at("22 02:00")},
		{Number: "SO4", Failure: failed("no answer for order 4")},
		{ID: "five"},
	}
	got, err := failure.GroupOrders(each(orders...), nil, 0)
	require.NoError(t, err)
	require.Equal(t, &failure.Grouping{Orders: 5, Groups: []failure.Group{
		{Class: failure.Unclassified, Template: "no answer for order <n>", Count: 3, First: at("22 02:00"),
			Last: at("22 03:30"), Example: "SO1", Text: "no answer for order 1"},
		{Class: failure.Unclassified, Count: 1, Example: "five"},
		{Class: failure.Transient, Template: "502 Bad Gateway", Count: 1, First: at("22 03:10"), Last: at("22 03:10"),
			Example: "SO2", Text: "502 Bad Gateway"},
	}}, got)
}

func TestGroupOrdersSeparatesClasses(t *testing.T) {
	t.Parallel()
	got, err := failure.GroupOrders(each(
		&commerce.Order{Failure: failed("the request has quantity 0 for all items")},
		&commerce.Order{Failure: failed("the request has quantity 7 for all items")},
	), nil, 0)
	require.NoError(t, err)
	require.Len(t, got.Groups, 2)
}

func TestGroupOrdersCountsOrdersBeyondTheLimit(t *testing.T) {
	t.Parallel()
	var orders []*commerce.Order
	for i := range 100 {
		orders = append(orders, &commerce.Order{Failure: failed("kind " + string(rune('a'+i%10)) + "x")})
	}
	got, err := failure.GroupOrders(each(orders...), nil, 4)
	require.NoError(t, err)
	require.Len(t, got.Groups, 4)
	require.Equal(t, 60, got.Ungrouped)
	sum := got.Ungrouped
	for _, g := range got.Groups {
		sum += g.Count
	}
	require.Equal(t, got.Orders, sum)
	_, err = failure.GroupOrders(each(), nil, -1)
	require.ErrorContains(t, err, "the limit is -1")
}

func TestGroupOrdersReturnsErrorsOfTheList(t *testing.T) {
	t.Parallel()
	broken := func(yield func(*commerce.Order, error) bool) {
		_ = yield(&commerce.Order{}, nil) && yield(nil, errors.New("HTTP 502"))
	}
	got, err := failure.GroupOrders(broken, nil, 0)
	require.ErrorContains(t, err, "HTTP 502")
	require.Nil(t, got)
	_, err = failure.GroupOrders(each(nil), nil, 0)
	require.ErrorContains(t, err, "neither an order nor an error")
}

func ExampleGroupOrders() {
	order := func(number, reason string) *commerce.Order {
		return &commerce.Order{Number: number, PlacedAt: at("22 03:00"), Failure: failed(reason)}
	}
	groups, err := failure.GroupOrders(each(
		order("SO000001", "order SO000001: 502 Bad Gateway"), order("SO000002", "order SO000002: 502 Bad Gateway"),
		order("SO000003", "Customer not found"),
	), nil, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, g := range groups.Groups {
		fmt.Printf("%d %s, as %s: %s\n", g.Count, g.Class, g.Example, g.Template)
	}
	// Output:
	// 2 transient, as SO000001: order SO<n>: 502 Bad Gateway
	// 1 permanent, as SO000003: Customer not found
}
