package resubmit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
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

	earlier earlierOrders // for Ready

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
	x.shared.follow()
	x.tally.keep = false
	x.scheduler.leave()
	x.verifier.rows.window = stepWindow
	return &Session{runner: r, x: x, working: make(map[int32]bool)}, nil
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
	case err != nil && o.attempt.leftOpen():
		return err
	case (o.item.Outcome == protocol.NotStarted || o.attempt.interrupted) && o.attempt.leftOpen() && s.x.stopping():
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
	lanes, index := e.Lanes(), s.x.scheduler.index
	for before, ok := index.Previous(int(place)); ok; before, ok = index.Previous(before) {
		older, err := index.Entry(before)
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

// StepOptions says what one call of [Session.Step] may do. A call with the zero value waits for nothing: it pushes only
// if it has the permission at once.
type StepOptions struct {
	// MaxWait bounds the whole call from its beginning, with its waits for permission to push and for polls. A call that
	// has the permission reads the order and pushes it, for which it waits for the rate limit, however long that takes; if
	// it ends later than MaxWait, it waits only for polls that are due within another MaxWait.
	MaxWait time.Duration
	// NotAfter is when it is too late to send the push, by the clock of this machine. Zero: never.
	NotAfter time.Time
	// LookOnly never pushes. The two reads of an order whose push got no answer are a settle delay apart, and the call
	// waits for that whatever MaxWait is.
	LookOnly bool
	// Judge finds out the Health of an order in progress, for the canary, which may ask Connect.
	Judge bool
}

// StepResult is what became of an order in one call of [Session.Step].
type StepResult struct {
	Item Item
	// Done reports that the order has its outcome. Otherwise the call ended before, and Why says what the order waits for.
	Done bool
	// Again is when to call again; zero if that is not known.
	Again time.Time
	Why   string
	// Push reports that the order must be pushed next, which StepOptions.LookOnly ruled out.
	Push bool
	// Health is for the canary, see [Session.Ready].
	Health Health
}

// errStepEnded ends the call about an order that has to wait for longer than the call may.
var errStepEnded = errors.New("the order waits for longer than this call")

// Step does what can be done with an order now, without waiting for long, and returns when to call again, in this or
// any other process with the same plan and journal. It is for workflow engines, which wait themselves; see AttemptID.
// Polls follow [VerifyConfig], counted from the push. The error is as of AttemptID.
func (s *Session) Step(ctx context.Context, orderID string, opts StepOptions) (StepResult, error) {
	place, e, err := s.find(orderID)
	if err != nil {
		return StepResult{Item: notAttempted(&plan.Entry{OrderID: orderID}, err.Error())}, err
	}
	call := &step{StepOptions: opts}
	item, err := s.attemptAt(ctx, place, e, call)
	r := StepResult{Item: item, Done: err == nil}
	if !errors.Is(err, errHangs) { // the order may still be at work
		r.Health = call.health
	}
	if errors.Is(err, errStepEnded) {
		r.Again, r.Why, r.Push = call.again, call.why, call.push
		if r.Why == "" {
			r.Why = call.late()
		}
		if r.Why == "" {
			r.Again, r.Why = waits(s.x)
		}
		return r, nil
	}
	if err == nil && item.Outcome == protocol.ClaimedElsewhere {
		r.Done, err = s.elsewhere(ctx, e)
		r.Why = "another process that handles the plan has it"
	}
	return r, err
}

// elsewhere reports whether another plan has an order. Otherwise another process that handles this one has it.
func (s *Session) elsewhere(ctx context.Context, e *plan.Entry) (bool, error) {
	rec, err := s.x.cfg.Journal.Get(ctx, protocol.OrderKey(e.OrderID))
	if err != nil {
		return false, fmt.Errorf("resubmit: the journal: order %s: %w", text.Short(e.OrderID), err)
	}
	o := rec.Order
	return o == nil || o.Run != s.x.digest || o.Fingerprint != e.Fingerprint, nil
}

// waits returns what pushes wait for, and until when; zero if that is not known.
func waits(x *run) (time.Time, string) {
	if rest := x.caller.pace.Rest(); rest > 0 {
		return time.Now().Add(rest).Round(0), "a server sent Retry-After"
	}
	if why, until := x.gate.closed(time.Now()); why != "" {
		return until, why
	}
	why, until := x.gate.breaker.waits()
	return until, cmp.Or(why, "its turn")
}

// step is one call of Session.Step. A nil step is none: nothing limits how long the order may wait.
type step struct {
	StepOptions
	end      func(error) // ends the call
	until    time.Time   // when it must not wait any more
	admitted atomic.Bool // the order has the permission to push

	again  time.Time
	why    string
	push   bool
	health Health
	looked bool // the order was read since its push
}

// begin lets the call end with end, and returns what stops the time of the call.
func (p *step) begin(end func(error)) (stop func()) {
	if p == nil {
		return func() {}
	}
	p.end, p.until = end, time.Now().Add(p.MaxWait)
	if p.LookOnly {
		return func() {}
	}
	wait := time.AfterFunc(p.MaxWait, func() {
		if !p.admitted.Load() {
			end(errStepEnded)
		}
	})
	if p.NotAfter.IsZero() {
		return func() { wait.Stop() }
	}
	late := time.AfterFunc(time.Until(p.NotAfter), func() { end(errStepEnded) })
	return func() { wait.Stop(); late.Stop() }
}

// admit notes whether the order has the permission to push.
func (p *step) admit(admitted bool) {
	if p != nil {
		p.admitted.Store(admitted)
	}
}

// finish notes what the order was when the call ended.
func (p *step) finish(o *order) {
	if p != nil {
		p.health = o.health
	}
}

// limited reports whether the call must not wait until a time, which ends it.
func (p *step) limited(until time.Time, why string) bool {
	if p == nil || time.Until(until) <= p.MaxWait {
		return false
	}
	p.again, p.why = until.Round(0), why
	p.end(errStepEnded)
	return true
}

// reads notes that the order is read.
func (p *step) reads(inFlight bool) {
	if p != nil {
		p.looked = inFlight
	}
}

// settling reports whether a call that only looks waits between the two reads of an order whose push got no answer. The
// first one is not recorded.
func (p *step) settling() bool { return p != nil && p.LookOnly && p.looked }

// admits reports whether the order may be pushed in this call, which ends otherwise.
func (p *step) admits() bool {
	switch {
	case p == nil:
		return true
	case p.LookOnly:
		p.push, p.why = true, "it must be pushed next"
	case p.late() != "":
		p.why = p.late()
	case p.MaxWait > 0 && time.Now().After(p.until): // the push was held back
	default:
		return true
	}
	p.end(errStepEnded)
	return false
}

// late returns why a push must not be sent any more; "" if it may.
func (p *step) late() string {
	if p == nil || p.NotAfter.IsZero() || time.Now().Round(0).Before(p.NotAfter) {
		return ""
	}
	return "this call began too long ago"
}

// interval returns how long after its push an order is polled next: after InitialInterval, and then at doubling
// intervals. since is how long ago the push was, and polled whether the order was polled in this call.
func (c *VerifyConfig) interval(since time.Duration, polled bool) time.Duration {
	first := max(c.InitialInterval, 0)
	if !polled {
		return max(0, first-since)
	}
	next := max(since+first, pollAtLeast)
	if c.MaxInterval > 0 {
		next = min(next, c.MaxInterval)
	}
	return next
}

// find returns the place of an order in the plan, and its entry.
func (s *Session) find(orderID string) (int32, *plan.Entry, error) {
	at, ok := s.x.scheduler.index.Find(orderID)
	if !ok {
		return 0, nil, fmt.Errorf("%w: order %s", ErrEntryMismatch, text.Short(orderID))
	}
	e, err := s.x.scheduler.index.Entry(at)
	return int32(at), e, err //nolint:gosec // a plan has fewer orders
}

// attemptAt attempts an order unless another one blocks it.
func (s *Session) attemptAt(ctx context.Context, place int32, e *plan.Entry, call *step) (Item, error) {
	if err := s.enter(place); err != nil {
		err = fmt.Errorf("%w: order %s", err, text.Short(e.OrderID))
		return notAttempted(e, err.Error()), err
	}
	by, err := s.blockedBy(ctx, place, e)
	if err == nil && by == "" {
		return s.attempt(ctx, place, e, call)
	}
	s.leave(place)
	if err != nil {
		return notAttempted(e, err.Error()), err
	}
	i := notAttempted(e, "blocked by the order "+text.Short(by)+
		" before it of the same subscription, which has not succeeded")
	i.Outcome = protocol.Blocked
	return i, nil
}
