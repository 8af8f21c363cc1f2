package orderlist_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/orderlist"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

// shop writes its orders to a CSV file.
type shop struct {
	mu     sync.Mutex
	orders []*commerce.Order
}

func (s *shop) add(_ testing.TB, spec resubmittest.OrderSpec) *commerce.Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := &commerce.Order{
		ID: spec.ID, Type: spec.Type, Status: spec.Status, PlacedAt: spec.PlacedAt, Total: spec.Total,
	}
	if o.ID == "" {
		o.ID = fmt.Sprint(1000+len(s.orders), ", \"quoted\"")
	}
	o.Number = fmt.Sprint("SO", len(s.orders))
	if spec.Failure != "" {
		o.Failure.Messages = map[string]string{"en_US": spec.Failure}
	}
	s.orders = append(s.orders, o)
	return new(*o)
}

func (s *shop) cancel(_ testing.TB, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.orders, func(o *commerce.Order) bool { return o.ID == id })
	s.orders[i].Status, s.orders[i].Failure = commerce.StatusCancelled, commerce.Failure{}
}

func (s *shop) file() (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"id", "number", "type", "status", "placed_at", "amount", "currency", "failure"})
	for _, o := range s.orders {
		_ = w.Write([]string{
			o.ID, o.Number, string(o.Type), string(o.Status), o.PlacedAt.Format(time.RFC3339), o.Total.Amount.String(),
			o.Total.Currency, o.Failure.Message(),
		})
	}
	w.Flush()
	return io.NopCloser(&b), w.Error()
}

func TestCSVLister(t *testing.T) {
	t.Parallel()
	resubmittest.TestLister(t, resubmittest.Fixture{
		New: func(testing.TB) resubmittest.System {
			s := new(shop)
			return resubmittest.System{
				AddOrder: s.add, CancelOrder: s.cancel,
				Lister: func(testing.TB, []string) resubmit.OrderLister { return orderlist.FromCSV(s.file) },
			}
		},
		MissingID: "none", Capabilities: commerce.Capabilities{Failure: true},
	})
}

// list lists the orders of a CSV file.
func list(text string, opts ...orderlist.Option) (orders []*commerce.Order, err error) {
	open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
	for o, err := range orderlist.FromCSV(open, opts...).Orders(context.Background(), commerce.Query{}) {
		if err != nil {
			return nil, err
		}
		orders = append(orders, o)
	}
	return orders, nil
}

