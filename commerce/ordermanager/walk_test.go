package ordermanager_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/internal/rql"
)

// table is a list on a server, sorted by key. change, when set, is called after
// each answer.
type table struct {
	rows   []int
	most   int // rows a page at the most, whatever is asked for; 0: no bound
	count  int // answers with this total in Content-Range; 0: without
	least  int // rows a page at least, while there are; 0: as asked for
	change func()
	asked  int
}

func (s *table) answer(r *http.Request) (*http.Response, error) {
	terms, err := rql.Parse(rql.APS, r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	limit := terms[slices.IndexFunc(terms, func(e rql.Expr) bool { return e.Op == "limit" })]
	start, err := strconv.Atoi(limit.Args[0].Value)
	if err != nil {
		return nil, err
	}
	count, err := strconv.Atoi(limit.Args[1].Value)
	if err != nil {
		return nil, err
	}
	if s.most > 0 {
		count = min(count, s.most)
	}
	count = max(count, s.least)
	s.asked++
	from := min(start, len(s.rows))
	page := s.rows[from:min(from+count, len(s.rows))]
	objects := make([]string, len(page))
	for i, key := range page {
		objects[i] = fmt.Sprintf(`{"orderId":%d}`, key)
	}
	resp := httpmock.NewStringResponse(http.StatusPartialContent, "["+strings.Join(objects, ",")+"]")
	if s.count > 0 {
		resp.Header.Set("Content-Range", fmt.Sprintf("items %d-%d/%d", from, from+len(page)-1, s.count))
	}
	if s.change != nil {
		s.change()
	}
	return resp, nil
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

// Lists without dates are read twice, because the server could sort differently each time.
func TestListRequestCount(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		table table
		asked int
	}{
		{"an empty list", table{}, 1},
		{"one row", table{rows: upTo(1)}, 2},
		{"a short page and one more request, twice", table{rows: upTo(9)}, 4},
		{"exactly one page and one more request, twice", table{rows: upTo(10)}, 4},
		{"pages overlap by one row", table{rows: upTo(28)}, 8},
		{"a server that cuts pages short", table{rows: upTo(28), most: 4}, 20},
		{"a count, which no source promises, is not believed", table{rows: upTo(28), count: 10}, 8},
		{"a server that gives more than asked for, and not all", table{rows: upTo(28), least: 15}, 6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, _ := client(t, tc.table.answer, ordermanager.WithPageSize(10))
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

func TestListWhileOrdersLeave(t *testing.T) {
	t.Parallel()
	// After each page the first nine rows are resubmitted and leave, until 500 are left.
	s := &table{rows: upTo(1000)}
	s.change = func() { s.rows = s.rows[min(9, len(s.rows)-500):] }
	c, _ := client(t, s.answer, ordermanager.WithPageSize(10))
	orders, err := collect(t.Context(), c, commerce.Query{})
	require.NoError(t, err)
	got := ids(orders)
	for _, key := range s.rows {
		require.Contains(t, got, strconv.Itoa(key))
	}
	require.Len(t, s.rows, 500)
	require.Less(t, s.asked, 300, "stepping back must not cost more than the walk")
}

func TestListOfServersThatPageWrongly(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(*http.Request) (*http.Response, error){
		"a server that ignores limit": answers(200, `[{"orderId":1},{"orderId":2}]`),
		"a server that ignores limit and gives more than asked for": answers(200,
			"["+strings.Repeat(`{"orderId":1},{"orderId":2},`, 9)+`{"orderId":3}]`),
		"one row a page": (&table{rows: upTo(5), most: 1}).answer,
		"a row that is always new": func() func(*http.Request) (*http.Response, error) {
			n := 0
			return func(r *http.Request) (*http.Response, error) {
				if strings.Contains(r.URL.RawQuery, "limit(0,") {
					return httpmock.NewStringResponse(200, `[{"orderId":"a"},{"orderId":"b"}]`), nil
				}
				n++
				return httpmock.NewStringResponse(200, fmt.Sprintf(`[{"orderId":%d}]`, n)), nil
			}
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, seen := client(t, answer, ordermanager.WithPageSize(10))
			_, err := collect(t.Context(), c, commerce.Query{})
			switch {
			case strings.HasPrefix(name, "a server that ignores limit"):
				require.ErrorContains(t, err, "the server returns the same rows for different positions")
			case name == "one row a page":
				require.ErrorContains(t, err, "the server returns one row per page")
			default:
				require.ErrorContains(t, err, "the list keeps changing")
			}
			require.Less(t, len(*seen), 100)
		})
	}
}

func TestListMissesNoStayingOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 60).Draw(rt, "rows")
		s := &table{most: rapid.SampledFrom([]int{0, 2, 3, 5}).Draw(rt, "most")}
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
		c, _ := client(t, s.answer, ordermanager.WithPageSize(rapid.IntRange(2, 12).Draw(rt, "size")))
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
