package commerce

// Status is the code of an order's status, two letters in the flows that
// CloudBlue ships. It is an open type: order flows are customised and whole
// flows are added by providers, so a code without a constant here is valid.
//
// Beware: [StatusCancelled] and [TypeCancellation] share the code "CL".
type Status string

// The status codes that vendor documents name (commerce/WIRE.md#5.2).
const (
	// StatusNew is the first status of every order.
	StatusNew Status = "NW"
	// StatusOpen is an order that has entered its flow.
	StatusOpen Status = "OP"
	// StatusHold is an order held because its account is inactive or on hold.
	StatusHold Status = "HL"
	// StatusManualActivation waits for the check whether the account needs manual activation.
	StatusManualActivation Status = "TM"
	// StatusWaitingForActivation waits for the activation of the account.
	StatusWaitingForActivation Status = "WC"
	// StatusRegistrationCheck is the registration check that follows activation.
	// [TypeTA] has the same code.
	StatusRegistrationCheck Status = "TA"
	// StatusFraudScreened passed the fraud screening by itself.
	StatusFraudScreened Status = "FS"
	// StatusFraudApproved passed the fraud screening by hand.
	StatusFraudApproved Status = "I6"
	// StatusSuspected is suspected to be a fraud and waits for a person.
	StatusSuspected Status = "SS"
	// StatusWaitingForApproval waits for a person's approval.
	StatusWaitingForApproval Status = "WA"
	// StatusFraud is an order declared a fraud. Nothing here ever moves an order to it.
	StatusFraud Status = "FR"
	// StatusAwaitingAuthorization waits for the authorization of the payment.
	StatusAwaitingAuthorization Status = "AA"
	// StatusAuthorized has its payment authorized.
	StatusAuthorized Status = "AC"
	// StatusContinuingAuthorization goes on with attempts to authorize the payment.
	StatusContinuingAuthorization Status = "CA"
	// StatusAuthorizationRetry waits before the next attempt to authorize.
	StatusAuthorizationRetry Status = "WT"
	// StatusAuthorizationFailed is an order whose payment was not authorized.
	StatusAuthorizationFailed Status = "AF"
	// StatusNoPaymentMethod has no payment method attached.
	StatusNoPaymentMethod Status = "NP"
	// StatusWaitingForPayment waits to be paid before it is provisioned.
	StatusWaitingForPayment Status = "WP"
	// StatusPaid is paid or authorised and enters provisioning; the flow checks
	// next whether there is anything to provision. It is the push target that public programs use
	// to resubmit an order (commerce/WIRE.md#1.5, commerce/WIRE.md#2.3); the documents name
	// [StatusProvisioning].
	StatusPaid Status = "PD"
	// StatusProvisioningRequired is about to be submitted for provisioning.
	StatusProvisioningRequired Status = "I4"
	// StatusProvisioning is being provisioned. The push target that the default
	// flow documents for "Resubmit for Provisioning" (commerce/WIRE.md#5.4).
	StatusProvisioning Status = "PR"
	// StatusProvisioned has been provisioned; what remains is bookkeeping.
	StatusProvisioned Status = "PC"
	// StatusProvisioningFailed is what this library is about.
	StatusProvisioningFailed Status = "PF"
	// StatusLongRunning is a long running operation, for instance a domain
	// transfer. It has not failed yet.
	StatusLongRunning Status = "LO"
	// StatusManualOperation requires a person.
	StatusManualOperation Status = "MO"
	// StatusCheckingConditions checks the conditions of provisioning
	// (21.6 and later; cancellation charges enter it from PF by design).
	StatusCheckingConditions Status = "RB"
	// StatusResellerDocuments creates the reseller's credit documents (21.6 and later).
	StatusResellerDocuments Status = "AD"
	// StatusCreatingTopUp creates automatic top-up payments (21.6 and later).
	StatusCreatingTopUp Status = "CT"
	// StatusTopUpWaiting, StatusTopUpPayment, StatusTopUpSucceeded and
	// StatusTopUpFailed are steps of a reseller's automatic top-up (21.6 and
	// later). The sources name the codes as a group; the meaning of each single
	// one is inferred from its letters. [TypeTS] shares the code "TS".
	StatusTopUpWaiting   Status = "TW"
	StatusTopUpPayment   Status = "TP"
	StatusTopUpSucceeded Status = "TS"
	StatusTopUpFailed    Status = "TF"
	// StatusReadyToComplete is provisioned and ready to complete.
	StatusReadyToComplete Status = "CR"
	// StatusPaymentAfterProvisioning is provisioned and waits for payment.
	StatusPaymentAfterProvisioning Status = "WZ"
	// StatusCompleted is the good end of an order.
	StatusCompleted Status = "CP"
	// StatusCancelled is the end of a cancelled order; not to be confused with
	// [TypeCancellation]. Nothing here ever moves an order to it.
	StatusCancelled Status = "CL"
)

// Provisioned reports whether an order in this status has its service:
// PC, CR, WZ and CP.
func (s Status) Provisioned() bool {
	switch s {
	case StatusProvisioned, StatusReadyToComplete, StatusPaymentAfterProvisioning, StatusCompleted:
		return true
	default:
		return false
	}
}

// Known reports whether the status is one of the constants here. One that is not can be
// valid, see [Status].
func (s Status) Known() bool {
	switch s {
	case StatusNew, StatusOpen, StatusHold, StatusManualActivation, StatusWaitingForActivation,
		StatusRegistrationCheck, StatusFraudScreened, StatusFraudApproved, StatusSuspected,
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

// OrderType is the code of an order's type. It is an open type, as [Status] is.
// The code of resource orders (plan synchronisation) is not published.
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
	// TypePayment is a hidden helper order.
	TypePayment OrderType = "PO"
	// TypeCancellation cancels a subscription where the provider owes the
	// customer; not to be confused with [StatusCancelled].
	TypeCancellation OrderType = "CL"
	// TypeCancellationCharge cancels a subscription where the customer owes the provider.
	TypeCancellationCharge OrderType = "CF"
	// TypeDowngrade moves a subscription to a smaller plan.
	TypeDowngrade OrderType = "DG"
	// TypeUpgrade moves a subscription to a bigger plan.
	TypeUpgrade OrderType = "UG"
	// TypeTA and TypeTS are seen in API use; their meaning is not published.
	TypeTA OrderType = "TA"
	TypeTS OrderType = "TS"
)

// ProvisioningStatus is the state of an order's provisioning in the words of
// Order Management. It is an open type.
type ProvisioningStatus string

// ProvisioningCompleted is seen in public programs; the other two are inferred
// (commerce/WIRE.md#2.4), so nothing depends on them alone.
const (
	ProvisioningCompleted  ProvisioningStatus = "COMPLETED"
	ProvisioningFailed     ProvisioningStatus = "FAILED"
	ProvisioningInProgress ProvisioningStatus = "INPROGRESS"
)

// Channel tells through whom an order came.
type Channel string

const (
	// ChannelUnknown is the zero value: the system did not tell the vendor account.
	ChannelUnknown Channel = ""
	// ChannelDirect is an order of the provider's own customer.
	ChannelDirect Channel = "direct"
	// ChannelReseller is an order of a reseller's customer.
	ChannelReseller Channel = "reseller"
)
