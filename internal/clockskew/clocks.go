package clockskew

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Clocks keeps how far the local clock is ahead of each of a few servers. The zero value is ready
// to use. It is safe for concurrent use.
type Clocks struct {
	mu       sync.Mutex
	readings map[string][]reading // by host, the oldest first
}

// reading is one answer.
type reading struct {
	ahead         time.Duration
	server, local time.Time
}

const (
	// kept is the number of answers of a host that count.
	kept = 8
	// tolerance is how much two answers of the same clock may differ.
	tolerance = 2 * time.Second
	// maxHosts limits the memory.
	maxHosts = 16
)

// ReportDate records that the clock of host showed server when the local clock showed local. It
// implements a method of ratelimit.Limiter.
func (c *Clocks) ReportDate(host string, server, local time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.readings == nil {
		c.readings = make(map[string][]reading)
	}
	all, known := c.readings[host]
	if !known && len(c.readings) == maxHosts {
		return
	}
	all = append(all, reading{local.Sub(server), server, local})
	c.readings[host] = all[max(0, len(all)-kept):]
}

// Ahead returns how far the local clock is ahead of that of a host, negative if it is behind, and
// whether that is known.
//
// It is the smallest of the last differences that another answer, with another Date, confirms. An
// answer from a cache only makes the local clock seem further ahead, the more the older it is, and
// a single proxy with a wrong clock is not confirmed.
func (c *Clocks) Ahead(host string) (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return smallestConfirmed(c.readings[host])
}

func smallestConfirmed(all []reading) (time.Duration, bool) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b reading) int { return cmp.Compare(a.ahead, b.ahead) })
	for i, r := range all {
		for _, other := range all[i+1:] {
			if other.ahead-r.ahead <= tolerance && !other.server.Equal(r.server) {
				return r.ahead, true
			}
		}
	}
	return 0, false
}

// Time returns what the clock of the only host shows when the local clock shows now. It returns the zero time if that
// is not known: several hosts have answered, neither another answer nor the local clock confirms the last one, or the
// local clock was set or stopped since.
func (c *Clocks) Time(now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.readings) != 1 {
		return time.Time{}
	}
	for _, all := range c.readings {
		last := all[len(all)-1]
		ahead, known := smallestConfirmed(all)
		if !known && len(all) == 1 {
			ahead, known = last.ahead, last.ahead.Abs() <= tolerance
		}
		elapsed, onWall := now.Sub(last.local), now.Round(0).Sub(last.local.Round(0))
		if known && last.ahead-ahead <= tolerance && (elapsed-onWall).Abs() <= tolerance {
			return now.Add(-ahead)
		}
	}
	return time.Time{}
}

// Suspected returns the host with the largest difference that may be real, and how far the local clock is ahead of
// it; "" if nothing is known. Unlike Worst it counts a difference that no other answer confirms, unless one contradicts
// it.
func (c *Clocks) Suspected() (host string, ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, all := range c.readings {
		d, known := smallestConfirmed(all)
		if !known {
			d = slices.MinFunc(all, func(a, b reading) int { return cmp.Compare(a.ahead.Abs(), b.ahead.Abs()) }).ahead
		}
		if host == "" || d.Abs() > ahead.Abs() || d.Abs() == ahead.Abs() && name < host {
			host, ahead = name, d
		}
	}
	return host, ahead
}

// Worst returns the host with the largest difference, and how far the local clock is ahead of it;
// "" if no difference is known.
func (c *Clocks) Worst() (host string, ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, all := range c.readings {
		d, known := smallestConfirmed(all)
		if known && (host == "" || d.Abs() > ahead.Abs() || d.Abs() == ahead.Abs() && name < host) {
			host, ahead = name, d
		}
	}
	return host, ahead
}
