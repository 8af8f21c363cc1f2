package commerce

import (
	"encoding/json"
	"time"
)

// Order is one order of Commerce, in whatever detail the way in gave it.
// Clients return a fresh Order each time; treat it as read-only.
type Order struct {
	// ID is the id for calls through the client that read the order: the APS
	// UUID with Order Management, the numeric id ("1000027") with Billing and Simple API.
	ID string
	// BillingID is the numeric id in Billing, where it is known.
	BillingID string
	// Number is what people say: "SO000027".
	Number string

	Type               OrderType
	Status             Status
	ProvisioningStatus ProvisioningStatus

	// PlacedAt is when the order was placed. Zero where the system does not tell.
	PlacedAt time.Time
	// FailedAt is when the order failed. Zero where the system does not tell;
	// Order Management does not.
	FailedAt time.Time

	// VendorID is the account that sold the order: the provider's own, or a reseller's.
	VendorID string
	// Channel tells direct customers from resellers'.
	Channel Channel
	// CustomerID and CustomerName are the account that placed the order.
	CustomerID   string
	CustomerName string

	// SubscriptionIDs are the subscriptions that the order makes or changes.
	// Connect knows them as asset.external_id.
	SubscriptionIDs []string
	// TenantID is the APS id of the application's tenant, which Connect knows as
	// asset.external_uid. Empty where the system does not tell.
	TenantID string

	Total Money

	// Failure is the zero value where the list did not tell it: read the order.
	Failure Failure
	// Transitions are the manual moves that the order offers now. nil means not
	// told; empty and not nil means that there are none.
	Transitions []Transition

	// Problems say what of the order could not be read, one sentence each. The fields
	// they speak of are zero. An order with problems is never resubmitted automatically.
	Problems []string

	// Raw is the order as the server sent it.
	Raw json.RawMessage
}

// Transition is one manual move along the order flow, a button in the panel.
type Transition struct {
	To Status
	// Label is the button's text by locale. Vendors rename it, so decide by To.
	Label map[string]string
}

// Offers reports whether the order offers the move to a status.
func (o *Order) Offers(to Status) bool {
	for _, t := range o.Transitions {
		if t.To == to {
			return true
		}
	}
	return false
}

// Detailed reports whether the order carries what only reading one order
// gives for sure: the transitions it offers.
func (o *Order) Detailed() bool { return o.Transitions != nil }
