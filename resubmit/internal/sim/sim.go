package sim

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// Config configures a simulation. The zero value simulates this library's own planner, Runner, clients and
// journal in 500 worlds.
//
// Each hook is called once for each process, that is each time that a world starts or restarts a program,
// and concurrently for different worlds. Its argument is complete: the hook replaces or wraps what it tests.
type Config struct {
	// Seeds is the number of worlds. Default 500.
	Seeds int
	// First is the seed of the first world; the others count up. Default 1.
	First uint64
	// Command is printed before a failing seed.
	Command string

	// Limits changes the limits of the operator: Guard, SettleDelay, RateLimit, Concurrency, MaxDeferrals, Verify,
	// Canary, Breaker and Retry. The world is checked against these, whatever Runner changes. Other fields are
	// ignored.
	Limits func(*resubmit.Config)
	// Plan changes how the plan is made.
	Plan func(*Process, *resubmit.PlanConfig)
	// Runner changes how the plan is applied.
	Runner func(*Process, *resubmit.Config)
	// Journal opens the journal in Process.Dir, from what earlier processes left there. It is closed if it is an
	// io.Closer. Programs that run at the same time share it. It is not torn or lost in a crash; the checks read it with
	// Get, which must not wait for a timer. Default: a [Store], whose copies are restored and which is lost.
	Journal func(*Process) (resubmit.Journal, error)

	// rule limits the checks to one rule; "" means all.
	rule string
	// replays bounds the search for a shorter history; 0 means maxReplays.
	replays int
	// wrap replaces the default journal of each process, to show that the checks notice.
	wrap func(resubmit.Journal) resubmit.Journal
	// reported changes a report, to show that the checks notice.
	reported func(*resubmit.Report)
}

// Process is one process of the program in a world, from its start to its crash or end.
type Process struct {
	Seed uint64
	// Dir is a directory for real files, empty at first, which survives the process. It exists with [Config.Journal].
	Dir string
}

// Run simulates worlds until one breaks an invariant (resubmit/SAFETY.md#invariants). It returns the shortest
// history that does, or nil if none does, and how often each event happened.
//
// Worlds run concurrently, one per processor, each in a testing/synctest bubble, so t must not be in one.
func Run(t *testing.T, cfg Config) (*Failure, Counts) {
	t.Helper()
	cfg.Seeds = cmp.Or(cfg.Seeds, 500)
	cfg.First = cmp.Or(cfg.First, 1)
	var next atomic.Int64
	var mu sync.Mutex
	counts := Counts{}
	var worst *scenario
	var broken []Violation // by worst
	t.Run("worlds", func(t *testing.T) {
		for i := range min(runtime.GOMAXPROCS(0), cfg.Seeds) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for {
					n := next.Add(1) - 1
					if n >= int64(cfg.Seeds) {
						return
					}
					s := draw(cfg.First+uint64(n), cfg.Limits) //nolint:gosec // n is not negative
					o := simulate(t, &cfg, s, false)
					mu.Lock()
					counts.add(o.counts)
					if len(o.violations) > 0 && (worst == nil || s.seed < worst.seed) {
						worst, broken = s, o.violations
						next.Store(int64(cfg.Seeds)) // stops the others
					}
					mu.Unlock()
				}
			})
		}
	})
	if worst == nil {
		return nil, counts
	}
	return shortest(t, &cfg, worst, broken), counts
}

// result is the outcome of a world.
type result struct {
	violations []Violation
	counts     Counts
	history    []string
	ends       []orderEnd
	report     *resubmit.Report
	held       map[string]bool // tenants with an order that was held because a call failed
}

// simulate runs a scenario and, if it has a twin, compares the two ends. verbose records a history.
func simulate(t *testing.T, cfg *Config, s *scenario, verbose bool) (o result) {
	o = simulateOnce(t, cfg, s, verbose)
	if s.twin && len(o.violations) == 0 {
		other := simulateOnce(t, cfg, s.withoutFaults(), false)
		o.violations = append(o.violations, cfg.onlyRule(append(compareEnds(s, &o, &other), leftUndone(&other)...))...)
		o.counts["twins compared"]++
	}
	return o
}

// onlyRule drops violations of other rules than the configured one.
func (c *Config) onlyRule(all []Violation) []Violation {
	if c.rule == "" {
		return all
	}
	return slices.DeleteFunc(all, func(v Violation) bool { return v.Rule != c.rule })
}

func simulateOnce(t *testing.T, cfg *Config, s *scenario, verbose bool) (o result) {
	defer func() {
		if v := recover(); v != nil { // synctest panics on a deadlock or a goroutine that is left
			o.violations = append(o.violations, Violation{Rule: "end", Text: fmt.Sprint(v)})
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t.Context(), cfg, s, verbose)
		w.run()
		o = result{
			violations: cfg.onlyRule(w.checker.violations), counts: w.counts, history: w.history,
			ends: w.finalState(), report: w.programs[0].report, held: w.checker.held,
		}
	})
	return o
}
