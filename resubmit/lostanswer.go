package resubmit

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// RetryPolicy configures second attempts: whether an order may be pushed again after a push that got
// no answer. The zero value allows none: the order is only read from then on, and its outcome is
// unknown if it does not move.
//
// Another attempt is made only if the order certainly still has the same failure. It must be as in the
// plan when it is read Config.SettleDelay after the lost push, and again right before the next push, at
// least another Config.SettleDelay later: if the lost push was accepted and failed with the same
// message, the event of that failure is over then (documented, resubmit/SAFETY.md#f9). The order must
// still offer the transition. Connect, if it can be queried, must have no request of the order that was
// made since the lost push, and none that forbids resubmitting the order (inferred,
// resubmit/SAFETY.md#decisions), such as four failed cancel requests in a row (F6). Cancellations are
// not pushed again if Connect cannot be queried.
//
// An order whose push was accepted and that failed again is never pushed again by the same plan,
// because it has a new failure. Make a new plan for it.
type RetryPolicy struct {
	// MaxAttempts is how many pushes of an order may be sent without getting an answer. After the last
	// one the order is only read. At most 4 for cancellations. Default 1.
	MaxAttempts int
	// Spacing is the least time between two pushes of an order. Default 300 s; -1 means twice
	// Config.SettleDelay. At least 300 s if the request in Connect is a cancel or a resume, since the
	// connector makes no new one before, by its code (resubmit/SAFETY.md#f6).
	Spacing time.Duration
	// ByType has the policies of order types that differ. Zero fields have the values above. ByType
	// must be nil in them.
	ByType map[commerce.OrderType]RetryPolicy
}

func (p RetryPolicy) validate(bad func(string, ...any)) {
	check := func(where string, p RetryPolicy) {
		if p.MaxAttempts < 0 {
			bad("Config.Retry%s.MaxAttempts is %d; give a count, or 0 for the default", where, p.MaxAttempts)
		}
		if p.Spacing < -1 {
			bad("Config.Retry%s.Spacing is %v; give a duration, 0 for the default or -1 for none", where, p.Spacing)
		}
	}
	check("", p)
	for t, own := range p.ByType {
		where := fmt.Sprintf(".ByType[%q]", t)
		check(where, own)
		if own.ByType != nil {
			bad("Config.Retry%s has a ByType of its own; leave it out", where)
		}
	}
}

// of returns the policy for an order type that leads to a type of request.
func (p RetryPolicy) of(t commerce.OrderType, kind connect.RequestType) (most int, spacing time.Duration) {
	own := p.ByType[t]
	most = cmp.Or(own.MaxAttempts, p.MaxAttempts, 1)
	spacing = cmp.Or(own.Spacing, p.Spacing, rules.CancelRetryAge)
	if kind == connect.TypeCancel {
		most = min(most, rules.CancelLimit)
	}
	if kind == connect.TypeCancel || kind == connect.TypeResume {
		spacing = max(spacing, rules.CancelRetryAge)
	}
	return most, spacing
}

// nextAttempt returns when an order that is still as in the plan may be pushed again, or why it may not.
func (x *run) nextAttempt(j *job) (at time.Time, why string) {
	kind := j.kind
	most, spacing := x.cfg.Retry.of(j.entry.Type, kind)
	switch {
	case j.noRetry != "":
		return at, j.noRetry
	case j.rec.Lost+1 >= most && most > 1:
		return at, fmt.Sprintf("%d pushes without an answer are all that the policy allows", most)
	case j.rec.Lost+1 >= most:
		return at, "the policy allows no second push"
	case kind == connect.TypeCancel && len(x.requestKeys(j)) == 0:
		return at, "a cancellation is not pushed again if Connect cannot be queried for failed ones"
	}
	at = time.Now().Add(max(x.cfg.SettleDelay, 0))
	if spaced := j.rec.sent().Add(max(spacing, 0)); spaced.After(at) {
		at = spaced
	}
	return at, ""
}

// watchUntil returns until when an order is watched whose settle delay has passed, because it may be pushed again then
// or could not be read; or why it is not watched.
func (x *run) watchUntil(j *job, err error) (until time.Time, why string) {
	until, why = x.nextAttempt(j)
	switch {
	case why != "":
		return until, why
	case x.stopping():
		_ = x.notStarted(j)
		return until, ErrDrained.Error()
	case err == nil:
		return until, ""
	case j.refusals >= x.cfg.MaxDeferrals:
		return until, fmt.Sprintf("given up after %d tries", j.refusals+1)
	default:
		j.refusals++
		return time.Now().Add(max(x.cfg.SettleDelay, 0)), ""
	}
}

