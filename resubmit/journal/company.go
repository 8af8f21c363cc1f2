package journal

import (
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// restFor is for how many times as long as it took to write a batch the next one
	// waits for others to join. While a disk syncs, a processor may be of no use.
	restFor = 8
	// restMost is the longest time that it waits.
	restMost = 4 * time.Millisecond
	// companyFades is how many batches it takes to forget how large one was.
	companyFades = 32
)

// company lets those who are about to put something join a batch: those who were told
// that the one before is done, and those who come soon after it. One that nobody else
// was with of late waits for nobody, nor does one that comes when the disk has rested.
type company struct {
	full  chan struct{} // filled when the batch is as large as one was of late
	most  atomic.Int64  // how large that is
	fades int
	over  time.Time // when the disk has rested
	timer *time.Timer
}

func newCompany() company {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return company{full: make(chan struct{}, 1), timer: timer}
}

// joined says that so many are in the batch.
func (c *company) joined(n int) {
	if int64(n) != c.most.Load() {
		return
	}
	select {
	case c.full <- struct{}{}:
	default:
	}
}

// wait returns when a batch is to be written that has so many by now. The caller has the
// disk.
func (c *company) wait(n int) {
	if n == 1 {
		runtime.Gosched() // who was just told comes again
	}
	rest := time.Until(c.over)
	// Nobody is left in it if somebody else has written it.
	if most := c.most.Load(); most <= 1 || n == 0 || int64(n) >= most || rest <= 0 {
		return
	}
	c.timer.Reset(rest)
	defer c.timer.Stop()
	select {
	case <-c.full:
	case <-c.timer.C:
	}
}

// wrote says how many were in a batch, and when its write began. The caller has the disk.
func (c *company) wrote(n int, began time.Time) {
	end := time.Now()
	c.over = end.Add(min(restFor*end.Sub(began), restMost))
	select {
	case <-c.full: // this one
	default:
	}
	if most := c.most.Load(); int64(n) >= most {
		c.most.Store(int64(n))
		c.fades = 0
	} else if c.fades++; c.fades >= companyFades {
		c.most.Store(most - 1)
		c.fades = 0
	}
}
