package rest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// Pace limits the rate of all tries that share it, and delays them until a Retry-After that any
// of them received has passed. It is safe for concurrent use. A nil Pace does not limit.
type Pace struct {
	interval time.Duration // between two tries; 0: none

	mu    sync.Mutex
	next  time.Time // when the next try may be sent
	until time.Time // a server asked for no calls before then
}

// NewPace returns a Pace of perSecond tries a second, evenly spaced; 0 means that only
// Retry-After is honored.
func NewPace(perSecond float64) (*Pace, error) {
	switch {
	case perSecond == 0:
		return &Pace{}, nil
	case perSecond >= 1e-3 && perSecond <= 1e6:
		return &Pace{interval: time.Duration(math.Ceil(float64(time.Second) / perSecond))}, nil
	default:
		return nil, fmt.Errorf("%v calls a second are not between 0.001 and a million", perSecond)
	}
}

// heldError means that a server asked for a longer pause than a call waits.
type heldError struct{ left time.Duration }

func (e *heldError) Error() string {
	return fmt.Sprintf("not sent: an answer to another call asked to wait, %s more", e.left.Round(time.Second))
}

// wait waits until a try may be sent. It returns an error at once if that takes longer than most.
func (p *Pace) wait(ctx context.Context, most time.Duration) error {
	if p == nil {
		return nil
	}
	for {
		if turn := p.turn(); turn > 0 {
			if err := sleep(ctx, turn); err != nil {
				return err
			}
		}
		left := p.left()
		switch {
		case left > most:
			return &heldError{left}
		case left <= 0:
			return nil
		}
		if err := sleep(ctx, left); err != nil {
			return err
		}
	}
}

// turn reserves the next slot and returns how long to wait for it.
func (p *Pace) turn() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	turn := p.next.Sub(now)
	p.next = p.next.Add(p.interval)
	return turn
}

func (p *Pace) left() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Until(p.until)
}

// hold delays all tries that were not sent yet.
func (p *Pace) hold(d time.Duration) {
	if p == nil || d <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if until := time.Now().Add(d); until.After(p.until) {
		p.until = until
	}
}

// held returns the error of a try that was not sent.
func (t *try) held(err error) *Error {
	e := t.failed(err)
	e.NotSent = true
	if long, ok := errors.AsType[*heldError](err); ok {
		e.RetryAfter = long.left
	} else {
		e.Local = true // the caller gave up
	}
	return e
}
