package journal

import (
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// waitFactor is for how many times as long as it took to write a batch the next one
	// waits for others to join. While a disk syncs, a processor may be of no use.
	waitFactor = 8
	// waitMost is the longest time that it waits.
	waitMost = 4 * time.Millisecond
	// forgetAfter is the number of smaller batches after which the expected size shrinks.
	forgetAfter = 32
)

// batcher implements group commit: it delays a batch until it is as large as recent ones,
// so that callers released by the last commit can join. A lone writer, or one that finds
// the disk idle, commits immediately.
type batcher struct {
	full    chan struct{} // signaled when the batch has the expected size
	most    atomic.Int64  // the expected size
	smaller int
	idleAt  time.Time // when the disk counts as idle
	timer   *time.Timer
}

func newBatcher() batcher {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return batcher{full: make(chan struct{}, 1), timer: timer}
}

// added reports the current size of the batch.
func (c *batcher) added(n int) {
	if int64(n) != c.most.Load() {
		return
	}
	select {
	case c.full <- struct{}{}:
	default:
	}
}

// wait waits until a batch of size n should be written. The caller holds the disk.
func (c *batcher) wait(n int) {
	if n == 1 {
		runtime.Gosched() // let callers released by the last commit join
	}
	rest := time.Until(c.idleAt)
	// n is 0 if another caller has written the batch.
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

// wrote records the size of a batch and when its write began. The caller holds the disk.
func (c *batcher) wrote(n int, began time.Time) {
	end := time.Now()
	c.idleAt = end.Add(min(waitFactor*end.Sub(began), waitMost))
	select {
	case <-c.full: // this one
	default:
	}
	if most := c.most.Load(); int64(n) >= most {
		c.most.Store(int64(n))
		c.smaller = 0
	} else if c.smaller++; c.smaller >= forgetAfter {
		c.most.Store(most - 1)
		c.smaller = 0
	}
}
