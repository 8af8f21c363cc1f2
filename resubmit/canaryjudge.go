package resubmit

import (
	"context"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// health is how the canary judges an order.
type health int

const (
	unknownHealth health = iota // the order does not count
	good
	bad
)

// healthOf judges the outcome of an order.
func (x *run) healthOf(j *job, o Outcome) health {
	if o == OutcomeSkipped && j.denied > 0 || o == OutcomeUnknown && j.forbidden {
		return unknownHealth // the credentials are the cause
	}
	return x.healthFor(j.ctx, o, j.item.Attempts, j.good)
}

// healthFor judges an outcome. One that the end of the run left open does not count.
func (x *run) healthFor(ctx context.Context, o Outcome, attempts int, isGood bool) health {
	switch {
	case ctx.Err() != nil || o == OutcomeSkipped && x.stopping():
		return unknownHealth
	case o == OutcomeCompleted || o == OutcomeProgressing && isGood:
		return good
	case o == OutcomeSkipped && attempts == 0:
		return unknownHealth
	default:
		return bad
	}
}

// underWay judges an order as good before it ends, if it has left its failure some time ago and
// Connect has a request for it that has not failed. A vendor may take days, and other orders must
// not wait for that.
func (x *run) underWay(j *job, left bool, pushedAt time.Time) {
	after := x.cfg.Verify.HealthyAfter
	if !left || j.good || after < 0 || time.Since(pushedAt) < min(after, max(0, x.cfg.Verify.Timeout)) || !x.awaited(j) {
		return
	}
	if !x.alive(j) {
		return
	}
	j.good = true
	x.judge(j, good, OutcomeProgressing)
}

// alive reports whether Connect has requests of an order and none has failed. Without Connect it is
// true.
func (x *run) alive(j *job) bool {
	keys := x.requestKeys(j)
	if len(keys) == 0 {
		return true
	}
	found, err := x.requests(j, keys)
	if err != nil {
		return false
	}
	for _, k := range keys {
		own := ownRequests(found[k], j.entry.Before.PlacedAt)
		if len(own) == 0 {
			return false
		}
		for _, n := range own {
			if s := n.Request.Status; s == connect.StatusFailed || s == connect.StatusRevoked {
				return false
			}
		}
	}
	return true
}

// awaited reports whether other orders wait for the judgment of this one.
func (x *run) awaited(j *job) bool {
	if x.gate.breaker.tries(j) {
		return true
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return j.ramp != nil && j.ramp.climbs()
}

// judge reports the health of an order to the breaker and the canary.
func (x *run) judge(j *job, v health, o Outcome) {
	learnt := v != unknownHealth && o != OutcomeSkipped && o != OutcomeUnknown && (o != OutcomeProgressing || v == good)
	x.gate.breaker.judge(j, learnt, o == OutcomeFailedAgain && j.item.AfterClass == failure.Transient)
	x.mu.Lock()
	ready, stopped := x.canary.judge(j, v)
	x.room.Signal()
	x.mu.Unlock()
	x.resumeParked(ready, stopped)
}

// resumeParked makes the orders ready that the canary released, and ends those that it stopped.
func (x *run) resumeParked(ready, stopped []*job) {
	for _, r := range ready {
		x.ready <- r
	}
	for _, s := range stopped {
		if s.unread {
			x.ready <- s // it is read before it is reported as skipped
			continue
		}
		x.done(s, OutcomeSkipped, s.ramp.stopped)
	}
}
