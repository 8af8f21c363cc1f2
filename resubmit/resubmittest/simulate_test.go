package resubmittest_test

import (
	"cmp"
	"flag"
	"testing"

	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

var (
	seeds = flag.Int("seeds", 0, "how many worlds the simulation runs (default 2000; 1 with -seed)")
	seed  = flag.Uint64("seed", 0, "the first world that the simulation runs")
)

func TestSimulation(t *testing.T) {
	t.Parallel()
	cfg := resubmittest.Config{Seeds: 2000, First: *seed}
	if *seed > 0 {
		cfg.Seeds = 1
	}
	cfg.Seeds = cmp.Or(*seeds, cfg.Seeds)
	t.Logf("what happened in %d worlds:\n%v", cfg.Seeds, resubmittest.Simulate(t, cfg))
}
