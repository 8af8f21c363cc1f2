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
	// ErrClosed means that a Session was closed.
	ErrClosed = errors.New("resubmit: the session is closed")
	// ErrInProgress means that another call of Attempt has the order.
	ErrInProgress = errors.New("resubmit: the order is already being attempted; wait for that")
	// ErrEntryMismatch means that an entry is not in the plan, or not to be resubmitted.
	ErrEntryMismatch = errors.New(
		"resubmit: the entry is not as in the approved plan, or is not to be resubmitted; take it from Plan.Entries and " +
			"do not change it")
)

// Session resubmits single orders of one plan, for programs with their own loop, such as a workflow
// engine or a job queue. Each order is handled as by [Runner.Apply], with the same guarantees,
// except that there is no Canary. It is safe for concurrent use.
type Session struct {
	x      *run
	runner *Runner

	seed    maphash.Seed
	entries map[uint64]struct{} // hashes of the entries to resubmit
	// before has the orders directly before each entry in its lanes.
	before map[uint64][]string

	once     sync.Once // for Close
	mu       sync.Mutex
	closed   bool
	underWay map[string]bool
}

// Open begins a session for a plan. It reads the plan once and holds about 50 bytes for each order
// to resubmit, more if another order of its subscription precedes it. Until Close, Apply and Open
// return ErrRunning. The session ends with ctx. Pause, Resume, Drain, Cancel, SetLimits and Status
// apply to it.
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

// Attempt resubmits one order: it waits until pushes are allowed, pushes the order unless the
// journal says that it was pushed, and verifies the result as [VerifyConfig] says. Call it again, at
// any time and in any later session with the same plan and journal, for an order whose outcome is
// progressing or unknown: it resumes and never pushes twice, except as Config.Retry allows. With
// Verify.Timeout -1 it checks once and returns, so that the caller decides when to check again; it
// still waits for Config.SettleDelay after a push without an answer.
//
// The orders of a subscription are processed in the order of the plan: an order is skipped as
// blocked, without a record, while the journal does not show that its predecessor succeeded. Call
// again when it has.
//
// The error is why the order was not attempted or did not end: the cause of ctx or of the end of
// the session, ErrDrained, ErrInProgress or ErrEntryMismatch. The item is valid in each case.
func (s *Session) Attempt(ctx context.Context, e *plan.Entry) (Item, error) {
	j := newJob(e)
	j.lanes = nil // the journal has the order before it
	if err := s.enter(e); err != nil {
		return s.untaken(j, err.Error()), err
	}
	defer s.leave(e)
	if id, err := s.blockedBy(e); err != nil {
		return s.untaken(j, err.Error()), err
	} else if id != "" {
		return s.untaken(j, "blocked by the order "+id+
			" before it of the same subscription, which has not succeeded"), nil
	}
	x := s.x
	var end context.CancelCauseFunc
	j.ctx, end = context.WithCancelCause(x.ctx)
	defer end(nil)
	defer context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })()

	if enter(j.ctx, x.open, nil) != nil {
		err := context.Cause(j.ctx)
		return s.untaken(j, err.Error()), err
	}
	x.jobs.Add(1) // until its outcome is counted
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

// unfinished returns why an order did not end; nil if it did.
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

// enter reserves an order for one caller until leave.
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

// blockedBy returns the order before an entry that has not succeeded; "" if there is none.
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

// untaken returns the item of an order that was not attempted.
func (s *Session) untaken(j *job, why string) Item {
	j.item.Outcome, j.item.Why, j.item.DoneAt = OutcomeSkipped, text.Sentence(why), time.Now()
	return j.item
}

// Close ends the session: pushes in flight finish, verification stops, and all calls of Attempt
// return. Then the Runner is free for another plan. A second Close does nothing.
func (s *Session) Close() {
	s.once.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.x.cancel(ErrClosed)
		s.runner.wait(s.x)
	})
}
