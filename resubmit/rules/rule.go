package rules

import (
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// Additional statuses for [Rule.Requests].
const (
	// NoRequest, in Rule.Requests, matches an order without a request in Connect.
	NoRequest connect.RequestStatus = "none"
	// RequestsUnavailable, in Rule.Requests, matches an order whose requests could not be queried.
	RequestsUnavailable connect.RequestStatus = "unknown"
)

// Rule sets the action for the failed orders that meet its conditions. Rules come before the default rules. A rule
// applies if all conditions that are set hold; a list holds if any of its values does. At least one condition is
// required. The first rule that applies decides.
//
// There is one exception: a rule with the action Resubmit and without Requests only states that the reason is worth
// another attempt. The default rules about the latest request in Connect can still stop the order, so that such a rule
// never sends what a vendor has refused. With Requests the rule decides alone, except for the limits of Connect: the
// number of failed cancel requests and the time between them (inferred, resubmit/SAFETY.md#f6).
//
// A planner sends an order only if nothing else forbids it either: no rule lifts a hold after a repeated failure, an
// unanswered push or a maintenance window.
type Rule struct {
	// ID is shown with each decision. It must be unique and must not be the id of a default rule.
	ID       string               `json:"id"`
	Types    []commerce.OrderType `json:"types,omitempty"`
	Classes  []failure.Class      `json:"classes,omitempty"`
	Verdicts []failure.Verdict    `json:"verdicts,omitempty"`
	// Requests are statuses of the latest request in Connect, even if it is older than the order; also [NoRequest] and
	// [RequestsUnavailable].
	Requests []connect.RequestStatus `json:"requests,omitempty"`
	// VendorAccounts are the ids of accounts that sold the order, see commerce.Order.VendorAccountID.
	VendorAccounts []string           `json:"vendors,omitempty"`
	Channels       []commerce.Channel `json:"channels,omitempty"`
	// Message is a pattern for the whole failure text, ignoring case; * matches any text.
	Message string `json:"reason,omitempty"`
	Action  Action `json:"action"`
	// Why is shown with each decision.
	Why string `json:"why"`
}

// Facts are the inputs of a decision.
type Facts struct {
	Order       *commerce.Order
	Attribution failure.Attribution
	// Override is set if the operator named this order explicitly. That decides about a reason that is unclassified or
	// not reported. It changes nothing else.
	Override bool
	// NoMessages is set if the Commerce client never reports why an order failed.
	NoMessages bool
	// RequestsQueried is set if Connect was queried for the order's requests. It is false if orders of this type have
	// none, or if Connect is not used.
	RequestsQueried bool
	// Requests are the latest requests of the order, one per asset.
	Requests []connect.LatestRequest
	// RequestsErr says why Requests is incomplete.
	RequestsErr error
	// Now is the time of the decision.
	Now time.Time
}
