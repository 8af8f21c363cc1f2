package resubmit

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/orders"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

const (
	maxProblems = 20 // problems that are listed as evidence
	maxEvidence = 50 // observations of a decision
)

// candidate is an order about which the planner decides.
type candidate struct {
	item  *item
	order *commerce.Order
	cause failure.Finding
	facts rules.Facts
	keys  []connect.RequestKey
	err   error // why it could not be read
	past  past
}

// decide decides about the orders of a batch that the filter selects.
func (p *planner) decide(ctx context.Context, b *orderBatch) error {
	m := p.clock.moment()
	m.unsettled, m.due = unsettled(p.Calendar, m.now, p.SettleDelay)
	candidates := make([]candidate, 0, len(b.items))
	for i := range b.items {
		if it := &b.items[i]; !it.rejected {
			candidates = append(candidates, candidate{item: it, order: it.order})
		}
	}
	if err := p.details.fill(ctx, candidates); err != nil {
		return err
	}
	candidates = slices.DeleteFunc(candidates, func(c candidate) bool {
		c.item.order = c.order
		c.item.rejected = c.err == nil && !selects(p.rest, c.order)
		return c.item.rejected
	})
	for i := range candidates {
		p.gatherOne(&candidates[i], m)
	}
	if err := p.lookUps.find(ctx, candidates); err != nil {
		return err
	}
	entries := make([]plan.Entry, len(candidates))
	for i := range candidates {
		c := &candidates[i]
		c.item.entry = &entries[i]
		if err := p.history.recall(ctx, c); err != nil {
			return err
		}
		p.entry(c, m)
		if err := p.history.findLanes(ctx, c.item); err != nil {
			return err
		}
	}
	for i := range b.items {
		it := &b.items[i]
		if !it.rejected {
			continue
		}
		later, err := p.mayBeSentLater(ctx, it.order)
		if err != nil {
			return err
		}
		if later {
			it.lanes = lanesOf(it.order)
		}
	}
	return nil
}

// entry decides about a candidate and fills in its entry.
func (p *planner) entry(c *candidate, m moment) {
	o, e := c.order, c.item.entry
	p.weigh(c, m)
	*e = plan.Entry{
		OrderID: o.ID, Number: o.Number, Type: o.Type, VendorAccountID: o.VendorAccountID, Channel: o.Channel,
		Customer: orders.Customer(o), CustomerID: o.CustomerID, Subscriptions: o.SubscriptionIDs, TenantID: o.TenantID,
		Total:  o.Total,
		Before: plan.SnapshotOf(o), Attribution: c.facts.Attribution,
		Version: c.past.record.Version, Named: c.facts.Override,
	}
	e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
	v := p.decision(c, m)
	e.Decision, e.Target, e.Due = v.Decision, v.target, v.due.Round(0).UTC()
	e.Decision.Why = text.Sentence(e.Decision.Why)
}

// choice is a decision with what belongs to some actions.
type choice struct {
	rules.Decision
	target commerce.Status // of Resubmit; "" if the order lists no transitions
	due    time.Time       // of Wait; zero if it is not known
}

func decided(action rules.Action, id, why string) choice {
	return choice{Decision: rules.Decision{Action: action, RuleID: id, Why: why}}
}

func waitUntil(due time.Time, id, why string) choice {
	v := decided(rules.Wait, id, why)
	v.due = due
	return v
}

func holdUnreadable(problem string) choice {
	return decided(rules.Hold, rules.IDFieldUnreadable, "not all of the order could be read: "+text.Short(problem))
}

// decision returns what to do with a candidate.
func (p *planner) decision(c *candidate, m moment) choice {
	o := c.order
	switch {
	case errors.Is(c.err, commerce.ErrNotFound):
		return decided(rules.Hold, rules.IDReadFailed,
			"the order was listed, but does not exist: "+text.Short(c.err.Error()))
	case c.err != nil:
		return decided(rules.Hold, rules.IDReadFailed, "the order could not be read: "+text.Short(c.err.Error()))
	case len(o.Problems) > 0:
		return holdUnreadable(o.Problems[0])
	case !p.view.Match(o):
		return decided(rules.Wait, rules.IDOrderNotFailed,
			"the order is now "+string(o.Status)+" and no longer in the view "+p.View.Name)
	}
	d := rules.Decide(p.Rules, c.facts)
	switch d.Action {
	case rules.Resubmit:
		return p.resubmission(c, d, m)
	case rules.Wait:
		return choice{Decision: d, due: rules.Due(d, &c.facts)}
	default:
		return choice{Decision: d}
	}
}

// resubmission decides about an order that the rules would resubmit.
func (p *planner) resubmission(c *candidate, d rules.Decision, m moment) choice {
	o := c.order
	if v := p.history.judge(c, m); v.Action != "" {
		return v
	}
	if v := p.settling(c, m); v.Action != "" {
		return v
	}
	if o.Transitions == nil {
		return choice{Decision: d}
	}
	for _, t := range p.Targets {
		if o.Offers(t) {
			return choice{Decision: d, target: t}
		}
	}
	return decided(rules.Manual, rules.IDOrderNoTransition, "the order offers no transition that resubmits it")
}

