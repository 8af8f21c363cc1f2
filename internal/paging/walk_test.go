package paging_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/internal/paging"
)

// server is a list with pages.
type server struct {
	rows   []paging.Row
	cap    func() int        // the most rows of a page; nil: as asked for
	total  func(end int) int // by the end of the page; nil: unknown
	before func()            // called before each answer
	hidden map[string]bool   // rows that the answers show without their key
	full   bool              // the walk knows the largest page
	asked  int
}

func (s *server) answer(start, size int) ([]paging.Row, int) {
	s.asked++
	if s.before != nil {
		s.before()
	}
	size = s.largest(size)
	from := min(start, len(s.rows))
	to := min(from+size, len(s.rows))
	total := paging.Unknown
	if s.total != nil {
		total = s.total(to)
	}
	page := slices.Clone(s.rows[from:to])
	for i, r := range page {
		if s.hidden[r.ID] {
			page[i].Key = paging.NoKey
		}
	}
	return page, total
}

func (s *server) largest(size int) int {
	if s.cap != nil {
		return min(size, s.cap())
	}
	return size
}

// walk reads a list to its end.
func (s *server) walk(size int) (got []string, err error) {
	w := paging.New(size)
	if s.full {
		w.Full = s.largest(size)
	}
	for !w.Done() {
		page, total := s.answer(w.Start(), w.Size())
		for _, i := range w.Take(page, total) {
			got = append(got, page[i].ID)
		}
		if err := w.Err(); err != nil {
			return got, err
		}
	}
	return got, nil
}

// shuffle puts rows with equal keys into another order.
func (s *server) shuffle(r *rand.Rand) {
	s.rows = slices.Clone(s.rows)
	r.Shuffle(len(s.rows), func(i, j int) { s.rows[i], s.rows[j] = s.rows[j], s.rows[i] })
	slices.SortStableFunc(s.rows, func(a, b paging.Row) int { return cmp.Compare(a.Key, b.Key) })
}

// listOf draws a list whose groups of rows with equal keys have at most a number of rows.
func listOf(rt *rapid.T, most int) []paging.Row {
	var rows []paging.Row
	for key := range rapid.IntRange(0, 25).Draw(rt, "keys") {
		for range rapid.IntRange(1, most).Draw(rt, "rows of the key") {
			rows = append(rows, paging.Row{ID: strconv.Itoa(len(rows)), Key: int64(1 + 2*key)})
		}
	}
	return rows
}

func random(rt *rapid.T) *rand.Rand {
	return rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
}

// churn lets rows leave and appear a number of times, and removes from stays what has left.
func (s *server) churn(rt *rapid.T, stays map[string]bool, leave bool) func() {
	changes, next := rapid.IntRange(0, 40).Draw(rt, "changes"), 1000
	for _, r := range s.rows {
		stays[r.ID] = true
	}
	return func() {
		if changes--; changes < 0 {
			return
		}
		for range rapid.IntRange(0, 12).Draw(rt, "leave") {
			if len(s.rows) > 0 && leave {
				at := rapid.IntRange(0, len(s.rows)-1).Draw(rt, "at")
				delete(stays, s.rows[at].ID)
				s.rows = slices.Delete(slices.Clone(s.rows), at, at+1)
			}
		}
		for range rapid.IntRange(0, 6).Draw(rt, "appear") {
			next++
			at := rapid.IntRange(0, len(s.rows)).Draw(rt, "place")
			row := paging.Row{ID: strconv.Itoa(next), Key: 2 * rapid.Int64Range(0, 30).Draw(rt, "key")}
			if slices.ContainsFunc(s.rows, func(r paging.Row) bool { return r.Key == paging.NoKey }) {
				row.Key = paging.NoKey
			} else {
				at, _ = slices.BinarySearchFunc(s.rows, row.Key, func(r paging.Row, k int64) int { return cmp.Compare(r.Key, k) })
			}
			s.rows = slices.Insert(slices.Clone(s.rows), at, row)
		}
	}
}

func requireComplete(rt *rapid.T, got []string, stays map[string]bool) {
	rt.Helper()
	for id := range stays {
		require.Contains(rt, got, id, "a row that stayed is missing")
	}
	slices.Sort(got)
	require.Len(rt, slices.Compact(slices.Clone(got)), len(got), "each once")
}

