package resubmit

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// PlanProgress is the progress of planning.
type PlanProgress struct {
	Listed   int // orders that were listed and may be selected by the filter
	Read     int // orders read for their details
	LookedUp int // subscriptions and tenants that were looked up in Connect
	Decided  int // entries of the plan
	// Until is when calls start again, after a server asked for a pause (Retry-After);
	// zero when none did.
	Until time.Time
}

// String returns the progress on one line, such as "300 listed, 12 read, 250 looked up, 256 decided".
func (p PlanProgress) String() string {
	text := fmt.Sprintf("%d listed, %d read, %d looked up, %d decided", p.Listed, p.Read, p.LookedUp, p.Decided)
	if !p.Until.IsZero() {
		text += "; a server asked for a pause until " + p.Until.UTC().Format(time.RFC3339)
	}
	return text
}

// planCounters are the counters of PlanProgress.
type planCounters struct{ listed, read, lookedUp, decided atomic.Int64 }

// progressEach is the time between two calls of PlanConfig.Progress.
const progressEach = time.Second

// showProgress calls Progress each second until the returned function is called.
func (p *planner) showProgress() (end func()) {
	if p.Progress == nil {
		return func() {}
	}
	over := make(chan struct{})
	var shows sync.WaitGroup
	shows.Go(func() {
		tick := time.NewTicker(progressEach)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			if err := p.showOnce(); err != nil {
				p.Logger.Warn("PlanConfig.Progress panicked and is not called any more", "error", err)
				return
			}
		}
	})
	return func() {
		close(over)
		shows.Wait()
	}
}

func (p *planner) showOnce() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	n := &p.counters
	now := PlanProgress{
		Listed: int(n.listed.Load()), Read: int(n.read.Load()), LookedUp: int(n.lookedUp.Load()),
		Decided: int(n.decided.Load()),
	}
	if rest := p.calls.pace.rest(); rest > 0 {
		now.Until = time.Now().Add(rest)
	}
	p.Progress(now)
	return nil
}
