package billing_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
)

var idSent = regexp.MustCompile(`<i4>(\d+)</i4>`)

// shop has the orders 1000001 to 1000099, numbered SO000001 and so on. The higher
// the id the older the order, and every third has not failed.
func shop(body string) (*http.Response, error) {
	id, err := strconv.Atoi(idSent.FindStringSubmatch(body)[1])
	if err != nil {
		return nil, err
	}
	if id <= 1000000 || id > 1000099 {
		return httpmock.NewStringResponse(200, fault(fmt.Sprintf("Table SalesOrder does not contain row with ID %d.", id))),
			nil
	}
	n := id - 1000000
	status := "PF"
	if n%3 == 0 {
		status = "CP"
	}
	return httpmock.NewStringResponse(200, result(cells(map[int]any{
		0: id, 1: fmt.Sprintf("SO%06d", n), 4: status, 7: 1700000000 - n,
	}))), nil
}

func collect(ctx context.Context, s *billing.Lister, q commerce.Query) ([]string, error) {
	var ids []string
	for o, err := range s.Orders(ctx, q) {
		if err != nil {
			return ids, err
		}
		ids = append(ids, o.ID)
	}
	return ids, nil
}

func TestSourceYieldsMatchingOrders(t *testing.T) {
	t.Parallel()
	failed := []commerce.Status{commerce.StatusProvisioningFailed}
	ids := []string{"1000001", "1000005", "1000003", "1000002", "1000005"}
	for _, tc := range []struct {
		name  string
		query commerce.Query
		want  []string
		calls int
	}{
		{"all, each once, oldest first", commerce.Query{}, []string{"1000005", "1000003", "1000002", "1000001"}, 4},
		{"newest first", commerce.Query{Sort: commerce.NewestFirst}, []string{"1000001", "1000002", "1000003", "1000005"}, 4},
		{"those that failed", commerce.Query{Statuses: failed}, []string{"1000005", "1000002", "1000001"}, 4},
		{"no more than the limit", commerce.Query{Statuses: failed, Limit: 2}, []string{"1000005", "1000002"}, 4},
		{"some ids, and only these are read", commerce.Query{IDs: []string{"1000002", "7"}}, []string{"1000002"}, 1},
		{"a number", commerce.Query{Numbers: []string{"SO000003"}}, []string{"1000003"}, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, w := client(t, billing.NoLogin(), shop, billing.WithConcurrency(8))
			for _, s := range []*billing.Lister{c.FromIDs(ids...), c.FromText(strings.NewReader(strings.Join(ids, "\n")))} {
				for range 2 { // a source can be listed again
					w.calls = nil
					got, err := collect(t.Context(), s, tc.query)
					require.NoError(t, err)
					require.Equal(t, tc.want, got)
					require.Len(t, w.calls, tc.calls)
				}
			}
		})
	}
}

func TestSourceStopsOnBreak(t *testing.T) {
	t.Parallel()
	c, _ := client(t, billing.NoLogin(), shop)
	for o, err := range c.FromIDs("1000001", "1000002").Orders(t.Context(), commerce.Query{}) {
		require.NoError(t, err)
		require.Equal(t, "1000002", o.ID)
		break
	}
}

