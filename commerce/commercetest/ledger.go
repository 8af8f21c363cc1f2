package commercetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// Who pushed an order.
const (
	// ByPanel is a person in the Provider Control Panel.
	ByPanel = "panel"
	// ByOrderManager is a caller of the Order Management REST API.
	ByOrderManager = "order-manager"
	// ByBilling is a caller of the Billing XML-RPC API.
	ByBilling = "billing"
	// BySimpleAPI is a caller of Simple API.
	BySimpleAPI = "simpleapi"
)

// Call is one push that was tried.
type Call struct {
	Seq    int             `json:"seq"` // from 1
	At     time.Time       `json:"at"`
	By     string          `json:"by"`
	Order  string          `json:"order"`            // the id that was asked for
	Number string          `json:"number,omitempty"` // "" when there is no such order
	From   commerce.Status `json:"from,omitempty"`
	To     commerce.Status `json:"to,omitempty"`
	// Accepted says that the order moved.
	Accepted bool `json:"accepted"`
	// Failure is the ordinal, from 1, of the failure of this order that the push was for.
	Failure int `json:"failure"`
	// HTTPStatus is what the system answered, before any fault; 0 for the panel.
	HTTPStatus int `json:"httpStatus,omitempty"`
}

// Rule names what was violated.
type Rule string

// The rules that the system watches, named as the facts and invariants in resubmit/SAFETY.md. What
// people do in the panel is never a violation.
const (
	// RulePushedOnce: per failure of an order at most one push is accepted.
	RulePushedOnce Rule = "I1"
	// RuleOldEvent: no push is accepted while the old event is still scheduled.
	RuleOldEvent Rule = "F9"
	// RuleWindow: no push is tried inside an open maintenance window.
	RuleWindow Rule = "I4"
	// RuleLane: the pushes of one subscription follow the age of its orders, one at a time.
	RuleLane Rule = "I5"
	// RuleForbidden: no push is tried on an order that Forbid names.
	RuleForbidden Rule = "I12"
)

// Violation is something that must never happen.
type Violation struct {
	Rule  Rule      `json:"rule"`
	Order string    `json:"order"` // its number
	Text  string    `json:"text"`
	At    time.Time `json:"at"`
}

// String is one line.
func (v Violation) String() string { return fmt.Sprintf("%s: %s: %s", v.Rule, v.Order, v.Text) }

// Ledger returns every push that was tried so far, in order.
func (s *System) Ledger() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ledger)
}

// Violations returns what went wrong so far, in order.
func (s *System) Violations() []Violation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

func (s *System) enter(c Call) {
	c.Seq = len(s.ledger) + 1
	s.ledger = append(s.ledger, c)
}

func (s *System) violate(rule Rule, rec *record, now time.Time, format string, args ...any) {
	s.violations = append(s.violations, Violation{Rule: rule, Order: rec.Number, Text: fmt.Sprintf(format, args...), At: now})
}

// judgeTry looks at a client's push, accepted or not.
func (s *System) judgeTry(rec *record, now time.Time, inWindow bool) {
	if rec.Forbidden != "" {
		s.violate(RuleForbidden, rec, now, "pushed although it must not be touched: %s", rec.Forbidden)
	}
	if inWindow {
		s.violate(RuleWindow, rec, now, "pushed inside an open maintenance window")
	}
}

// judgeAccepted looks at a client's push that the order accepts, before it moves.
func (s *System) judgeAccepted(rec *record, now time.Time) {
	if rec.pushedFor == rec.Failures {
		s.violate(RulePushedOnce, rec, now, "pushed again for failure %d", rec.Failures)
	}
	if left := rec.FailedAt.Add(s.cfg.OldEvent).Sub(now); left > 0 {
		s.violate(RuleOldEvent, rec, now, "pushed while its old event is still scheduled, for another %v", left)
	}
	for _, other := range s.store.bySubscription[rec.Subscription] {
		switch {
		case other == rec:
		case other.working:
			s.violate(RuleLane, rec, now, "pushed while %s of the same subscription %s is under way", other.Number, rec.Subscription)
		case younger(other, rec) && !rec.FailedAt.After(other.ours):
			s.violate(RuleLane, rec, now, "pushed after the younger %s of the same subscription %s", other.Number, rec.Subscription)
		}
	}
}

func younger(a, b *record) bool {
	if c := a.PlacedAt.Compare(b.PlacedAt); c != 0 {
		return c > 0
	}
	return a.seq > b.seq
}
