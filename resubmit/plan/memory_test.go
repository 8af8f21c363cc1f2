package plan_test

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// A process opens plans for months. The next garbage collection frees what an opened plan had, but for small buffers.
func TestOpenedPlansAreFreed(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	const plans = 100
	data := writePlan(t, planEntries()...)
	held := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := held()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // so that there is one collection
	for range plans {
		p, err := readPlan(data)
		require.NoError(t, err)
		_, err = p.Index().Entry(0)
		require.NoError(t, err)
	}
	require.Less(t, held()-before, plans*10_000)
}
