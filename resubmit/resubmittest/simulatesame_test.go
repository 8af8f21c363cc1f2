package resubmittest

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A seed that cannot be replayed is of little use. Worlds differ where orders are
// taken up again at the same nanosecond; most must not.
func TestMostWorldsHappenTheSameWayAgain(t *testing.T) {
	t.Parallel()
	const worlds = 60
	same := 0
	for seed := uint64(1); seed <= worlds; seed++ {
		s := draw(seed, nil)
		first := bubble(t, &Config{}, s, true)
		second := bubble(t, &Config{}, s, true)
		require.NotEmpty(t, first.history)
		if slices.Equal(first.history, second.history) {
			same++
		}
	}
	require.Greater(t, same, worlds*7/10)
	t.Logf("%d of %d", same, worlds)
}