func TestWalk(t *testing.T) {
	t.Parallel()
	t.Run("misses_no_row_while_rows_leave_and_appear", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(rt *rapid.T) {
			s, stays := &server{rows: listOf(rt, 4)}, map[string]bool{}
			if rapid.Bool().Draw(rt, "without keys") {
				for i := range s.rows {
					s.rows[i].Key = paging.NoKey
				}
			}
			s.before = s.churn(rt, stays, true)
			most := rapid.SampledFrom([]int{0, 2, 3, 5}).Draw(rt, "most")
			if most > 0 {
				s.cap = func() int { return most }
			}
			if rapid.Bool().Draw(rt, "total") {
				s.total = func(int) int { return len(s.rows) }
			}
			s.full = rapid.Bool().Draw(rt, "the largest page is known")
			got, err := s.walk(rapid.IntRange(paging.MinSize, 12).Draw(rt, "size"))
			require.NoError(rt, err)
			requireComplete(rt, got, stays)
		})
	})
	t.Run("misses_no_row_while_small_ties_are_shuffled", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(rt *rapid.T) {
			s, stays := &server{rows: listOf(rt, 4)}, map[string]bool{}
			change, r := s.churn(rt, stays, true), random(rt)
			s.before = func() { change(); s.shuffle(r) }
			if s.full = rapid.Bool().Draw(rt, "the largest page is known"); s.full {
				s.total = func(int) int { return len(s.rows) }
			}
			// Rows that appear may make a tie larger: 14 is room for the whole of it.
			size := rapid.IntRange(14, 20).Draw(rt, "size")
			got, err := s.walk(size)
			require.NoError(rt, err)
			requireComplete(rt, got, stays)
		})
	})
	t.Run("is_complete_or_fails_while_ties_are_shuffled_and_rows_leave", func(t *testing.T) {
		t.Parallel()
		failed, all := 0, 0
		rapid.Check(t, func(rt *rapid.T) {
			s, stays := &server{rows: listOf(rt, 12)}, map[string]bool{}
			if rapid.Bool().Draw(rt, "without keys") {
				for i := range s.rows {
					s.rows[i].Key = paging.NoKey
				}
			}
			if rapid.Bool().Draw(rt, "total") {
				s.total = func(int) int { return len(s.rows) }
			}
			uneven := rapid.Bool().Draw(rt, "uneven pages")
			s.full = !uneven && rapid.Bool().Draw(rt, "the largest page is known")
			change, r := s.churn(rt, stays, !uneven), random(rt)
			s.before = func() { change(); s.shuffle(r) }
			if uneven {
				s.cap = func() int { return 2 + r.IntN(6) }
			}
			got, err := s.walk(rapid.IntRange(paging.MinSize, 12).Draw(rt, "size"))
			if all++; err != nil {
				failed++
				return
			}
			requireComplete(rt, got, stays)
		})
		t.Logf("%d of %d walks failed", failed, all)
	})
	t.Run("is_complete_or_fails_while_keys_are_missing",
		func(t *testing.T) {
			t.Parallel()
			failed, all := 0, 0
			rapid.Check(t, func(rt *rapid.T) {
				s, stays := &server{rows: listOf(rt, 12), hidden: map[string]bool{}}, map[string]bool{}
				for _, r := range s.rows {
					s.hidden[r.ID] = rapid.IntRange(0, 9).Draw(rt, "hide") < 2
				}
				change, r := s.churn(rt, stays, true), random(rt)
				s.before = func() { change(); s.shuffle(r) }
				got, err := s.walk(rapid.IntRange(paging.MinSize, 6).Draw(rt, "size"))
				if all++; err != nil {
					failed++
					return
				}
				requireComplete(rt, got, stays)
			})
			t.Logf("%d of %d walks failed", failed, all)
		})
}

func ties(n int) []paging.Row {
	rows := make([]paging.Row, n)
	for i := range rows {
		rows[i] = paging.Row{ID: strconv.Itoa(i), Key: 1}
	}
	return rows
}

// After a row leaves, the total of the second answer is that of the first page.
func TestWalkUsesTotalOfSameAnswer(t *testing.T) {
	t.Parallel()
	s := &server{rows: ties(3), cap: fixed(2)}
	s.total = func(int) int { return len(s.rows) }
	s.before = func() {
		if s.asked == 2 {
			s.rows = []paging.Row{s.rows[2], s.rows[1]} // the first row leaves, and the others change places
		}
	}
	got, err := s.walk(100)
	require.NoError(t, err)
	require.Subset(t, got, []string{"1", "2"})
}

func TestWalkOfShuffledTies(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ rows, size int }{{30, 7}, {300, 100}, {1000, 100}} {
		for seed := range 20 {
			s := &server{rows: ties(tc.rows)}
			r := rand.New(rand.NewPCG(uint64(seed), 1))
			s.before = func() { s.shuffle(r) }
			got, err := s.walk(tc.size)
			require.NoError(t, err)
			require.Len(t, got, tc.rows)
		}
	}
}

