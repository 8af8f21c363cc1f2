package ordermanager_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/internal/rql"
)

// paged answers lists with the part of the rows that is asked for. rows is called with the
// number of the call, from 0, and what is asked for.
func paged(t *testing.T, rows func(call int, query string) []string) func(*http.Request) (*http.Response, error) {
	t.Helper()
	call := -1
	return func(r *http.Request) (*http.Response, error) {
		call++
		terms, err := rql.Parse(rql.APS, r.URL.RawQuery)
		if err != nil {
			return nil, err
		}
		limit := terms[slices.IndexFunc(terms, func(e rql.Expr) bool { return e.Op == "limit" })]
		start, _ := strconv.Atoi(limit.Args[0].Value)
		count, _ := strconv.Atoi(limit.Args[1].Value)
		all := rows(call, r.URL.RawQuery)
		page := all[min(start, len(all)):min(start+count, len(all))]
		return httpmock.NewStringResponse(200, "["+strings.Join(page, ",")+"]"), nil
	}
}

func row(id, status, at string) string {
	return fmt.Sprintf(`{"orderId":%q,"orderNumber":"SO-%s","type":"SO","status":%q,"orderDate":%q}`, id, id, status, at)
}

func rows(n int, at func(i int) time.Time) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = row(fmt.Sprintf("id-%04d", i), "PF", at(i).UTC().Format(time.RFC3339))
	}
	return all
}

var night = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// sameSecond is a second that many orders were placed in, between others.
func sameSecond(i int) time.Time {
	switch {
	case i < 10:
		return night.Add(time.Duration(i-10) * time.Minute)
	case i < 40:
		return night
	default:
		return night.Add(time.Duration(i) * time.Minute)
	}
}

func shuffled(all []string, seed, call int) []string {
	r := rand.New(rand.NewPCG(uint64(seed), uint64(call)))
	all = slices.Clone(all)
	at := func(s string) string { _, at, _ := strings.Cut(s, "orderDate"); return at }
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	slices.SortStableFunc(all, func(a, b string) int { return strings.Compare(at(a), at(b)) })
	return all
}

func TestOrdersOfSameSecond(t *testing.T) {
	t.Parallel()
	for _, size := range []int{3, 7, 12, 31, 33, 60} {
		for seed := range 20 {
			all := rows(50, sameSecond)
			c, seen := client(t, paged(t, func(call int, _ string) []string { return shuffled(all, seed, call) }),
				ordermanager.WithPageSize(size))
			orders, err := collect(t.Context(), c, commerce.Query{})
			require.NoError(t, err)
			require.Len(t, orders, 50)
			require.True(t, slices.IsSortedFunc(orders,
				func(a, b *commerce.Order) int { return a.PlacedAt.Compare(b.PlacedAt) }), "oldest first")
			if size > 32 { // a page begins before the second and ends after it
				require.LessOrEqual(t, len(*seen), 5, "nothing is read a second time")
			}
		}
	}
}

func TestOrdersOfSameSecondInTestSystem(t *testing.T) {
	t.Parallel()
	sys, err := commercetest.New(commercetest.Config{ShuffleTies: true, Now: func() time.Time { return night }})
	require.NoError(t, err)
	for range 300 {
		sys.Place(commercetest.OrderSpec{})
	}
	for _, size := range []int{7, 100, 500} {
		c, err := ordermanager.New("https://commerce.test", ordermanager.Token(commercetest.DefaultToken),
			ordermanager.WithHTTPClient(&http.Client{Transport: sys.Transport()}), ordermanager.WithPageSize(size))
		require.NoError(t, err)
		orders, err := collect(t.Context(), c, commerce.Query{Sort: commerce.NewestFirst})
		require.NoError(t, err)
		require.Len(t, orders, 300)
	}
}

func TestOrdersOfSameSecondLeave(t *testing.T) {
	t.Parallel()
	for seed := range 50 {
		all := rows(50, sameSecond)
		c, _ := client(t, paged(t, func(call int, _ string) []string {
			return shuffled(all[min(2*call, 9):], seed, call)
		}), ordermanager.WithPageSize(33))
		orders, err := collect(t.Context(), c, commerce.Query{})
		require.NoError(t, err)
		got := ids(orders)
		for i := 9; i < 50; i++ {
			require.Contains(t, got, fmt.Sprintf("id-%04d", i), "seed %d", seed)
		}
	}
}

