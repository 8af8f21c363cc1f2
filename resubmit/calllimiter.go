package resubmit

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// callLimiter limits the rate of the requests that a client sends for one call besides the first: a
// retry of a read, a further page, the read that precedes a push (resubmit/SAFETY.md#i7).
type callLimiter struct {
	x      *run
	who    string       // the system that is called
	push   string       // the order that is pushed; "" in other calls
	waited atomic.Int64 // ns
}

// Wait implements ratelimit.Limiter. A push waits for the rate limit only: after a longer wait, what
// was read of the order and of the windows would be out of date.
func (m *callLimiter) Wait(ctx context.Context) error {
	kind := inLine
	if m.push != "" {
		kind = pushing
	}
	began := time.Now()
	err := m.x.pace.await(ctx, kind)
	m.waited.Add(int64(time.Since(began)))
	if err != nil || m.push == "" {
		return err
	}
	if why := m.x.gate.closedFor(m.push); why != "" {
		return fmt.Errorf("%w: %s", errHeldBack, why)
	}
	return nil
}

// Blocked implements ratelimit.Limiter.
func (m *callLimiter) Blocked() bool { return m.x.pace.rest() > 0 }

// took returns how much of the call was spent waiting.
func (m *callLimiter) took() time.Duration { return time.Duration(m.waited.Load()) }
