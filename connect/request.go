package connect

import (
	"encoding/json"
	"time"
)

// RequestType is the type of a fulfillment request. Other values than the constants are
// accepted, since the documentation is inconsistent.
type RequestType string

// The documented request types (connect/WIRE.md#2.2).
const (
	TypePurchase RequestType = "purchase"
	TypeChange   RequestType = "change"
	TypeCancel   RequestType = "cancel"
	TypeSuspend  RequestType = "suspend"
	TypeResume   RequestType = "resume"
	TypeAdjust   RequestType = "adjustment"
	TypeRenew    RequestType = "renew"
	TypeTransfer RequestType = "transfer"
)

// known reports whether the type is one of the constants.
func (t RequestType) known() bool {
	switch t {
	case TypePurchase, TypeChange, TypeCancel, TypeSuspend, TypeResume, TypeAdjust, TypeRenew, TypeTransfer:
		return true
	default:
		return false
	}
}

// RequestStatus is the status of a fulfillment request. Other values than the constants are
// accepted.
type RequestStatus string

// The documented request statuses (connect/WIRE.md#2.2). Approved, failed and revoked are final.
const (
	StatusDraft      RequestStatus = "draft"       // not sent yet: its creator acts next
	StatusTiersSetup RequestStatus = "tiers_setup" // a tier account acts next
	StatusPending    RequestStatus = "pending"     // the vendor acts next
	StatusInquiring  RequestStatus = "inquiring"   // the customer acts next
	StatusScheduled  RequestStatus = "scheduled"   // it waits for its planned date
	StatusApproved   RequestStatus = "approved"
	StatusFailed     RequestStatus = "failed"
	StatusRevoking   RequestStatus = "revoking"
	StatusRevoked    RequestStatus = "revoked"
)

// Final reports whether a request in this status never changes again.
func (s RequestStatus) Final() bool {
	return s == StatusApproved || s == StatusFailed || s == StatusRevoked
}

// known reports whether the status is one of the constants.
func (s RequestStatus) known() bool { return s.Final() || s.NextActor() != "" }

// NextActor returns who must act next on a request in this status: "the vendor", "the
// customer", "a tier account", "Connect (on the planned date)" or "the creator"; "" if nobody. Documented,
// except for revoking, which is inferred (connect/WIRE.md#2.2).
func (s RequestStatus) NextActor() string {
	switch s {
	case StatusPending, StatusRevoking:
		return "the vendor"
	case StatusInquiring:
		return "the customer"
	case StatusTiersSetup:
		return "a tier account"
	case StatusScheduled:
		return "Connect (on the planned date)"
	case StatusDraft:
		return "the creator"
	default:
		return ""
	}
}

// Request is a fulfillment request that Commerce sent to a vendor through Connect.
type Request struct {
	ID      string
	Type    RequestType
	Status  RequestStatus
	Reason  string // why it failed, as the vendor wrote it
	Note    string
	Created time.Time
	Updated time.Time
	Asset   Asset
	// Raw is the request as the server sent it.
	Raw json.RawMessage
}

// Asset is a subscription in Connect. ExternalID and ExternalUID identify it in Commerce, by
// the code of the connector (connect/WIRE.md#8).
type Asset struct {
	ID          string
	Status      string
	ExternalID  string // the subscription's id in Commerce
	ExternalUID string // the APS id of the tenant in Commerce
	ProductID   string
	ProductName string
	HubID       string
}

// RequestKey selects the requests of one type for one subscription. Exactly one of TenantID and
// SubscriptionID is set: the external_uid of the asset, or if that is unknown its external_id
// (both by the code of the connector, connect/WIRE.md#8).
type RequestKey struct {
	TenantID       string
	SubscriptionID string
	Type           RequestType
}

// LatestRequest is the latest request of one asset and type, with the failures up to it.
type LatestRequest struct {
	Request Request
	// FailedInRow is the number of consecutive failed requests of this asset and type,
	// up to the latest; 0 if the latest has not failed.
	FailedInRow int
}
