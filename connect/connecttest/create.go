package connecttest

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
)

// order is the part of the body of POST /requests that is read.
type order struct {
	Type   connect.RequestType   `json:"type"`
	Status connect.RequestStatus `json:"status"`
	Note   text                  `json:"note"`
	Asset  struct {
		ID          text      `json:"id"`
		ExternalID  text      `json:"external_id"`
		ExternalUID text      `json:"external_uid"`
		Product     reference `json:"product"`
		Connection  struct {
			Type string `json:"type"`
		} `json:"connection"`
		Items  []item          `json:"items"`
		Params []param         `json:"params"`
		Tiers  map[string]tier `json:"tiers"`
	} `json:"asset"`
	Marketplace reference `json:"marketplace"`
	Contract    reference `json:"contract"`
}

// createRequest serves POST /requests. The answer to a repeated request follows the
// connector's handling of it (connect/WIRE.md#5); the other checks are inferred from
// the life cycle.
func (s *System) createRequest(c call) answer {
	var in order
	if err := json.Unmarshal(c.body, &in); err != nil {
		return invalid("The body is not a valid request: %v.", err)
	}
	if in.Status == "" {
		in.Status = connect.StatusPending
	}
	if in.Status != connect.StatusPending && in.Status != connect.StatusDraft {
		return invalid("status: %q is not a status to begin with: use draft or pending.", in.Status)
	}
	if in.Type == connect.TypePurchase {
		return s.purchase(c, in)
	}
	goal, ok := goals[in.Type]
	if !ok {
		return invalid("type: %q is not one of purchase, change, cancel, suspend, resume.", in.Type)
	}
	a := s.store.find(in)
	if a == nil {
		return invalid("asset: There is no asset with id %q or external_uid %q.", in.Asset.ID, in.Asset.ExternalUID)
	}
	if open := a.open(); open != nil {
		if open.kind == in.Type {
			return conflict(open)
		}
		return wrongState("Asset %s has an open request: %s, a %s.", a.id, open.id, open.kind)
	}
	if !slices.Contains(goal.from, a.status) {
		last := a.latest(in.Type)
		if a.status == goal.to && last != nil && last.status == connect.StatusApproved {
			return conflict(last) // it was done already
		}
		return wrongState("Asset %s is %s: it does not take a %s request.", a.id, a.status, in.Type)
	}
	return s.create(c, in, a)
}

func (s *System) purchase(c call, in order) answer {
	if in.Asset.ExternalUID == "" {
		return invalid("asset.external_uid: This field is required.")
	}
	if a := s.store.withUID(string(in.Asset.ExternalUID)); a != nil {
		if last := a.latest(connect.TypePurchase); last != nil {
			return conflict(last)
		}
		return wrongState("Asset %s has external_uid %s already.", a.id, a.externalUID)
	}
	a := &asset{
		externalID: string(in.Asset.ExternalID), externalUID: string(in.Asset.ExternalUID),
		product: in.Asset.Product, environment: in.Asset.Connection.Type,
		marketplace: in.Marketplace, contract: in.Contract,
		tiers: in.Asset.Tiers, params: in.Asset.Params,
	}
	s.keep(a, c.now)
	return s.create(c, in, a)
}

// keep sets the defaults of an asset and stores it.
func (s *System) keep(a *asset, at time.Time) {
	if a.product.ID == "" {
		a.product = reference{ID: "PRD-000-000-001", Name: "Test product"}
	}
	if a.environment == "" {
		a.environment = "production"
	}
	if a.marketplace.ID == "" {
		a.marketplace = reference{ID: "MP-00001", Name: "Test marketplace"}
	}
	if a.contract.ID == "" {
		a.contract = reference{ID: "CRD-00000-00000-00001"}
	}
	a.created, a.updated = at, at
	s.store.addAsset(a)
}

func (s *System) create(c call, in order, a *asset) answer {
	r := &request{
		kind: in.Type, note: string(in.Note), created: c.now,
		items: in.Asset.Items, asset: a, before: a.status,
	}
	for i := range r.items {
		r.items[i].OldQuantity = a.quantity(r.items[i].ID)
	}
	failed := a.failedInRow(r.kind)
	s.store.addRequest(r)
	s.move(r, move{to: in.Status, at: c.now, origin: OriginHTTP, creates: true, method: c.Method, path: c.URL.Path})
	s.checkCancels(r, failed)
	s.checkPurchases(r)
	return answer{status: http.StatusCreated, body: s.requestJSON(r)}
}

// quantity is the asset's quantity of an item.
func (a *asset) quantity(id string) text {
	for _, it := range a.items {
		if it.ID == id {
			return it.Quantity
		}
	}
	return "0"
}

// find returns the asset that a request names by id or external_uid; nil if there is none.
func (st *store) find(in order) *asset {
	if in.Asset.ID != "" {
		return st.assets[string(in.Asset.ID)]
	}
	return st.withUID(string(in.Asset.ExternalUID))
}

// conflict is the answer for a request that exists (connect/WIRE.md#5). The params are
// those that the connector reads; the code and the text are inferred.
func conflict(r *request) answer {
	return answer{status: http.StatusConflict, body: problem{
		Code:   "VAL_001",
		Errors: []string{"asset.external_uid: Such a request exists already."},
		Params: map[string]any{
			"request_id":      r.id,
			"request_status":  r.status,
			"asset_id":        r.asset.id,
			"asset_status":    r.asset.status,
			"fail_message":    r.reason,
			"template":        map[string]any{},
			"params_form_url": nil,
		},
	}}
}
