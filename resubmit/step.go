package resubmit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// StepOptions says what one call of [Session.Step] may do. The zero value pushes and waits for nothing.
type StepOptions struct {
	// MaxWait is how long the call may wait for permission to push, and for a poll. Once it has the permission, it reads
	// the order and pushes it, for which it waits for the rate limit.
	MaxWait time.Duration
	// NotAfter is when it is too late to send the push, by the clock of this machine. Zero: never.
	NotAfter time.Time
	// LookOnly never pushes. The two reads of an order whose push got no answer are a settle delay apart, and the call
	// waits for that whatever MaxWait is.
	LookOnly bool
	// Judge judges an order in progress for a canary, which may ask Connect.
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
	// Health is how a canary judges the order, see [Session.Ready].
	Health Health
}

// errStepEnded ends the call about an order that has to wait for longer than the call may.
var errStepEnded = errors.New("the order waits for longer than this call")

// Step is AttemptID for a program that keeps the time itself, such as a workflow engine: it does what can be done with
// an order now, and returns when to call again, in this or any other process with the same plan and journal. Polls
// follow [VerifyConfig], counted from the push. The error is as of AttemptID.
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
			r.Again, r.Why = s.x.waits()
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
func (x *run) waits() (time.Time, string) {
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
