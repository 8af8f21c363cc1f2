package commerce

// Status is the code of an order's status. It has two letters in the flows that CloudBlue
// ships. Providers customize and add flows, so a code without a constant is valid.
//
// [StatusCancelled] and [TypeCancellation] share the code "CL".
type Status string

// The status codes that vendor documents name (commerce/WIRE.md#5.2).
const (
	// StatusNew is the first status of every order.
	StatusNew Status = "NW"
	// StatusOpen is an order that has entered its flow.
	StatusOpen Status = "OP"
	// StatusHold is an order held because its account is inactive or on hold.
	StatusHold Status = "HL"
	// StatusActivationCheck is waiting for the check whether the account must be activated manually.
	StatusActivationCheck Status = "TM"
	// StatusWaitingForActivation waits for the activation of the account.
	StatusWaitingForActivation Status = "WC"
	// StatusRegistrationCheck waits for a check of the registration, after activation.
	// [TypeTA] has the same code.
	StatusRegistrationCheck Status = "TA"
	// StatusFraudScreened passed the automatic fraud screening.
	StatusFraudScreened Status = "FS"
	// StatusFraudApproved passed the manual fraud screening.
	StatusFraudApproved Status = "I6"
	// StatusFraudSuspected is suspected of fraud and waits for a person's decision.
	StatusFraudSuspected Status = "SS"
	// StatusWaitingForApproval waits for a person's approval.
	StatusWaitingForApproval Status = "WA"
	// StatusFraud is declared a fraud. This library never moves an order to it.
	StatusFraud Status = "FR"
	// StatusAwaitingAuthorization waits for the authorization of the payment.
	StatusAwaitingAuthorization Status = "AA"
	// StatusAuthorized has its payment authorized.
	StatusAuthorized Status = "AC"
	// StatusContinuingAuthorization is making another attempt to authorize the payment.
	StatusContinuingAuthorization Status = "CA"
	// StatusAuthorizationRetry waits until the next attempt to authorize the payment.
	StatusAuthorizationRetry Status = "WT"
	// StatusAuthorizationFailed is an order whose payment was not authorized.
	StatusAuthorizationFailed Status = "AF"
	// StatusNoPaymentMethod has no payment method attached.
	StatusNoPaymentMethod Status = "NP"
	// StatusWaitingForPayment waits to be paid before it is provisioned.
	StatusWaitingForPayment Status = "WP"
	// StatusPaid is paid or authorized and enters provisioning; the flow then checks
	// whether there is anything to provision. Public programs push to it to resubmit an
	// order (commerce/WIRE.md#1.5, commerce/WIRE.md#2.3); the documents name
	// [StatusProvisioning].
	StatusPaid Status = "PD"
	// StatusProvisioningRequired is about to be submitted for provisioning.
	StatusProvisioningRequired Status = "I4"
	// StatusProvisioning is being provisioned. It is the documented target of "Resubmit for
	// Provisioning" in the default flow (commerce/WIRE.md#5.4).
	StatusProvisioning Status = "PR"
	// StatusProvisioned has been provisioned; accounting follows.
	StatusProvisioned Status = "PC"
	// StatusProvisioningFailed failed in provisioning. Such orders can be resubmitted.
	StatusProvisioningFailed Status = "PF"
	// StatusLongRunning waits for a long operation, such as a domain transfer. It has not
	// failed.
	StatusLongRunning Status = "LO"
	// StatusManualOperation requires manual work.
	StatusManualOperation Status = "MO"
	// StatusCheckingConditions is being checked for the conditions of provisioning (21.6 and later).
	// Cancellation charges that failed in provisioning enter it when they are resubmitted.
	StatusCheckingConditions Status = "RB"
	// StatusResellerDocuments creates the reseller's credit documents (21.6 and later).
	StatusResellerDocuments Status = "AD"
	// StatusCreatingTopUp creates automatic top-up payments (21.6 and later).
	StatusCreatingTopUp Status = "CT"
	// StatusTopUpWaiting, StatusTopUpPayment, StatusTopUpSucceeded and
	// StatusTopUpFailed are steps of a reseller's automatic top-up (21.6 and
	// later). The sources name the codes as a group; the meaning of each is inferred
	// from its letters. [TypeTS] shares the code "TS".
	StatusTopUpWaiting   Status = "TW"
	StatusTopUpPayment   Status = "TP"
	StatusTopUpSucceeded Status = "TS"
	StatusTopUpFailed    Status = "TF"
	// StatusReadyToComplete is provisioned and ready to complete.
	StatusReadyToComplete Status = "CR"
	// StatusPaymentAfterProvisioning is provisioned and waits for payment.
	StatusPaymentAfterProvisioning Status = "WZ"
	// StatusCompleted is the successful end of an order.
	StatusCompleted Status = "CP"
	// StatusCancelled is the end of a cancelled order. This library never moves an order to it.
	// [TypeCancellation] is something else: an order that cancels a subscription.
	StatusCancelled Status = "CL"
)

