package ahead_test

import (
	"iter"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/ahead"
)

// count yields 0, 1, … n-1, and notes how far it got and that it has ended.
func count(n int, at *int, ended *bool) iter.Seq[int] {
	return func(yield func(int) bool) {
		defer func() { *ended = true }()
		for *at = range n {
			if !yield(*at) {
				return
			}
		}
	}
}

func TestOf(t *testing.T) {
	t.Parallel()
	t.Run("yields all values in their order", func(t *testing.T) {
		t.Parallel()
		var at int
		var ended bool
		got := slices.Collect(ahead.Of(3, count(1000, &at, &ended)))
		require.Len(t, got, 1000)
		require.True(t, slices.IsSorted(got))
		require.True(t, ended)
	})
	t.Run("computes as many values ahead, and ends with the loop", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var at int
			var ended bool
			for range ahead.Of(3, count(1000, &at, &ended)) {
				synctest.Wait()
				require.Equal(t, 4, at, "three that wait, and one that is computed")
				break
			}
			require.True(t, ended)
		})
	})
	t.Run("ends with a loop that panics", func(t *testing.T) {
		t.Parallel()
		var at int
		var ended bool
		require.Panics(t, func() {
			for range ahead.Of(3, count(1000, &at, &ended)) {
				panic("the consumer")
			}
		})
		require.True(t, ended)
	})
	t.Run("panics as the sequence does, after the values before", func(t *testing.T) {
		t.Parallel()
		got := 0
		require.PanicsWithValue(t, "the sequence", func() {
			for range ahead.Of(3, func(yield func(int) bool) { _ = yield(1) && yield(2); panic("the sequence") }) {
				got++
			}
		})
		require.Equal(t, 2, got)
	})
}
