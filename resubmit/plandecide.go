package resubmit

import (
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// unsettled returns why no order may be resubmitted now; "" if orders may be.
func unsettled(cal *maintenance.Calendar, now time.Time, settle time.Duration) string {
	if w, ok := cal.At(now); ok {
		return fmt.Sprintf("the maintenance window %s is open; plan again %s after its end", w.ID, settle)
	}
	if w, ok := cal.Last(now); ok {
		if settled := w.Span().End.Add(settle); settled.After(now) {
			return fmt.Sprintf("the maintenance window %s ended less than %s ago; plan again after %s",
				w.ID, settle, settled.UTC().Format(time.RFC3339))
		}
	}
	return ""
}

// entry decides about a candidate and fills in its entry.
func (p *planner) entry(c *candidate, e *plan.Entry) {
	o := c.order
	p.weigh(c)
	*e = plan.Entry{
		OrderID: o.ID, Number: o.Number, Type: o.Type, VendorAccountID: o.VendorAccountID, Channel: o.Channel,
		Customer: customer(o), CustomerID: o.CustomerID, Subscriptions: o.SubscriptionIDs, TenantID: o.TenantID,
		Total:  o.Total,
		Before: plan.SnapshotOf(o), Attribution: c.facts.Attribution,
	}
	e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
	e.Decision, e.Target = p.decision(c)
	e.Decision.Why = text.Sentence(e.Decision.Why)
}

// keepAge holds an order whose details give it an earlier time than the order before it in the
// list, which is sorted by time. after is when that one was placed.
func keepAge(e *plan.Entry, after time.Time) {
	err := e.CheckOldestFirst(after)
	if err == nil {
		return
	}
	e.Before.PlacedAt = time.Time{}
	e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
	e.Attribution.Evidence = append(e.Attribution.Evidence, problemEvidence([]string{err.Error()})...)
	e.Decision, e.Target = holdUnreadable(err.Error()), ""
}

func holdUnreadable(problem string) rules.Decision {
	return decided(rules.Hold, rules.IDFieldUnreadable, "not all of the order could be read: "+text.Short(problem))
}

func decided(action rules.Action, id, why string) rules.Decision {
	return rules.Decision{Action: action, RuleID: id, Why: why}
}

// weigh adds the problems of the order, the override and the requests in Connect to the
// attribution.
func (p *planner) weigh(c *candidate) {
	c.cause.Evidence = append(c.cause.Evidence, problemEvidence(c.order.Problems)...)
	if c.facts.Override {
		c.cause.Evidence = append(c.cause.Evidence, failure.Evidence{Kind: "operator", Text: "the operator named this order"})
	}
	switch {
	case !c.facts.RequestsQueried:
	case c.facts.RequestsErr != nil: // an incomplete answer is only evidence
		if len(c.facts.Requests) > 0 {
			c.cause.AddRequestEvidence(c.facts.Requests)
		}
	default:
		c.cause.ApplyRequests(c.facts.Requests)
	}
	tidy(&c.cause.Attribution)
	c.facts.Attribution = c.cause.Attribution
}

func customer(o *commerce.Order) string {
	switch {
	case o.CustomerName == "":
		return o.CustomerID
	case o.CustomerID == "":
		return o.CustomerName
	default:
		return o.CustomerName + " (" + o.CustomerID + ")"
	}
}

// decision returns what to do with a candidate, and the target if it is to be resubmitted.
func (p *planner) decision(c *candidate) (rules.Decision, commerce.Status) {
	o := c.order
	switch {
	case errors.Is(c.err, commerce.ErrNotFound):
		return decided(rules.Hold, rules.IDReadFailed,
			"the order was listed, but does not exist: "+text.Short(c.err.Error())), ""
	case c.err != nil:
		return decided(rules.Hold, rules.IDReadFailed, "the order could not be read: "+text.Short(c.err.Error())), ""
	case len(o.Problems) > 0:
		return holdUnreadable(o.Problems[0]), ""
	case !p.view.Match(o):
		return decided(rules.Wait, rules.IDOrderNotFailed,
			"the order is now "+string(o.Status)+" and no longer in the view "+p.View.Name), ""
	}
	d := rules.Decide(p.Rules, c.facts)
	if d.Action != rules.Resubmit {
		return d, ""
	}
	if why := p.unsettled(o); why != "" {
		return decided(rules.Wait, rules.IDOrderUnsettled, why), ""
	}
	if o.Transitions == nil {
		return d, ""
	}
	for _, t := range p.Targets {
		if o.Offers(t) {
			return d, t
		}
	}
	return decided(rules.Manual, rules.IDOrderNoTransition, "the order offers no transition that resubmits it"), ""
}

// unsettled returns why an order must not be resubmitted yet; "" if it may be.
func (p *planner) unsettled(o *commerce.Order) string {
	failed := o.FailedAt
	if failed.IsZero() {
		failed = o.PlacedAt // it failed later than that
	}
	switch {
	case p.unsettle != "":
		return p.unsettle
	case p.SettleDelay > 0 && failed.After(p.quiet):
		return "the order failed less than " + p.SettleDelay.String() + " ago; Commerce may still retry it"
	default:
		return ""
	}
}
