package sandbox

import (
	"sync"
	"time"
)

// clock is the time of both systems: moved by hand while the past is played,
// the real one afterwards.
type clock struct {
	mu   sync.Mutex
	past time.Time // zero once the clock is live
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.past.IsZero() {
		return time.Now().UTC()
	}
	return c.past
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.past = t
}

func (c *clock) goLive() { c.set(time.Time{}) }

func (c *clock) live() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.past.IsZero()
}