func TestSourceErrors(t *testing.T) {
	t.Parallel()
	good, _ := client(t, billing.NoLogin(), shop)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		name   string
		ctx    context.Context
		source *billing.Lister
		query  commerce.Query
		want   string
		is     error
	}{
		{"an id that does not exist", t.Context(), good.FromIDs("1000001", "2000000"), commerce.Query{},
			`list orders: id 2: order "2000000": HTTP 200 OK: fault 1: Table SalesOrder does not contain row with ID 2000000.`,
			commerce.ErrNotFound},
		{"an id that is none", t.Context(), good.FromIDs("1000001", "x y"), commerce.Query{},
			`id 2: order "x y": "x y" is not the id`, nil},
		{"an id that is none, though it is not asked for", t.Context(), good.FromIDs("x y"),
			commerce.Query{IDs: []string{"1000001"}}, `id 1: order "x y": "x y" is not the id`, nil},
		{"a number", t.Context(), good.FromIDs("SO000001"), commerce.Query{},
			`id 1: order "SO000001": this is an order's number`, nil},
		{"a line that does not exist", t.Context(), good.FromText(strings.NewReader("OrderID\n1000001\n\n7\n")),
			commerce.Query{}, `line 4: order "7"`, commerce.ErrNotFound},
		{"another number than the line says", t.Context(), good.FromText(strings.NewReader("1000001 | SO000009")),
			commerce.Query{},
			`line 1: order "1000001": order 1000001 has the number "SO000001" in Billing: are these the ids of orders?`, nil},
		{"an account", t.Context(), good.FromIDs("1000001"), commerce.Query{Account: "a"}, "leave out the account", nil},
		{"a negative limit", t.Context(), good.FromIDs("1000001"), commerce.Query{Limit: -1}, "must not be negative", nil},
		{"a sequence that fails", t.Context(), good.FromIDSeq(func(yield func(string, error) bool) {
			_ = yield("1000001", nil) && yield("", io.ErrClosedPipe)
		}), commerce.Query{}, "list orders: id 2: ", io.ErrClosedPipe},
		{"a context that has ended", ended, good.FromIDs("1000001"), commerce.Query{}, "context canceled", context.Canceled},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := collect(tc.ctx, tc.source, tc.query)
			require.Empty(t, got, "an error ends the list before it has begun")
			require.ErrorContains(t, err, tc.want)
			commerceError(t, err)
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
		})
	}
}

func TestSourceYieldsOrdersThatBillingCannotRead(t *testing.T) {
	t.Parallel()
	ids := []string{"1000001", "1000002", "1000004", "1000005"}
	for _, tc := range []struct {
		name   string
		answer func() (*http.Response, error)
		fails  []string
		err    error
	}{
		{"one with status 500", func() (*http.Response, error) { return httpmock.NewStringResponse(500, "no"), nil }, ids[:1], nil},
		{"half of them without an answer", func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, ids[:2], nil},
		{"most without an answer", func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, ids[:3],
			commerce.ErrUnavailable},
		{"one with 401", func() (*http.Response, error) { return httpmock.NewStringResponse(401, "no"), nil }, ids[:1],
			commerce.ErrUnauthorized},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, _ := client(t, billing.NoLogin(), func(body string) (*http.Response, error) {
				if slices.Contains(tc.fails, idSent.FindStringSubmatch(body)[1]) {
					return tc.answer()
				}
				return shop(body)
			})
			lines := []billing.OrderRef{}
			for _, id := range ids {
				lines = append(lines, billing.OrderRef{ID: id, Subscription: "s" + id})
			}
			q := commerce.Query{Statuses: []commerce.Status{commerce.StatusProvisioningFailed}, PlacedTo: time.Now()}
			seen := 0
			for o, err := range c.FromRefs(lines).Orders(t.Context(), q) {
				if tc.err != nil {
					require.ErrorIs(t, err, tc.err)
					return
				}
				require.NoError(t, err)
				require.Equal(t, []string{"s" + o.ID}, o.SubscriptionIDs)
				if slices.Contains(tc.fails, o.ID) {
					require.Len(t, o.Problems, 1)
					require.Contains(t, o.Problems[0], "it could not be read: ")
				}
				seen++
			}
			require.Equal(t, len(ids), seen)
		})
	}
}

func TestSourceEndsAtAnUnreadableOrderOfUnknownSubscription(t *testing.T) {
	t.Parallel()
	c, _ := client(t, billing.NoLogin(), func(string) (*http.Response, error) {
		return httpmock.NewStringResponse(500, "no"), nil
	})
	for o, err := range c.FromRefs([]billing.OrderRef{{ID: "1000001"}}).Orders(t.Context(), commerce.Query{}) {
		require.Nil(t, o)
		require.Error(t, err, "a younger order of its subscription could overtake it")
	}
}