func TestOrdersSortByID(t *testing.T) {
	t.Parallel()
	all := rows(3, sameSecond)
	t.Run("unless the server rejects it", func(t *testing.T) {
		t.Parallel()
		c, seen := client(t, func(r *http.Request) (*http.Response, error) {
			if strings.Contains(r.URL.RawQuery, "internalId") {
				return httpmock.NewStringResponse(400, `{"error":"RqlError","message":"internalId cannot be sorted by"}`), nil
			}
			return paged(t, func(int, string) []string { return all })(r)
		})
		for range 2 {
			orders, err := collect(t.Context(), c, commerce.Query{})
			require.NoError(t, err)
			require.Len(t, orders, 3)
		}
		rejected := slices.DeleteFunc(slices.Clone(*seen), func(s string) bool { return !strings.Contains(s, "internalId") })
		require.Len(t, rejected, 1, "it is remembered")
	})
	t.Run("and the error stays that of the first request", func(t *testing.T) {
		t.Parallel()
		c, seen := client(t, func(r *http.Request) (*http.Response, error) {
			return httpmock.NewStringResponse(400,
				fmt.Sprintf(`{"error":"RqlError","message":"%t"}`, strings.Contains(r.URL.RawQuery, "internalId"))), nil
		})
		_, err := collect(t.Context(), c, commerce.Query{})
		require.ErrorContains(t, err, "true")
		require.Len(t, *seen, 2)
	})
	t.Run("unless it is switched off", func(t *testing.T) {
		t.Parallel()
		c, seen := client(t, paged(t, func(int, string) []string { return all }), ordermanager.WithoutSortByID())
		_, err := collect(t.Context(), c, commerce.Query{})
		require.NoError(t, err)
		require.NotContains(t, strings.Join(*seen, "\n"), "internalId")
	})
}

func TestOrdersReportsMismatches(t *testing.T) {
	t.Parallel()
	const at = "2026-11-21T02:00:00Z"
	failed := commerce.FailedOrdersView().Query()
	list := func(t *testing.T, q commerce.Query, all ...string) (orders, odd []*commerce.Order, log string, err error) {
		t.Helper()
		var b bytes.Buffer
		c, _ := client(t, paged(t, func(int, string) []string { return all }),
			ordermanager.WithLogger(slog.New(slog.NewTextHandler(&b, nil))))
		orders, err = collect(t.Context(), c, q)
		logged := b.String()
		q.OnMismatch = func(o *commerce.Order) { odd = append(odd, o) }
		b.Reset()
		again, errAgain := collect(t.Context(), c, q)
		require.Equal(t, ids(orders), ids(again))
		require.Equal(t, err, errAgain)
		require.NotContains(t, b.String(), "level=WARN", "the callback takes them")
		return orders, odd, logged, err
	}
	t.Run("by number and reason", func(t *testing.T) {
		t.Parallel()
		orders, odd, log, err := list(t, failed, row("1", "PF", at), row("2", "CP", at), row("3", "PR", at))
		require.NoError(t, err)
		require.Equal(t, []string{"1"}, ids(orders))
		require.Equal(t, []string{"2", "3"}, ids(odd))
		require.Contains(t, log, `2 rows did not match the query: SO-2 (status \"CP\"), SO-3 (status \"PR\")`)
	})
	for name, status := range map[string]string{"pf": `"pf"`, "PROVISIONING_FAILED": `"PROVISIONING_FAILED"`, "ZZ": `"ZZ"`,
		"null": "null", "number": "7"} {
		t.Run("as an order with problems when its status is "+name, func(t *testing.T) {
			t.Parallel()
			bad := fmt.Sprintf(`{"orderId":"2","orderNumber":"SO-2","type":"SO","status":%s,"orderDate":%q}`, status, at)
			orders, odd, _, err := list(t, failed, row("1", "PF", at), bad)
			require.NoError(t, err)
			require.Equal(t, []string{"1", "2"}, ids(orders))
			require.Empty(t, odd)
			require.Empty(t, orders[0].Problems)
			require.Len(t, orders[1].Problems, 1)
			require.Contains(t, orders[1].Problems[0], "status")
			require.Empty(t, orders[1].Status)

			_, _, _, err = list(t, failed, bad)
			require.ErrorContains(t, err,
				"none of the rows that the server returned is what it was asked for: 1 row did not match the query: SO-2")
		})
	}
	t.Run("as an error when none matches", func(t *testing.T) {
		t.Parallel()
		_, _, _, err := list(t, failed, row("1", "CP", at), row("2", "CP", at))
		require.ErrorContains(t, err,
			`commerce: list orders: none of the rows that the server returned is what it was asked for: 2 rows did not match `+
				`the query: `+
				`SO-1 (status "CP"), SO-2 (status "CP")`)
	})
	t.Run("but not when the server was not asked", func(t *testing.T) {
		t.Parallel()
		for name, q := range map[string]commerce.Query{
			"ids":              {IDs: []string{"9"}},
			"too many numbers": {Numbers: numbered(500)},
			"half a second":    {PlacedFrom: night.Add(time.Second / 2)},
		} {
			orders, odd, log, err := list(t, q, row("1", "PF", at))
			require.NoError(t, err, name)
			require.Empty(t, orders)
			require.Empty(t, odd)
			require.NotContains(t, log, "level=WARN")
		}
		c, _ := client(t, paged(t, func(int, string) []string { return []string{row("1", "CP", at)} }),
			ordermanager.WithoutServerFilters(ordermanager.FilterStatus))
		orders, err := collect(t.Context(), c, failed)
		require.NoError(t, err)
		require.Empty(t, orders)
	})
}

func TestOrdersWithoutContent(t *testing.T) {
	t.Parallel()
	c, _ := client(t, answers(204, ""))
	_, err := collect(t.Context(), c, commerce.FailedOrdersView().Query())
	require.ErrorContains(t, err, "HTTP 204 No Content: the answer is null, not a list")
}
