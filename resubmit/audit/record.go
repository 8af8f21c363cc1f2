package audit

import (
	"bytes"
	"fmt"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// record writes the line of an event. Calls have their own lines, written before and after
// each call. An error ends the run, and nothing more is pushed.
func (l *Log) record(event resubmit.Event) error {
	switch e := event.(type) {
	case resubmit.RunStarted:
		if err := l.add(Line{Event: EventPlanStarted, Plan: e.Digest, Counts: &e.Counts}); err != nil || e.Plan == nil {
			return err
		}
		return l.decide(e.Plan)
	case resubmit.GateClosed:
		return l.add(Line{Event: EventPaused, Why: e.Why, Until: e.Until})
	case resubmit.GateOpened:
		return l.add(Line{Event: EventResumed, TookMS: e.Waited.Seconds() * 1000})
	case resubmit.RateChange:
		return l.add(Line{Event: EventRateLimit, Rate: e.Rate, Why: e.Why})
	case resubmit.BreakerChange:
		return l.add(Line{Event: EventBreaker, State: string(e.State), Until: e.Next, Why: e.Why})
	case resubmit.CanaryChange:
		return l.add(Line{Event: EventCanary, State: e.Group, Why: whyCanary(e)})
	case resubmit.RunStateChange:
		return l.add(Line{Event: EventControl, State: string(e.State), Why: e.Why})
	case resubmit.PushIntended:
		return l.add(Line{
			Event: EventIntent, Order: e.OrderID, Number: e.Number, Attempt: e.Attempt, Target: e.Target,
		})
	case resubmit.OrderDone:
		return l.add(Line{
			Event: EventOutcome, Order: e.OrderID, Number: e.Number, Attempt: e.Attempts, Action: e.Action, Target: e.Target,
			Outcome: e.Outcome, Before: e.Before, After: e.After, Evidence: e.Evidence, Why: e.Why,
			CorrelationID: e.CorrelationID,
		})
	case resubmit.RunFinished:
		if err := l.add(Line{Event: EventRunFinished, Plan: e.PlanDigest, Result: &e.Result, Error: e.Err}); err != nil {
			return err
		}
		return l.flush()
	default:
		return nil
	}
}

func whyCanary(e resubmit.CanaryChange) string {
	switch {
	case e.Stopped != "":
		return e.Stopped
	case e.Limit < 0:
		return fmt.Sprintf("no limit; of %d verified orders %d succeeded", e.Good+e.Bad, e.Good)
	default:
		return fmt.Sprintf("limit %d; of %d verified orders %d succeeded", e.Limit, e.Good+e.Bad, e.Good)
	}
}

// decide writes the decisions of a plan, unless an earlier run did.
func (l *Log) decide(p *plan.Plan) error {
	l.mu.Lock()
	decided := l.decided[p.Digest()]
	l.mu.Unlock()
	if decided {
		return nil
	}
	for e, err := range p.Entries() {
		if err != nil {
			return nil // Apply reads the plan too and reports the error
		}
		err := l.add(Line{
			Event: EventDecision, Order: e.OrderID, Number: e.Number, Action: e.Decision.Action, Rule: e.Decision.RuleID,
			Target: e.Target, Before: e.Before, Evidence: e.Attribution.Evidence, Why: e.Decision.Why,
		})
		if err != nil {
			return err
		}
	}
	counts := p.Counts()
	if err := l.add(Line{Event: EventDecisionsRecorded, Plan: p.Digest(), Counts: &counts}); err != nil {
		return err
	}
	l.mu.Lock()
	l.decided[p.Digest()] = true
	l.mu.Unlock()
	return nil
}

// isDecided reports whether a line may have the event [EventDecisionsRecorded]. Quotes inside a
// JSON string would be escaped.
func isDecided(line []byte) bool {
	return bytes.Contains(line, []byte(`"event":"`+EventDecisionsRecorded+`"`))
}

// flush syncs the log to disk, and calls the anchor.
func (l *Log) flush() error {
	if _, err := l.syncedHead(); err != nil {
		return err
	}
	return l.callAnchor()
}
