package connecttest

import (
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
)

// RequestSpec describes a request for [System.AddRequest].
type RequestSpec struct {
	ExternalUID string // required: the APS id of the tenant in Commerce
	ExternalID  string // the subscription's id in Commerce
	ProductID   string // "" means the test product

	Type    connect.RequestType   // required, any
	Status  connect.RequestStatus // required, any
	Reason  string
	Created time.Time // zero means now
	Updated time.Time // zero means Created

	// AssetStatus is the status of the asset; "" means the one that follows from Type and
	// Status.
	AssetStatus string
}

// AddRequest adds a request that exists already when the test begins, in any status, and its asset
// if the external_uid is new.
// Requests of one asset must be added oldest first. The vendor is not called and the
// changes do not contain it, but the rules for later calls consider it. It works during
// a maintenance. It returns an error if a required field is empty or a time is out of order.
func (s *System) AddRequest(seed RequestSpec) (connect.Request, error) {
	switch {
	case seed.ExternalUID == "":
		return connect.Request{}, errors.New("connecttest: AddRequest: ExternalUID is empty")
	case seed.Type == "" || seed.Status == "":
		return connect.Request{}, fmt.Errorf("connecttest: AddRequest for %s: Type is %q and Status %q: "+
			"both are required", seed.ExternalUID, seed.Type, seed.Status)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	created := seed.Created.UTC().Truncate(time.Microsecond)
	if seed.Created.IsZero() {
		created = s.now()
	}
	updated := seed.Updated.UTC().Truncate(time.Microsecond)
	if seed.Updated.IsZero() {
		updated = created
	}
	if updated.Before(created) {
		return connect.Request{}, fmt.Errorf("connecttest: AddRequest for %s: Updated %s is before Created %s",
			seed.ExternalUID, updated, created)
	}
	a := s.store.withUID(seed.ExternalUID)
	if a == nil {
		a = &asset{
			externalUID: seed.ExternalUID, externalID: seed.ExternalID, status: assetActive,
			product: reference{ID: seed.ProductID},
		}
		s.keep(a, created)
	}
	if last := a.latest(""); last != nil && created.Before(last.created) {
		return connect.Request{}, fmt.Errorf("connecttest: AddRequest for %s: Created %s is before that of %s: "+
			"add the oldest first", seed.ExternalUID, created, last.id)
	}
	r := &request{
		kind: seed.Type, status: seed.Status, reason: seed.Reason, created: created, updated: updated,
		asset: a, before: a.status,
	}
	if r.status.Final() {
		r.answered = updated
	}
	s.store.addRequest(r)
	a.follow(r, updated)
	if seed.AssetStatus != "" {
		a.status = seed.AssetStatus
	}
	s.checkPurchases(r)
	return s.model(r), nil
}

// Requests returns all requests in the order of their creation, after processing the
// events that are due.
func (s *System) Requests() []connect.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process(s.now())
	all := make([]connect.Request, 0, len(s.store.inOrder))
	for _, r := range s.store.inOrder {
		all = append(all, s.model(r))
	}
	return all
}

// Asset returns the asset of an external_uid, after processing the events that are due;
// false if there is none.
func (s *System) Asset(externalUID string) (connect.Asset, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process(s.now())
	a := s.store.withUID(externalUID)
	if a == nil {
		return connect.Asset{}, false
	}
	return s.assetModel(a), true
}

// model is a request as the client of this module returns it, without Raw.
func (s *System) model(r *request) connect.Request {
	return connect.Request{
		ID: r.id, Type: r.kind, Status: r.status, Reason: r.reason, Note: r.note,
		Created: r.created, Updated: r.updated, Asset: s.assetModel(r.asset),
	}
}

func (s *System) assetModel(a *asset) connect.Asset {
	return connect.Asset{
		ID: a.id, Status: a.status, ExternalID: a.externalID, ExternalUID: a.externalUID,
		ProductID: a.product.ID, ProductName: a.product.Name, HubID: s.cfg.HubID,
	}
}
