package resubmittest

import (
	"cmp"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// Config says what is simulated. The zero value runs this library's own planner,
// Runner, clients and journal in 500 worlds.
//
// The hooks are called once for each process, that is each time that a world
// starts or restarts the program. What they get is complete; they replace or wrap
// what they want to be tried.
type Config struct {
	// Seeds is how many worlds are run, First the seed of the first; the others
	// count up. Default 500 and 1.
	Seeds int
	First uint64
	// Command is printed for a failing seed, with %d for it. Default: go test with
	// the flags of this library's own test.
	Command string

	// Policy changes what the operator of a world allows. The servers are held
	// against it: what [Config.Runner] sets does not change what is right.
	Policy func(*Policy)
	// Plan changes how the plan is made: its rules, its filter, the way in.
	Plan func(*Process, *resubmit.PlanConfig)
	// Runner changes how it is applied: Reader, Pusher, Requests, Journal, Observer.
	Runner func(*Process, *resubmit.Config)
	// Journal opens the journal of a process, anew after each crash, from what is on
	// Process.Disk or in Process.Dir. Default: a [Log]. One that is in Dir is asked by
	// Get what is durable, and is not torn; if it is an io.Closer it is closed. Its Get
	// must not wait for a timer.
	Journal func(*Process) (resubmit.Journal, error)

	// rule is the only one that counts; "" for all.
	rule string
	// replays bounds the search for a shorter history; 0 is mostReplays.
	replays int
	// applied replaces the approved plan, to show that this is seen.
	applied func([]byte) []byte
	// reported changes a report, to show that this is seen.
	reported func(*resubmit.Report)
}

// Policy is what the operator of a world allows.
type Policy struct {
	// Guard, Settle, Rate, Concurrency, MaxRefusals, Verify, Canary and Breaker are those
	// of [resubmit.Config].
	Guard       time.Duration
	Settle      time.Duration
	Rate        float64
	Concurrency int
	MaxRefusals int
	Verify      resubmit.VerifyConfig
	Canary      resubmit.CanaryConfig
	Breaker     resubmit.BreakerConfig
	// Probe looks at Connect while the breaker is open; without it time must do.
	Probe bool
	// Attempts says how many pushes of an order may go out without a clear answer, and
	// how far apart.
	Attempts resubmit.RetryPolicy
}

// Process is one life of the program in a world, from its start to its crash or
// its end, and what it finds there.
type Process struct {
	Seed uint64
	Life int // from 0
	// The systems as clients find them.
	CommerceURL, CommerceToken string
	ConnectURL, ConnectKey     string
	// HTTP is the only way to them: no socket works in a bubble.
	HTTP *http.Client
	// Disk and, with [Config.Journal], Dir survive the process: bytes that are torn in a
	// crash, and an empty directory for real files.
	Disk *Disk
	Dir  string
}

// Simulate runs worlds and fails t with the shortest history that breaks an
// invariant (resubmit/SAFETY.md#invariants), as the servers saw it. It returns what happened in the
// worlds.
func Simulate(t *testing.T, cfg Config) Counts {
	t.Helper()
	failure, counts := Search(t, cfg)
	if failure != nil {
		t.Error(failure)
	}
	return counts
}

// Search runs worlds until one breaks an invariant, and returns the shortest
// history of that; nil when none did. Whoever writes rules or adapters can show
// with it that what he fears would be found.
//
// Everything in a world happens in a bubble of testing/synctest, so t must not be
// in one. Worlds run at the same time, one for each processor.
func Search(t *testing.T, cfg Config) (*Failure, Counts) {
	t.Helper()
	cfg.Seeds = cmp.Or(cfg.Seeds, 500)
	cfg.First = cmp.Or(cfg.First, 1)
	cfg.Command = cmp.Or(cfg.Command, "go test ./resubmit/resubmittest -run Simulation -seed %d")
	var next atomic.Int64
	var mu sync.Mutex
	counts := Counts{}
	var worst *scenario
	t.Run("worlds", func(t *testing.T) {
		for i := range min(runtime.GOMAXPROCS(0), cfg.Seeds) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for {
					n := next.Add(1) - 1
					if n >= int64(cfg.Seeds) {
						return
					}
					s := draw(cfg.First+uint64(n), cfg.Policy) //nolint:gosec // it counts from 0
					o := play(t, &cfg, s, false)
					mu.Lock()
					counts.add(o.counts)
					if len(o.wrong) > 0 && (worst == nil || s.seed < worst.seed) {
						worst = s
						next.Store(int64(cfg.Seeds)) // the others stop
					}
					mu.Unlock()
				}
			})
		}
	})
	if worst == nil {
		return nil, counts
	}
	return shortest(t, &cfg, worst), counts
}

// outcome is what came of a world.
type outcome struct {
	wrong   []Violation
	counts  Counts
	history []string
	final   []orderEnd
	last    *resubmit.Report
	held    map[string]bool // subscriptions with an order that the planner could not look at
}

// play lets a scenario happen.
func play(t *testing.T, cfg *Config, s *scenario, tell bool) (o outcome) {
	o = bubble(t, cfg, s, tell)
	if s.twin && len(o.wrong) == 0 {
		other := bubble(t, cfg, s.calm(), false)
		o.wrong = append(o.wrong, cfg.counting(append(sameEnd(s, &o, &other), lost(&other)...))...)
		o.counts["twins compared"]++
	}
	return o
}

func (c *Config) counting(all []Violation) []Violation {
	if c.rule == "" {
		return all
	}
	return slices.DeleteFunc(all, func(v Violation) bool { return v.Rule != c.rule })
}

func bubble(t *testing.T, cfg *Config, s *scenario, tell bool) (o outcome) {
	defer func() {
		if v := recover(); v != nil { // of synctest: everybody waits for ever, or is left behind
			o.wrong = append(o.wrong, Violation{Rule: "end", Text: fmt.Sprint(v)})
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t.Context(), cfg, s, tell)
		w.happen()
		o = outcome{wrong: cfg.counting(w.book.wrong), counts: w.counts, history: w.history, final: w.ends(), last: w.last,
			held: w.book.held}
	})
	return o
}
