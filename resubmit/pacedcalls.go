package resubmit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
)

// pacedCalls limits the rate of calls outside of a run, which only read. It implements
// ratelimit.Limiter for the further requests of a call, such as pages and retries.
type pacedCalls struct {
	pace *pacer
	log  *slog.Logger
	stop context.CancelCauseFunc // called if a server asks for too long a pause
}

// newPacedCalls also returns the context for the calls. It ends with the cause ErrPatience if a
// server asks for a pause longer than a day.
func newPacedCalls(ctx context.Context, perSecond float64, log *slog.Logger) (*pacedCalls, context.Context) {
	ctx, stop := context.WithCancelCause(ctx)
	return &pacedCalls{pace: newPacer(perSecond, 1), log: log, stop: stop}, ctx
}

// next waits until the rate allows one call and returns its context.
func (c *pacedCalls) next(ctx context.Context) (context.Context, error) {
	if err := c.pace.wait(ctx); err != nil {
		return nil, err
	}
	return ratelimit.With(ctx, c), nil
}

// read reads an order when the rate allows it.
func (c *pacedCalls) read(ctx context.Context, reader OrderReader, id string) (*commerce.Order, error) {
	ctx, err := c.next(ctx)
	if err != nil {
		return nil, err
	}
	o, err := reader.Order(ctx, id)
	c.pauseFor(err)
	return o, err
}

// Wait implements ratelimit.Limiter.
func (c *pacedCalls) Wait(ctx context.Context) error { return c.pace.wait(ctx) }

// ReportRetryAfter implements ratelimit.Limiter.
func (c *pacedCalls) ReportRetryAfter(d time.Duration) {
	c.log.Warn("a server asks for a pause", "retryAfter", d)
	c.pace.hold(d)
	if err := tooLong("a server", d, defaultMaxHold); err != nil {
		c.stop(err)
	}
}

// Blocked implements ratelimit.Limiter.
func (c *pacedCalls) Blocked() bool { return c.pace.rest() > 0 }

// pauseFor keeps the pause in the error of a client that does not use the limiter.
func (c *pacedCalls) pauseFor(err error) {
	after := time.Duration(0)
	if e, ok := errors.AsType[*commerce.Error](err); ok {
		after = e.RetryAfter
	} else if e, ok := errors.AsType[*connect.Error](err); ok {
		after = e.RetryAfter
	}
	if after > c.pace.rest() {
		c.ReportRetryAfter(after)
	}
}

// checkRate returns an error if a rate limit is invalid.
func checkRate(field string, rate float64) error {
	if rate < 0 && rate != -1 || math.IsNaN(rate) || math.IsInf(rate, 0) {
		return fmt.Errorf("%s is %v; give calls per second, 0 for the default or -1 for no limit", field, rate)
	}
	return nil
}
