package resubmit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/internal/wait"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/throttle"
)

// ErrCommerceDown means that Commerce has not answered for about two hours, which ended the run. No order was given up
// because of that.
var ErrCommerceDown = errors.New("Commerce has not answered for too long") //nolint:staticcheck // a name

const (
	// outageAfter is how many reads in a row must fail to mean that Commerce does not answer.
	outageAfter = 5
	// readTries is how often an order is read that fails although Commerce answers others.
	readTries = 3
	// outageTrials is how often Commerce is tried before the run ends.
	outageTrials = 12
)

// outage is the circuit of Commerce: while Commerce does not answer, reads wait and nothing is pushed, so that an
// outage
// of Commerce costs time, and no orders.
type outage struct {
	first  time.Duration                // until the first trial
	opened func(closed <-chan struct{}) // is called when it opens
	notify func(why string, until time.Time)

	mu       sync.Mutex
	failed   int       // reads in a row
	since    time.Time // when it opened; zero: closed
	why      string
	trials   int       // that failed, and the reads that opened it
	answered time.Time // when Commerce last answered
	closed   chan struct{}
}

// wait waits until Commerce answers.
func (o *outage) wait(ctx context.Context) error {
	for {
		o.mu.Lock()
		open, closed := !o.since.IsZero(), o.closed
		o.mu.Unlock()
		if !open {
			return ctx.Err()
		}
		if err := wait.For(ctx, time.Hour, closed); err != nil {
			return err
		}
	}
}

// open returns why Commerce does not answer; "" if it does.
func (o *outage) open() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.why
}

// note counts the result of a read that began at a time.
func (o *outage) note(began time.Time, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, throttle.ErrHeldBack):
	case !isOutage(err):
		o.failed, o.answered = 0, time.Now()
		if !o.since.IsZero() && began.After(o.since) {
			o.since, o.why, o.trials = time.Time{}, "", 0
			close(o.closed)
			o.notify("", time.Time{})
		}
	default:
		if o.failed++; o.since.IsZero() && o.failed >= outageAfter {
			o.since, o.closed = time.Now(), make(chan struct{})
			o.failedTrial(err)
			o.opened(o.closed)
		}
	}
}

// failedTrial waits longer for the next trial.
func (o *outage) failedTrial(err error) {
	o.trials++
	o.why = "Commerce does not answer: " + text.Short(err.Error())
	o.notify(o.why, time.Now().Add(o.pause()))
}

// pause returns the time until the next trial.
func (o *outage) pause() time.Duration { return o.first << min(max(o.trials-1, 0), 4) }

// untilTrial waits until the next trial. It returns false if the circuit was closed, or ctx has ended.
func (o *outage) untilTrial(ctx context.Context, closed <-chan struct{}) bool {
	o.mu.Lock()
	pause := o.pause()
	o.mu.Unlock()
	if wait.For(ctx, pause, closed) != nil {
		return false
	}
	select {
	case <-closed:
		return false
	default:
		return true
	}
}

// tried counts the result of a trial, and returns an error if there were too many.
func (o *outage) tried(began time.Time, err error) error {
	o.note(began, err)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() || !isOutage(err) {
		return nil
	}
	o.failedTrial(err)
	if o.trials > outageTrials {
		return fmt.Errorf("resubmit: %w, since %s; apply the plan again when it does: %w", ErrCommerceDown,
			o.since.UTC().Format(time.RFC3339), err)
	}
	return nil
}

// answeredSince reports whether Commerce has answered since a time, and answers now.
func (o *outage) answeredSince(t time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.since.IsZero() && o.answered.After(t)
}

// tryCommerce tries from time to time whether Commerce answers again: with a list or, without a lister, with one order
// of the plan after the other, because an order may fail by itself.
func (c *caller) tryCommerce(closed <-chan struct{}) {
	for c.outage.untilTrial(c.ctx, closed) {
		began := time.Now()
		if err := c.outage.tried(began, c.tryOnce(c.ctx)); err != nil {
			c.stop(err)
			return
		}
	}
}

// askTime makes a call to Commerce, with which a client may report its time.
func (c *caller) askTime(ctx context.Context) {
	if err := c.tryOnce(ctx); err != nil {
		c.cfg.Logger.Warn("the clock could not be checked", "error", err)
	}
}

func (c *caller) tryOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if c.cfg.Lister != nil {
		return c.list(ctx, commerce.Query{Limit: 1}, 0, func(*commerce.Order) bool { return false })
	}
	_, _, err := c.readOnce(ctx, c.orderID(int(c.trial.Add(1))), throttle.Any)
	return err
}

// isOutage reports whether an error may concern Commerce as a whole: there was no answer, or a status from 500 on.
func isOutage(err error) bool {
	if err == nil || unauthorized(err) || forbidden(err) {
		return false
	}
	for _, other := range []error{
		throttle.ErrHeldBack, context.Canceled, commerce.ErrNotFound, commerce.ErrConflict, commerce.ErrRateLimited,
	} {
		if errors.Is(err, other) {
			return false
		}
	}
	if _, ok := errors.AsType[*callback.PanicError](err); ok {
		return false
	}
	e, ok := errors.AsType[*commerce.Error](err)
	return !ok || e.HTTPStatus == 0 || e.HTTPStatus >= 500
}
