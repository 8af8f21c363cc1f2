package testkit

import (
	"sync"
	"time"
)

// Clock is a clock that tests set by hand. Its zero value runs in real time. Safe for
// concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at a time.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Now returns the time of the clock, in UTC if it runs in real time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now.IsZero() {
		return time.Now().UTC()
	}
	return c.now
}

// Set stops the clock at a time; the zero time makes it run in real time.
func (c *Clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// Add moves a stopped clock.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Live reports whether the clock runs in real time.
func (c *Clock) Live() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now.IsZero()
}