// Provisioned reports whether an order in this status was provisioned: StatusProvisioned or one of
// those that follow it (StatusReadyToComplete, StatusPaymentAfterProvisioning, StatusCompleted).
func (s Status) Provisioned() bool {
	switch s {
	case StatusProvisioned, StatusReadyToComplete, StatusPaymentAfterProvisioning, StatusCompleted:
		return true
	default:
		return false
	}
}

// Known reports whether the status is one of the constants. Other statuses can be valid too.
func (s Status) Known() bool {
	switch s {
	case StatusNew, StatusOpen, StatusHold, StatusActivationCheck, StatusWaitingForActivation,
		StatusRegistrationCheck, StatusFraudScreened, StatusFraudApproved, StatusFraudSuspected,
		StatusWaitingForApproval, StatusFraud, StatusAwaitingAuthorization, StatusAuthorized,
		StatusContinuingAuthorization, StatusAuthorizationRetry, StatusAuthorizationFailed,
		StatusNoPaymentMethod, StatusWaitingForPayment, StatusPaid, StatusProvisioningRequired,
		StatusProvisioning, StatusProvisioned, StatusProvisioningFailed, StatusLongRunning,
		StatusManualOperation, StatusCheckingConditions, StatusResellerDocuments, StatusCreatingTopUp,
		StatusTopUpWaiting, StatusTopUpPayment, StatusTopUpSucceeded, StatusTopUpFailed, StatusReadyToComplete,
		StatusPaymentAfterProvisioning, StatusCompleted, StatusCancelled:
		return true
	default:
		return false
	}
}

// OrderType is the code of an order's type. Like [Status] it is open: other codes are valid.
// The code of resource orders (plan synchronization) is not published.
type OrderType string

// The order types that vendor documents and public programs name (commerce/WIRE.md#5.1).
const (
	// TypeSales is a purchase.
	TypeSales OrderType = "SO"
	// TypeRenewal renews a subscription.
	TypeRenewal OrderType = "RN"
	// TypeBilling charges what is due.
	TypeBilling OrderType = "BO"
	// TypeChange changes the resources of a subscription. Its quantities are absolute.
	TypeChange OrderType = "CH"
	// TypePayment is an internal order for a payment, hidden from people.
	TypePayment OrderType = "PO"
	// TypeCancellation cancels a subscription, and the provider owes the customer a refund. It
	// is unrelated to [StatusCancelled].
	TypeCancellation OrderType = "CL"
	// TypeCancellationCharge cancels a subscription, and the customer owes the provider a charge.
	TypeCancellationCharge OrderType = "CF"
	// TypeDowngrade moves a subscription to a smaller plan.
	TypeDowngrade OrderType = "DG"
	// TypeUpgrade moves a subscription to a bigger plan.
	TypeUpgrade OrderType = "UG"
	// TypeTA and TypeTS are seen in API use; their meaning is not published.
	TypeTA OrderType = "TA"
	TypeTS OrderType = "TS"
)

// ProvisioningStatus is the state of an order's provisioning, as Order Management names it.
// Other values than the constants are valid.
type ProvisioningStatus string

// Provisioning statuses. ProvisioningCompleted is seen in public programs; the others are
// inferred (commerce/WIRE.md#2.4), so nothing depends on them alone.
const (
	ProvisioningCompleted  ProvisioningStatus = "COMPLETED"
	ProvisioningFailed     ProvisioningStatus = "FAILED"
	ProvisioningInProgress ProvisioningStatus = "INPROGRESS"
)

// Channel is who sold an order.
type Channel string

const (
	// ChannelUnknown is the zero value: the account that sold the order is unknown.
	ChannelUnknown Channel = ""
	// ChannelDirect is an order of the provider's own customer.
	ChannelDirect Channel = "direct"
	// ChannelReseller is an order of a reseller's customer.
	ChannelReseller Channel = "reseller"
)
