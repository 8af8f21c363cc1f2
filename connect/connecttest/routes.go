package connecttest

import (
	"net/http"
	"strings"
)

// routes serves the implemented part of the API (connect/WIRE.md#2.1).
func (s *System) routes() http.Handler {
	mux := http.NewServeMux()
	on := func(method, path string, f func(call) answer) {
		mux.Handle(method+" "+basePath+path, s.handle(withKey, f))
	}
	on("GET", "/accounts", s.listAccounts)
	on("GET", "/hubs", s.listHubs)
	on("GET", "/hubs/{id}", s.getHub)
	on("GET", "/assets", s.listAssets)
	on("GET", "/assets/{id}", s.getAsset)
	on("GET", "/assets/{id}/requests", s.listAssetRequests)
	on("GET", "/requests", s.listRequests)
	on("GET", "/requests/{id}", s.getRequest)
	on("POST", "/requests", s.createRequest)
	on("PUT", "/requests/{id}", s.updateRequest)
	on("GET", "/subscriptions/assets", s.listAssets)
	on("GET", "/subscriptions/assets/{id}", s.getAsset)
	on("GET", "/subscriptions/requests", func(c call) answer { return s.listRows(c, nil, "id") })
	on("GET", "/products", func(c call) answer { return s.listRows(c, s.products(), "id", "name", "status") })
	on("GET", "/products/{id}", func(c call) answer { return one(c, s.products()) })
	on("GET", "/products/{id}/connections", func(c call) answer {
		return s.listRows(c, s.connections(c.PathValue("id")), "id", "type", "hub.id", "hub.instance.id")
	})
	on("GET", "/tier/accounts", func(c call) answer {
		return s.listRows(c, s.tierAccounts(), "id", "name", "external_id", "external_uid")
	})
	on("GET", "/tier/accounts/{id}", func(c call) answer { return one(c, s.tierAccounts()) })
	on("GET", "/tier/configs", func(c call) answer {
		return s.listRows(c, s.tierConfigs(), "id", "account.id", "product.id", "status")
	})
	on("GET", "/tier/configs/{id}", func(c call) answer { return one(c, s.tierConfigs()) })
	for name, act := range actions {
		on("POST", "/requests/{id}/"+name, func(c call) answer { return s.actOnRequest(c, act) })
	}
	on("POST", "/devops/services/{ext}/installations/{inst}/impersonate", s.impersonate)

	// Clients probe the base URL without a key (connect/WIRE.md#0.3). The status of
	// the answer is unknown; only the header matters.
	probe := s.handle(anyone, func(call) answer { return good(map[string]any{}) })
	mux.Handle("GET "+basePath, probe)
	mux.Handle("GET "+basePath+"/{$}", probe)
	mux.Handle("/", s.handle(withKey, func(call) answer { return notFound() }))
	return withoutSlash(mux)
}

// withoutSlash serves paths with a trailing slash too, which the PHP SDK sends (connect/WIRE.md#14.1).
func withoutSlash(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path := strings.TrimSuffix(r.URL.Path, "/"); path != r.URL.Path && path != basePath {
			u := *r.URL
			u.Path, u.RawPath = path, ""
			same := *r
			same.URL = &u
			r = &same
		}
		h.ServeHTTP(w, r)
	})
}

// impersonate serves the call that the connector makes before every step of an order
// (connect/WIRE.md#7.2). It returns the key of the caller.
func (s *System) impersonate(call) answer {
	return good(map[string]any{"installation_api_key": "ApiKey " + s.cfg.Key})
}

func (s *System) getRequest(c call) answer {
	r, ok := s.store.requests[c.PathValue("id")]
	if !ok {
		return notFound()
	}
	return good(s.requestJSON(r))
}

func (s *System) getAsset(c call) answer {
	a, ok := s.store.assets[c.PathValue("id")]
	if !ok {
		return notFound()
	}
	return good(s.assetJSON(a))
}

func (s *System) getHub(c call) answer {
	if c.PathValue("id") != s.cfg.HubID {
		return notFound()
	}
	return good(s.hubJSON())
}
