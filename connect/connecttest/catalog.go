package connecttest

import (
	"encoding/json"
	"slices"
	"strings"
)

// What the rows of these lists have is inferred from SPEC; they exist as far as assets refer to them.

// products returns the products of all assets, in the order of their first asset.
func (s *System) products() []map[string]any {
	return distinct(s.store.assetsIn, func(a *asset) []map[string]any {
		return []map[string]any{{"id": a.product.ID, "name": a.product.Name, "status": "published"}}
	})
}

// connections returns the connection of a product to the hub.
func (s *System) connections(product string) []map[string]any {
	return []map[string]any{{
		"id": connectionID, "type": "production", "product": map[string]any{"id": product},
		"provider": map[string]any{"id": providerID}, "vendor": map[string]any{"id": vendorID}, "hub": s.hubJSON(),
	}}
}

// tierAccounts returns the customers and resellers of all assets.
func (s *System) tierAccounts() []map[string]any {
	return distinct(s.store.assetsIn, func(a *asset) (rows []map[string]any) {
		for _, level := range []string{"customer", "tier1", "tier2"} {
			if t := a.tiers[level]; t.ID != "" {
				rows = append(rows, map[string]any{
					"id": t.ID, "name": t.Name, "external_id": t.ExternalID, "external_uid": t.ExternalUID,
				})
			}
		}
		return rows
	})
}

// tierConfigs returns the configurations of resellers for products.
func (s *System) tierConfigs() []map[string]any {
	return distinct(s.store.assetsIn, func(a *asset) (rows []map[string]any) {
		for level, name := range []string{"tier1", "tier2"} {
			if t := a.tiers[name]; t.ID != "" {
				rows = append(rows, map[string]any{
					"id": "TC-" + strings.TrimPrefix(t.ID, "TA-") + "-" + strings.TrimPrefix(a.product.ID, "PRD-"), "name": t.Name,
					"account": map[string]any{"id": t.ID, "name": t.Name}, "product": map[string]any{"id": a.product.ID},
					"tier_level": level + 1, "params": []any{}, "status": "active",
				})
			}
		}
		return rows
	})
}

// distinct returns the rows of all assets, each id once.
func distinct(assets []*asset, rowsOf func(*asset) []map[string]any) []map[string]any {
	seen := map[any]bool{}
	rows := []map[string]any{}
	for _, a := range assets {
		for _, row := range rowsOf(a) {
			if !seen[row["id"]] {
				seen[row["id"]] = true
				rows = append(rows, row)
			}
		}
	}
	return rows
}

// one answers with the row that the path names.
func one(c call, rows []map[string]any) answer {
	i := slices.IndexFunc(rows, func(row map[string]any) bool { return row["id"] == c.PathValue("id") })
	if i < 0 {
		return notFound()
	}
	return good(rows[i])
}

// updateRequest serves PUT /requests/{id}, with which vendors and the connector change the note and the
// values of parameters.
func (s *System) updateRequest(c call) answer {
	r, ok := s.store.requests[c.PathValue("id")]
	if !ok {
		return notFound()
	}
	var in struct {
		Note  *text `json:"note"`
		Asset struct {
			Params []param `json:"params"`
		} `json:"asset"`
	}
	if err := json.Unmarshal(c.body, &in); err != nil {
		return invalid("The body is not a valid request: %v.", err)
	}
	if r.status.Final() {
		return wrongState("Request %s cannot be changed: it is %s.", r.id, r.status)
	}
	for _, p := range in.Asset.Params {
		i := slices.IndexFunc(r.asset.params, func(old param) bool { return old.ID == p.ID })
		if i < 0 {
			return invalid("asset.params: There is no parameter %q.", p.ID)
		}
		r.asset.params[i].Value = p.Value
	}
	if in.Note != nil {
		r.note = string(*in.Note)
	}
	r.updated = c.now
	return good(s.requestJSON(r))
}
