package audit

import (
	"bytes"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// observer writes down what a run decides, and passes it on. What a line costs an
// order is told by the calls, not here. An error is kept by the log, and stops the run
// at the next intent.
type observer struct {
	to    resubmit.Observer
	log   *Log
	diary *slog.Logger
	// removed says why the observer behind it is not called any more; nil while it is.
	removed atomic.Pointer[string]
}

// pass calls the observer behind it, and removes it if it panics.
func (o *observer) pass(f func(resubmit.Observer)) {
	if o.removed.Load() != nil {
		return
	}
	if err := callback.Do(func() error { f(o.to); return nil }); err != nil {
		why := err.Error()
		o.removed.Store(&why)
		callback.Log(o.diary, err)
	}
}

// RemovedWhy says for the report why the observer behind it was removed; "" when it was
// not.
func (o *observer) RemovedWhy() string {
	if why := o.removed.Load(); why != nil {
		return *why
	}
	return ""
}

// OnIntent passes it on. The line is written before the journal has the intent.
func (o *observer) OnIntent(e resubmit.Intent) { o.pass(func(to resubmit.Observer) { to.OnIntent(e) }) }

// OnReread passes it on. The call has a line.
func (o *observer) OnReread(e resubmit.Reread) { o.pass(func(to resubmit.Observer) { to.OnReread(e) }) }

// OnPushed passes it on. The call has two lines.
func (o *observer) OnPushed(e resubmit.Pushed) { o.pass(func(to resubmit.Observer) { to.OnPushed(e) }) }

// OnPushUnknown passes it on. The call has two lines.
func (o *observer) OnPushUnknown(e resubmit.PushUnknown) {
	o.pass(func(to resubmit.Observer) { to.OnPushUnknown(e) })
}

// OnRefused passes it on. The call has two lines.
func (o *observer) OnRefused(e resubmit.Refused) {
	o.pass(func(to resubmit.Observer) { to.OnRefused(e) })
}

// OnPlanStarted writes down what the plan says of each order, unless the log has it
// from an earlier run.
func (o *observer) OnPlanStarted(e resubmit.PlanStarted) {
	_ = o.log.add(Line{Event: EventPlan, Plan: e.Digest, Counts: &e.Counts})
	if e.Plan != nil {
		_ = o.log.decide(e.Plan)
	}
	o.pass(func(to resubmit.Observer) { to.OnPlanStarted(e) })
}

// decide writes down the decisions of a plan. An error of the plan is the run's too:
// it reads the same.
func (l *Log) decide(p *plan.Plan) error {
	l.mu.Lock()
	decided := l.decided[p.Digest()]
	l.mu.Unlock()
	if decided {
		return nil
	}
	for e, err := range p.Entries() {
		if err != nil {
			return err
		}
		err := l.add(Line{
			Event: EventDecision, Order: e.OrderID, Number: e.Number, Action: e.Decision.Action, Rule: e.Decision.RuleID,
			Target: e.Target, Before: e.Before, Because: e.Attribution.Evidence, Why: e.Decision.Why,
		})
		if err != nil {
			return err
		}
	}
	counts := p.Counts()
	if err := l.add(Line{Event: EventDecisionsEnd, Plan: p.Digest(), Counts: &counts}); err != nil {
		return err
	}
	l.mu.Lock()
	l.decided[p.Digest()] = true
	l.mu.Unlock()
	return nil
}

// isDecided finds the line that ends the decisions of a plan. Within a text of JSON
// the quotes would be escaped.
func isDecided(line []byte) bool {
	return bytes.Contains(line, []byte(`"event":"`+EventDecisionsEnd+`"`))
}

func (o *observer) OnGateClosed(e resubmit.GateClosed) {
	_ = o.log.add(Line{Event: EventWait, Why: e.Why, Until: e.Until})
	o.pass(func(to resubmit.Observer) { to.OnGateClosed(e) })
}

func (o *observer) OnGateOpened(e resubmit.GateOpened) {
	_ = o.log.add(Line{Event: EventResumed, Took: e.Waited.Seconds() * 1000})
	o.pass(func(to resubmit.Observer) { to.OnGateOpened(e) })
}

func (o *observer) OnDone(i resubmit.Item) {
	_ = o.log.add(Line{
		Event: EventOutcome, Order: i.OrderID, Number: i.Number, Attempt: i.Attempts, Action: i.Action, Target: i.Target,
		Outcome: i.Outcome, Before: i.Before, After: i.After, Because: i.Evidence, Why: i.Why, Correlation: i.CorrelationID,
	})
	o.pass(func(to resubmit.Observer) { to.OnDone(i) })
}

func (o *observer) OnFinished(r *resubmit.Report) {
	_ = o.log.add(Line{Event: EventFinished, Plan: r.PlanDigest, Result: &r.Result, Error: r.Err})
	_ = o.log.flush()
	o.pass(func(to resubmit.Observer) { to.OnFinished(r) })
}

// flush brings what was written to disk.
func (l *Log) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bringToDisk()
}

func (o *observer) OnPace(e resubmit.PaceChange) {
	_ = o.log.add(Line{Event: EventPace, Rate: e.Rate, Why: e.Why})
	o.pass(func(to resubmit.Observer) { to.OnPace(e) })
}

func (o *observer) OnControl(e resubmit.ControlChange) {
	_ = o.log.add(Line{Event: EventControl, State: string(e.State), Why: e.Why})
	o.pass(func(to resubmit.Observer) { to.OnControl(e) })
}

func (o *observer) OnBreaker(e resubmit.BreakerChange) {
	_ = o.log.add(Line{Event: EventBreaker, State: string(e.State), Until: e.Next, Why: e.Why})
	o.pass(func(to resubmit.Observer) { to.OnBreaker(e) })
}

func (o *observer) OnCanary(e resubmit.CanaryChange) {
	why := e.Stopped
	if why == "" {
		why = fmt.Sprintf("%d of its orders may go; of %d that were verified %d went well", e.Limit, e.Good+e.Bad, e.Good)
		if e.Limit < 0 {
			why = fmt.Sprintf("all of its orders may go; of %d that were verified %d went well", e.Good+e.Bad, e.Good)
		}
	}
	_ = o.log.add(Line{Event: EventCanary, State: e.Group, Why: why})
	o.pass(func(to resubmit.Observer) { to.OnCanary(e) })
}
