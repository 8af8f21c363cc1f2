package resubmit

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/eta"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/throttle"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// Status is a snapshot of a Runner or a Session.
type Status struct {
	// State is the state of the run. Without a run it is StatePaused if the next one will be
	// paused, otherwise StateIdle.
	State RunState
	// Started is when the run began.
	Started time.Time
	// Rate is the rate limit in force, in calls per second; -1 is no limit. Slowed is why it is
	// lower than configured; "" if it is not. CallRate is how many calls per second were made in the last ten seconds.
	Rate     float64
	Slowed   string
	CallRate float64
	// Breaker is the state of the circuit breaker, BreakerOpens how often it opened.
	Breaker      BreakerState
	BreakerOpens int
	// Canary is the progress of each group of orders, by name.
	Canary []CanaryStatus
	// Gate is why pushes wait, and Since since when; "" if they do not. Until is when that ends; zero if it is not known.
	Gate  string
	Since time.Time
	Until time.Time
	// RetryAfter is until when all calls pause, because a server asked for it; zero if none did.
	RetryAfter time.Time
	// Digest is that of the plan.
	Digest string
	// Total is how many orders the plan marks for resubmission. Each of them is Done, with an outcome in Result; Open,
	// which is Pushing or Verifying; or not begun.
	Total int
	Done  int
	Open  int
	// Pushing counts the orders that were begun and not sent, Verifying those that were or may have been sent and are not
	// verified.
	Pushing   int
	Verifying int
	Result    OutcomeCounts
	// Blockers are the orders that block others, those that block the most first.
	Blockers []Blocker
	// End is when the run will probably end, without orders that wait for a person; zero while too little is known: for
	// the first 30 s and ten orders, and while pushes wait for something without a known end.
	End time.Time

	opened time.Time // when pushes went on after they had waited; zero if they never waited
}

// Progress returns how far the run is, such as "2 sent, 0 verified, 10 to go". Sent are the orders that are not
// verified yet. To go are those without an outcome that were not sent.
func (s Status) Progress() string {
	line := fmt.Sprintf("%d sent, %d verified", s.Verifying, s.Result.Completed)
	others := s.Result
	others.Completed = 0
	if others.Total() > 0 {
		line += ", " + others.String()
	}
	return fmt.Sprintf("%s, %d to go", line, max(0, s.Total-s.Done-s.Verifying))
}

// String returns the status on one line, such as "running: 3 sent, 11 verified, 1 skipped, 25 to go".
func (s Status) String() string {
	if s.State == StateIdle {
		return "no run"
	}
	line := string(s.State)
	if s.Total > 0 {
		line += ": " + s.Progress()
	}
	if s.Gate != "" {
		line += "; pushes wait: " + s.Gate
	}
	if s.Slowed != "" {
		line += "; the rate is reduced: " + s.Slowed
	}
	return text.OneLine(line)
}

// RunState is the state of a run.
type RunState string

// The states of a run. StateIdle, the zero value, means that there is no run.
const (
	StateIdle      RunState = ""
	StateRunning   RunState = "running"
	StatePaused    RunState = "paused"
	StateDraining  RunState = "draining"
	StateCancelled RunState = "cancelled"
)

// status is what Status shows.
func (x *run) status() Status {
	s := Status{
		Started: x.started, Digest: x.digest, Total: x.scheduler.index.Len(), Canary: x.scheduler.canaryView(),
	}
	s.State, s.Gate, s.Since, s.Until, s.opened = x.gate.view()
	if x.ctx.Err() != nil {
		s.State = StateCancelled
	}
	s.Rate, s.Slowed = x.caller.pace.Rate()
	s.CallRate = x.estimator.callRate(displayed)
	if rest := x.caller.pace.Rest(); rest > 0 {
		s.RetryAfter = time.Now().Add(rest).Round(0)
		if s.Gate == "" {
			s.Gate, s.Until = "a server sent Retry-After", s.RetryAfter
		}
	}
	s.Breaker, s.BreakerOpens = x.gate.breaker.view()
	s.Result, s.Blockers = x.tally.view()
	s.Done = s.Result.Total()
	s.Pushing, s.Verifying = x.scheduler.openOrders()
	s.Open = s.Pushing + s.Verifying
	s.End = x.estimator.end(&s, x.scheduler.backlog())
	return s
}

