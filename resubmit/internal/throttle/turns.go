package throttle

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// sharedMargin makes the time between two calls longer if other processes keep to the limit too, because each may be
	// late by its own delays. With late, which is shorter, it keeps every second to one call more than the limit at most.
	sharedMargin = 1.05
	late         = 25 * time.Millisecond
	// turnsAtOnce is for how long calls are reserved at once.
	turnsAtOnce = 100 * time.Millisecond
	// second is the time between a push and the call before it at low rates, see Push.
	second = time.Duration(sharedMargin * float64(time.Second))
)

// Reserve reserves calls of one process at a limit of several, see resubmit.SharedRate.
type Reserve func(ctx context.Context, calls int, first, gap time.Duration) (reserved int, at time.Time, err error)

// turns are the calls that were reserved for a Pacer.
type turns struct {
	queued atomic.Int64 // callers that wait

	shared Reserve // nil: the limit is that of this Pacer alone
	failed func(error)
	at     []time.Time   // when they may be made, the earliest first
	late   time.Duration // how long after that
	ask    time.Time     // no more are reserved before
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
	shared, failed := p.sharing()
	calls, first, gap := p.lacks(time.Now(), k)
	if shared == nil || calls == 0 {
		return nil
	}
	reserved, at, err := shared(ctx, calls, first, gap)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failed(err)
		return fmt.Errorf("%w: %w", ErrHeldBack, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if reserved == 0 {
		p.turns.ask = at
	}
	p.turns.late = min(late+gap/2, maxAge)
	for i := range reserved {
		p.turns.at = append(p.turns.at, at.Add(time.Duration(i)*gap))
	}
	return nil
}

func (p *Pacer) sharing() (Reserve, func(error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.turns.shared, p.turns.failed
}

// lacks returns how many calls must be reserved, how long after the last one, and the time between them.
func (p *Pacer) lacks(now time.Time, k Kind) (calls int, first, gap time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit < 0 || now.Before(p.until) || k != Push && p.waiting > 0 {
		return 0, 0, 0
	}
	if p.turns.forget(now); len(p.turns.at) > 0 || now.Before(p.turns.ask) {
		return 0, 0, 0
	}
	p.raise(now)
	gap = time.Duration(float64(p.interval()) / margin * sharedMargin)
	first, calls = gap, int(min(p.turns.queued.Load(), max(1, int64(turnsAtOnce/gap))))
	if gap > slowInterval { // the push goes a second after the read before it, and both take their time
		switch k {
		case Push:
			first = second
		case BeforePush:
			first = 2 * gap
		case Any:
		}
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
func (t *turns) take(now time.Time) (rest time.Duration, expires time.Time) {
	t.forget(now)
	if len(t.at) == 0 {
		return max(1, t.ask.Sub(now)), time.Time{}
	}
	if rest := t.at[0].Sub(now); rest > 0 {
		return rest, time.Time{}
	}
	expires = t.at[0].Add(t.late)
	t.at = t.at[1:]
	return 0, expires
}
