package rules

import (
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// Statuses for [Rule].Requests besides those that Connect has.
const (
	// NoRequest: there is no request for the order in Connect.
	NoRequest connect.RequestStatus = "none"
	// UnknownRequest: Connect could not be asked.
	UnknownRequest connect.RequestStatus = "unknown"
)

// Rule is a user's rule, as data. All conditions that are set must hold; within
// one condition any value will do. A rule without conditions is refused.
//
// The first rule that holds decides. One exception keeps a rule about a reason from
// sending what a vendor has refused: a rule with the action Resubmit and without
// Requests is the operator's word that the reason is worth another try, no more, so
// that the defaults about the newest Connect request still stop it. With Requests
// it decides alone.
type Rule struct {
	ID       string               `json:"id"`
	Types    []commerce.OrderType `json:"types,omitempty"`
	Classes  []failure.Class      `json:"classes,omitempty"`
	Verdicts []failure.Verdict    `json:"verdicts,omitempty"`
	// Requests are statuses of the newest Connect request, even if that is older
	// than the order; also "none" (there is no request) and "unknown" (Connect could
	// not be asked).
	Requests []connect.RequestStatus `json:"requests,omitempty"`
	Vendors  []string                `json:"vendors,omitempty"`
	Channels []commerce.Channel      `json:"channels,omitempty"`
	// Reason is a pattern over the whole failure message, * for any text, without
	// regard to case.
	Reason string `json:"reason,omitempty"`
	Action Action `json:"action"`
	Why    string `json:"why"`
}

// Facts is all that a decision depends on.
type Facts struct {
	Order       *commerce.Order
	Attribution failure.Attribution
	// Explicit says that the operator named this very order.
	Override bool
	// Untold says that this way into Commerce never tells why an order failed.
	NoReasons bool
	// Asked says that Connect was asked for the newest requests; false where the
	// order's type has none in Connect, or the user decided to go without Connect.
	RequestsQueried bool
	// Requests are the answer, one an asset; RequestsErr says why there is none.
	Requests    []connect.LatestRequest
	RequestsErr error
	Now         time.Time
}
