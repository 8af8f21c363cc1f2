package connecttest

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
)

// The statuses of assets that this Connect uses (connect/WIRE.md#2.2).
const (
	assetDraft       = "draft"
	assetProcessing  = "processing"
	assetActive      = "active"
	assetTerminating = "terminating"
	assetSuspended   = "suspended"
	assetTerminated  = "terminated"
)

// transitions is the life cycle of a request (connect/WIRE.md#2.2). All other
// transitions are refused with REQ_001.
var transitions = map[connect.RequestStatus][]connect.RequestStatus{
	connect.StatusDraft: {connect.StatusPending, connect.StatusTiersSetup, connect.StatusInquiring},
	connect.StatusPending: {
		connect.StatusInquiring, connect.StatusTiersSetup, connect.StatusScheduled,
		connect.StatusApproved, connect.StatusFailed,
	},
	connect.StatusInquiring:  {connect.StatusPending},
	connect.StatusTiersSetup: {connect.StatusPending, connect.StatusInquiring, connect.StatusFailed},
	connect.StatusScheduled:  {connect.StatusPending, connect.StatusRevoking},
	connect.StatusRevoking:   {connect.StatusRevoked},
}

// actions are the calls that change the status of a request, and the new status. That
// submit and purchase both send a draft, and that confirm ends revoking, is inferred.
var actions = map[string]connect.RequestStatus{
	"approve":  connect.StatusApproved,
	"fail":     connect.StatusFailed,
	"inquire":  connect.StatusInquiring,
	"pend":     connect.StatusPending,
	"purchase": connect.StatusPending,
	"submit":   connect.StatusPending,
	"schedule": connect.StatusScheduled,
	"revoke":   connect.StatusRevoking,
	"confirm":  connect.StatusRevoked,
}

// actOnRequest serves POST /requests/{id}/{action}.
func (s *System) actOnRequest(c call, to connect.RequestStatus) answer {
	r, ok := s.store.requests[c.PathValue("id")]
	if !ok {
		return notFound()
	}
	var in struct {
		Reason  string    `json:"reason"`
		Planned time.Time `json:"planned_date"`
	}
	if len(c.body) > 0 {
		if err := json.Unmarshal(c.body, &in); err != nil {
			return invalid("The body is not valid JSON: %v.", err)
		}
	}
	if !r.mayBecome(to) {
		return wrongState("Request %s cannot become %s: it is %s.", r.id, to, r.status)
	}
	switch {
	case to == connect.StatusFailed && in.Reason == "":
		return invalid("reason: This field is required.")
	case to == connect.StatusScheduled && !in.Planned.After(c.now):
		return invalid("planned_date: A date in the future is required.")
	}
	if to == connect.StatusScheduled {
		r.planned = in.Planned
	}
	s.move(r, move{to: to, reason: in.Reason, at: c.now, origin: OriginHTTP, method: c.Method, path: c.URL.Path})
	return good(s.requestJSON(r))
}

func (r *request) mayBecome(to connect.RequestStatus) bool {
	return slices.Contains(transitions[r.status], to)
}

// move is a change of the status of a request.
type move struct {
	to           connect.RequestStatus
	reason       string
	at           time.Time
	origin       Origin
	creates      bool
	method, path string
}

// move changes the status of a request and its asset. Callers have checked that the
// life cycle allows it.
func (s *System) move(r *request, m move) {
	r.status, r.updated = m.to, m.at
	r.moves++
	if m.to == connect.StatusFailed {
		r.reason = m.reason
	}
	if m.to.Final() {
		r.answered = m.at
	}
	r.asset.follow(r, m.at)
	s.record(r, m)
	s.schedule(r)
}

// follow updates an asset after a change of one of its requests.
func (a *asset) follow(r *request, at time.Time) {
	buys := r.kind == connect.TypePurchase || r.kind == connect.TypeChange
	if buys && r.status == connect.StatusApproved && len(r.items) > 0 {
		a.items = slices.Clone(r.items)
	}
	if status := r.assetStatus(); status != a.status {
		a.status, a.updated = status, at
	}
}

// assetStatus is the status of the asset that follows from the request's.
func (r *request) assetStatus() string {
	switch r.kind {
	case connect.TypePurchase:
		switch r.status {
		case connect.StatusDraft:
			return assetDraft
		case connect.StatusApproved:
			return assetActive
		case connect.StatusFailed, connect.StatusRevoked:
			return assetTerminated // rejecting a purchase terminates the asset
		default:
			return assetProcessing
		}
	case connect.TypeCancel:
		switch r.status {
		case connect.StatusApproved:
			return assetTerminated
		case connect.StatusPending, connect.StatusInquiring, connect.StatusTiersSetup:
			return assetTerminating
		default:
			return r.before
		}
	case connect.TypeSuspend, connect.TypeResume:
		if r.status == connect.StatusApproved {
			return goals[r.kind].to
		}
	}
	return r.asset.status
}

// goals are the statuses of the asset that a request requires, and the one that it
// results in; "" means no change. Inferred from the life cycle of a subscription.
var goals = map[connect.RequestType]struct {
	from []string
	to   string
}{
	connect.TypeChange:  {from: []string{assetActive}},
	connect.TypeCancel:  {from: []string{assetActive, assetSuspended}, to: assetTerminated},
	connect.TypeSuspend: {from: []string{assetActive}, to: assetSuspended},
	connect.TypeResume:  {from: []string{assetSuspended}, to: assetActive},
}
