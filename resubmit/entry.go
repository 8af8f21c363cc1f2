package resubmit

import (
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
)

// Header opens a plan: what was asked for, and under which conditions.
type Header struct {
	Kind      string    `json:"kind"`    // "cloudblue-resubmit-plan"
	Version   int       `json:"version"` // 1
	CreatedAt time.Time `json:"createdAt"`
	// View is the name of the failure view that was listed.
	View string `json:"view"`
	// Filter is the text form of the filter.
	Filter string `json:"filter"`
	// Windows are the maintenance windows that failures were held against.
	Windows []connect.Window `json:"windows"`
	// Rules are the user's rules, which come before the defaults.
	Rules []Rule `json:"rules,omitempty"`
}

// Entry is one order of a plan.
type Entry struct {
	OrderID       string             `json:"id"`
	Number        string             `json:"number"`
	Type          commerce.OrderType `json:"type"`
	VendorID      string             `json:"vendor,omitempty"`
	Channel       commerce.Channel   `json:"channel,omitempty"`
	Customer      string             `json:"customer,omitempty"`
	Subscriptions []string           `json:"subscriptions,omitempty"`
	TenantID      string             `json:"tenant,omitempty"`
	Total         commerce.Money     `json:"total,omitzero"`
	// Before is the state that the decision was made for. Apply sends nothing
	// unless the order is still in it.
	Before State `json:"before"`
	// Fingerprint names the failure: a hash over OrderID and Before.
	Fingerprint string      `json:"fingerprint"`
	Attribution Attribution `json:"attribution"`
	Decision    Decision    `json:"decision"`
	// Target is the transition to take, chosen again when the order is re-read.
	// Empty unless the action is Resubmit and the order told its transitions.
	Target commerce.Status `json:"target,omitempty"`
}

// State is what of an order must not have changed between plan and push.
type State struct {
	Status             commerce.Status             `json:"status"`
	ProvisioningStatus commerce.ProvisioningStatus `json:"provisioningStatus,omitempty"`
	Reason             string                      `json:"reason,omitempty"` // the whole failure message
	PlacedAt           time.Time                   `json:"placedAt,omitzero"`
	FailedAt           time.Time                   `json:"failedAt,omitzero"`
}

// Counts counts the orders of a plan by action. They sum to Total.
type Counts struct {
	Total      int `json:"total"`
	Resubmit   int `json:"resubmit"`
	Wait       int `json:"wait"`
	Hold       int `json:"hold"`
	Quarantine int `json:"quarantine"`
	Complete   int `json:"complete"`
	Manual     int `json:"manual"`
}
