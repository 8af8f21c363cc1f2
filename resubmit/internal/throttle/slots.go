package throttle

import (
	"context"
	"slices"
	"sync"
)

// Slots is a first-in, first-out semaphore whose size may change while slots are taken.
type Slots struct {
	mu          sync.Mutex
	most, taken int
	queue       []chan struct{}
}

// NewSlots returns a semaphore of a size.
func NewSlots(most int) *Slots { return &Slots{most: most} }

// Take takes a slot when one is free. Give it back.
func (s *Slots) Take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.taken < s.most && len(s.queue) == 0 {
		s.taken++
		s.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	s.queue = append(s.queue, turn)
	s.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		s.leave(turn)
		return ctx.Err()
	}
}

// leave removes a waiter from the queue, or gives back the slot that it got meanwhile.
func (s *Slots) leave(turn chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := slices.Index(s.queue, turn); at >= 0 {
		s.queue = slices.Delete(s.queue, at, at+1)
		return
	}
	s.taken--
	s.next()
}

// Give gives a slot back.
func (s *Slots) Give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	s.next()
}

// Resize changes the size. Slots beyond it stay taken until they are given back.
func (s *Slots) Resize(most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most = most
	s.next()
}

func (s *Slots) next() {
	for s.taken < s.most && len(s.queue) > 0 {
		close(s.queue[0])
		s.queue = s.queue[1:]
		s.taken++
	}
}