func TestWalkCalls(t *testing.T) {
	t.Parallel()
	distinct := func(n int) []paging.Row {
		rows := ties(n)
		for i := range rows {
			rows[i].Key = int64(i)
		}
		return rows
	}
	keyless := func(n int) []paging.Row {
		rows := ties(n)
		for i := range rows {
			rows[i].Key = paging.NoKey
		}
		return rows
	}
	reported := func(n int) func(int) int { return func(int) int { return n } }
	for name, tc := range map[string]struct {
		server server
		calls  int
	}{
		"empty":                      {server{}, 1},
		"one row":                    {server{rows: distinct(1)}, 2},
		"a short page":               {server{rows: distinct(9)}, 3},
		"a short page, by the total": {server{rows: distinct(9), total: reported(9)}, 2},
		"1000 rows":                  {server{rows: distinct(1000)}, 127},
		"1000 rows, by the total":    {server{rows: distinct(1000), total: reported(1000)}, 126},
		"10 rows that tie, by the total, in one answer": {server{rows: ties(10), total: reported(10)}, 2},
		"a page that was not cut":                       {server{rows: distinct(9), total: reported(9), full: true}, 1},
		"one row that was not cut":                      {server{rows: distinct(1), total: reported(1), full: true}, 1},
		"ties that were not cut":                        {server{rows: ties(9), total: reported(9), full: true}, 1},
		"no keys and not cut":                           {server{rows: keyless(9), total: reported(9), full: true}, 1},
		"a full page":                                   {server{rows: distinct(10), total: reported(10), full: true}, 2},
		"no total":                                      {server{rows: distinct(9), full: true}, 3},
		"another total":                                 {server{rows: distinct(9), total: reported(8), full: true}, 3},
		"12 rows, the last page was not cut":            {server{rows: distinct(12), total: reported(12), full: true}, 2},
		"a largest page of three": {
			server{rows: distinct(3), cap: fixed(3), total: reported(3), full: true}, 2,
		},
		"1000 rows that tie":            {server{rows: ties(1000)}, 224},
		"1000 rows, pages cut to two":   {server{rows: distinct(1000), cap: fixed(2)}, 2998},
		"a total that is far too small": {server{rows: distinct(1000), total: reported(10)}, 127},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tc.server.walk(10)
			require.NoError(t, err)
			require.Len(t, got, len(tc.server.rows))
			require.Equal(t, tc.calls, tc.server.asked)
		})
	}
}

func fixed(n int) func() int { return func() int { return n } }

func TestWalkDoesNotTrustTotals(t *testing.T) {
	t.Parallel()
	for name, total := range map[string]func(start, end int) int{
		"a cap":              func(int, int) int { return 10 },
		"counts its page":    func(start, end int) int { return end - start },
		"counts what it saw": func(_, end int) int { return end },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, most := range []int{3, 10} {
				s := &server{rows: ties(25), cap: fixed(most)}
				var got []string
				for w := paging.New(10); !w.Done(); {
					page, _ := s.answer(w.Start(), w.Size())
					for _, i := range w.Take(page, total(w.Start(), w.Start()+len(page))) {
						got = append(got, page[i].ID)
					}
					require.NoError(t, w.Err())
				}
				require.Len(t, got, 25)
			}
		})
	}
	t.Run("larger_total_is_an_error", func(t *testing.T) {
		t.Parallel()
		s := &server{rows: ties(25), total: func(int) int { return 26 }}
		_, err := s.walk(10)
		require.ErrorContains(t, err, "the server reports 26 rows and returns 25")
		require.Less(t, s.asked, 20)
	})
}

