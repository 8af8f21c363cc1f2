package commercetest

import (
	"context"
	"net/http"
	"strings"
)

// URLs are the base URLs of the APIs of a System, as their clients expect them.
type URLs struct {
	OrderManager string // without /aps/2
	Billing      string // without /RPC2
	Operations   string // without /RPC2
	SimpleAPI    string // without /token and /orders
	Keycloak     string // without /realms
}

// The path prefixes of the APIs. The Order Management is at the root.
const (
	billingPrefix    = "/billing"
	operationsPrefix = "/operations"
	simplePrefix     = "/simple"
	keycloakPrefix   = "/auth"
)

// URLsAt returns the base URLs of the APIs of a System that is served at base, such as
// the URL that [System.Start] returns.
func URLsAt(base string) URLs {
	base = strings.TrimRight(base, "/")
	return URLs{
		OrderManager: base, Billing: base + billingPrefix, Operations: base + operationsPrefix,
		SimpleAPI: base + simplePrefix, Keycloak: base + keycloakPrefix,
	}
}

// errorFormat is how an API reports an error that it did not cause itself.
type errorFormat int

const (
	formatAPS errorFormat = iota
	formatText
	formatSimple
)

type formatKey struct{}

// withFaults injects the faults into an API, in its error format.
func (s *System) withFaults(f errorFormat, h http.Handler) http.Handler {
	h = s.faults.Wrap(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f == formatSimple {
			w.Header().Set("X-Correlation-ID", s.correlation()) // on all answers, commerce/WIRE.md#3
		}
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), formatKey{}, f)))
	})
}

func (s *System) faultAnswer(w http.ResponseWriter, r *http.Request, status int) {
	const text = "injected fault"
	switch r.Context().Value(formatKey{}) {
	case formatText:
		http.Error(w, text, status)
	case formatSimple:
		gatewayError(w, status, text)
	default:
		writeError(w, status, "Fault", text)
	}
}

// all serves every API under its prefix, and the Order Management everywhere else.
func (s *System) all() http.Handler {
	orderManager := s.withFaults(formatAPS, s.orderManager())
	billing := s.withFaults(formatText, http.StripPrefix(billingPrefix, s.billing()))
	operations := s.withFaults(formatText, http.StripPrefix(operationsPrefix, s.operations()))
	simple := s.withFaults(formatSimple, http.StripPrefix(simplePrefix, s.simple()))
	keycloak := s.withFaults(formatSimple, s.simple())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := orderManager
		switch first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); "/" + first {
		case billingPrefix:
			h = billing
		case operationsPrefix:
			h = operations
		case simplePrefix:
			h = simple
		case keycloakPrefix:
			h = keycloak
		}
		h.ServeHTTP(w, r)
	})
}
