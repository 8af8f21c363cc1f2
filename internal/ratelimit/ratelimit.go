package ratelimit

import (
	"context"
	"sync/atomic"
	"time"
)

// Limiter decides when a client may send its next request.
type Limiter interface {
	// Wait returns nil when one more request may be sent, or the reason why none may.
	Wait(ctx context.Context) error
	// ReportRetryAfter records at once that a server asked for a pause.
	ReportRetryAfter(d time.Duration)
	// ReportDate records that the clock of a server showed the time server when the local clock
	// showed local. Both are estimates: the Date of an answer has whole seconds, and local is the
	// middle between sending the request and receiving the start of the answer.
	ReportDate(host string, server, local time.Time)
	// Blocked reports whether such a pause is still in effect.
	Blocked() bool
}

type key struct{}

// limitedContext is a context whose requests wait for a limiter.
type limitedContext struct {
	context.Context //nolint:containedctx // it is one
	limiter         Limiter
	created         time.Time
	firstUsed       atomic.Bool
}

// Value returns the context itself for the key of this package.
func (c *limitedContext) Value(k any) any {
	if k == (key{}) {
		return c
	}
	return c.Context.Value(k)
}

// firstExpires is how soon the first request must follow With to need no further wait.
// One that was delayed longer, for a free connection or by a sign-in, would come too close
// to the next: the limiter leaves a margin of a few milliseconds a second, which the
// network needs too.
const firstExpires = 2 * time.Millisecond

// With returns a context whose requests wait for l. The caller has already waited for the
// first request; it does not wait again unless it is delayed, by a sign-in for example.
func With(ctx context.Context, l Limiter) context.Context {
	return &limitedContext{Context: ctx, limiter: l, created: time.Now()}
}

// Wait waits until one request may be sent. The first request waits too if a server has
// asked for a pause since [With].
func Wait(ctx context.Context) error {
	c, ok := ctx.Value(key{}).(*limitedContext)
	if !ok {
		return nil
	}
	first := c.firstUsed.CompareAndSwap(false, true)
	if first && time.Since(c.created) < firstExpires && !c.limiter.Blocked() {
		return nil
	}
	return c.limiter.Wait(ctx)
}

// ReportRetryAfter tells the limiter that a server asked for a pause; 0 is ignored.
func ReportRetryAfter(ctx context.Context, d time.Duration) {
	if c, ok := ctx.Value(key{}).(*limitedContext); ok && d > 0 {
		c.limiter.ReportRetryAfter(d)
	}
}

// ReportDate tells the limiter the time of a server, see [Limiter].
func ReportDate(ctx context.Context, host string, server, local time.Time) {
	if c, ok := ctx.Value(key{}).(*limitedContext); ok {
		c.limiter.ReportDate(host, server, local)
	}
}
