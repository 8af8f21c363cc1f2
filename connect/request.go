package connect

import (
	"encoding/json"
	"time"
)

// RequestType is what a fulfillment request asks of the vendor. An open type:
// the vendor's schema contradicts itself, so any value is accepted.
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

// known reports whether the type is one of the constants here.
func (t RequestType) known() bool {
	switch t {
	case TypePurchase, TypeChange, TypeCancel, TypeSuspend, TypeResume, TypeAdjust, TypeRenew, TypeTransfer:
		return true
	default:
		return false
	}
}

// RequestStatus is where a fulfillment request stands. An open type.
type RequestStatus string

// The documented request statuses (connect/WIRE.md#2.2). Approved, failed and revoked are final.
const (
	StatusDraft      RequestStatus = "draft"       // its creator acts next
	StatusTiersSetup RequestStatus = "tiers_setup" // a tier account acts next
	StatusPending    RequestStatus = "pending"     // the vendor acts next
	StatusInquiring  RequestStatus = "inquiring"   // the customer acts next
	StatusScheduled  RequestStatus = "scheduled"   // the clock acts next
	StatusApproved   RequestStatus = "approved"
	StatusFailed     RequestStatus = "failed"
	StatusRevoking   RequestStatus = "revoking"
	StatusRevoked    RequestStatus = "revoked"
)

// Final reports whether a request in this status never changes again.
func (s RequestStatus) Final() bool {
	return s == StatusApproved || s == StatusFailed || s == StatusRevoked
}

// known reports whether the status is one of the constants here.
func (s RequestStatus) known() bool { return s.Final() || s.ActsNext() != "" }

// ActsNext says who must act for a request in this status to go on: "the
// vendor", "the customer", "a tier account", "the clock", "the creator"; ""
// when nobody must. Documented, but for revoking, which is inferred (connect/WIRE.md#2.2).
func (s RequestStatus) ActsNext() string {
	switch s {
	case StatusPending, StatusRevoking:
		return "the vendor"
	case StatusInquiring:
		return "the customer"
	case StatusTiersSetup:
		return "a tier account"
	case StatusScheduled:
		return "the clock"
	case StatusDraft:
		return "the creator"
	default:
		return ""
	}
}

// Request is a fulfillment request: what Commerce asked of a vendor.
type Request struct {
	ID      string
	Type    RequestType
	Status  RequestStatus
	Reason  string // why it failed, in the vendor's words
	Note    string
	Created time.Time
	Updated time.Time
	Asset   Asset
	// Raw is the request as the server sent it.
	Raw json.RawMessage
}

// Asset is the subscription on the side of Connect. What Commerce knows it by is
// in ExternalID and ExternalUID, by the connector's code (connect/WIRE.md#8).
type Asset struct {
	ID          string
	Status      string
	ExternalID  string // the subscription's id in Commerce
	ExternalUID string // the APS id of the tenant in Commerce
	ProductID   string
	ProductName string
	HubID       string
}

// RequestKey names the requests of one type of one subscription. Tenant, the
// asset's external_uid, is the better key; Subscription, its external_id, serves
// where the tenant is not known. Both are from the connector's code (connect/WIRE.md#8). Exactly
// one of them is set.
type RequestKey struct {
	Tenant       string
	Subscription string
	Type         RequestType
}

// LatestRequest is the newest request of one asset and type.
type LatestRequest struct {
	Request Request
	// FailedInRow counts the requests of this asset and type that failed in a
	// row, newest first; 0 when the newest has not failed.
	FailedInRow int
}