// retry makes the next attempt at an order, on its own goroutine: all workers may wait for the outcome of this very
// order, if the breaker tries it. If nothing is sent, the order reverts to the lost push.
func (x *run) retry(j *job) next {
	lost := j.rec
	j.lost = &lost
	j.evidence("order", fmt.Sprintf("it is still %s for the same failure, so the policy allows push %d",
		j.item.After.Status, lost.Attempt+1), time.Now())
	x.verifying.Add(-1)
	x.pushing.Add(1)
	defer x.verifying.Add(1)
	defer x.pushing.Add(-1)
	return x.attempt(j)
}

// vetoedByConnect returns what in Connect forbids another attempt; "" for nothing.
func (x *run) vetoedByConnect(j *job) (why string, err error) {
	keys := x.requestKeys(j)
	if len(keys) == 0 {
		return "", nil
	}
	found, err := x.queryConnect(j, keys) // without a slot for reads: that of the push may be the only one
	if err != nil {
		return "", err
	}
	since := j.lost.sent().Add(-failure.MaxClockSkew)
	for _, k := range keys {
		for _, n := range found[k] {
			if made := n.Request.Created; made.After(since) {
				return fmt.Sprintf("in Connect %s was made at %s, so that a push may have been accepted", text.Short(n.Request.ID),
					made.UTC().Format(time.RFC3339)), nil
			}
		}
		d := rules.Decide(nil, rules.Facts{
			Order:       &commerce.Order{ID: j.entry.OrderID, Type: j.entry.Type, PlacedAt: j.entry.Before.PlacedAt},
			Attribution: failure.Attribution{Class: failure.Transient}, RequestsQueried: true, Requests: found[k],
			Now: time.Now(),
		})
		if d.Action != rules.Resubmit {
			return fmt.Sprintf("a request in Connect forbids it: %s", d.Why), nil
		}
	}
	return "", nil
}

// revert records that an attempt changed nothing. If the answer to an earlier push was lost, the order is as unknown
// as before.
func (x *run) revert(j *job, s RecordState, why string) error {
	j.rec.Attempt = j.item.Attempts // without the intent, if no push went out
	if j.lost == nil {
		if j.rec.SentAt = j.sent.at; !j.sent.at.IsZero() {
			j.rec.Target = j.sent.to
		}
		return x.put(j, s, why)
	}
	j.rec.Target, j.rec.Lost, j.rec.SentAt = j.lost.Target, j.lost.Lost, j.lost.SentAt
	return x.put(j, RecordUnknown, "an earlier push got no answer; another attempt changed nothing: "+why)
}

// stopRetrying ends the attempts at an order with a lost push: from now on it is only read.
func (x *run) stopRetrying(j *job, why string) next {
	j.noRetry = why
	return nextFollow
}

// resolve watches an order whose push got no answer until its state shows that it was moved
// (nextFollow), that it is unchanged and may be pushed again (nextAgain), or that it is done.
func (x *run) resolve(j *job) next {
	p := x.polls(j.rec.sent().Add(max(x.cfg.SettleDelay, 0)))
	same := false // it was as in the plan after Config.SettleDelay
	for {
		last, err := p.wait(j.ctx)
		if err == nil {
			err = x.pollOrder(j)
		}
		if j.ctx.Err() != nil {
			x.done(j, OutcomeUnknown, "the watch was stopped: "+context.Cause(j.ctx).Error())
			return nextOver
		}
		n, what := x.settle(j, err)
		switch {
		case n != nextAgain:
			return n
		case last && same:
			return nextAgain // it is read again before the push
		case !last && (!same || !x.stopping()):
			continue
		}
		until, why := x.watchUntil(j, err)
		if why != "" {
			x.done(j, OutcomeUnknown,
				fmt.Sprintf("the answer to the push was lost and %s; %s: check the order before anything is sent again", what,
					why))
			return nextOver
		}
		same, p = err == nil, x.polls(until)
	}
}

// settle decides by the state of an order whether a push without an answer was accepted. nextAgain means that the
// state does not show it.
func (x *run) settle(j *job, err error) (n next, what string) {
	changed := j.entry.Before.Diff(j.item.After)
	switch {
	case err != nil:
		return nextAgain, "the order could not be read: " + err.Error()
	case failedAnew(j.entry.Before, j.item.After):
		j.evidence("order", "the failure is another one, so it was moved, by the push or by somebody else", time.Now())
		x.verified(j, OutcomeFailedAgain, x.failedAgain(j))
		return nextOver, ""
	case changed != "":
		j.evidence("order", "it was moved, by the push or by somebody else: "+changed, time.Now())
		_ = x.put(j, RecordPushed, "its state shows that it was moved, by the push or by somebody else")
		return nextFollow, ""
	default:
		return nextAgain, fmt.Sprintf("the order is still %s for the same failure", j.item.After.Status)
	}
}
