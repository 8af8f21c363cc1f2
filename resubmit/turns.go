package resubmit

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// more paces what a client sends beyond the one call that a run has waited for: a
// read tried again, a further page, the reading that a push begins with. The limit is
// about all of them (facts/resubmission.md I7).
type more struct {
	x      *run
	push   bool
	waited atomic.Int64 // ns
}

// Turn implements turns.Turns. Within a push nothing is waited for but the pace: what
// was known of the order and of the windows would be old by then.
func (m *more) Turn(ctx context.Context) error {
	if m.push && m.x.pace.rest() > 0 {
		return errHeldBack
	}
	began := time.Now()
	held, err := m.x.pace.wait(ctx)
	m.waited.Add(int64(time.Since(began)))
	switch {
	case err != nil || !m.push:
		return err
	case held:
		return errHeldBack
	}
	if why, _ := m.x.gate.closed(time.Now()); why != "" {
		return errors.New("held back right before the push: " + why)
	}
	return nil
}

// Asked implements turns.Turns.
func (m *more) Asked(d time.Duration) { m.x.pace.hold(d) }

// took is how much of a call was waiting for turns.
func (m *more) took() time.Duration { return time.Duration(m.waited.Load()) }

var errHeldBack = errors.New("held back, because a server asked for patience right before the push")
