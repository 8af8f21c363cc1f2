package resubmit

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// paceMargin is how far below the limit the calls are spaced, so that a late
// timer or a rounded nanosecond does not put one call too many into a second.
const paceMargin = 0.995

// pacer spaces all calls of a run, and holds all of them back when a server asked
// for that.
type pacer struct {
	limit *rate.Limiter // nil: no limit

	mu    sync.Mutex
	until time.Time // nothing goes out before
}

func newPacer(perSecond float64) *pacer {
	if perSecond < 0 {
		return &pacer{}
	}
	return &pacer{limit: rate.NewLimiter(rate.Limit(perSecond*paceMargin), 1)}
}

// wait returns when one call may go out. held says that it had to wait for more
// than the pace: what the caller knew before may be stale.
func (p *pacer) wait(ctx context.Context) (held bool, err error) {
	for {
		if err := p.turn(ctx); err != nil {
			return held, err
		}
		rest := p.rest()
		if rest <= 0 {
			return held, nil
		}
		// The turn is given up: all who waited here start spaced again.
		held = true
		if err := sleep(ctx, rest); err != nil {
			return held, err
		}
	}
}

func (p *pacer) turn(ctx context.Context) error {
	if p.limit == nil {
		return ctx.Err()
	}
	r := p.limit.Reserve()
	if err := sleep(ctx, r.Delay()); err != nil {
		r.Cancel()
		return err
	}
	return nil
}

// hold lets nothing out for d from now.
func (p *pacer) hold(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(d); until.After(p.until) {
		p.until = until
	}
}

func (p *pacer) rest() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until.IsZero() {
		return 0
	}
	return time.Until(p.until)
}

// sleep waits for d, or until ctx is done, and then returns its error.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
