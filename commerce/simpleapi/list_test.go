package simpleapi_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
)

const empty = `{"data":[],"pagination":{"offset":0,"limit":100,"total":0}}`

func TestOrdersAsksTheServerToFilter(t *testing.T) {
	t.Parallel()
	const page = "limit=100&offset=0"
	at := time.Date(2026, 11, 1, 1, 0, 0, 1, time.FixedZone("", 3600))
	pf := []commerce.Status{"PF"}
	for _, tc := range []struct {
		name  string
		query commerce.Query
		opts  []simpleapi.Option
		want  string
	}{
		{"nothing", commerce.Query{}, nil, "orders?" + page},
		{"failed orders by word and code", commerce.FailedOrdersView().Query(), nil,
			"orders?" + page + "&status=error&statusCode=PF"},
		{"a status without a word by its code", commerce.Query{Statuses: []commerce.Status{"LO"}}, nil,
			"orders?" + page + "&statusCode=LO"},
		{"several statuses not at all", commerce.Query{Statuses: []commerce.Status{"PF", "LO"}}, nil, "orders?" + page},
		{"a reseller's by word alone", commerce.Query{Account: "1/2", Statuses: pf, Numbers: []string{"SO1"}}, nil,
			"resellers/1%2F2/orders?" + page + "&status=error"},
		{"a number", commerce.Query{Numbers: []string{"SO 1"}}, nil, "orders?" + page + "&orderNumber=SO+1"},
		{"several numbers, ids, types and patterns not at all",
			commerce.Query{Numbers: []string{"SO1", "SO2"}, IDs: []string{"1"}, NumberLike: "S*",
				Types: []commerce.OrderType{"SO"}}, nil, "orders?" + page},
		{"bounds in whole seconds that let through enough", commerce.Query{PlacedFrom: at, PlacedTo: at}, nil,
			"orders?creationTimeFrom=2026-10-31T23%3A59%3A59Z&creationTimeTo=2026-11-01T00%3A00%3A01Z&" + page},
		{"other words", commerce.Query{Statuses: pf},
			[]simpleapi.Option{simpleapi.WithStatusWords(map[string]commerce.Status{"broken": "PF"})},
			"orders?" + page + "&status=broken&statusCode=PF"},
		{"a word that covers several statuses is for none", commerce.Query{Statuses: pf},
			[]simpleapi.Option{simpleapi.WithStatusWords(map[string]commerce.Status{"a": "PF", "b": "PF", "c": "PF"})},
			"orders?" + page + "&statusCode=PF"},
		{"without what the installation does not know", commerce.Query{Statuses: pf, Numbers: []string{"SO1"}, PlacedTo: at},
			[]simpleapi.Option{simpleapi.WithoutServerFilters("status", "statusCode", "creationTime", "orderNumber"),
				simpleapi.WithPageSize(7)},
			"orders?limit=7&offset=0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, seen := client(t, answers(200, empty), tc.opts...)
			orders, err := collect(t.Context(), c, tc.query)
			require.NoError(t, err)
			require.Empty(t, orders)
			require.Equal(t, []string{"GET /marketplace/" + tc.want}, seen.all())
		})
	}
}

func TestListSendsConditions(t *testing.T) {
	t.Parallel()
	c, seen := client(t, answers(200, empty))
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for range c.ListUnchecked(t.Context(), simpleapi.ListConditions{
		CustomerID: "1", SubscriptionID: "2", Number: "SO3", Status: "error", StatusCode: "PF", CreatedFrom: at,
		CreatedTo: at,
	}) {
		t.Fatal("there is no order")
	}
	require.Equal(t,
		[]string{"GET /marketplace/orders?creationTimeFrom=2026-11-01T00%3A00%3A00Z&creationTimeTo=2026-11-01T00%3A00%3A00Z" +
			"&customerId=1&limit=100&offset=0&orderNumber=SO3&status=error&statusCode=PF&subscriptionId=2"}, seen.all())

	for want, opts := range map[string]simpleapi.ListConditions{
		"the reseller's id":                           {Reseller: ".."},
		"cannot be filtered by number or status code": {Reseller: "1", StatusCode: "PF"},
		"a reseller cannot":                           {Reseller: "1", Number: "SO1"},
	} {
		for _, err := range c.ListUnchecked(t.Context(), opts) {
			require.ErrorContains(t, err, want)
			require.Equal(t, commerce.DeliveryNotSent, commerceError(t, err).Delivery)
		}
	}
	require.Len(t, seen.all(), 1)
}

