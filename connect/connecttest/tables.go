package connecttest

import (
	"maps"
	"slices"
)

// The lookups of connect/WIRE.md#2.3.
const (
	idLookups   = "eq ne like ilike null in out"
	timeLookups = "eq ne ge gt le lt in out"
	enumLookups = "eq ne like ilike in out"
)

// one is a value that is null when empty.
func one(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// requestTable is the list of requests. Filters on sli.* are left out: this
// Connect has no service levels.
func (s *System) requestTable() table[*request] {
	fields := map[string]field[*request]{
		"id":             {lookups: idLookups, get: func(r *request) []string { return one(r.id) }},
		"created":        {lookups: timeLookups, orders: true, times: true, get: func(r *request) []string { return one(sortable(r.created)) }},
		"updated":        {lookups: timeLookups, orders: true, times: true, get: func(r *request) []string { return one(sortable(r.updated)) }},
		"status":         {lookups: enumLookups, orders: true, get: func(r *request) []string { return one(string(r.status)) }},
		"type":           {lookups: enumLookups, get: func(r *request) []string { return one(string(r.kind)) }},
		"assignee":       {lookups: "eq null in", get: func(*request) []string { return nil }},
		"marketplace.id": {lookups: idLookups, get: func(r *request) []string { return one(r.asset.marketplace.ID) }},
		"contract.id":    {lookups: idLookups, get: func(r *request) []string { return one(r.asset.contract.ID) }},
	}
	for name, f := range s.assetFields() {
		switch name {
		case "status":
			f.lookups = "eq"
		case "events.created.at", "events.updated.at":
			continue // the list of assets has these alone
		}
		fields["asset."+name] = field[*request]{lookups: f.lookups, get: func(r *request) []string { return f.get(r.asset) }}
	}
	return table[*request]{
		fields: fields, write: s.requestJSON, sample: &request{asset: &asset{}},
		indexes: map[string]func([]string) []*request{
			"asset.external_uid": func(uids []string) []*request { return requestsOf(s.store.byUID, uids) },
			"asset.external_id":  func(ids []string) []*request { return requestsOf(s.store.byExternalID, ids) },
		},
	}
}

// requestsOf gathers the requests of some assets in the order of their creation.
func requestsOf(index map[string][]*asset, values []string) []*request {
	found := []*request{}
	for _, value := range slices.Compact(slices.Sorted(slices.Values(values))) {
		for _, a := range index[value] {
			found = append(found, a.requests...)
		}
	}
	slices.SortFunc(found, func(a, b *request) int { return a.seq - b.seq })
	return found
}

// assetTable is the list of assets. Which of the filters the real list takes was
// not looked up for each; they are those of an asset in the list of requests.
func (s *System) assetTable() table[*asset] {
	return table[*asset]{fields: s.assetFields(), write: s.assetJSON, sample: &asset{}}
}

func (s *System) assetFields() map[string]field[*asset] {
	fixed := func(v string) func(*asset) []string { return func(*asset) []string { return one(v) } }
	environment := field[*asset]{lookups: "eq in", get: func(a *asset) []string { return one(a.environment) }}
	fields := map[string]field[*asset]{
		"id":                     {lookups: idLookups, get: func(a *asset) []string { return one(a.id) }},
		"external_id":            {lookups: idLookups, get: func(a *asset) []string { return one(a.externalID) }},
		"external_uid":           {lookups: idLookups, get: func(a *asset) []string { return one(a.externalUID) }},
		"status":                 {lookups: enumLookups, get: func(a *asset) []string { return one(a.status) }},
		"product.id":             {lookups: idLookups, get: func(a *asset) []string { return one(a.product.ID) }},
		"marketplace.id":         {lookups: idLookups, get: func(a *asset) []string { return one(a.marketplace.ID) }},
		"connection.id":          {lookups: idLookups, get: fixed(connectionID)},
		"connection.hub.id":      {lookups: idLookups, get: fixed(s.cfg.HubID)},
		"connection.provider.id": {lookups: "eq ilike in", get: fixed(providerID)},
		"connection.vendor.id":   {lookups: "eq ilike in", get: fixed(vendorID)},
		"connection.type":        environment,
		"connection.environment": environment,
		"params.id":              {lookups: "eq in", get: func(a *asset) []string { return a.paramTexts(func(p param) string { return p.ID }) }},
		"params.value":           {lookups: "eq in", get: func(a *asset) []string { return a.paramTexts(func(p param) string { return string(p.Value) }) }},
		"events.created.at":      {lookups: timeLookups, orders: true, times: true, get: func(a *asset) []string { return one(sortable(a.created)) }},
		"events.updated.at":      {lookups: timeLookups, orders: true, times: true, get: func(a *asset) []string { return one(sortable(a.updated)) }},
	}
	for _, name := range []string{"customer", "tier1", "tier2"} {
		fields["tiers."+name+".id"] = field[*asset]{lookups: idLookups, get: func(a *asset) []string { return one(a.tiers[name].ID) }}
	}
	return fields
}

func (a *asset) paramTexts(of func(param) string) []string {
	texts := make([]string, 0, len(a.params))
	for _, p := range a.params {
		texts = append(texts, of(p))
	}
	return texts
}

func (s *System) listRequests(c call) answer {
	return page(c, s.requests, s.store.inOrder, s.cfg.PageMax)
}

func (s *System) listAssets(c call) answer {
	return page(c, s.assets, s.store.assetsIn, s.cfg.PageMax)
}

// plain is a row of the lists that are made up on the spot.
type plain map[string]any

func (p plain) copy() map[string]any { return maps.Clone(p) }

func (s *System) listHubs(c call) answer {
	hub := plain(s.hubJSON())
	t := table[plain]{write: plain.copy, sample: hub, fields: map[string]field[plain]{
		"id":            {lookups: enumLookups, get: func(plain) []string { return one(s.cfg.HubID) }},
		"name":          {lookups: enumLookups, get: func(plain) []string { return one("Test hub") }},
		"instance.id":   {lookups: enumLookups, get: func(plain) []string { return one(s.cfg.InstanceID) }},
		"instance.type": {lookups: enumLookups, get: func(plain) []string { return one("OA") }},
	}}
	return page(c, t, []plain{hub}, s.cfg.PageMax)
}

func (s *System) listAccounts(c call) answer {
	account := plain{"id": providerID, "name": "Test provider", "type": "distributor"}
	t := table[plain]{write: plain.copy, sample: account, fields: map[string]field[plain]{
		"id":   {lookups: enumLookups, get: func(plain) []string { return one(providerID) }},
		"name": {lookups: enumLookups, get: func(plain) []string { return one("Test provider") }},
	}}
	return page(c, t, []plain{account}, s.cfg.PageMax)
}

// listAssetRequests is the reference list of an asset's requests.
func (s *System) listAssetRequests(c call) answer {
	a, ok := s.store.assets[c.PathValue("id")]
	if !ok {
		return notFound()
	}
	t := s.requests
	t.indexes = nil // only this asset's requests are in question
	t.write = func(r *request) map[string]any {
		return map[string]any{
			"id": r.id, "type": r.kind, "status": r.status, "assignee": nil,
			"events": map[string]any{"created": at(r.created), "updated": at(r.updated)},
		}
	}
	return page(c, t, a.requests, s.cfg.PageMax)
}
