package resubmittest

import (
	"testing"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/sim"
)

// Config configures [Simulate]. The zero value simulates this library's own planner, Runner, clients and journal in
// 500 worlds.
//
// The functions are called each time that a world starts or restarts a program, and concurrently for different
// worlds. Each gets a complete value, and replaces or wraps what it tests. nil changes nothing.
type Config struct {
	// Worlds is the number of simulations, each of another installation with other orders and faults. Default 500.
	Worlds int
	// FirstSeed is the seed of the first world; the others count up. Default 1.
	FirstSeed uint64
	// Limits changes the limits of the operator: Guard, SettleDelay, RateLimit, Concurrency, MaxDeferrals, Verify,
	// Canary, Breaker and Retry. The invariants are checked with these, whatever Runner changes. Other fields are
	// ignored. It is called once per world.
	Limits func(*resubmit.Config)
	// Plan changes how the plan is made: its rules, its filter, its lister.
	Plan func(*resubmit.PlanConfig)
	// Runner changes how the plan is applied: Reader, Pusher, Requests, OnEvent.
	Runner func(*resubmit.Config)
	// Journal opens the journal in a directory that survives the crashes of its world; it is empty at first. Programs
	// that run at the same time share it. Its Get must not wait for a timer. It is closed if it is an [io.Closer].
	// Default: a journal in memory, which loses writes in a crash and is restored from older copies.
	Journal func(dir string) (resubmit.Journal, error)
}

// Simulate runs the planner and the Runner in simulated worlds, in which calls fail, programs crash, two of them share
// a journal, and others change the same orders. It fails t with the shortest history found that breaks an invariant
// (resubmit/SAFETY.md#invariants), and returns how often each event happened.
//
// One seed determines a world. Worlds run concurrently, one per processor, each in a [testing/synctest] bubble,
// so t must not be in one.
func Simulate(t *testing.T, cfg Config) map[string]int {
	t.Helper()
	run := sim.Config{
		Seeds: cfg.Worlds, First: cfg.FirstSeed, Limits: cfg.Limits,
		Command: t.Name() + " with Worlds: 1, FirstSeed: ",
	}
	if cfg.Plan != nil {
		run.Plan = func(_ *sim.Process, c *resubmit.PlanConfig) { cfg.Plan(c) }
	}
	if cfg.Runner != nil {
		run.Runner = func(_ *sim.Process, c *resubmit.Config) { cfg.Runner(c) }
	}
	if cfg.Journal != nil {
		run.Journal = func(p *sim.Process) (resubmit.Journal, error) { return cfg.Journal(p.Dir) }
	}
	failure, counts := sim.Run(t, run)
	if failure != nil {
		t.Error(failure)
	}
	return counts
}
