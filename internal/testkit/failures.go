package testkit

// Texts of provisioning failures that Operations reports without a call to Connect, from
// documents and public tickets (commerce/WIRE.md#4, commerce/WIRE.md#6.3). Resubmitting
// such an order does not help. commercetest replaces {subscription} and {customer}.
const (
	// FailAlreadyExists: the customer has the service, but Commerce does not know it (resubmit/SAFETY.md#f10).
	FailAlreadyExists = "error_code #2007, extype_id #205, module_id #ResourceManagement, " +
		"Subscription #{subscription} already exists"
	FailInvalidValue     = "'n/a' is not valid value for the parameter 'postalCode' of customer {customer}"
	FailAmbiguous        = "the account {customer} is ambiguous"
	FailCustomerNotFound = "Customer not found"
	FailResellerInactive = "The Reseller Account is not Active"
	FailConcurrentOrder  = "Concurrent Billing Order has been processed"
	FailMisconfigured    = "marketplace misconfiguration: no listing for subscription {subscription}"
	FailZeroQuantity     = "the request has quantity 0 for all items"
)
