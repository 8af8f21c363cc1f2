package commercetest

import (
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// Origin is how a push reached the System.
type Origin = testkit.Origin

// The origins of pushes.
const (
	OriginPanel        Origin = "panel"         // a person in the Provider Control Panel: System.Push
	OriginOrderManager Origin = "order-manager" // the Order Management REST API
	OriginBilling      Origin = "billing"       // the Billing XML-RPC API
	OriginSimpleAPI    Origin = "simpleapi"     // Simple API
)

// Push is one attempted push.
type Push struct {
	Seq    int             `json:"seq"` // from 1
	At     time.Time       `json:"at"`
	Origin Origin          `json:"origin"`
	Order  string          `json:"order"`            // the id in the call
	Number string          `json:"number,omitempty"` // "" if there is no such order
	From   commerce.Status `json:"from,omitempty"`
	To     commerce.Status `json:"to,omitempty"`
	// Accepted reports whether the order moved.
	Accepted bool `json:"accepted"`
	// FailureNumber says which failure of the order the push followed, from 1.
	FailureNumber int `json:"failure"`
	// HTTPStatus is the status of the answer, before any injected fault; 0 for the panel.
	HTTPStatus int `json:"httpStatus,omitempty"`
}

// Rule identifies an invariant of resubmission that the System checks.
type Rule = testkit.Rule

// The rules, named after the facts and invariants in resubmit/SAFETY.md. Pushes in the panel never violate them.
const (
	// RulePushedOnce: at most one push is accepted per failure of an order.
	RulePushedOnce Rule = "I1"
	// RuleStaleEvent: no push is accepted while the provisioning event of the failed attempt is still scheduled, see
	// Config.StaleEventFor.
	RuleStaleEvent Rule = "F9"
	// RuleMaintenance: no push is attempted inside an open maintenance window.
	RuleMaintenance Rule = "I4"
	// RuleOldestFirst: the orders of one subscription are pushed oldest first, one at a time.
	RuleOldestFirst Rule = "I5"
	// RuleForbidden: no push is attempted on an order that was marked with System.ForbidPush.
	RuleForbidden Rule = "I12"
)

// Violation is a broken rule, as the server observed it, with the fields Rule, ID (the number of the order), Text and
// At.
type Violation = testkit.Violation

// Pushes returns all attempted pushes, in order.
func (s *System) Pushes() []Push { return s.ledger.Calls() }

// Violations returns all broken rules, in order.
func (s *System) Violations() []Violation { return s.ledger.Violations() }

func (s *System) record(c Push) {
	s.ledger.Record(func(seq int) Push { c.Seq = seq; return c })
}

// checkAttempt checks the push of a client, accepted or not.
func (s *System) checkAttempt(rec *record, now time.Time, inWindow bool) {
	if rec.Forbidden != "" {
		s.ledger.Violate(RuleForbidden, rec.Number, now, "pushed although it must not be touched: %s", rec.Forbidden)
	}
	if inWindow {
		s.ledger.Violate(RuleMaintenance, rec.Number, now, "pushed inside an open maintenance window")
	}
}

// checkAccepted checks the push of a client that is accepted, before the order moves.
func (s *System) checkAccepted(rec *record, now time.Time) {
	if rec.pushedFor == rec.Failures {
		s.ledger.Violate(RulePushedOnce, rec.Number, now, "pushed again for failure %d", rec.Failures)
	}
	if left := rec.FailedAt.Add(s.cfg.StaleEventFor).Sub(now); left > 0 {
		s.ledger.Violate(RuleStaleEvent, rec.Number, now,
			"pushed while its stale event is still scheduled, for another %v", left)
	}
	for _, other := range s.store.bySubscription[rec.Subscription] {
		switch {
		case other == rec:
		case other.inProgress:
			s.ledger.Violate(RuleOldestFirst, rec.Number, now, "pushed while %s of the same subscription %s is in progress",
				other.Number, rec.Subscription)
		case younger(other, rec) && !rec.FailedAt.After(other.pushedAt):
			s.ledger.Violate(RuleOldestFirst, rec.Number, now, "pushed after the younger %s of the same subscription %s",
				other.Number, rec.Subscription)
		}
	}
}

func younger(a, b *record) bool {
	if c := a.PlacedAt.Compare(b.PlacedAt); c != 0 {
		return c > 0
	}
	return a.seq > b.seq
}
