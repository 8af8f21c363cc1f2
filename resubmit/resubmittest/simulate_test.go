package resubmittest_test

import (
	"flag"
	"testing"

	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

var (
	seeds = flag.Int("seeds", 2000, "how many worlds the simulation runs")
	seed  = flag.Uint64("seed", 0, "the one world that the simulation runs")
)

func TestSimulation(t *testing.T) {
	t.Parallel()
	cfg := resubmittest.Config{Seeds: *seeds}
	if *seed > 0 {
		cfg.Seeds, cfg.First = 1, *seed
	}
	t.Logf("what happened in %d worlds:\n%v", cfg.Seeds, resubmittest.Simulate(t, cfg))
}
