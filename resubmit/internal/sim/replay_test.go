package sim

import (
	"cmp"
	"flag"
	"slices"
	"testing"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/stretchr/testify/require"
)

// Seeds is also a flag of the tests of package sim_test.
var Seeds = flag.Int("seeds", 0, "number of worlds to simulate (default 100, 20 with -short, 1 with -seed)")

// TestReplay replays worlds from their seeds. Replays differ if orders are resumed at the same nanosecond, because
// the goroutines of the engine then race for the next call, which they may. Up to four replays find most again: 41 to
// 50 of 60 with -race. The bound is far below that. .ci/run replays more.
func TestReplay(t *testing.T) {
	t.Parallel()
	const replays = 4
	worlds, same := cmp.Or(*Seeds/20, testkit.Scale(30, 4)), 0
	for seed := 1; seed <= worlds; seed++ {
		s := draw(uint64(seed), nil)
		first := simulateOnce(t, &Config{}, s, true)
		require.NotEmpty(t, first.history)
		for range replays {
			if slices.Equal(first.history, simulateOnce(t, &Config{}, s, true).history) {
				same++
				break
			}
		}
	}
	require.Greater(t, same, worlds/2)
	t.Logf("%d of %d", same, worlds)
}