const (
	// An end is estimated after so many verified orders, or after so long since the first push.
	enoughVerified = 10
	enoughTime     = 30 * time.Second
	// maxTook is how many verifications are remembered.
	maxTook = 256
	// farAway is the longest time that is estimated.
	farAway = 365 * 24 * time.Hour

	// The rate of calls is measured for so many seconds.
	displayed = 10
	measured  = 59
)

// backlog is what the scheduler of a run has still to do.
type backlog struct {
	ready int // chains whose next order waits to be begun
	chain int // orders of the longest chain
	steps int // of the canary group with the most
}

// estimator estimates when a run ends. All methods may be called concurrently.
type estimator struct {
	pace   *throttle.Pacer
	before int // calls before the run

	mu       sync.Mutex
	began    time.Time // of the first push
	ended    int       // orders that have ended in this run
	verified int
	took     []time.Duration // from push to verified, of the last orders
}

func newEstimator(pace *throttle.Pacer) *estimator {
	before, _ := pace.Made(0)
	return &estimator{pace: pace, before: before}
}

// sent notes that a push was sent.
func (e *estimator) sent(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.began.IsZero() {
		e.began = now
	}
}

// done notes an order that has ended.
func (e *estimator) done(i *Item) {
	if i.Earlier {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended++
	if i.Outcome != protocol.Completed {
		return
	}
	if e.verified++; !i.PushedAt.IsZero() {
		e.took = append(e.took[max(0, len(e.took)-maxTook+1):], i.DoneAt.Sub(i.PushedAt))
	}
}

// callRate returns how many calls per second were made in the last seconds, at most since the first push.
func (e *estimator) callRate(seconds int) float64 {
	e.mu.Lock()
	began := e.began
	e.mu.Unlock()
	_, calls := e.pace.Made(seconds)
	over := time.Duration(seconds) * time.Second
	if began.IsZero() || time.Since(began) > over {
		return float64(calls) / over.Seconds()
	}
	return float64(calls) / max(1, time.Since(began).Seconds())
}

// end estimates when a run ends. s is its status so far. The longest of these times decides: all calls at the rate
// limit, or at the rate of the last minute if nothing else limits that; the longest chain of orders that follow one
// another; and the steps of the canary.
func (e *estimator) end(s *Status, todo backlog) time.Time {
	now := time.Now()
	remaining := s.Total - s.Done
	if s.State == StateDraining {
		remaining = s.Verifying
	}
	waits := s.Gate != "" && s.State == StateRunning
	if remaining <= 0 || s.State == StatePaused || s.State == StateCancelled || waits && s.Until.IsZero() {
		return time.Time{}
	}
	calls, _ := e.pace.Made(0)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.began.IsZero() || e.verified < enoughVerified && now.Sub(e.began) < enoughTime {
		return time.Time{}
	}
	perOrder := eta.CallsPerOrder  // until the run has measured it
	if e.ended >= enoughVerified { // half of the calls of those that are sent were made
		perOrder = float64(calls-e.before) / (float64(e.ended) + float64(s.Verifying)/2)
	}
	rate := s.Rate
	queued := todo.ready > s.Open+1 && todo.steps == 0 // else chains or the canary limit the rate
	if lately := e.rate(now, s); lately > 0 && queued && (rate < 0 || lately < rate) {
		rate = lately
	}
	took := slices.Sorted(slices.Values(e.took))
	rest := max(time.Duration(todo.chain)*percentile(took, 50), time.Duration(todo.steps)*percentile(took, 80))
	if rate > 0 {
		rest = max(rest, time.Duration(min(float64(remaining)*perOrder/rate, farAway.Seconds())*float64(time.Second)))
	}
	if rest == 0 || rest >= farAway {
		return time.Time{}
	}
	if waits && s.Until.After(now) {
		now = s.Until
	}
	return now.Add(rest).Round(0).Truncate(time.Second).UTC()
}

// rate returns the rate of calls of the last minute; 0 if pushes waited in it.
func (e *estimator) rate(now time.Time, s *Status) float64 {
	minute := measured * time.Second
	if s.Gate != "" || now.Sub(e.began) < minute || now.Sub(s.opened) < minute {
		return 0
	}
	_, calls := e.pace.Made(measured)
	return float64(calls) / minute.Seconds()
}

// percentile returns the smallest duration that is not below p percent of sorted ones; 0 if there are none.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}
