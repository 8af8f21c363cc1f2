package resubmit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/orders"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

var (
	// ErrClosed means that a Session was closed.
	ErrClosed = errors.New("resubmit: the session is closed")
	// ErrInProgress means that another call of Attempt has the order.
	ErrInProgress = errors.New("resubmit: the order is already being attempted; wait for that")
	// ErrEntryMismatch means that an order is not in the plan, or not to be resubmitted.
	ErrEntryMismatch = errors.New(
		"resubmit: the order is not as in the approved plan, or is not to be resubmitted; take it from Plan.Entries and " +
			"do not change it")
)

// Session resubmits single orders of one plan, for programs with their own loop, such as a workflow
// engine or a job queue. Each order is handled as by [Runner.Apply], with the same guarantees,
// except that only [Session.Ready] knows the canary. It is safe for concurrent use.
type Session struct {
	x      *run
	runner *Runner
	before map[int32]int32 // the order before each one of a chain

	once    sync.Once // for Close
	mu      sync.Mutex
	closed  bool
	working map[int32]bool
}

// Open begins a session for a plan. Until Close, Apply and Open
// return ErrRunning. The session ends with ctx. Pause, Resume, Drain, Cancel, SetLimits and Status
// apply to it.
func (r *Runner) Open(ctx context.Context, p *plan.Plan) (*Session, error) {
	x, err := r.begin(ctx, p)
	if err != nil {
		return nil, err
	}
	x.reportEnd()
	x.follow()
	x.tally.keep = false
	x.scheduler.leave()
	s := &Session{runner: r, x: x, before: make(map[int32]int32), working: make(map[int32]bool)}
	for i := range p.Index().Len() {
		if next, ok := p.Index().Next(i); ok {
			s.before[int32(next)] = int32(i) //nolint:gosec // a plan has fewer orders
		}
	}
	return s, nil
}

// Attempt resubmits the order of an entry, see AttemptID. The entry must be as in the plan.
func (s *Session) Attempt(ctx context.Context, e *plan.Entry) (Item, error) {
	place, ok := s.x.scheduler.index.Find(e.OrderID)
	if ok {
		planned, err := s.x.scheduler.index.Entry(place)
		if err != nil {
			return notAttempted(e, err.Error()), err
		}
		ok = string(planned.AppendJSON(nil)) == string(e.AppendJSON(nil))
	}
	if !ok {
		err := fmt.Errorf("%w: order %s", ErrEntryMismatch, text.Short(e.OrderID))
		return notAttempted(e, err.Error()), err
	}
	return s.AttemptID(ctx, e.OrderID)
}

// AttemptID resubmits one order of the plan: it waits until pushes are allowed, pushes the order unless the
// journal says that it was pushed, and verifies the result as [VerifyConfig] says. Call it again, at
// any time and in any later session with the same plan and journal, for an order whose outcome is
// progressing or unknown: it resumes and never pushes twice, except as Policy.Retry allows. With
// Verify.Timeout -1 it checks once and returns, so that the caller decides when to check again; it
// still waits for Policy.SettleDelay after a push without an answer.
//
// The orders of a subscription are processed in the order of the plan: an order is
// blocked, without a record, while the journal does not show that its predecessor succeeded. Call
// again when it has.
//
// The error is why the order was not attempted or did not end: the cause of ctx or of the end of
// the session, ErrDrained, ErrInProgress or ErrEntryMismatch. The item is valid in each case.
func (s *Session) AttemptID(ctx context.Context, orderID string) (Item, error) {
	place, e, err := s.find(orderID)
	if err != nil {
		return notAttempted(&plan.Entry{OrderID: orderID}, err.Error()), err
	}
	return s.attemptAt(ctx, place, e, nil)
}

func (s *Session) attempt(ctx context.Context, place int32, e *plan.Entry, call *step) (Item, error) {
	own, end := context.WithCancelCause(s.x.ctx)
	defer end(nil)
	defer context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })()
	defer call.begin(end)()
	done := make(chan *order, 1)
	s.x.begin(own, place, e, call, func(o *order) { s.leave(place); call.finish(o); done <- o })
	select {
	case o := <-done:
		return o.item, s.unfinished(o)
	case <-own.Done():
	}
	late := time.NewTimer(s.x.cfg.PushTimeout + callGrace)
	defer late.Stop()
	select {
	case o := <-done:
		return o.item, s.unfinished(o)
	case <-late.C:
	case <-s.x.hurry:
	}
	i := notAttempted(e, "a call has not returned, and was given up")
	i.Outcome = protocol.Unknown
	if call != nil {
		return i, fmt.Errorf("resubmit: order %s: %w", text.Short(e.OrderID), errHangs)
	}
	return i, context.Cause(own)
}

// unfinished returns why an order did not end; nil if it did.
func (s *Session) unfinished(o *order) error {
	switch err := context.Cause(o.ctx); {
	case s.x.ctx.Err() != nil:
		return context.Cause(s.x.ctx)
	case err != nil && o.leftOpen():
		return err
	case (o.item.Outcome == protocol.NotStarted || o.attempt.interrupted) && o.leftOpen() && s.x.stopping():
		return ErrDrained
	default:
		return nil
	}
}

// enter reserves an order for one caller until leave.
func (s *Session) enter(place int32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if err := context.Cause(s.x.ctx); err != nil {
		return err
	}
	if s.working[place] {
		return ErrInProgress
	}
	s.working[place] = true
	s.x.orders.Add(1) // so that Close waits
	return nil
}

func (s *Session) leave(place int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.working, place)
	s.x.orders.Done()
}

// blockedBy returns an order before another one, of the same lanes, that has not succeeded; "" if there is none.
func (s *Session) blockedBy(ctx context.Context, place int32, e *plan.Entry) (string, error) {
	lanes := e.Lanes()
	for before, ok := s.before[place]; ok; before, ok = s.before[before] {
		older, err := s.x.scheduler.index.Entry(int(before))
		if err != nil {
			return "", fmt.Errorf("resubmit: read the plan: %w", err)
		}
		if !slices.ContainsFunc(older.Lanes(), func(l string) bool { return slices.Contains(lanes, l) }) {
			continue
		}
		rec, err := s.x.cfg.Journal.Get(ctx, protocol.OrderKey(older.OrderID))
		if err != nil {
			return "", fmt.Errorf("resubmit: the journal: order %s: %w", text.Short(older.OrderID), err)
		}
		if r := rec.Order; r == nil || r.Run != s.x.digest || r.Fingerprint != older.Fingerprint ||
			r.Phase != protocol.Ended || r.Outcome != protocol.Completed && !orders.AtRest(r.Status) {
			return older.Label(), nil
		}
	}
	return "", nil
}

// notAttempted returns the item of an order that was not attempted.
func notAttempted(e *plan.Entry, why string) Item {
	i := newItem(e)
	i.Outcome, i.Why, i.DoneAt = protocol.NotStarted, text.Sentence(why), time.Now()
	return i
}

// Status returns how far the session is. Orders whose attempt was not made by this or an earlier session are not begun.
func (s *Session) Status() Status { return s.x.status() }

// Close ends the session: pushes in flight finish, verification stops, and all calls of Attempt
// return. Then the Runner is free for another plan. A second Close does nothing.
func (s *Session) Close() {
	s.once.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.x.cancel(ErrClosed)
		s.runner.finish(s.x) //nolint:errcheck,gosec // each Attempt has returned its own
	})
}
