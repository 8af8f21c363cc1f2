package commercetest

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// runWorkers is how many orders Run provisions at a time.
const runWorkers = 8

// phase is what happens to an order when its event is due.
type phase int

const (
	phaseStart phase = iota // take the automatic transitions, then call provisioning
	phaseAsync              // poll provisioning
)

// event is a step of an order. An order that has moved otherwise in the meantime makes it stale.
type event struct {
	due   time.Time
	rec   *record
	turn  int
	phase phase
}

func (e event) stale() bool { return e.rec.turn != e.turn }

func (s *System) schedule(rec *record, due time.Time, p phase) {
	s.events.Add(due, event{due: due, rec: rec, turn: rec.turn, phase: p})
	select {
	case s.wake <- struct{}{}:
	default: // a wake-up is pending already
	}
}

// Step processes all events that are due now, one after the other in the order of time.
// With equal seeds, clocks and calls the result is the same. The only error is that of
// ctx; events that were not processed stay scheduled.
func (s *System) Step(ctx context.Context) error {
	horizon := s.cfg.Now()
	for ctx.Err() == nil {
		s.mu.Lock()
		e, ok := s.events.Take(horizon)
		s.mu.Unlock()
		if !ok {
			return nil
		}
		s.process(ctx, e)
	}
	return ctx.Err()
}

// NextDue returns when the next event is due; false if none is scheduled.
func (s *System) NextDue() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events.Next()
}

// Run processes events when they are due, eight orders at a time, until ctx ends. It
// returns the error of ctx after all its goroutines have ended. It waits in real time:
// after setting Config.Now by hand, call [System.Step]. Run must not be called twice at
// a time.
func (s *System) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	slots := make(chan struct{}, runWorkers)
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		e, err := s.await(ctx)
		if err != nil {
			return err
		}
		workers.Go(func() {
			s.process(ctx, e)
			<-slots
		})
	}
}

// await returns the next event once it is due.
func (s *System) await(ctx context.Context) (event, error) {
	for ctx.Err() == nil {
		now := s.cfg.Now()
		s.mu.Lock()
		e, ok := s.events.Take(now)
		next, more := s.events.Next()
		s.mu.Unlock()
		if ok {
			return e, nil
		}
		var due <-chan time.Time
		if more {
			timer := time.NewTimer(next.Sub(now))
			defer timer.Stop()
			due = timer.C
		}
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-due:
		}
	}
	return event{}, ctx.Err()
}

// process performs one event. It holds the lock while it reads and changes the order,
// and not while it calls Connect.
func (s *System) process(ctx context.Context, e event) {
	s.mu.Lock()
	if e.stale() || (e.phase == phaseStart && !s.advance(e.rec)) {
		s.mu.Unlock()
		return
	}
	j := jobOf(e.rec)
	s.mu.Unlock()

	var a answer
	if e.phase == phaseStart {
		a = s.conn.begin(ctx, j, s.cfg.Now())
	} else {
		a = s.conn.poll(ctx, j)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.stale():
	case ctx.Err() != nil: // the call was canceled, which says nothing about Connect
		s.schedule(e.rec, e.due, e.phase)
	case a.kind == answerDone:
		s.complete(e.rec)
	case a.kind == answerWait:
		e.rec.polls++
		s.schedule(e.rec, s.cfg.Now().Add(s.pollAfter(e.rec)), phaseAsync)
	default:
		s.fail(e.rec, a.text, a.cause, s.cfg.Now())
	}
}

// pollAfter is how long an order waits before provisioning is polled again.
func (s *System) pollAfter(rec *record) time.Duration {
	if s.cfg.PollInterval > 0 {
		return s.cfg.PollInterval
	}
	r := s.store.random("poll " + rec.ID + " " + strconv.Itoa(rec.polls))
	return minPoll + time.Duration(r.Int64N(int64(pollSpread)))
}
