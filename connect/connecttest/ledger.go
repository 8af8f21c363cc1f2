package connecttest

import (
	"fmt"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
)

// Who moved a request.
const (
	ByHTTP   = "http"
	ByVendor = "vendor" // the policy of Config.Vendor, or [System.Answer]
	ByClock  = "clock"  // a scheduled request has reached its date
)

// Call is something that changed a request: a call by HTTP whether or not its
// answer was lost, or a vendor or the clock.
type Call struct {
	Seq         int                   `json:"seq"` // from 1
	At          time.Time             `json:"at"`
	By          string                `json:"by"`
	Method      string                `json:"method,omitempty"`
	Path        string                `json:"path,omitempty"`
	Request     string                `json:"request"`
	Type        connect.RequestType   `json:"type"`
	Asset       string                `json:"asset"`
	ExternalID  string                `json:"externalId,omitempty"`
	ExternalUID string                `json:"externalUid,omitempty"`
	Created     bool                  `json:"created,omitempty"` // the call made the request
	Status      connect.RequestStatus `json:"status"`            // the request's after it
	Reason      string                `json:"reason,omitempty"`
}

// Rule names what was violated.
type Rule string

// The rules that the system watches.
const (
	// RuleFifthCancel: after four cancels of an asset that failed in a row no
	// fifth is sent, since the connector would report it as done although the
	// vendor still bills, by its code (resubmit/SAFETY.md#f6). Only calls can break it; a history
	// may hold any number.
	RuleFifthCancel Rule = "F6"
	// RulePurchasedTwice: an external_uid has at most one purchase that has not
	// failed, by the connector's code (resubmit/SAFETY.md#f5). The API makes it impossible;
	// histories that [System.AddRequest] puts in place can break it.
	RulePurchasedTwice Rule = "F5"
	// RuleMaintenance: nothing changes while a maintenance is on.
	RuleMaintenance Rule = "maintenance"
)

// Violation is something that must never happen.
type Violation struct {
	Rule Rule      `json:"rule"`
	ID   string    `json:"id"` // of the request
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

// String is one line.
func (v Violation) String() string { return fmt.Sprintf("%s: %s: %s", v.Rule, v.ID, v.Text) }

// Ledger returns everything that changed a request so far, in order.
// What AddRequest put in place is not in it.
func (s *System) Ledger() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ledger)
}

// Violations returns what went wrong so far, in order.
func (s *System) Violations() []Violation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

func (s *System) record(r *request, m move) {
	a := r.asset
	s.ledger = append(s.ledger, Call{
		Seq: len(s.ledger) + 1, At: m.at, By: m.by, Method: m.method, Path: m.path,
		Request: r.id, Type: r.kind, Asset: a.id,
		ExternalID: a.externalID, ExternalUID: a.externalUID,
		Created: m.creates, Status: m.to, Reason: m.reason,
	})
	if s.maintenance {
		s.violate(RuleMaintenance, r, m.at, "it became %s in a maintenance", m.to)
	}
}

func (s *System) violate(rule Rule, r *request, at time.Time, format string, args ...any) {
	s.violations = append(s.violations, Violation{Rule: rule, ID: r.id, Text: fmt.Sprintf(format, args...), At: at})
}

// watchCancels checks a request that a call has just created.
func (s *System) watchCancels(r *request, failedBefore int) {
	if r.kind == connect.TypeCancel && failedBefore >= 4 {
		s.violate(RuleFifthCancel, r, r.created, "%d cancels of asset %s had failed in a row", failedBefore, r.asset.id)
	}
}

// watchPurchases checks a request that is new, by a call or in a history.
func (s *System) watchPurchases(r *request) {
	if r.kind != connect.TypePurchase {
		return
	}
	live := 0
	for _, other := range r.asset.requests {
		if other.kind == connect.TypePurchase && other.status != connect.StatusFailed && other.status != connect.StatusRevoked {
			live++
		}
	}
	if live > 1 {
		s.violate(RulePurchasedTwice, r, r.created, "external_uid %s has %d live purchases", r.asset.externalUID, live)
	}
}