func TestOrdersReadsAndSortsTheGoldenList(t *testing.T) {
	t.Parallel()
	c, seen := client(t, answers(200, golden(t, "list.json")))
	orders, err := collect(t.Context(), c, commerce.Query{})
	require.NoError(t, err)
	require.Len(t, seen.all(), 2, "one more request checks that this is all")
	require.Equal(t, []string{"1000027", "1000028", "1000029"}, ids(orders), "oldest first")

	so, ch, other := orders[0], orders[1], orders[2]
	require.Equal(t, commerce.StatusProvisioningFailed, so.Status, "by its word, as it has no code")
	require.Equal(t, "1000005", so.CustomerID)
	require.True(t, so.Total.IsZero())
	require.Contains(t, string(so.Raw), "aFieldOfNextYear")
	require.Equal(t, commerce.TypeChange, ch.Type)
	require.Equal(t, "70.50 USD", ch.Total.String())
	require.Empty(t, ch.SubscriptionIDs)
	require.Equal(t, commerce.OrderType("migration"), other.Type)
	require.Equal(t, commerce.StatusCompleted, other.Status)

	orders, err = collect(t.Context(), c, commerce.Query{Sort: commerce.NewestFirst, Limit: 2})
	require.NoError(t, err)
	require.Equal(t, []string{"1000029", "1000028"}, ids(orders), "the limit counts after sorting")
	orders, err = collect(t.Context(), c, commerce.Query{Statuses: []commerce.Status{"PF"},
		Types: []commerce.OrderType{"SO"}})
	require.NoError(t, err)
	require.Equal(t, []string{"1000027"}, ids(orders), "what the server let through is checked")
	_, err = collect(t.Context(), c, commerce.Query{Limit: -1})
	require.ErrorContains(t, err, "must not be negative")
}

func TestOrdersOfSameTimeAreSortedByID(t *testing.T) {
	t.Parallel()
	c, _ := client(t, answers(200, `{"data":[{"id":"100"},{"id":"21"},{"id":"20"}],"pagination":{"total":3}}`))
	orders, err := collect(t.Context(), c, commerce.Query{})
	require.NoError(t, err)
	require.Equal(t, []string{"20", "21", "100"}, ids(orders))
}

func TestOrdersStopsOnBreak(t *testing.T) {
	t.Parallel()
	c, seen := client(t, (&table{rows: upTo(30)}).answer, simpleapi.WithPageSize(10))
	for _, err := range c.ListUnchecked(t.Context(), simpleapi.ListConditions{}) {
		require.NoError(t, err)
		break
	}
	require.Len(t, seen.all(), 1)
	for _, err := range c.Orders(t.Context(), commerce.Query{}) {
		require.NoError(t, err)
		break
	}
}

func TestOrdersRejectsOtherAnswersThanLists(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ body, want string }{
		{"<html>login</html>", "the answer is not JSON but"},
		{`[]`, "not what was expected"},
		{`{"data":{}}`, "not what was expected"},
		{`{"data":[{"id":1}`, "not valid JSON"},
		{``, "the answer is empty"},
		{`null`, "the answer has no list of data"},
		{`{}`, "the answer has no list of data"},
		{`{"data":null,"pagination":{"total":3}}`, "the answer has no list of data"},
	} {
		c, _ := client(t, answers(200, tc.body))
		orders, err := collect(t.Context(), c, commerce.Query{})
		require.ErrorContains(t, err, tc.want, tc.body)
		require.Empty(t, orders)
		require.Equal(t, 200, commerceError(t, err).HTTPStatus)
	}
	c, _ := client(t, answers(200, `{"data":null,"pagination":{"total":0}}`))
	orders, err := collect(t.Context(), c, commerce.Query{})
	require.NoError(t, err)
	require.Empty(t, orders)
	c, _ = client(t, answers(204, ""))
	_, err = collect(t.Context(), c, commerce.Query{})
	require.ErrorContains(t, err, "HTTP 204 No Content: the answer has no list of data")
}

// table is a list on a server, in the order of its rows. change, when set, is
// called after each answer.
type table struct {
	rows   []int
	most   int  // rows a page at the most, whatever is asked for; 0: no bound
	silent bool // says the limit that was asked for, not the one it keeps
	total  func(page, all int) any
	change func()
	asked  int
}

func (s *table) answer(r *http.Request) (*http.Response, error) {
	start, err := strconv.Atoi(r.URL.Query().Get("offset"))
	if err != nil {
		return nil, err
	}
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil {
		return nil, err
	}
	count := limit
	if s.most > 0 {
		count = min(count, s.most)
	}
	if !s.silent {
		limit = count
	}
	s.asked++
	from := min(start, len(s.rows))
	page := s.rows[from:min(from+count, len(s.rows))]
	data := make([]map[string]any, len(page))
	for i, key := range page {
		data[i] = map[string]any{"id": key}
	}
	pagination := map[string]any{"offset": start, "limit": limit, "total": len(s.rows)}
	if s.total != nil {
		pagination["total"] = s.total(len(page), len(s.rows))
	}
	body, err := json.Marshal(map[string]any{"data": data, "pagination": pagination})
	if s.change != nil {
		s.change()
	}
	return httpmock.NewBytesResponse(200, body), err
}

func upTo(n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}

func ids(orders []*commerce.Order) []string {
	s := make([]string, len(orders))
	for i, o := range orders {
		s[i] = o.ID
	}
	return s
}

