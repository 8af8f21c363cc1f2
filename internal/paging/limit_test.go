package paging

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// The server has a row at every position.
func TestWalkFailsForEndlessList(t *testing.T) {
	t.Parallel()
	for _, sorted := range []bool{false, true} {
		w := New(100)
		w.limit = 10_000
		pages := 0
		for ; w.Err() == nil; pages++ {
			require.Less(t, pages, 200)
			require.False(t, w.Done())
			rows := make([]Row, w.Size())
			for i := range rows {
				at := w.Start() + i
				rows[i] = Row{ID: strconv.Itoa(at), Key: NoKey}
				if sorted {
					rows[i].Key = int64(at)
				}
			}
			w.Take(rows, Unknown)
		}
		require.EqualError(t, w.Err(),
			"the list has more than 10000 rows, which cannot be right; ask for less, for example a shorter period")
	}
}
