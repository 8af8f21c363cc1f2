package simpleapi_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
)

func TestListOfShuffledPages(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := &table{rows: upTo(30)}
		s.change = func() { r.Shuffle(30, func(i, j int) { s.rows[i], s.rows[j] = s.rows[j], s.rows[i] }) }
		c, _ := client(t, s.answer, simpleapi.WithPageSize(7))
		orders, err := collect(t.Context(), c, commerce.Query{})
		require.NoError(t, err)
		require.Len(t, orders, 30, "seed %d", seed)
	}
}

func TestOrdersOfSameTimeInTestSystem(t *testing.T) {
	t.Parallel()
	sys, err := commercetest.New(commercetest.Config{ShuffleTies: true,
		Now: func() time.Time { return time.Unix(1e9, 0) }})
	require.NoError(t, err)
	for range 100 {
		sys.Place(commercetest.OrderSpec{})
	}
	login := simpleapi.GatewayToken(commercetest.DefaultSimpleKey, simpleapi.GatewayLogin{
		User: commercetest.DefaultSimpleUser, Password: commercetest.DefaultSimplePassword, Marketplace: "us",
	})
	c, err := simpleapi.New(commercetest.URLsAt("https://commerce.test").SimpleAPI, login,
		simpleapi.WithHTTPClient(&http.Client{Transport: sys.Transport()}), simpleapi.WithPageSize(30))
	require.NoError(t, err)
	orders, err := collect(t.Context(), c, commerce.Query{})
	require.NoError(t, err)
	require.Len(t, orders, 100)
}

func TestOrdersReportsMismatches(t *testing.T) {
	t.Parallel()
	row := func(id int, status, code string) string {
		return fmt.Sprintf(
			`{"id":"%d","orderNumber":"SO-%d","type":"sales","status":%s,"statusCode":%s,"creationDate":"2026-11-21T02:00:00Z"}`,
			id, id, status, code)
	}
	list := func(t *testing.T, q commerce.Query, rows ...string) (orders, odd []*commerce.Order, err error) {
		t.Helper()
		c, _ := client(t, answers(200,
			fmt.Sprintf(`{"data":[%s],"pagination":{"offset":0,"limit":100,"total":%d}}`, strings.Join(rows, ","), len(rows))))
		q.OnMismatch = func(o *commerce.Order) { odd = append(odd, o) }
		orders, err = collect(t.Context(), c, q)
		return orders, odd, err
	}
	failed := commerce.FailedOrdersView().Query()
	good := row(1, `"error"`, `"PF"`)
	t.Run("when the server ignores the filter", func(t *testing.T) {
		t.Parallel()
		orders, odd, err := list(t, failed, good, row(2, `"completed"`, `"CP"`))
		require.NoError(t, err)
		require.Equal(t, []string{"1"}, ids(orders))
		require.Equal(t, []string{"2"}, ids(odd))
		_, _, err = list(t, failed, row(2, `"completed"`, `"CP"`), row(3, `"completed"`, `"CP"`))
		require.ErrorContains(t, err, `2 rows did not match the query: SO-2 (status "CP"), SO-3 (status "CP")`)
	})
	t.Run("when a reseller's list ignores the word", func(t *testing.T) {
		t.Parallel()
		q := failed
		q.Account = "7"
		orders, odd, err := list(t, q, good, row(2, `"completed"`, `"CP"`), row(3, `"error"`, `"AF"`))
		require.NoError(t, err)
		require.Equal(t, []string{"1"}, ids(orders))
		require.Equal(t, []string{"2"}, ids(odd), "AF is an error as well, and was not asked to be left out")
		_, _, err = list(t, q, row(2, `"completed"`, `"CP"`))
		require.ErrorContains(t, err, `1 row did not match the query: SO-2 (status "completed")`)
	})
	for name, bad := range map[string]string{
		"pf": row(2, `"error"`, `"pf"`), "PROVISIONING_FAILED": row(2, `"error"`, `"PROVISIONING_FAILED"`),
		"missing": row(2, `null`, `null`), "failed": row(2, `"failed"`, `null`),
	} {
		t.Run("as an order with problems when its status is "+name, func(t *testing.T) {
			t.Parallel()
			orders, odd, err := list(t, failed, good, bad)
			require.NoError(t, err)
			require.Equal(t, []string{"1", "2"}, ids(orders))
			require.Empty(t, odd)
			require.Len(t, orders[1].Problems, 1)
			_, _, err = list(t, failed, bad)
			require.ErrorContains(t, err, "1 row did not match the query: SO-2")
		})
	}
}

func TestListWithoutContent(t *testing.T) {
	t.Parallel()
	for status, body := range map[int]string{204: "", 200: `{"pagination":{"total":3}}`} {
		c, _ := client(t, answers(status, body))
		_, err := collect(t.Context(), c, commerce.Query{})
		require.ErrorContains(t, err, "the answer has no list of data")
	}
}

func TestListWithUnfilteredTotal(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, opts := range map[string]simpleapi.ListConditions{
		"customer": {CustomerID: "1"}, "subscription": {SubscriptionID: "1"}, "number": {Number: "SO-1"},
		"status": {Status: "error"},
		"code":   {StatusCode: "PF"}, "from": {CreatedFrom: at}, "to": {CreatedTo: at},
		"reseller": {Reseller: "7", Status: "error"},
	} {
		for _, n := range []int{0, 1, 10, 28} {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				t.Parallel()
				var log bytes.Buffer
				s := &table{rows: upTo(n), total: func(int, int) any { return 4000 }}
				c, _ := client(t, s.answer, simpleapi.WithPageSize(10),
					simpleapi.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
				shown := 0
				for _, err := range c.ListUnchecked(t.Context(), opts) {
					require.NoError(t, err)
					shown++
				}
				require.Equal(t, n, shown)
				require.Contains(t, log.String(), fmt.Sprintf("total=4000 shown=%d", n))
				require.LessOrEqual(t, s.asked, 8, "it is not read again and again")
			})
		}
	}
}

func TestListWithMatchingTotal(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := &table{rows: upTo(28)}
	c, _ := client(t, s.answer, simpleapi.WithPageSize(10), simpleapi.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	for _, err := range c.ListUnchecked(t.Context(), simpleapi.ListConditions{StatusCode: "PF"}) {
		require.NoError(t, err)
	}
	require.Empty(t, log.String())
}

func TestListWithTooLargeTotal(t *testing.T) {
	t.Parallel()
	s := &table{rows: upTo(28), total: func(int, int) any { return 40 }}
	c, _ := client(t, s.answer, simpleapi.WithPageSize(10))
	for _, q := range []commerce.Query{{}, {Account: "7"}} { // no condition
		_, err := collect(t.Context(), c, q)
		require.ErrorContains(t, err, "the server reports 40 rows and returns 28")
	}
}