func TestColumns(t *testing.T) {
	t.Parallel()
	cet := time.FixedZone("CET", 3600)
	orders, err := list("\ufeffORDER,billing_id,number,type,status,placed_at,failed_at,vendor_account_id,channel,"+
		"customer_id,customer_name,tenant_id,subscription_ids,amount,currency,failure,note\n"+
		"7,1000007,SO7,SO,PF,07.03.2026 14:05,,1,reseller,2,Köhler & Co,T-1,10 11,12.50,EUR,\"two\nlines\",ignored\n"+
		"8,,,,PF,,,,,,,,,,,,\n",
		orderlist.WithColumn("id", "ORDER"), orderlist.WithIgnored("note"),
		orderlist.WithTimeLayout("02.01.2006 15:04", cet))
	require.NoError(t, err)
	require.Len(t, orders, 2)
	require.Equal(t, &commerce.Order{ID: "8", Status: "PF"}, orders[0])
	o := orders[1]
	require.Equal(t, "12.50 EUR", o.Total.String())
	require.True(t, o.PlacedAt.Equal(time.Date(2026, 3, 7, 13, 5, 0, 0, time.UTC)), o.PlacedAt)
	o.Total, o.PlacedAt = commerce.Money{}, time.Time{}
	require.Equal(t, &commerce.Order{
		ID: "7", BillingID: "1000007", Number: "SO7", Type: commerce.TypeSales, Status: commerce.StatusProvisioningFailed,
		VendorAccountID: "1", Channel: commerce.ChannelReseller, CustomerID: "2", CustomerName: "Köhler & Co",
		TenantID: "T-1", SubscriptionIDs: []string{"10", "11"},
		Failure: commerce.Failure{Messages: map[string]string{"en_US": "two\nlines"}},
	}, o)
	orders, err = list("id\n7\n", orderlist.WithStatus(commerce.StatusProvisioningFailed))
	require.NoError(t, err)
	require.Equal(t, []*commerce.Order{{ID: "7", Status: commerce.StatusProvisioningFailed}}, orders)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		table, want string
		opts        []orderlist.Option
	}{
		{"", "the table has no names of columns", nil},
		{"number,status\n", "the table has no column id; rename one with WithColumn", nil},
		{"id\n", "the table has no column status; rename one with WithColumn, or use WithStatus", nil},
		{"id,status,placedat\n", `the column "placedat" is unknown (did you mean "placed_at"?); the columns are amount, `, nil},
		{"id,status,id\n", "the table has two columns id", nil},
		{"id,status\n1,PF\n,PF\n", "row 2, column id: it is empty", nil},
		{"id,status\n1,PF\n2,\n", "row 2, column status: it is empty", nil},
		{"id,status\n1,PF\n2,PF\n1,PF\n", "row 3, column id: the order 1 is in row 1 already", nil},
		{"id,status\n1,PF\n 2,PF\n", `row 2, column id: "2" has blanks around it`, nil},
		{"id,status\n\"1\t2\",PF\n", `column id: "1`, nil},
		{"id,status\n1,PF,\n", "record on line 2: wrong number of fields", nil},
		{"id,status,placed_at\n1,PF,2026-02-30T00:00:00Z\n", `row 1, column placed_at: "2026-02-30T00:00:00Z" is not a ` +
			`time such as "2026-03-07T14:05:09Z"; set another layout with WithTimeLayout`, nil},
		{"id,status,amount,currency\n1,PF,\"1,50\",EUR\n", `row 1, column amount: "1,50" is not an amount such as 12.50`, nil},
		{"id,status,amount,currency\n1,PF,1.50,\n", "row 1, column currency: it is empty, but there is an amount", nil},
		{"id,status,channel\n1,PF,shop\n", `row 1, column channel: "shop" is neither "direct" nor "reseller"`, nil},
		{"id,status\n", `the table has no column "No", which WithColumn names`, []orderlist.Option{
			orderlist.WithColumn("number", "No"),
		}},
		{"id\n", `WithColumn: the column "nr" is unknown`, []orderlist.Option{orderlist.WithColumn("nr", "No")}},
		{"id\n", "WithStatus: the status is empty", []orderlist.Option{orderlist.WithStatus("")}},
		{"id\n", "WithTimeLayout: give a layout", []orderlist.Option{orderlist.WithTimeLayout("", nil)}},
	} {
		orders, err := list(test.table, test.opts...)
		require.ErrorContains(t, err, test.want, "%q", test.table)
		require.Empty(t, orders)
	}
}

func FuzzCSV(f *testing.F) {
	f.Add("id,status,amount,currency,placed_at\n1,PF,1.5,EUR,2026-03-07T14:05:09Z\n")
	f.Fuzz(func(t *testing.T, text string) {
		orders, err := list(text, orderlist.WithIgnored("note"))
		if err != nil {
			require.Empty(t, orders)
			return
		}
		for _, o := range orders {
			require.NotEmpty(t, o.ID)
			require.NotEmpty(t, o.Status)
		}
	})
}

func TestQueriesForMissingColumns(t *testing.T) {
	t.Parallel()
	open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("id,status\n1,PF\n")), nil }
	for _, test := range []struct {
		column string
		query  commerce.Query
	}{
		{"type", commerce.Query{Types: []commerce.OrderType{commerce.TypeSales}}},
		{"placed_at", commerce.Query{PlacedFrom: time.Unix(1, 0)}},
		{"placed_at", commerce.Query{PlacedTo: time.Unix(1, 0)}},
		{"number", commerce.Query{Numbers: []string{"SO1"}}},
		{"number", commerce.Query{NumberLike: "SO*"}},
	} {
		next, stop := iter.Pull2(orderlist.FromCSV(open).Orders(t.Context(), test.query))
		_, err, _ := next()
		stop()
		require.ErrorContains(t, err, "but the table has no column "+test.column+"; add it")
	}
}
