package throttle

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// sharedMargin makes the time between two calls longer if other processes keep to the limit too, because each may be
	// late by its own delays. With late, which is shorter, it keeps every second to one call more than the limit at most.
	sharedMargin = 1.05
	late         = 25 * time.Millisecond
	// turnsAtOnce is for how long calls are reserved at once, besides the lead.
	turnsAtOnce = 100 * time.Millisecond
	// maxLead is the longest lead. Journals rely on it, see resubmit.SharedRate.
	maxLead = 3 * time.Second
	// mostLost is after how many reservations in a row that came too late there is an error.
	mostLost = 10
	// second is the time between a push and the call before it at low rates, see Push.
	second = time.Duration(sharedMargin * float64(time.Second))
	// yield is how much later than possible a process asks at low rates after it had a turn. The longer it waits, the
	// earlier it asks, so that all processes have turns.
	yield = 800 * time.Millisecond
)

// ErrShared means that the limit of several processes cannot be kept.
var ErrShared = errors.New("the shared rate limit failed, so no calls are made")

// Reserve reserves calls of one process at a limit of several, see resubmit.SharedRate.
type Reserve func(ctx context.Context, calls int, first, gap, lead time.Duration) (
	reserved int, at time.Time, err error)

// turns are the calls that were reserved for a Pacer.
type turns struct {
	queued atomic.Int64 // callers that wait

	shared Reserve // nil: the limit is that of this Pacer alone
	failed func(error)
	at     []time.Time   // when they may be made, the earliest first
	late   time.Duration // how long after that
	ask    [2]time.Time  // no more are reserved before, for pushes and for other calls
	lead   time.Duration // how long the next answer may take
	lost   int           // reservations in a row that came too late
	passed int           // how often it was too early since the last turn
}

// Share makes the limit one of several processes. An error of reserve is reported to failed, which must end the context
// of the calls: none is made any more. A nil reserve leaves the limit to this Pacer alone.
func (p *Pacer) Share(reserve Reserve, failed func(error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turns.shared, p.turns.failed = reserve, failed
}

// reserve reserves calls, if none is reserved that a call of this kind can wait for.
func (p *Pacer) reserve(ctx context.Context, k Kind) error {
	shared, failed, lead := p.sharing()
	asked := time.Now()
	calls, first, gap := p.lacks(asked, k)
	if shared == nil || calls == 0 {
		return nil
	}
	reserved, at, err := shared(ctx, calls, first, gap, lead)
	if err == nil {
		err = p.reserved(asked, k, reserved, at, gap)
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failed(err)
		return fmt.Errorf("%w: %w", ErrHeldBack, err)
	}
	return nil
}

func (p *Pacer) sharing() (shared Reserve, failed func(error), lead time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.turns.shared, p.turns.failed, p.turns.lead
}

// reserved keeps calls that were reserved. It returns an error if they came too late, as all the others lately.
func (p *Pacer) reserved(asked time.Time, k Kind, calls int, at time.Time, gap time.Duration) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	took := now.Sub(asked)
	t := &p.turns
	t.lead = min(max(took, t.lead/8*7), maxLead) // a quick answer does not mean that the next one is quick
	if calls == 0 {
		if k != Push && gap > slowInterval && t.lead < time.Second-yield {
			t.passed++
			at = at.Add(yield / time.Duration(t.passed))
		}
		t.ask[k.line()] = at
		return nil
	}
	t.passed = 0
	t.late = min(late+gap/2, maxAge)
	for i := range calls {
		t.at = append(t.at, at.Add(time.Duration(i)*gap))
	}
	last := at.Add(time.Duration(calls-1) * gap)
	if !now.After(last.Add(t.late)) {
		t.lost = 0
		return nil
	}
	if t.lost++; t.lost < mostLost {
		return nil
	}
	return fmt.Errorf("resubmit: %w: %d answers in a row came too late: the last took %v, and its calls were over for "+
		"%v; an answer may take %v, so make the database faster, or run nearer to it", ErrShared, t.lost,
		took.Round(time.Millisecond), now.Sub(last).Round(time.Millisecond), maxLead)
}

// lacks returns how many calls must be reserved, how long after the last one, and the time between them.
func (p *Pacer) lacks(now time.Time, k Kind) (calls int, first, gap time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit < 0 || now.Before(p.until) || k != Push && p.waiting > 0 {
		return 0, 0, 0
	}
	if p.turns.forget(now); len(p.turns.at) > 0 || now.Before(p.turns.ask[k.line()]) {
		return 0, 0, 0
	}
	p.raise(now)
	gap = time.Duration(float64(p.interval()) / margin * sharedMargin)
	first, calls = gap, int(min(p.turns.queued.Load(), max(1, int64((turnsAtOnce+p.turns.lead)/gap))))
	if k == Push && gap > slowInterval {
		first = second
	}
	return calls, first, gap
}

// forget forgets the calls that are too late.
func (t *turns) forget(now time.Time) {
	for len(t.at) > 0 && now.After(t.at[0].Add(t.late)) {
		t.at = t.at[1:]
	}
}

// take takes a reserved call. If there is none now, it returns how long it has to wait, or to ask again.
func (t *turns) take(now time.Time, k Kind) (rest time.Duration, expires time.Time) {
	t.forget(now)
	if len(t.at) == 0 {
		return max(1, t.ask[k.line()].Sub(now)), time.Time{}
	}
	if rest := t.at[0].Sub(now); rest > 0 {
		return rest, time.Time{}
	}
	expires = t.at[0].Add(t.late)
	t.at = t.at[1:]
	return 0, expires
}
