package journal

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestIndex compares an index with a map, while it grows and shrinks, and many keys have the same hash.
func TestIndex(t *testing.T) {
	t.Parallel()
	x := newIndex()
	random := rand.New(rand.NewPCG(1, 2))
	type entry struct {
		hash   uint64
		offset int64
	}
	var want []entry
	found := make(map[entry]bool)
	for next := int64(1); next < 6_000; next++ {
		i := random.IntN(len(want) + 1)
		grows := next < 3_000 || next > 4_000
		switch {
		case i == len(want) || grows && random.IntN(3) > 0:
			e := entry{uint64(random.IntN(1 << 12)), next} // close to each other
			if random.IntN(8) > 0 {
				e.hash = uint64(random.IntN(1 << hashBits))
			}
			require.True(t, x.replace(e.hash, 0, next))
			want = append(want, e)
			found[e] = true
		case random.IntN(2) > 0:
			require.True(t, x.replace(want[i].hash, want[i].offset, next))
			delete(found, want[i])
			want[i].offset = next
			found[want[i]] = true
		default:
			require.True(t, x.replace(want[i].hash, want[i].offset, 0))
			delete(found, want[i])
			want[i] = want[len(want)-1]
			want = want[:len(want)-1]
		}
		if next%500 != 0 {
			continue
		}
		require.Equal(t, len(want), x.used)
		for _, e := range want {
			require.True(t, x.has(e.hash, e.offset))
			require.Equal(t, found[entry{e.hash ^ 1, e.offset}], x.has(e.hash^1, e.offset))
			require.False(t, x.replace(e.hash, next+1, next))
		}
	}
	require.Greater(t, len(want), 1200)
}