// Several pages are read twice, because the server could sort differently each time.
func TestListRequestCount(t *testing.T) {
	t.Parallel()
	untold := func(int, int) any { return nil }
	ofPage := func(page, _ int) any { return page }
	zero := func(int, int) any { return 0 }
	text := func(_, all int) any { return strconv.Itoa(all) }
	for _, tc := range []struct {
		name  string
		table table
		asked int
	}{
		{"an empty list", table{}, 1},
		{"one row", table{rows: upTo(1)}, 2},
		{"a short page and one more request", table{rows: upTo(9)}, 2},
		{"a total as text", table{rows: upTo(9), total: text}, 2},
		{"a full page and one more request", table{rows: upTo(10)}, 2},
		{"pages overlap by one row", table{rows: upTo(27)}, 7},
		{"a server that cuts pages short", table{rows: upTo(28), most: 4}, 20},
		{"a server that cuts pages short and does not say so", table{rows: upTo(28), most: 4, silent: true}, 20},
		{"no total", table{rows: upTo(28), total: untold}, 8},
		{"a total of zero", table{rows: upTo(28), total: zero}, 8},
		{"a total that counts the page", table{rows: upTo(28), total: ofPage}, 8},
		{"a server that does not say so and counts the page",
			table{rows: upTo(28), most: 4, silent: true, total: ofPage}, 20},
		{"a server of ten a page whose total counts the page", table{rows: upTo(28), most: 5, total: ofPage}, 16},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, _ := client(t, tc.table.answer, simpleapi.WithPageSize(10))
			orders, err := collect(t.Context(), c, commerce.Query{})
			require.NoError(t, err)
			require.Equal(t, tc.asked, tc.table.asked)
			require.Len(t, orders, len(tc.table.rows))
			for i, o := range orders {
				require.Equal(t, strconv.Itoa(tc.table.rows[i]), o.ID)
			}
		})
	}
}

func TestListOfServersThatPageWrongly(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]answer{
		"a server that ignores the offset": answers(200, `{"data":[{"id":1},{"id":2}],"pagination":{"total":9}}`),
		"one row a page":                   (&table{rows: upTo(5), most: 1}).answer,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, seen := client(t, answer, simpleapi.WithPageSize(10))
			_, err := collect(t.Context(), c, commerce.Query{})
			require.Regexp(t, "the server returns (the same rows for different positions|one row per page)", err.Error())
			require.Less(t, len(seen.all()), 100)
		})
	}
}

func TestListMissesNoStayingOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 60).Draw(rt, "rows")
		s := &table{most: rapid.SampledFrom([]int{0, 2, 3, 5}).Draw(rt, "most"), silent: rapid.Bool().Draw(rt, "silent")}
		if rapid.Bool().Draw(rt, "without total") {
			s.total = func(int, int) any { return nil }
		}
		for i := range n {
			s.rows = append(s.rows, i*1000)
		}
		stay := map[int]bool{}
		for _, key := range s.rows {
			stay[key] = true
		}
		changes := rapid.IntRange(0, 40).Draw(rt, "changes")
		s.change = func() {
			if changes--; changes < 0 {
				return
			}
			for range rapid.IntRange(0, 12).Draw(rt, "leave") {
				if len(s.rows) > 0 {
					at := rapid.IntRange(0, len(s.rows)-1).Draw(rt, "at")
					delete(stay, s.rows[at])
					s.rows = slices.Delete(s.rows, at, at+1)
				}
			}
			for range rapid.IntRange(0, 6).Draw(rt, "enter") {
				key := rapid.IntRange(0, 60_000).Draw(rt, "key")
				if at, found := slices.BinarySearch(s.rows, key); !found && key%1000 != 0 {
					s.rows = slices.Insert(s.rows, at, key)
				}
			}
		}
		c, _ := client(t, s.answer, simpleapi.WithPageSize(rapid.IntRange(2, 12).Draw(rt, "size")))
		orders, err := collect(t.Context(), c, commerce.Query{})
		require.NoError(rt, err)
		got := ids(orders)
		for key := range stay {
			require.Contains(rt, got, strconv.Itoa(key))
		}
		slices.Sort(got)
		require.Len(rt, slices.Compact(got), len(orders), "each order once")
	})
}

func TestOrdersSorts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(rt, "rows")
		rows := make([]string, n)
		base := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
		for i := range rows {
			placed := base.Add(time.Duration(rapid.IntRange(0, 20).Draw(rt, "minute")) * time.Minute)
			rows[i] = fmt.Sprintf(`{"id":%d,"creationDate":%q}`, i+1, placed.Format(time.RFC3339))
		}
		shuffle := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		shuffle.Shuffle(n, func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		body := fmt.Sprintf(`{"data":[%s],"pagination":{"total":%d}}`, strings.Join(rows, ","), n)
		c, _ := client(t, answers(200, body))
		newest := rapid.Bool().Draw(rt, "newest")
		q := commerce.Query{}
		if newest {
			q.Sort = commerce.NewestFirst
		}
		orders, err := collect(t.Context(), c, q)
		require.NoError(rt, err)
		require.Len(rt, orders, n)
		for i := 1; i < n; i++ {
			a, b := orders[i-1].PlacedAt, orders[i].PlacedAt
			require.False(rt, !newest && b.Before(a) || newest && a.Before(b))
		}
	})
}
