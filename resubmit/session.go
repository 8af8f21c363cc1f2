package resubmit

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

var (
	// ErrClosed says that a Session was closed.
	ErrClosed = errors.New("resubmit: the session is closed")
	// ErrInProgress says that an order is being attempted already.
	ErrInProgress = errors.New("resubmit: the order is being attempted already; wait for that")
	// ErrEntryMismatch says that an entry is not one of the plan that is to be resubmitted.
	ErrEntryMismatch = errors.New(
		"resubmit: the entry is not as in the approved plan, or is not to be resubmitted; take it from Plan.Entries and " +
			"do not change it")
)

// Session resubmits the orders of one plan one at a time, for programs that own the
// loop: a workflow engine, a job queue. Every order goes the way that [Runner.Apply]
// describes, with all its guarantees: gate, pace, breaker, the intent in the journal,
// the second reading, one push, the outcome, and the proof in both systems. Only the
// Canary is left to the owner of the loop. It is safe for concurrent use.
type Session struct {
	x      *run
	runner *Runner

	seed    maphash.Seed
	entries map[uint64]struct{} // hashes of those to be resubmitted
	// before holds, for each entry, the orders that stand right before it in its lanes.
	before map[uint64][]string

	once     sync.Once // closes it
	mu       sync.Mutex
	closed   bool
	underWay map[string]bool
}

// Open begins a session for a plan. It reads the plan once and keeps about 50 bytes
// for each order that is to be resubmitted, more for those that stand behind another
// one of their subscription. Until Close, Apply and Open return ErrRunning. The
// session ends with ctx; Pause, Resume, Drain, Cancel, SetLimits and Status work on it.
func (r *Runner) Open(ctx context.Context, plan *plan.Plan) (*Session, error) {
	if plan == nil {
		return nil, errors.New("resubmit: Open was given no plan; read one with plan.Open or plan.Read")
	}
	s := &Session{
		runner: r, seed: maphash.MakeSeed(), entries: make(map[uint64]struct{}),
		before: make(map[uint64][]string), underWay: make(map[string]bool),
	}
	if err := s.index(plan); err != nil {
		return nil, err
	}
	x, err := r.begin(ctx, plan)
	if err != nil {
		return nil, err
	}
	x.cfg.OmitItems = true
	x.canary = newCanary(CanaryConfig{Steps: []int{}}.withDefaults(), 1, x.events)
	s.x = x
	return s, nil
}

func (s *Session) index(plan *plan.Plan) error {
	last := make(map[string]string) // lane → the last order in it
	for e, err := range plan.Entries() {
		if err != nil {
			return fmt.Errorf("resubmit: read the plan: %w", err)
		}
		if e.Decision.Action != rules.Resubmit {
			continue
		}
		h := s.hash(e)
		s.entries[h] = struct{}{}
		for _, k := range laneKeys(e) {
			if k == orderLane(e) {
				continue
			}
			if id := last[k]; id != "" && !slices.Contains(s.before[h], id) {
				s.before[h] = append(s.before[h], id)
			}
			last[k] = e.OrderID
		}
	}
	return nil
}

func (s *Session) hash(e *plan.Entry) uint64 { return maphash.Bytes(s.seed, e.AppendJSON(nil)) }

// Attempt takes one order as far as it goes: it waits at the gate, pushes the order
// unless the journal knows that it was pushed, and looks for the result for as long as
// [VerifyConfig] says. Call it again, at any time and in any later session with the same
// plan and journal, for an order whose outcome is progressing or unknown: it goes on
// where it stopped and never pushes twice, but as Config.Retry allows. With
// Verify.Timeout at -1 it looks once and comes back, so that the owner of the loop
// decides when to look next; the settle time of a lost answer is waited for all the same.
//
// The orders of a subscription follow each other in the order of the plan: one whose
// predecessor has not come to a good end, as the journal tells, is skipped as blocked,
// without a trace in the journal; call again when that one is through.
//
// The error says why the order was not taken, or was left before its end: the cause of
// ctx, of the session's end, ErrDrained, ErrInProgress, ErrEntryMismatch. The item tells
// how far it got all the same.
func (s *Session) Attempt(ctx context.Context, e *plan.Entry) (Item, error) {
	j := newJob(e)
	j.lanes = nil // the journal knows who stands before it
	if err := s.enter(e); err != nil {
		return s.untaken(j, err.Error()), err
	}
	defer s.leave(e)
	if id, err := s.blockedBy(e); err != nil {
		return s.untaken(j, err.Error()), err
	} else if id != "" {
		return s.untaken(j, "blocked by the order "+id+
			" before it of the same subscription, which has not come to a good end"), nil
	}
	x := s.x
	var end context.CancelCauseFunc
	j.ctx, end = context.WithCancelCause(x.ctx)
	defer end(nil)
	defer context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })()

	if enter(j.ctx, x.hand, nil) != nil {
		err := context.Cause(j.ctx)
		return s.untaken(j, err.Error()), err
	}
	x.jobs.Add(1) // until it is accounted for
	j.group = x.groupOf(e)
	x.mu.Lock()
	x.canary.enter(j)
	x.mu.Unlock()
	x.pushing.Add(1)
	n := x.attempt(j)
	x.pushing.Add(-1)
	if n == nextFollow {
		x.verifying.Add(1)
		x.follow(j)
	}
	return j.item, j.unfinished(context.Cause(x.ctx))
}

// unfinished says why an order was left before its end.
func (j *job) unfinished(over error) error {
	open := j.left || j.item.Outcome == OutcomeProgressing || j.item.Outcome == OutcomeUnknown
	switch err := context.Cause(j.ctx); {
	case over != nil:
		return over
	case err != nil && open:
		return err
	case j.left:
		return ErrDrained
	default:
		return nil
	}
}

// enter lets one caller have an order. What it does ends with leave.
func (s *Session) enter(e *plan.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if err := context.Cause(s.x.ctx); err != nil {
		return err
	}
	if _, ok := s.entries[s.hash(e)]; !ok {
		return fmt.Errorf("%w: order %s", ErrEntryMismatch, text.Short(e.OrderID))
	}
	if s.underWay[e.OrderID] {
		return fmt.Errorf("%w: order %s", ErrInProgress, text.Short(e.OrderID))
	}
	s.underWay[e.OrderID] = true
	s.x.jobs.Add(1) // so that Close waits
	return nil
}

func (s *Session) leave(e *plan.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.underWay, e.OrderID)
	s.x.jobs.Done()
}

// blockedBy is the order that stands before an entry and is not through.
func (s *Session) blockedBy(e *plan.Entry) (string, error) {
	for _, id := range s.before[s.hash(e)] {
		rec, found, err := s.x.cfg.Journal.Get(id)
		if err != nil {
			return "", fmt.Errorf("resubmit: the journal: order %s: %w", text.Short(id), err)
		}
		if !found || !free(Outcome(rec.State), rec.Seen) {
			return id, nil
		}
	}
	return "", nil
}

// untaken is the item of an order that nothing was done with.
func (s *Session) untaken(j *job, why string) Item {
	j.item.Outcome, j.item.Why, j.item.DoneAt = OutcomeSkipped, text.Sentence(why), time.Now()
	return j.item
}

// Close ends the session: pushes in flight finish, nothing is verified any more, and
// every Attempt comes back. Then the Runner is free for another plan. Closing twice
// does nothing.
func (s *Session) Close() {
	s.once.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.x.cancel(ErrClosed)
		s.runner.wait(s.x)
	})
}
