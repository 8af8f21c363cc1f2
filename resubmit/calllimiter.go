package resubmit

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// callLimiter paces what a client sends beyond the one call that a run has waited for: a
// read tried again, a further page, the reading that a push begins with. The limit is
// about all of them (resubmit/SAFETY.md#i7).
type callLimiter struct {
	x      *run
	who    string       // is called
	push   string       // the order that is pushed; "" in other calls
	waited atomic.Int64 // ns
}

// Wait implements ratelimit.Limiter. Within a push nothing is waited for but the pace: what
// was known of the order and of the windows would be old by then.
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

// took is how much of a call was waiting for turns.
func (m *callLimiter) took() time.Duration { return time.Duration(m.waited.Load()) }
