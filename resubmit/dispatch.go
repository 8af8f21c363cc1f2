package resubmit

import (
	"fmt"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// feed opens the orders of the plan, at most Config.MaxOpenOrders at a time. Orders that are left out
// because too many wait are opened when the plan is read again, so that a long lane neither fills the
// memory nor delays the others.
func (x *run) feed(plan *plan.Plan) {
	taken, left, err := x.pass(plan, nil)
	x.markFilled()
	for err == nil && left.n > 0 {
		x.waitForRoom()
		var n int
		n, left, err = x.pass(plan, &left)
		taken += n
	}
	if err != nil {
		x.cancel(fmt.Errorf("resubmit: read the plan: %w", err))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.unread = max(0, x.total-taken)
	x.result.Skipped += x.unread
}

// pass reads the plan once and opens the orders at the places in only, or all of them if that is nil.
// It returns the places of those that were left out.
func (x *run) pass(plan *plan.Plan, only *places) (taken int, left places, err error) {
	late := newLaneSet(x.total) // lanes of which an order was left out
	place, seen := -1, 0
	for e, err := range plan.Entries() {
		if err != nil {
			return taken, left, err
		}
		if e.Decision.Action != rules.Resubmit {
			continue
		}
		if place++; only != nil {
			if seen == only.n {
				break
			}
			if !only.has(place) {
				continue
			}
			seen++
		}
		switch {
		case x.takeEntry(e, late):
			taken++
		default:
			left.add(place)
		}
	}
	return taken, left, nil
}

// takeEntry opens an order, unless an earlier run has finished it.
func (x *run) takeEntry(e *plan.Entry, late *laneSet) (taken bool) {
	j := newJob(e)
	if x.finished.n > 0 {
		if ended, ok := x.finished.find(e); ok && x.passOver(j, ended) {
			return true
		}
		x.touched.add(j.lanes)
	}
	return x.take(j, late)
}

// take opens an order, unless it would have to wait and too many do, or an older one of its lanes was
// left out.
func (x *run) take(j *job, late *laneSet) bool {
	j.ctx = x.ctx
	x.jobs.Add(1)
	x.keepPace()
	select {
	case x.open <- struct{}{}:
	default:
		x.markFilled()
		x.open <- struct{}{}
	}
	j.group = x.groupOf(j.entry)
	x.mu.Lock()
	leftOut := !x.stopping() && x.leaveOut(j, late)
	climbs := !leftOut && x.canary.group(j).climbs()
	x.mu.Unlock()
	if leftOut {
		late.add(j.lanes)
		<-x.open
		x.jobs.Done()
		return false
	}
	recalled := climbs && x.recall(j) // the journal may be slow
	x.mu.Lock()
	x.canary.enter(j)
	ready, by := x.lanes.add(j)
	if j.recalled = recalled; recalled && !x.lanes.waitsForUnreleased(j) {
		x.canary.release(j)
	}
	x.mu.Unlock()
	switch {
	case by != nil:
		x.block(j, by)
	case ready:
		x.ready <- j
	}
	return true
}

// readyAhead is how many orders per worker may be ready: more of them would only take memory.
const readyAhead = 2

// keepPace waits while enough orders are ready, until half of them are begun. In a resumed run it does
// not wait while a canary has limits, because the orders that the earlier run has pushed must be
// counted before another is pushed.
func (x *run) keepPace() {
	if len(x.ready) < readyAhead*int(x.working.Load()) || x.resumed && (x.workersMayWait() || x.climbing()) {
		return
	}
	select {
	case <-x.begun: // an old signal
	default:
	}
	for x.readyEnough() && x.ctx.Err() == nil {
		select {
		case <-x.begun:
		case <-x.ctx.Done():
		}
	}
}

// workersMayWait reports whether workers may wait until the plan is read far enough. The reader of the
// plan must not wait for them then.
func (x *run) workersMayWait() bool {
	select {
	case <-x.filled:
		return false
	default:
		return len(x.canary.limits) > 0
	}
}

func (x *run) climbing() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, r := range x.canary.groups {
		if r.climbs() {
			return true
		}
	}
	return false
}

// readyEnough reports whether the workers have enough orders to continue with.
func (x *run) readyEnough() bool { return len(x.ready) > readyAhead/2*int(x.working.Load()) }

// leaveOut reports whether an order has to wait for the next reading of the plan.
func (x *run) leaveOut(j *job, late *laneSet) bool {
	switch {
	case late.hasAny(j.lanes):
		return true
	case x.lanes.full(j):
		x.forLanes = true
		return true
	default:
		return x.canary.full(j)
	}
}

// waitForRoom waits until half of the waiting orders are done, so that each reading of the plan opens
// many orders.
func (x *run) waitForRoom() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for !x.stopping() && !x.roomy() {
		x.room.Wait()
	}
	x.forLanes = false
	x.canary.forgetLeft()
}

func (x *run) roomy() bool {
	return x.forLanes && x.lanes.waiting <= x.lanes.most/2 || x.canary.roomy()
}

// wakeAll wakes everything that waits inside the run, because it ends.
func (x *run) wakeAll() {
	x.mu.Lock()
	x.room.Broadcast()
	x.mu.Unlock()
	x.freeParked()
}

// resize changes how many orders are pushed, and how many are read, at the same time.
func (x *run) resize(concurrency int) {
	for ; int(x.working.Load()) < concurrency; x.working.Add(1) {
		x.workers.Go(x.work)
	}
	x.pushes.resize(concurrency)
	x.reads.resize(concurrency)
}

// work processes the orders whose turn it is, until it has pushed one. It verifies that one on the same
// goroutine, and a new worker takes its place, so that pushes never wait for verification.
func (x *run) work() {
	for j := range x.ready {
		if !x.readyEnough() {
			select {
			case x.begun <- struct{}{}:
			default:
			}
		}
		x.pushing.Add(1)
		n := x.attempt(j)
		x.pushing.Add(-1)
		if n == nextFollow {
			x.verifying.Add(1)
			x.workers.Go(x.work)
			x.follow(j)
			return
		}
	}
}

// done ends an order with its outcome, and releases or ends its lanes.
func (x *run) done(j *job, o Outcome, why string) {
	j.item.Outcome, j.item.Why = o, text.Sentence(why)
	x.judge(j, x.healthOf(j, o), o)
	x.mu.Lock()
	x.canary.unqueue(j)
	var ready, blocked []*job
	if j.free {
		ready = x.lanes.leave(j)
	} else {
		blocked = x.lanes.stop(j)
	}
	x.room.Signal()
	x.mu.Unlock()
	x.account(j)
	for _, next := range ready {
		x.ready <- next
	}
	for _, b := range blocked {
		x.block(b, b.blockedBy)
	}
}

// account counts an order that is done and closes it.
func (x *run) account(j *job) {
	x.tally(&j.item)
	<-x.open
	x.jobs.Done()
}