func TestSourceAddsSubscriptions(t *testing.T) {
	t.Parallel()
	const text = "Order ID;Order Number;Subscription ID\n1000001;SO000001;2000001\n1000002;SO000002;\n1000001;SO000001;" +
		"2000009\n"
	lines, err := billing.ReadOrderRefs(strings.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, billing.OrderRef{Where: "line 4", ID: "1000001", Number: "SO000001", Subscription: "2000009"},
		lines[2])
	c, _ := client(t, billing.NoLogin(), shop)
	for _, s := range []*billing.Lister{c.FromRefs(lines), c.FromText(strings.NewReader(text))} {
		got := map[string][]string{}
		for o, err := range s.Orders(t.Context(), commerce.Query{}) {
			require.NoError(t, err)
			got[o.ID] = o.SubscriptionIDs
		}
		require.Equal(t, map[string][]string{"1000001": {"2000001", "2000009"}, "1000002": nil}, got)
	}
}

func TestWithNumberResolver(t *testing.T) {
	t.Parallel()
	resolve := func(_ context.Context, number string) (string, error) {
		if number == "SO000009" {
			return "", errors.New("no such number")
		}
		return strings.Replace(number, "SO", "1", 1), nil
	}
	c, _ := client(t, billing.NoLogin(), shop, billing.WithNumberResolver(resolve))
	got, err := collect(t.Context(), c.FromText(strings.NewReader("Order Number;Status\nSO000001;PF\nSO000002;PF\n")),
		commerce.Query{})
	require.NoError(t, err)
	require.Equal(t, []string{"1000002", "1000001"}, got)
	got, err = collect(t.Context(), c.FromIDs("1000002", "SO000001", "SO000002"), commerce.Query{})
	require.NoError(t, err)
	require.Equal(t, []string{"1000002", "1000001"}, got, "each once, however it was named")
	_, err = collect(t.Context(), c.FromIDs("SO000009"), commerce.Query{})
	require.ErrorContains(t, err, `id 1: order "SO000009": the number cannot be resolved: no such number`)
}

func TestReadLines(t *testing.T) {
	t.Parallel()
	want := []string{"1000027", "1000028", "1000029"}
	for name, text := range map[string]string{
		"ids":                "1000027\n1000028\n\n 1000029 \n",
		"ids of Windows":     "\ufeff1000027\r\n1000028\r\n1000029\r\n",
		"ids with a header":  "Order ID\n1000027\n1000028\n1000029",
		"CSV":                "Status,OrderID,Comments\nPF,1000027,\"two\nlines\"\nPF,1000028,\"a, b\"\nPF,1000029,",
		"CSV of Excel":       "order_id;Order Number\n1000027;SO000027\n1000028;\n1000029;SO000029\n",
		"CSV without header": "1000027,SO000027,PF\n1000028,SO000028,PF\n1000029,SO000029,PF\n",
		"tabs":               "Number\tID\nSO000027\t1000027\nSO000028\t1000028\nSO000029\t1000029\n",
		"psql": " OrderID | OrderNumber | OrderStatusID \n---------+-------------+---------------\n " +
			"1000027 | SO000027    | PF\n 1000028 | SO000028    | PF\n 1000029 | SO000029    | PF\n(3 rows)\n\n",
		"psql of one column":      " OrderID \n---------\n 1000027\n 1000028\n 1000029\n(3 rows)\n\n",
		"psql of tuples only":     " 1000027 | SO000027 | PF\n 1000028 | SO000028 | PF\n 1000029 | SO000029 | PF\n",
		"psql that is unaligned":  "OrderID|OrderNumber\n1000027|SO000027\n1000028|SO000028\n1000029|SO000029\n(3 rows)\n",
		"a second column of text": "1000027,Acme 1\n1000028,Acme 2\n1000029,Acme 3\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := client(t, billing.NoLogin(), shop)
			got, err := collect(t.Context(), c.FromText(strings.NewReader(text)), commerce.Query{})
			require.NoError(t, err)
			slices.Sort(got)
			require.Equal(t, want, got)
		})
	}
	c, w := client(t, billing.NoLogin(), shop)
	for _, text := range []string{"", "\n\n", "OrderID\n", " OrderID | OrderNumber\n---------+---\n(0 rows)\n"} {
		got, err := collect(t.Context(), c.FromText(strings.NewReader(text)), commerce.Query{})
		require.NoError(t, err)
		require.Empty(t, got)
	}
	require.Empty(t, w.calls)
}

func TestReadLinesErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"no column of ids", "Status,Customer\nPF,1\n", `line 1: "Status" is neither an order's id nor the name of a column`},
		{"a text between ids", "1000027\nthe next\n", `line 2: "the next" is not the id of an order in Billing`},
		{"an id that is missing", "OrderID,Status\n,PF\n", `line 2: "" is not the id of an order`},
		{"a number that is missing", "Order Number,Status\n,PF\n", "line 2: there is no number"},
		{"a number between ids", "1000027\nSO000028\n", `line 2: order "SO000028": this is an order's number`},
		{"numbers only", "Order Number\nSO000028\n", `give the column OrderID, or WithNumberResolver`},
		{"numbers only, without header", "SO000028\n", `line 1: order "SO000028": this is an order's number`},
		{"a row that is cut", "OrderID,Status\n1000027\n", "line 2: expected 2 columns as in the first line, found 1"},
		{"a table that is cut", " OrderID | S\n-----+---\n 1000027 | PF\n(2 rows)\n",
			"line 4: the text says that it has 2 rows, but it has 1: is it cut?"},
		{"two tables", "OrderID\n1000027\n(1 row)\nOrderID\n", "line 4: something follows the count of rows"},
		{"two columns of ids", "ID,Order ID\n1,2\n", "line 1: columns 1 and 2 are both named as ids"},
		{"two columns of subscriptions", "ID,Subscription,Subscription ID\n1,2,3\n",
			"line 1: columns 2 and 3 are both named as subscriptions"},
		{"two subscriptions in one field", "ID;Subscription\n1;2,3\n", `line 2: "2,3" is not one subscription`},
		{"two columns of numbers", "Number,Order Number\n1,2\n", "line 1: columns 1 and 2 are both named as numbers"},
		{"a quote that does not end", "OrderID,X\n1000027,\"a\n", "line 2: column 12: extraneous"},
		{"UTF-16", "\xff\xfe1\x000\x00", "line 1: the text is UTF-16: save it as UTF-8"},
		{"a line of megabytes", "1|" + strings.Repeat("x", 1<<21), "line 1: bufio.Scanner: token too long"},
		{"an id with separators", "OrderID\n\"1,000,027\"\n", `line 2: "1,000,027" is not the id`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, _ := client(t, billing.NoLogin(), shop)
			got, err := collect(t.Context(), c.FromText(strings.NewReader(tc.text)), commerce.Query{})
			require.ErrorContains(t, err, tc.want)
			require.Empty(t, got)
		})
	}
}

func TestReadLinesNamesTheFile(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/orders.csv"
	require.NoError(t, os.WriteFile(path, []byte("1000027\nx y\n"), 0o600))
	f, err := os.Open(path)
	require.NoError(t, err)
	c, _ := client(t, billing.NoLogin(), shop)
	_, err = collect(t.Context(), c.FromText(f), commerce.Query{})
	require.ErrorContains(t, err, "orders.csv:2: ")
	require.NoError(t, f.Close())
	_, err = collect(t.Context(), c.FromText(f), commerce.Query{})
	require.ErrorIs(t, err, os.ErrClosed)
}

func FuzzFromLines(f *testing.F) {
	f.Add("1000027\n1000028\n")
	f.Add("OrderID;Order Number\n1000027;SO000027\n")
	f.Add(" OrderID | N \n----+----\n 1000027 | SO000027\n(1 row)\n")
	c, _ := client(f, billing.NoLogin(), shop, billing.WithConcurrency(1))
	f.Fuzz(func(t *testing.T, text string) {
		got, err := collect(t.Context(), c.FromText(strings.NewReader(text)), commerce.Query{})
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			require.Empty(t, got)
			return
		}
		for _, id := range got {
			require.Contains(t, text, id)
		}
	})
}
