package testkit

import (
	"container/heap"
	"time"
)

// Scheduler is a queue of events that become due: earliest first, and in the order of
// adding for equal times. Not safe for concurrent use.
type Scheduler[T any] struct {
	// Stale reports whether an event no longer counts; such events are dropped. Nil
	// keeps all events.
	Stale func(T) bool

	events eventHeap[T]
	added  int
}

// Add schedules an event.
func (s *Scheduler[T]) Add(due time.Time, value T) {
	s.added++
	heap.Push(&s.events, event[T]{due: due, seq: s.added, value: value})
}

// Next returns when the earliest event is due; false if there is none.
func (s *Scheduler[T]) Next() (due time.Time, ok bool) {
	for len(s.events) > 0 && s.Stale != nil && s.Stale(s.events[0].value) {
		heap.Pop(&s.events)
	}
	if len(s.events) == 0 {
		return time.Time{}, false
	}
	return s.events[0].due, true
}

// Take removes and returns the earliest event due at now or before; false if there is none.
func (s *Scheduler[T]) Take(now time.Time) (value T, ok bool) {
	due, ok := s.Next()
	if !ok || due.After(now) {
		return value, false
	}
	value = s.events[0].value
	heap.Pop(&s.events)
	return value, true
}

type event[T any] struct {
	due   time.Time
	seq   int
	value T
}

// eventHeap implements heap.Interface.
type eventHeap[T any] []event[T]

func (h eventHeap[T]) Len() int      { return len(h) }
func (h eventHeap[T]) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h eventHeap[T]) Less(i, j int) bool {
	if c := h[i].due.Compare(h[j].due); c != 0 {
		return c < 0
	}
	return h[i].seq < h[j].seq
}

func (h *eventHeap[T]) Push(x any) {
	*h = append(*h, x.(event[T])) //nolint:forcetypeassert,errcheck // only Add pushes
}

// Pop returns nothing, since Take has read the event before.
func (h *eventHeap[T]) Pop() any {
	last := len(*h) - 1
	clear((*h)[last:])
	*h = (*h)[:last]
	return nil
}
