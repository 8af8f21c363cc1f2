package connecttest

import (
	"maps"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// The operators of the properties (connect/WIRE.md#2.3).
const (
	idOperators    = "eq ne like ilike null in out"
	blankOperators = idOperators + " empty" // of a text that can be blank (inferred)
	timeOperators  = "eq ne ge gt le lt in out"
	enumOperators  = "eq ne like ilike in out"
)

// textField is a property with one text, which is null if it is empty.
func textField[T any](operators string, get func(T) string) testkit.Field[T] {
	return testkit.Field[T]{Operators: operators, Values: func(row T) []string {
		if text := get(row); text != "" {
			return []string{text}
		}
		return nil
	}}
}

// timeField is a property with a time, by which rows can be sorted.
func timeField[T any](get func(T) time.Time) testkit.Field[T] {
	return testkit.Field[T]{Operators: timeOperators, Sortable: true, Parse: parseTime, Values: func(row T) []string {
		return []string{sortable(get(row))}
	}}
}

// requestList is the list of requests. It has no filters on sli.*, because this Connect
// has no service levels.
func (s *System) requestList() list[*request] {
	status := textField(enumOperators, func(r *request) string { return string(r.status) })
	status.Sortable = true
	fields := map[string]testkit.Field[*request]{
		"id":             textField(idOperators, func(r *request) string { return r.id }),
		"created":        timeField(func(r *request) time.Time { return r.created }),
		"updated":        timeField(func(r *request) time.Time { return r.updated }),
		"status":         status,
		"type":           textField(enumOperators, func(r *request) string { return string(r.kind) }),
		"assignee":       textField("eq null in", func(*request) string { return "" }),
		"marketplace.id": textField(idOperators, func(r *request) string { return r.asset.marketplace.ID }),
		"contract.id":    textField(idOperators, func(r *request) string { return r.asset.contract.ID }),
	}
	for name, f := range s.assetFields() {
		switch name {
		case "status":
			f.Operators = "eq"
		case "events.created.at", "events.updated.at":
			continue // only the list of assets has these
		}
		fields["asset."+name] = testkit.Field[*request]{
			Operators: f.Operators, Values: func(r *request) []string { return f.Values(r.asset) },
		}
	}
	l := newList(s.cfg, fields, s.requestJSON, &request{asset: &asset{}})
	l.extra = []string{"asset.product.capabilities"}
	l.indexes = map[string]func([]string) []*request{
		"asset.external_uid": func(uids []string) []*request { return requestsOf(s.store.byUID, uids) },
		"asset.external_id":  func(ids []string) []*request { return requestsOf(s.store.byExternalID, ids) },
	}
	return l
}

// requestsOf returns the requests of some assets in the order of their creation.
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

// assetList is the list of assets. Its filters are those of an asset in the list of
// requests (inferred).
func (s *System) assetList() list[*asset] {
	return newList(s.cfg, s.assetFields(), s.assetJSON, &asset{})
}

func (s *System) assetFields() map[string]testkit.Field[*asset] {
	fixed := func(v string) func(*asset) string { return func(*asset) string { return v } }
	environment := textField("eq in", func(a *asset) string { return a.environment })
	params := func(get func(param) string) testkit.Field[*asset] {
		return testkit.Field[*asset]{Operators: "eq in", Values: func(a *asset) []string {
			texts := make([]string, 0, len(a.params))
			for _, p := range a.params {
				texts = append(texts, get(p))
			}
			return texts
		}}
	}
	fields := map[string]testkit.Field[*asset]{
		"id":                     textField(idOperators, func(a *asset) string { return a.id }),
		"external_id":            textField(blankOperators, func(a *asset) string { return a.externalID }),
		"external_uid":           textField(blankOperators, func(a *asset) string { return a.externalUID }),
		"status":                 textField(enumOperators, func(a *asset) string { return a.status }),
		"product.id":             textField(idOperators, func(a *asset) string { return a.product.ID }),
		"marketplace.id":         textField(idOperators, func(a *asset) string { return a.marketplace.ID }),
		"connection.id":          textField(idOperators, fixed(connectionID)),
		"connection.hub.id":      textField(idOperators, fixed(s.cfg.HubID)),
		"connection.provider.id": textField("eq ilike in", fixed(providerID)),
		"connection.vendor.id":   textField("eq ilike in", fixed(vendorID)),
		"connection.type":        environment,
		"connection.environment": environment,
		"params.id":              params(func(p param) string { return p.ID }),
		"params.value":           params(func(p param) string { return string(p.Value) }),
		"events.created.at":      timeField(func(a *asset) time.Time { return a.created }),
		"events.updated.at":      timeField(func(a *asset) time.Time { return a.updated }),
	}
	for _, name := range []string{"customer", "tier1", "tier2"} {
		fields["tiers."+name+".id"] = textField(idOperators, func(a *asset) string { return a.tiers[name].ID })
	}
	return fields
}

func (s *System) listRequests(c call) answer {
	return page(c, s.requests, s.store.inOrder, s.cfg.MaxPageSize)
}

func (s *System) listAssets(c call) answer {
	return page(c, s.assets, s.store.assetsIn, s.cfg.MaxPageSize)
}

func (s *System) listHubs(c call) answer {
	return s.listRows(c, []map[string]any{s.hubJSON()}, "id", "name", "instance.id", "instance.type")
}

func (s *System) listAccounts(c call) answer {
	return s.listRows(c, []map[string]any{{"id": providerID, "name": "Test provider", "type": "provider"}}, "id", "name")
}

// listRows answers a list whose rows can be filtered by some properties.
func (s *System) listRows(c call, rows []map[string]any, properties ...string) answer {
	fields := map[string]testkit.Field[map[string]any]{}
	for _, path := range properties {
		fields[path] = textField(enumOperators, func(row map[string]any) string { return textAt(row, path) })
	}
	sample := map[string]any{}
	if len(rows) > 0 {
		sample = rows[0]
	}
	return page(c, newList(s.cfg, fields, maps.Clone, sample), rows, s.cfg.MaxPageSize)
}

// listAssetRequests lists references to the requests of an asset.
func (s *System) listAssetRequests(c call) answer {
	a, ok := s.store.assets[c.PathValue("id")]
	if !ok {
		return notFound()
	}
	l := s.requests
	l.indexes = nil // they would return requests of other assets
	l.encode = func(r *request) map[string]any {
		return map[string]any{
			"id": r.id, "type": r.kind, "status": r.status, "assignee": "",
			"events": map[string]any{"created": at(r.created), "updated": at(r.updated)},
		}
	}
	return page(c, l, a.requests, s.cfg.MaxPageSize)
}
