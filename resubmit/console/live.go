package console

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/eta"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// progress is how far a run is.
type progress struct {
	State string // such as "Sending"
	Why   string // the reason for the state
	Total int
	Done  int
	Sent  int    // or perhaps sent, and not verified
	Cells []cell // add up to Total
	Rate  string
	Until time.Time // when the wait ends; zero if unknown
	ETA   string
	Ended bool
}

// cell is a number of orders.
type cell struct {
	Key, Label string
	N          int
	Hidden     bool
}

// alwaysShown are the outcomes that are shown even if no order has them.
var alwaysShown = []protocol.Outcome{protocol.Completed, protocol.FailedAgain, protocol.Unknown, protocol.Blocked}

// progressOf returns how far a run is. status is that of the directory.
func (s *site) progressOf(run *state.Run, status *state.Status) *progress {
	p := &progress{Total: run.Counts.Resubmit, Ended: run.Ended()}
	live := run.Live
	if live == nil {
		live = stopped(s.resultOf(run))
	}
	p.Done, p.Sent = live.Done, live.Open-live.Pushing
	p.State, p.Why = s.stateOf(run, status)
	for _, o := range protocol.Outcomes() {
		n := live.Result.Of(o)
		p.Cells = append(p.Cells, cell{string(o), outcomeWords(o), n, n == 0 && !slices.Contains(alwaysShown, o)})
	}
	p.Cells = append(p.Cells,
		cell{"verifying", "sent, being verified", live.Verifying, false},
		cell{"inHand", "begun", live.Pushing, false},
		cell{"waiting", "not begun", max(0, p.Total-live.Done-live.Open), false})
	if run.Live == nil {
		return p
	}
	p.Until = live.Until
	p.Rate = rateWords(live)
	now := time.Now()
	if end := live.End; !end.IsZero() {
		p.ETA = fmt.Sprintf("%s (%s)", eta.Words(end.Sub(now)), momentOf(end, s.cfg.Location).Text)
	}
	return p
}

// stopped returns the status of a run that no process works on. What may have been sent and is not verified is open,
// and what was not begun is not done.
func stopped(r resubmit.OutcomeCounts) *resubmit.Status {
	s := &resubmit.Status{Result: r, Open: r.Progressing + r.Unknown}
	s.Done = r.Total() - r.NotStarted - s.Open
	s.Result.NotStarted = 0 // they are not begun
	return s
}

// stateOf says in which state a run is, and why.
func (s *site) stateOf(run *state.Run, status *state.Status) (name, why string) {
	current := status.Run != nil && status.Run.ID == run.ID
	switch {
	case run.Ended():
		return "Ended", endWords(run)
	case run.Paused != nil:
		return "Paused", shown(fmt.Sprintf("by %s: %s", run.Paused.By, orNone(run.Paused.Why)))
	case run.StartedAt.IsZero() && s.approver(run) == "":
		return "Not approved", s.beforeApproval(run)
	case run.StartedAt.IsZero() && (!current || !status.Busy):
		return "Approved", "by " + shown(s.approver(run)) + "; the next process that applies plans begins"
	case run.StartedAt.IsZero():
		return "Starting", "the plan is approved by " + shown(s.approver(run))
	case !current || !status.Busy:
		why := "no process works on it; the journal is intact."
		if cause := cmp.Or(run.Why, s.applyError()); cause != "" {
			why += " It stopped because: " + shown(cause)
		}
		return "Interrupted", why
	case run.Live == nil:
		return "Starting", "its process has just begun"
	case run.Live.State == resubmit.StateDraining:
		return "Draining", "nothing more is sent; what was sent is verified"
	case run.Live.Gate != "":
		return "Waiting", shown(run.Live.Gate)
	default:
		return "Sending", "orders are sent and verified"
	}
}

// beforeApproval says what may happen to a plan that nobody has approved.
func (s *site) beforeApproval(run *state.Run) string {
	if run.Review || len(s.dir.Config().Runner.Require) > 0 {
		return "nothing is sent before a person approves the plan"
	}
	return "it may be sent without an approval, within the limits"
}

func orNone(s string) string {
	if s == "" {
		return "no reason given"
	}
	return s
}

// rateWords says at which rate calls are made.
func rateWords(s *resubmit.Status) string {
	rate := "no limit"
	if s.Rate > 0 {
		rate = fmt.Sprintf("at most %.4g calls/s", s.Rate)
	}
	if s.Slowed != "" {
		rate += ", slowed: " + shown(s.Slowed)
	}
	return rate
}

// applyError returns why applying failed last; "" if it did not, or if the state of the run says it.
func (s *site) applyError() string {
	k := s.tasks.newest()
	if k == nil || k.Name != applying || !k.Done() {
		return ""
	}
	_, err := k.outcome()
	for _, known := range []error{
		state.ErrPaused, state.ErrApprovalRequired, resubmit.ErrDrained, resubmit.ErrCancelled,
	} {
		if errors.Is(err, known) {
			return ""
		}
	}
	if err == nil {
		return ""
	}
	return shown(err.Error())
}
