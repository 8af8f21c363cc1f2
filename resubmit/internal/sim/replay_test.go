package sim

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// A seed that cannot be replayed is of little use. Worlds differ where orders are taken up
// again at the same nanosecond, because the goroutines of the engine then race for the next
// call, as they may. That changes one world in five, or a few more with -race. Replaying a
// world up to four times finds most again, as it does for a person who looks into a failure:
// 53 to 58 of 60 in runs with -race on a busy machine. The bound is far below that.
func TestMostWorldsHappenTheSameWayAgain(t *testing.T) {
	t.Parallel()
	const worlds, replays = 60, 4
	same := 0
	for seed := uint64(1); seed <= worlds; seed++ {
		s := draw(seed, nil)
		first := bubble(t, &Config{}, s, true)
		require.NotEmpty(t, first.history)
		for range replays {
			if slices.Equal(first.history, bubble(t, &Config{}, s, true).history) {
				same++
				break
			}
		}
	}
	require.Greater(t, same, worlds*7/10)
	t.Logf("%d of %d", same, worlds)
}
