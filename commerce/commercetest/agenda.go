package commercetest

import (
	"container/heap"
	"context"
	"strconv"
	"sync"
	"time"
)

// runWorkers is how many orders Run provisions at a time.
const runWorkers = 8

// phase is what is due for an order.
type phase int

const (
	phaseStart phase = iota // take the automatic transitions, then call provisioning
	phaseAsync              // ask provisioning again
)

// event is something due for one turn of an order.
type event struct {
	due   time.Time
	seq   int // events due at the same time happen in the order of making
	rec   *record
	life  int
	phase phase
}

func (e *event) dead() bool { return e.rec.life != e.life }

// agenda holds the events by time. The System's lock guards it.
type agenda struct {
	events eventHeap
	made   int
}

func (a *agenda) add(e event) {
	a.made++
	e.seq = a.made
	heap.Push(&a.events, &e)
}

// next returns the earliest event that still counts; nil when there is none.
func (a *agenda) next() *event {
	for len(a.events) > 0 {
		if e := a.events[0]; !e.dead() {
			return e
		}
		heap.Pop(&a.events)
	}
	return nil
}

// take removes and returns the earliest event due by t; nil when there is none.
func (a *agenda) take(t time.Time) *event {
	e := a.next()
	if e == nil || e.due.After(t) {
		return nil
	}
	heap.Pop(&a.events)
	return e
}

type eventHeap []*event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if c := h[i].due.Compare(h[j].due); c != 0 {
		return c < 0
	}
	return h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(*event)) } //nolint:forcetypeassert,errcheck // only add pushes
func (h *eventHeap) Pop() any {
	old := *h
	last := len(old) - 1
	e := old[last]
	old[last] = nil
	*h = old[:last]
	return e
}

func (s *System) schedule(rec *record, due time.Time, p phase) {
	s.agenda.add(event{due: due, rec: rec, life: rec.life, phase: p})
	select {
	case s.wake <- struct{}{}:
	default: // Run has a wake-up waiting already
	}
}

// Step makes everything happen that is due by now, one after the other in the
// order of time, and returns. With equal seeds, clocks and calls the result is
// the same. The only error is that of ctx; what could not be done stays due.
func (s *System) Step(ctx context.Context) error {
	horizon := s.cfg.Now()
	for ctx.Err() == nil {
		s.mu.Lock()
		e := s.agenda.take(horizon)
		s.mu.Unlock()
		if e == nil {
			return nil
		}
		s.happen(ctx, e)
	}
	return ctx.Err()
}

// NextDue tells when something happens next; false when nothing will.
func (s *System) NextDue() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.agenda.next(); e != nil {
		return e.due, true
	}
	return time.Time{}, false
}

// Run makes things happen when they are due, eight orders at a time, until ctx
// ends, and returns the error of ctx; by then nothing of it runs any more. It
// waits in real time: after moving Config.Now by hand, call Step. Have one Run
// of a System at a time.
func (s *System) Run(ctx context.Context) error {
	var working sync.WaitGroup
	defer working.Wait()
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
		working.Go(func() {
			s.happen(ctx, e)
			<-slots
		})
	}
}

// await returns the next event once it is due.
func (s *System) await(ctx context.Context) (*event, error) {
	for ctx.Err() == nil {
		now := s.cfg.Now()
		s.mu.Lock()
		e, next := s.agenda.take(now), s.agenda.next()
		s.mu.Unlock()
		if e != nil {
			return e, nil
		}
		var due <-chan time.Time
		if next != nil {
			timer := time.NewTimer(next.due.Sub(now))
			defer timer.Stop()
			due = timer.C
		}
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-due:
		}
	}
	return nil, ctx.Err()
}

// happen carries out one event: under the lock what concerns the order, without
// it the calls to Connect.
func (s *System) happen(ctx context.Context, e *event) {
	s.mu.Lock()
	if e.dead() || (e.phase == phaseStart && !s.advance(e.rec)) {
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
	case e.dead(): // somebody else moved the order in the meantime
	case ctx.Err() != nil: // the answer tells of our stopping, not of Connect
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

// pollAfter is how long the order waits before provisioning asks again.
func (s *System) pollAfter(rec *record) time.Duration {
	if s.cfg.Poll > 0 {
		return s.cfg.Poll
	}
	r := s.store.random("poll " + rec.ID + " " + strconv.Itoa(rec.polls))
	return minPoll + time.Duration(r.Int64N(int64(pollSpread)))
}
