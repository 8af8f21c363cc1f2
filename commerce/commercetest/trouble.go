package commercetest

import "strings"

// Trouble is a reason for which provisioning fails without a word from Connect:
// the text that Operations reports. Any text will do; the constants are documented texts
// (commerce/WIRE.md#6.3). {subscription} and {customer} in it are filled in.
type Trouble string

// The troubles, from documents and public tickets (commerce/WIRE.md#4, commerce/WIRE.md#6.3).
// Sending such an order again is of no use.
const (
	// AlreadyExists: the customer has the service, Commerce lost track (F10).
	AlreadyExists Trouble = "error_code #2007, extype_id #205, module_id #ResourceManagement, Subscription #{subscription} already exists"
	// InvalidValue: a value of the order is wrong.
	InvalidValue Trouble = "'n/a' is not valid value for the parameter 'postalCode' of customer {customer}"
	// Ambiguous: a value fits more than one thing.
	Ambiguous Trouble = "the account {customer} is ambiguous"
	// CustomerNotFound: the vendor does not know the customer.
	CustomerNotFound Trouble = "Customer not found"
	// ResellerInactive: the reseller is on hold.
	ResellerInactive Trouble = "The Reseller Account is not Active"
	// ConcurrentOrder: another order did the same; this one is to be cancelled.
	ConcurrentOrder Trouble = "Concurrent Billing Order has been processed"
	// Misconfigured: the product is not set up for this marketplace.
	Misconfigured Trouble = "marketplace misconfiguration: no listing for subscription {subscription}"
	// ZeroQuantity: there is nothing to order.
	ZeroQuantity Trouble = "the request has quantity 0 for all items"
)

func (t Trouble) textFor(o *Order) string {
	return strings.NewReplacer("{subscription}", o.Subscription, "{customer}", o.Customer).Replace(string(t))
}
