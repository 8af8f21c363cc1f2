package resubmit

import (
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
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
