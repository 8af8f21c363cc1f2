package connecttest

import (
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// Origin is who changed a request.
type Origin = testkit.Origin

// The origins of changes.
const (
	OriginHTTP   Origin = "http"
	OriginVendor Origin = "vendor" // Config.Vendor, or System.Answer
	OriginClock  Origin = "clock"  // a scheduled request reached its date
)

// Change is a change of a request: by an HTTP call, even if its answer was lost, by a
// vendor, or by the clock.
type Change struct {
	Seq         int                   `json:"seq"` // from 1
	At          time.Time             `json:"at"`
	Origin      Origin                `json:"origin"`
	Method      string                `json:"method,omitempty"`
	Path        string                `json:"path,omitempty"`
	Request     string                `json:"request"`
	Type        connect.RequestType   `json:"type"`
	Asset       string                `json:"asset"`
	ExternalID  string                `json:"externalId,omitempty"`
	ExternalUID string                `json:"externalUid,omitempty"`
	IsNew       bool                  `json:"created,omitempty"` // the change created the request
	Status      connect.RequestStatus `json:"status"`            // of the request, afterwards
	Reason      string                `json:"reason,omitempty"`
}

// Rule identifies an invariant that the System checks.
type Rule = testkit.Rule

// The rules, named after the facts and invariants in resubmit/SAFETY.md.
const (
	// RuleFourCancels: at most four consecutive failed cancels of an asset are sent, because
	// after them the connector's code would report success although the vendor still bills
	// (resubmit/SAFETY.md#f6). Only HTTP calls can violate it, not histories.
	RuleFourCancels Rule = "F6"
	// RulePurchasedOnce: an external_uid has at most one purchase that has not failed,
	// by the connector's code (resubmit/SAFETY.md#f5). Only histories from System.AddRequest can violate it.
	RulePurchasedOnce Rule = "F5"
	// RuleMaintenance: nothing changes during a maintenance.
	RuleMaintenance Rule = "maintenance"
)

// Violation is a broken rule, as the server observed it, with the fields Rule, ID (that of the request), Text and At.
type Violation = testkit.Violation

// Changes returns all changes of requests, in order, except those by AddRequest.
func (s *System) Changes() []Change { return s.ledger.Calls() }

// Violations returns all broken rules, in order.
func (s *System) Violations() []Violation { return s.ledger.Violations() }

func (s *System) record(r *request, m move) {
	a := r.asset
	s.ledger.Record(func(seq int) Change {
		return Change{
			Seq: seq, At: m.at, Origin: m.origin, Method: m.method, Path: m.path,
			Request: r.id, Type: r.kind, Asset: a.id,
			ExternalID: a.externalID, ExternalUID: a.externalUID,
			IsNew: m.creates, Status: m.to, Reason: m.reason,
		}
	})
	if s.maintenance {
		s.ledger.Violate(RuleMaintenance, r.id, m.at, "it became %s in a maintenance", m.to)
	}
}

// checkCancels checks a request that an HTTP call has just created.
func (s *System) checkCancels(r *request, failedBefore int) {
	if r.kind == connect.TypeCancel && failedBefore >= 4 {
		s.ledger.Violate(RuleFourCancels, r.id, r.created, "%d cancels of asset %s had failed in a row",
			failedBefore, r.asset.id)
	}
}

// checkPurchases checks a new request, by a call or in a history.
func (s *System) checkPurchases(r *request) {
	if r.kind != connect.TypePurchase {
		return
	}
	live := 0
	for _, other := range r.asset.requests {
		if other.kind == connect.TypePurchase && other.status != connect.StatusFailed &&
			other.status != connect.StatusRevoked {
			live++
		}
	}
	if live > 1 {
		s.ledger.Violate(RulePurchasedOnce, r.id, r.created, "external_uid %s has %d live purchases",
			r.asset.externalUID, live)
	}
}