// settling makes an order wait that must not be resubmitted yet, because of a window or because it has just failed.
func (p *planner) settling(c *candidate, m moment) choice {
	if m.unsettled != "" {
		return waitUntil(m.due, rules.IDOrderUnsettled, m.unsettled)
	}
	o, last := c.order, &c.past.record
	failed, what := o.FailedAt, "failed"
	switch {
	case !failed.IsZero():
	case last.Order != nil && last.Order.Outcome == protocol.FailedAgain:
		failed = last.At.Add(-m.ahead) // when that was seen
	default:
		failed, what = o.PlacedAt, "was placed" // it failed later than that
	}
	due := failed.Add(p.SettleDelay)
	switch {
	case !due.After(m.now):
		return choice{}
	case failed.Sub(m.now) > maxSkew:
		return waitUntil(due, rules.IDOrderUnsettled, fmt.Sprintf("the order %s at %s, which is %s later than the "+
			"local clock says: set the clock", what, failed.UTC().Format(time.RFC3339), failed.Sub(m.now).Round(time.Second)))
	default:
		return waitUntil(due, rules.IDOrderUnsettled,
			"the order failed less than "+p.SettleDelay.String()+" ago; Commerce may still retry it")
	}
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
	e.Decision, e.Target, e.Due = holdUnreadable(err.Error()).Decision, "", time.Time{}
}

// weigh adds the problems of the order, the override, the difference of the clocks and the requests in Connect to the
// attribution.
func (p *planner) weigh(c *candidate, m moment) {
	c.cause.Evidence = append(c.cause.Evidence, problemEvidence(c.order.Problems)...)
	if c.facts.Override {
		c.cause.Evidence = append(c.cause.Evidence, failure.Evidence{Kind: "operator", Text: "the operator named this order"})
	}
	if m.ahead != 0 {
		c.cause.Evidence = append(c.cause.Evidence, failure.Evidence{Kind: "clock", Text: m.difference()})
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

// tidy limits the evidence of an attribution to what can be shown and written.
func tidy(a *failure.Attribution) {
	if more := len(a.Evidence) - maxEvidence; more > 0 {
		a.Evidence = append(a.Evidence[:maxEvidence:maxEvidence], failure.Evidence{
			Kind: "order", Text: fmt.Sprintf("%d more observations are left out", more),
		})
	}
	for i := range a.Evidence {
		ev := &a.Evidence[i]
		ev.Text, ev.Ref = text.Sentence(ev.Text), text.Clip(ev.Ref, orders.MaxField)
		if year := ev.At.UTC().Year(); year < 1 || year > 9999 {
			ev.At = time.Time{}
		}
	}
}

// problemEvidence returns problems of an order as evidence.
func problemEvidence(problems []string) []failure.Evidence {
	named := problems[:min(len(problems), maxProblems)]
	evidence := make([]failure.Evidence, 0, len(named)+1)
	for _, problem := range named {
		evidence = append(evidence, failure.Evidence{Kind: "order", Text: text.Short(problem)})
	}
	if more := len(problems) - len(named); more > 0 {
		evidence = append(evidence, failure.Evidence{Kind: "order", Text: fmt.Sprintf("%d more problems", more)})
	}
	return evidence
}

// maxSkew is the difference of the clocks from which the time of Commerce is used: half the default guard time. A run
// would not push then.
const maxSkew = 150 * time.Second

// planClock is the clock of Commerce if the local one differs too much: the times of orders are those of Commerce.
type planClock struct {
	baseURL string // of Commerce
	calls   *planCalls
	skew    atomic.Int64 // by which the local clock was ahead; 0 if it was used
}

// moment is the time of some decisions.
type moment struct {
	now       time.Time
	ahead     time.Duration // by which the local clock is ahead of that of Commerce; 0 if now is the local time
	unsettled string        // why no order may be resubmitted; "" if orders may be
	due       time.Time     // when that is over
}

// moment returns the present.
func (c *planClock) moment() moment {
	m := moment{now: time.Now()}
	if ahead := c.ahead(); ahead.Abs() > maxSkew {
		m.ahead = ahead.Round(time.Second)
		m.now = m.now.Add(-m.ahead)
		c.skew.Store(int64(m.ahead))
	}
	return m
}

// ahead returns how far the local clock is ahead of that of Commerce, or of the system whose clock differs most if the
// base URL of Commerce is not known.
func (c *planClock) ahead() time.Duration {
	if u, err := url.Parse(c.baseURL); err == nil && u.Host != "" {
		ahead, _ := c.calls.Ahead(u.Host)
		return ahead
	}
	_, ahead := c.calls.Worst()
	return ahead
}

// difference says how the clocks differ.
func (m *moment) difference() string {
	how := "ahead of"
	if m.ahead < 0 {
		how = "behind"
	}
	return fmt.Sprintf("the local clock is %s %s that of Commerce, whose time is used", m.ahead.Abs(), how)
}

// unsettled returns why no order may be resubmitted now, and until when; "" if orders may be.
func unsettled(cal *maintenance.Calendar, now time.Time, settle time.Duration) (why string, due time.Time) {
	if w, ok := cal.At(now); ok {
		return fmt.Sprintf("the maintenance window %s is open; plan again %s after its end", w.ID, settle),
			w.Span().End.Add(settle)
	}
	if w, ok := cal.Last(now); ok {
		if due := w.Span().End.Add(settle); due.After(now) {
			return fmt.Sprintf("the maintenance window %s ended less than %s ago; plan again after %s",
				w.ID, settle, due.UTC().Format(time.RFC3339)), due
		}
	}
	return "", time.Time{}
}