// Such servers are read correctly, or rejected with the reason.
func TestWalkOfServersThatPageWrongly(t *testing.T) {
	t.Parallel()
	const sameRows, onePerPage = "returns the same rows for different positions", "returns one row per page"
	pages := func(size func(asked int) int, at func(start, asked, n int) int) func([]paging.Row, int, int) []paging.Row {
		return func(rows []paging.Row, start, asked int) []paging.Row {
			from := max(0, min(at(start, asked, len(rows)), len(rows)))
			return rows[from:min(from+size(asked), len(rows))]
		}
	}
	always := func(n int) func(int) int { return func(int) int { return n } }
	asAsked := func(asked int) int { return asked }
	where := func(start, _, _ int) int { return start }
	order := func(change func([]paging.Row)) func([]paging.Row, int, int) []paging.Row {
		return func(rows []paging.Row, start, asked int) []paging.Row {
			rows = slices.Clone(rows)
			change(rows)
			return pages(asAsked, where)(rows, start, asked)
		}
	}
	for name, test := range map[string]struct {
		page func(rows []paging.Row, start, asked int) []paging.Row
		says string // "": the list is read completely
	}{
		"ignores the number of rows":   {pages(always(1<<20), where), ""},
		"returns few rows":             {pages(always(3), where), ""},
		"returns more rows":            {pages(always(20), where), ""},
		"sorts the other way round":    {order(slices.Reverse[[]paging.Row]), ""},
		"does not sort":                {order(shuffled(1)), ""},
		"returns one row":              {pages(always(1), where), onePerPage},
		"ignores the position":         {pages(asAsked, func(int, int, int) int { return 0 }), sameRows},
		"ignores both":                 {pages(always(1<<20), func(int, int, int) int { return 0 }), sameRows},
		"returns the first row only":   {pages(always(1), func(int, int, int) int { return 0 }), sameRows},
		"returns the last page at end": {pages(asAsked, func(start, asked, n int) int { return min(start, n-asked) }), sameRows},
		"counts pages":                 {pages(asAsked, func(start, asked, _ int) int { return start * asked }), "instead of rows"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, n := range []int{25, 400} {
				rows := make([]paging.Row, n)
				for i := range rows {
					rows[i] = paging.Row{ID: strconv.Itoa(i), Key: int64(i + 1)}
				}
				for _, total := range []int{paging.Unknown, 0, n} {
					got, err := 0, error(nil)
					calls := 0
					for w := paging.New(10); !w.Done() && err == nil; err = w.Err() {
						calls++
						got += len(w.Take(test.page(rows, w.Start(), w.Size()), total))
					}
					if test.says != "" && err != nil {
						require.ErrorContains(t, err, test.says)
						require.Less(t, calls, 60)
						continue
					}
					require.NoError(t, err)
					require.Equal(t, n, got, "total %d", total)
				}
			}
		})
	}
}

// shuffled returns a function that puts rows into the same order each time.
func shuffled(seed uint64) func([]paging.Row) {
	return func(rows []paging.Row) {
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	}
}

// A server that changes the ids in each answer has new rows forever.
func TestWalkFailsIfIDsChange(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 3, 30} {
		s := &server{}
		s.before = func() {
			s.rows = nil
			for i := range n {
				s.rows = append(s.rows, paging.Row{ID: strconv.Itoa(s.asked) + "-" + strconv.Itoa(i), Key: int64(i)})
			}
		}
		_, err := s.walk(7)
		require.ErrorContains(t, err, "keeps changing", "%d rows", n)
		require.Less(t, s.asked, 200, "%d rows", n)
	}
}

func TestWalkWithUnsortedKeys(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]func(i int) int64{
		"in no order":             func(i int) int64 { return int64(i * 17 % 40) },
		"one that is far too big": func(i int) int64 { return int64(i + i/9%2*1000) },
		"none for every third":    func(i int) int64 { return []int64{int64(i), int64(i), paging.NoKey}[i%3] },
		"none for the first ten":  func(i int) int64 { return []int64{paging.NoKey, int64(i)}[min(1, i/10)] },
		"none for the last ten":   func(i int) int64 { return []int64{int64(i), paging.NoKey}[i/30] },
		"negative, as for newest": func(i int) int64 { return int64(i - 1000) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for size := 2; size < 45; size++ {
				rows := ties(40)
				for i := range rows {
					rows[i].Key = keys(i)
				}
				// Three rows leave after the first page.
				s := &server{rows: rows}
				s.before = func() {
					if s.asked == 2 {
						s.rows = s.rows[3:]
					}
				}
				got, err := s.walk(size)
				require.NoError(t, err)
				for i := 3; i < 40; i++ {
					require.Contains(t, got, strconv.Itoa(i))
				}
			}
		})
	}
}

func TestTimeKey(t *testing.T) {
	t.Parallel()
	early, late := time.Date(1, 2, 3, 4, 5, 6, 0, time.UTC), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	require.Less(t, paging.TimeKey(early, false), paging.TimeKey(late, false))
	require.Greater(t, paging.TimeKey(early, true), paging.TimeKey(late, true))
	require.EqualValues(t, paging.NoKey, paging.TimeKey(time.Time{}, true))
}

func TestFilteredWalkAcceptsLargerTotal(t *testing.T) {
	t.Parallel()
	for n := range 30 {
		s := &server{rows: ties(n)}
		w := paging.New(7)
		w.Filtered = true
		for !w.Done() {
			page, _ := s.answer(w.Start(), w.Size())
			w.Take(page, 40)
			require.NoError(t, w.Err())
			require.Equal(t, w.Done(), w.Excess() == 40)
		}
		require.Equal(t, n, w.Seen())
	}
}

// An answer that repeats a row may lack another one, although it has as many rows as the total.
func TestWalkChecksAnAnswerThatRepeatsARow(t *testing.T) {
	t.Parallel()
	w := paging.New(10)
	w.Full = 10
	w.Take([]paging.Row{{ID: "a", Key: 1}, {ID: "a", Key: 1}, {ID: "b", Key: 2}}, 3)
	require.False(t, w.Done())
}
