package connecttest

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
)

// stamp formats a time as Connect does (connect/WIRE.md#1); the zero time is null.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.Format("2006-01-02T15:04:05.999999-07:00")
}

// orNull returns null for an empty string.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// requestJSON is the JSON of a request (connect/WIRE.md#2.2).
func (s *System) requestJSON(r *request) map[string]any {
	asset := s.assetJSON(r.asset)
	if len(r.items) > 0 {
		asset["items"] = r.items
	}
	var effective time.Time
	if r.status == connect.StatusApproved {
		effective = r.answered
	}
	return map[string]any{
		"id": r.id, "type": r.kind, "status": r.status,
		"reason": r.reason, "note": r.note,
		"created": stamp(r.created), "updated": stamp(r.updated), "answered": !r.answered.IsZero(),
		"effective_date": stamp(effective), "planned_date": stamp(r.planned),
		"assignee": "", "activation_key": "", "params_form_url": nil,
		"template":    map[string]any{},
		"marketplace": r.asset.marketplace, "contract": r.asset.contract,
		"asset":  asset,
		"events": map[string]any{"created": at(r.created), "updated": at(r.updated)},
	}
}

func at(t time.Time) map[string]any { return map[string]any{"at": stamp(t)} }

// assetJSON is the JSON of an asset.
func (s *System) assetJSON(a *asset) map[string]any {
	tiers := a.tiers
	if tiers == nil {
		tiers = map[string]tier{}
	}
	return map[string]any{
		"id": a.id, "status": a.status,
		"external_id": orNull(a.externalID), "external_uid": orNull(a.externalUID),
		"product": map[string]any{"id": a.product.ID, "name": a.product.Name, "status": "published"},
		"connection": map[string]any{
			"id": connectionID, "type": a.environment,
			"provider": reference{ID: providerID, Name: "Test provider"},
			"vendor":   reference{ID: vendorID, Name: "Test vendor"},
			"hub":      reference{ID: s.cfg.HubID, Name: "Test hub"},
		},
		"marketplace": a.marketplace, "contract": a.contract,
		"items": orEmpty(a.items), "params": orEmpty(a.params), "tiers": tiers,
		"configuration": map[string]any{"params": []any{}},
		"events":        map[string]any{"created": at(a.created), "updated": at(a.updated)},
	}
}

// The ids of the objects of which there is only one.
const (
	connectionID = "CT-0000-0000-0001"
	providerID   = "PA-000-001"
	vendorID     = "VA-000-001"
)

// hubJSON is the JSON of the hub. Its last_health_check is in UTC, without a zone
// (connect/WIRE.md#1).
func (s *System) hubJSON() map[string]any {
	var check any
	if !s.healthCheck.IsZero() {
		check = s.healthCheck.Format("2006-01-02T15:04:05")
	}
	return map[string]any{
		"id": s.cfg.HubID, "name": "Test hub",
		"company":     map[string]any{"id": providerID},
		"instance":    map[string]any{"id": s.cfg.InstanceID, "type": "OA"},
		"description": "The hub of the test system.",
		"version":     "21.8", "extension_version": "26.0-2",
		"last_health_check": check,
	}
}

// textAt returns the text at a path such as instance.id; "" if there is none.
func textAt(object map[string]any, path string) string {
	name, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		return fmt.Sprint(cmp.Or(object[name], any("")))
	}
	inner, _ := object[name].(map[string]any)
	return textAt(inner, rest)
}

// put sets the property with a path, below objects that exist.
func put(object map[string]any, path string, value any) {
	name, rest, deeper := strings.Cut(path, ".")
	if inner, ok := object[name].(map[string]any); ok && deeper {
		put(inner, rest, value)
	} else if !deeper {
		object[name] = value
	}
}

// remove deletes the property with a path such as asset.items, and reports whether it
// existed.
func remove(object map[string]any, path string) bool {
	name, rest, deeper := strings.Cut(path, ".")
	value, ok := object[name]
	if !ok || !deeper {
		delete(object, name)
		return ok
	}
	inner, ok := value.(map[string]any)
	return ok && remove(inner, rest)
}
