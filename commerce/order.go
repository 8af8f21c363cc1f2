package commerce

import (
	"encoding/json"
	"time"
)

// Order is an order of Commerce. Which fields are set depends on the API, and lists set fewer
// than reading one order does. Clients return a new Order each time; treat it as read-only.
type Order struct {
	// ID identifies the order in calls of the client that read it: the APS UUID with Order
	// Management, the numeric id ("1000027") with Billing and Simple API.
	ID string
	// BillingID is the numeric id in Billing, if known.
	BillingID string
	// Number is the number that people use: "SO000027".
	Number string

	Type               OrderType
	Status             Status
	ProvisioningStatus ProvisioningStatus

	// PlacedAt is when the order was placed. Zero if unknown.
	PlacedAt time.Time
	// FailedAt is when the order failed. Zero if unknown, as with Order Management.
	FailedAt time.Time

	// VendorAccountID is the id of the account that sold the order: the provider's own, or a
	// reseller's. It is not a vendor in Connect.
	VendorAccountID string
	// Channel is whether the provider or a reseller sold the order.
	Channel Channel
	// CustomerID and CustomerName identify the account that placed the order.
	CustomerID   string
	CustomerName string

	// SubscriptionIDs are the subscriptions that the order creates or changes. Connect
	// has them as asset.external_id.
	SubscriptionIDs []string
	// TenantID is the APS id of the application's tenant, which Connect has as
	// asset.external_uid. Empty if unknown.
	TenantID string

	Total Money

	// Failure says why the order failed. Lists may leave it out: read the order.
	Failure Failure
	// Transitions are the manual transitions that the order offers now. nil means
	// unknown; empty but not nil means that there are none.
	Transitions []Transition

	// Problems say which fields could not be read and why, one sentence each; these
	// fields are zero. An order with problems is never resubmitted automatically.
	Problems []string

	// Raw is the order as the server sent it.
	Raw json.RawMessage
}

// Transition is a status change that a person may trigger, with a button in the Provider Control Panel.
type Transition struct {
	To Status
	// Label is the text of the button by locale. Vendors rename buttons, so use To for decisions.
	Label map[string]string
}

// Offers reports whether the order offers the transition to a status.
func (o *Order) Offers(to Status) bool {
	for _, t := range o.Transitions {
		if t.To == to {
			return true
		}
	}
	return false
}

// HasTransitions reports whether Transitions is known. Lists may omit it: read the single order.
func (o *Order) HasTransitions() bool { return o.Transitions != nil }

// Label returns what people call the order: its number, or its id if it has none.
func (o *Order) Label() string {
	if o.Number != "" {
		return o.Number
	}
	return o.ID
}
