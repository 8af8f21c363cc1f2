package paging_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/internal/paging"
)

// walk reads a list to its end. rows is called for the list as it is at each page.
func walk(size, most int, told bool, rows func() []string) (got []string, pages int, err error) {
	for w := paging.New(size); !w.Done(); pages++ {
		all := rows()
		from := min(w.Start(), len(all))
		to := min(from+w.Size(), len(all))
		if most > 0 {
			to = min(to, from+most)
		}
		total := paging.Unknown
		if told {
			total = len(all)
		}
		page := all[from:to]
		for _, i := range w.Take(page, total) {
			got = append(got, page[i])
		}
		if err := w.Err(); err != nil {
			return got, pages, err
		}
	}
	return got, pages, nil
}

func TestWhatStaysInTheListIsNeverMissed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var rows []string
		stays := map[string]bool{}
		for i := range rapid.IntRange(0, 60).Draw(rt, "rows") {
			rows = append(rows, strconv.Itoa(i))
			stays[strconv.Itoa(i)] = true
		}
		changes, next := rapid.IntRange(0, 40).Draw(rt, "changes"), 1000
		change := func() []string {
			if changes--; changes < 0 {
				return rows
			}
			for range rapid.IntRange(0, 12).Draw(rt, "leave") {
				if len(rows) > 0 {
					at := rapid.IntRange(0, len(rows)-1).Draw(rt, "at")
					delete(stays, rows[at])
					rows = slices.Delete(slices.Clone(rows), at, at+1)
				}
			}
			for range rapid.IntRange(0, 12).Draw(rt, "enter") {
				next++
				at := rapid.IntRange(0, len(rows)).Draw(rt, "place")
				rows = slices.Insert(slices.Clone(rows), at, strconv.Itoa(next))
			}
			return rows
		}
		size := rapid.IntRange(paging.MinSize, 12).Draw(rt, "size")
		most := rapid.SampledFrom([]int{0, 2, 3, 5}).Draw(rt, "most")
		got, _, err := walk(size, most, rapid.Bool().Draw(rt, "told"), change)
		require.NoError(rt, err)
		for id := range stays {
			require.Contains(rt, got, id)
		}
		slices.Sort(got)
		require.Len(rt, slices.Compact(slices.Clone(got)), len(got), "each once")
	})
}

func TestATotalIsBelievedOnlyWithNewRowsUpToIt(t *testing.T) {
	t.Parallel()
	same := []string{"a", "b", "c"}
	w := paging.New(3)
	for w.Err() == nil {
		require.False(t, w.Done(), "three of nine rows were seen")
		w.Take(same, 9) // whatever was asked for
	}
	require.ErrorContains(t, w.Err(), "the list does not hold still")

	w = paging.New(3)
	w.Take(same, 2)
	require.False(t, w.Done(), "there are more rows than the total says")

	w = paging.New(3)
	w.Take(same, 3)
	require.True(t, w.Done())
}
