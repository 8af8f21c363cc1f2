package audit

import (
	"bytes"
	"fmt"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// observer writes down what a run decides, and passes it on. What a line costs an
// order is told by the calls, not here. An error is kept by the log, and stops the run
// at the next intent.
type observer struct {
	resubmit.Observer
	log *Log
}

// OnPlanStarted writes down what the plan says of each order, unless the log has it
// from an earlier run.
func (o *observer) OnPlanStarted(e resubmit.PlanStarted) {
	_ = o.log.add(Line{Event: EventPlan, Plan: e.Digest, Counts: &e.Counts})
	if e.Plan != nil {
		_ = o.log.decide(e.Plan)
	}
	o.Observer.OnPlanStarted(e)
}

// decide writes down the decisions of a plan. An error of the plan is the run's too:
// it reads the same.
func (l *Log) decide(p *resubmit.Plan) error {
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
	if err := l.add(Line{Event: EventDecided, Plan: p.Digest(), Counts: &counts}); err != nil {
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
	return bytes.Contains(line, []byte(`"event":"`+EventDecided+`"`))
}

func (o *observer) OnGateClosed(e resubmit.GateClosed) {
	_ = o.log.add(Line{Event: EventWait, Why: e.Why, Until: e.Until})
	o.Observer.OnGateClosed(e)
}

func (o *observer) OnGateOpened(e resubmit.GateOpened) {
	_ = o.log.add(Line{Event: EventGoOn, Took: e.Waited.Seconds() * 1000})
	o.Observer.OnGateOpened(e)
}

func (o *observer) OnDone(i resubmit.Item) {
	_ = o.log.add(Line{
		Event: EventOutcome, Order: i.OrderID, Number: i.Number, Attempt: i.Attempts, Action: i.Action, Target: i.Target,
		Outcome: i.Outcome, Before: i.Before, After: i.After, Because: i.Evidence, Why: i.Why, Correlation: i.CorrelationID,
	})
	o.Observer.OnDone(i)
}

func (o *observer) OnFinished(r *resubmit.Report) {
	_ = o.log.add(Line{Event: EventFinished, Plan: r.PlanDigest, Result: &r.Result, Error: r.Err})
	_ = o.log.flush()
	o.Observer.OnFinished(r)
}

// flush brings what was written to disk.
func (l *Log) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bringToDisk()
}

func (o *observer) OnPace(e resubmit.PaceChange) {
	_ = o.log.add(Line{Event: EventPace, Rate: e.Rate, Why: e.Why})
	o.Observer.OnPace(e)
}

func (o *observer) OnControl(e resubmit.ControlChange) {
	_ = o.log.add(Line{Event: EventControl, State: string(e.State), Why: e.Why})
	o.Observer.OnControl(e)
}

func (o *observer) OnBreaker(e resubmit.BreakerChange) {
	_ = o.log.add(Line{Event: EventBreaker, State: string(e.State), Until: e.Next, Why: e.Why})
	o.Observer.OnBreaker(e)
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
	o.Observer.OnCanary(e)
}
