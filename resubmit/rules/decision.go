package rules

import "github.com/cloudblue-go/cloudblue/commerce"

// Action is what to do with a failed order.
type Action string

// The actions.
const (
	// Resubmit means to resubmit the order.
	Resubmit Action = "resubmit"
	// Wait means to try again later, because something is in progress or has just happened.
	Wait Action = "wait"
	// Hold means to leave the order until missing information is available.
	Hold Action = "hold"
	// Quarantine means never to resubmit the order. It needs a new order or support.
	Quarantine Action = "quarantine"
	// Complete means that a person should complete the order by hand in Commerce. This library never does it.
	Complete Action = "complete"
	// Manual means that a person must handle the order.
	Manual Action = "manual"
)

// Actions returns all actions.
func Actions() []Action { return []Action{Resubmit, Wait, Hold, Quarantine, Complete, Manual} }

// Decision is an action for an order, with the rule it follows from.
type Decision struct {
	Action Action `json:"action"`
	// RuleID is the id of a user's rule or of a default one.
	RuleID string `json:"rule"`
	// Why is one sentence for people.
	Why string `json:"why"`
	// Flagged asks a person to check the order although the action proceeds.
	Flagged bool `json:"flagged,omitempty"`
}

// Rule ids of the decisions that a planner makes without [Decide].
const (
	// IDReadFailed holds an order that could not be read.
	IDReadFailed = "order-unread"
	// IDFieldUnreadable holds an order with a field that could not be decoded.
	IDFieldUnreadable = "unreadable-row"
	// IDOrderNotFailed makes an order wait if it has left the view of failed orders since it was listed.
	IDOrderNotFailed = "order-not-failed"
	// IDOrderUnsettled makes an order wait if it failed very recently, or if a maintenance window is open.
	IDOrderUnsettled = "order-unsettled"
	// IDOrderNoTransition leaves an order to a person because it offers no transition that resubmits it.
	IDOrderNoTransition = "order-no-transition"
	// IDOlderOrderFirst makes an order wait because an older order of the same subscription or tenant must come first.
	IDOlderOrderFirst = "older-order-first"
	// IDLaneBusy makes an order wait because another order of the same subscription or tenant was resubmitted and has not
	// ended well.
	IDLaneBusy = "lane-busy"
	// IDNewerOrderSent holds an order because a newer one of the same subscription or tenant was resubmitted before.
	IDNewerOrderSent = "newer-order-sent"
	// IDOrderInProgress makes an order wait because a run is working on it, or its last push may not have settled.
	IDOrderInProgress = "order-in-progress"
	// IDHistory holds an order because of its history: it was resubmitted in vain and nothing has changed since, or the
	// journal was lost, so that it is not known what was done to it.
	IDHistory = "history"
)

// CanResubmit reports whether a transition to a status can resubmit an order. "", CL (cancelled) and FR (fraud) cannot.
func CanResubmit(to commerce.Status) bool {
	return to != "" && to != commerce.StatusCancelled && to != commerce.StatusFraud
}
