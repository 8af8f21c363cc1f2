package connect_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/connect"
)

func listed(t testing.TB, client *connect.Client, q connect.RequestQuery) ([]string, error) {
	t.Helper()
	var found []string
	for r, err := range client.Requests(t.Context(), q) {
		if err != nil {
			return found, err
		}
		found = append(found, r.ID)
	}
	return found, nil
}

func idsOf(rows []fakeRow) []string {
	var all []string
	for _, r := range rows {
		all = append(all, r.id)
	}
	return all
}

func TestPagingYieldsEachRowOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		rows := purchases(rapid.IntRange(0, 40).Draw(rt, "rows"))
		size := rapid.IntRange(2, 15).Draw(rt, "page size")
		fake := &fakeConnect{rows: rows, noRange: rapid.Bool().Draw(rt, "no Content-Range")}
		fake.most = rapid.SampledFrom([]int{0, 2, 3, 12}).Draw(rt, "largest page")
		got, err := listed(t, clientOver(t, fake, connect.WithPageSize(size)), connect.RequestQuery{})
		require.NoError(rt, err)
		require.Equal(rt, idsOf(rows), got)
	})
}

func TestPagingChecksTheEnd(t *testing.T) {
	t.Parallel()
	for rows, calls := range map[int]int{0: 1, 1: 2, 9: 2, 10: 2, 11: 3, 18: 3, 19: 4, 26: 4} {
		fake := &fakeConnect{rows: purchases(rows)}
		_, err := listed(t, clientOver(t, fake, connect.WithPageSize(10)), connect.RequestQuery{})
		require.NoError(t, err)
		require.Len(t, fake.queries, calls, "%d rows", rows)
	}
}

func TestPagingWhileRowsLeave(t *testing.T) {
	t.Parallel()
	rows := purchases(30)
	fake := &fakeConnect{rows: rows, before: func(call int, f *fakeConnect) {
		if call == 2 { // the first page has been read: three of its rows go
			f.rows = f.rows[3:]
		}
	}}
	got, err := listed(t, clientOver(t, fake, connect.WithPageSize(10)), connect.RequestQuery{})
	require.NoError(t, err)
	require.ElementsMatch(t, idsOf(rows), got)
}

func TestPagingWhileRowsLeaveAndAppear(t *testing.T) {
	t.Parallel()
	rows := purchases(31)
	fake := &fakeConnect{rows: rows[:30], before: func(call int, f *fakeConnect) {
		if call == 2 { // the total stays as it was
			f.rows = rows[1:]
		}
	}}
	got, err := listed(t, clientOver(t, fake, connect.WithPageSize(10)), connect.RequestQuery{})
	require.NoError(t, err)
	require.ElementsMatch(t, idsOf(rows), got)
}

func TestPagingRejectsRepeatedPage(t *testing.T) {
	t.Parallel()
	client := clientOver(t, responding(func() *http.Response {
		resp := answer(http.StatusOK, `[{"id":"PR-1"},{"id":"PR-2"}]`)
		resp.Header.Set("Content-Range", "items 0-1/9")
		return resp
	}), connect.WithPageSize(2))
	got, err := listed(t, client, connect.RequestQuery{})
	require.ErrorContains(t, err, "returns the same rows for different positions")
	require.Equal(t, []string{"PR-1", "PR-2"}, got)
}

func TestPagingWhileRowsAppear(t *testing.T) {
	t.Parallel()
	rows := purchases(25)
	fake := &fakeConnect{rows: rows[:20], before: func(call int, f *fakeConnect) {
		if call == 2 {
			f.rows = rows
		}
	}}
	q := connect.RequestQuery{NewestFirst: true} // what is new shifts all that is old
	got, err := listed(t, clientOver(t, fake, connect.WithPageSize(10)), q)
	require.NoError(t, err)
	require.ElementsMatch(t, idsOf(rows[:20]), got)
}

func TestPagingIncompleteListIsAnError(t *testing.T) {
	t.Parallel()
	row := `{"id":"PR-1","type":"purchase","created":"2026-01-10T10:02:00Z"}`
	for name, test := range map[string]struct {
		body, contentRange, says string
	}{
		"no rows although the total says there are": {`[]`, "items 0-0/3", "no rows of 3"},
		"the same page again and no total":          {`[` + row + `]`, "", "returns the same rows for different positions"},
		"a row that is broken": {`[` + row + `,{"id":"PR-2","created":"soon"}]`, "items 0-1/2",
			`row 1: `},
		"a row that is null":             {`[` + row + `,null]`, "items 0-1/2", `row 1: the request has no id`},
		"null in place of the list":      {`null`, "items 0-0/0", "null where a list should be"},
		"an object in place of the list": {`{"results":[]}`, "items 0-1/2", "cannot unmarshal object"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := clientOver(t, responding(func() *http.Response {
				resp := answer(http.StatusOK, test.body)
				if test.contentRange != "" {
					resp.Header.Set("Content-Range", test.contentRange)
				}
				return resp
			}), connect.WithPageSize(2))
			_, err := listed(t, client, connect.RequestQuery{})
			require.ErrorContains(t, err, test.says)
			require.NotContains(t, err.Error(), "\n")
			require.NotErrorIs(t, err, connect.ErrUnavailable)
		})
	}
}

func TestPagingErrorOnLaterPage(t *testing.T) {
	t.Parallel()
	fake := &fakeConnect{rows: purchases(25), refuse: func(query string) *http.Response {
		if strings.Contains(query, "offset=8") {
			return page(http.StatusBadGateway, "<html>")
		}
		return nil
	}}
	got, err := listed(t, clientOver(t, fake, connect.WithPageSize(10)), connect.RequestQuery{})
	require.ErrorIs(t, err, connect.ErrUnavailable)
	require.Len(t, got, 10)
}

func TestPagingStopsOnBreak(t *testing.T) {
	t.Parallel()
	fake := &fakeConnect{rows: purchases(25)}
	for _, err := range clientOver(t, fake, connect.WithPageSize(10)).Requests(t.Context(), connect.RequestQuery{}) {
		require.NoError(t, err)
		break
	}
	require.Len(t, fake.queries, 1)
}

func TestContentRange(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]int{
		"items 0-99/250": 250, "items 0-0/0": 0, "items */7": 7, " Items 0-1/2 ": 2,
		"": -1, "items": -1, "items 0-9": -1, "items 0-9/*": -1, "items 0-9/-1": -1, "bytes 0-9/10": -1,
		"items a-b/10": -1, "items 0-9/99999999999999999999": -1, "items 0-9/1/2": -1,
		"items 0/2822222222": -1,
	} {
		n, ok := connect.ParseContentRange(header)
		if want < 0 {
			require.False(t, ok, header)
			require.Zero(t, n, header)
			continue
		}
		require.True(t, ok, header)
		require.Equal(t, want, n, header)
	}
}

func FuzzContentRange(f *testing.F) {
	for _, seed := range []string{"items 0-99/250", "items */0", "items 0-0/", "/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		n, ok := connect.ParseContentRange(header)
		if !ok {
			require.Zero(t, n)
			return
		}
		require.GreaterOrEqual(t, n, 0)
		again, ok := connect.ParseContentRange(fmt.Sprintf("items 0-0/%d", n))
		require.True(t, ok)
		require.Equal(t, n, again)
	})
}
