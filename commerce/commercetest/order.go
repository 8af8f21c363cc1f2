package commercetest

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
)

// OrderSpec describes an order for [System.Place]. Every field is optional.
type OrderSpec struct {
	// Type is the order's type; "" means SO.
	Type commerce.OrderType `json:"type,omitempty"`
	// VendorAccount is the account that sells, such as a reseller's; "" means the provider's own.
	VendorAccount string `json:"vendor,omitempty"`
	// Customer and CustomerName are the account that buys; "" means a new one.
	Customer     string `json:"customer,omitempty"`
	CustomerName string `json:"customerName,omitempty"`
	// Subscription is what the order creates or changes; "" means a new one.
	Subscription string `json:"subscription,omitempty"`
	// Tenant is the APS id of the application's tenant; "" means the one of the subscription.
	Tenant string `json:"tenant,omitempty"`
	// Product is the product's id in Connect; "" means [DefaultProduct].
	Product string `json:"product,omitempty"`
	// Total is the amount; the zero value means 12.50 USD.
	Total commerce.Money `json:"total,omitzero"`
	// Comments is the description, which is part of the text that Billing signs.
	Comments string `json:"comments,omitempty"`
	// RequestType is the type of the request to Connect; "" means the one for the order
	// type: purchase for SO, cancel for CL and CF, change for CH, UG and DG, and
	// none for the rest. Suspend and resume have no known order type.
	RequestType connect.RequestType `json:"request,omitempty"`
	// FailWith injects a failure: provisioning fails with this text before it calls
	// Connect, until [System.FailWith] changes it. {subscription} and {customer} in the
	// text are replaced. "" injects none.
	FailWith string `json:"failWith,omitempty"`
}

// DefaultProduct is the product of orders that name none.
const DefaultProduct = "PRD-100-200-300"

// Order is an order in the System.
type Order struct {
	ID        string `json:"id"`         // the APS id, a UUID
	BillingID string `json:"internalId"` // the numeric id in Billing
	Number    string `json:"number"`     // "SO000027"

	Type               commerce.OrderType          `json:"type"`
	Status             commerce.Status             `json:"status"`
	ProvisioningStatus commerce.ProvisioningStatus `json:"provisioning"`
	// Failure is the text of the last failure; "" unless the order is failed.
	Failure string `json:"failure,omitempty"`
	// Cause is why it failed, whatever the text says; "" unless the order is failed.
	// No API returns it.
	Cause Cause `json:"cause,omitempty"`
	// Transitions are the statuses of the manual transitions that the order offers now.
	Transitions []commerce.Status `json:"offers,omitempty"`

	PlacedAt time.Time `json:"placedAt"`
	FailedAt time.Time `json:"failedAt,omitzero"` // of the last failure; zero if it never failed
	Failures int       `json:"failures"`          // how often it failed
	Pushes   int       `json:"pushes"`            // how many pushes were accepted
	// CompletedAt is zero until the order completes.
	CompletedAt time.Time `json:"completedAt,omitzero"`

	VendorAccount string         `json:"vendor"`
	Customer      string         `json:"customer"`
	CustomerName  string         `json:"customerName"`
	Subscription  string         `json:"subscription"`
	Tenant        string         `json:"tenant"`
	Product       string         `json:"product"`
	Total         commerce.Money `json:"total"`
	Comments      string         `json:"comments,omitempty"`
	CreditCheck   bool           `json:"creditCheck,omitempty"` // as set through Simple API

	RequestType connect.RequestType `json:"request,omitempty"`   // of its request to Connect; "" if it sends none
	FailWith    string              `json:"failWith,omitempty"`  // the injected failure; "" if there is none
	Forbidden   string              `json:"forbidden,omitempty"` // the reason given to System.ForbidPush
}

// Cause is why an order really failed.
type Cause string

// The causes of failures.
const (
	CauseConnect  Cause = "connect"  // Connect did not answer, or not as expected
	CauseVendor   Cause = "vendor"   // Connect answered: the vendor, or Connect itself, refused
	CauseInjected Cause = "injected" // the order's FailWith: Connect was not called
	CauseOperator Cause = "operator" // System.MarkFailed
)

func defaultTotal() commerce.Money {
	return commerce.Money{Amount: decimal.New(1250, -2), Currency: "USD"}
}

func requestOf(t commerce.OrderType) connect.RequestType {
	switch t {
	case commerce.TypeSales:
		return connect.TypePurchase
	case commerce.TypeChange, commerce.TypeUpgrade, commerce.TypeDowngrade:
		return connect.TypeChange
	case commerce.TypeCancellation, commerce.TypeCancellationCharge:
		return connect.TypeCancel
	default:
		return ""
	}
}
