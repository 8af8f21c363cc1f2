package commercetest

import (
	"context"
	"net/http"
	"strings"
)

// URLs are where the APIs of a System are, each as its client wants it.
type URLs struct {
	OrderManager string // before /aps/2
	Billing      string // before /RPC2
	Operations   string // before /RPC2
	SimpleAPI    string // before /token and /orders
	Keycloak     string // before /realms
}

// The prefixes of the APIs under one address. The Order Management is at the root.
const (
	billingPrefix    = "/billing"
	operationsPrefix = "/operations"
	simplePrefix     = "/simple"
	keycloakPrefix   = "/auth"
)

// URLsAt tells where the APIs are when the System, as a handler, is at a base URL,
// such as the one that Start returns.
func URLsAt(base string) URLs {
	base = strings.TrimRight(base, "/")
	return URLs{
		OrderManager: base, Billing: base + billingPrefix, Operations: base + operationsPrefix,
		SimpleAPI: base + simplePrefix, Keycloak: base + keycloakPrefix,
	}
}

// manner is how an API says that something went wrong below it.
type manner int

const (
	speakAPS manner = iota
	speakText
	speakSimple
)

type mannerKey struct{}

// spoken puts the faults before an API, which they answer for in its manner.
func (s *System) spoken(m manner, h http.Handler) http.Handler {
	h = s.faults.Wrap(h)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m == speakSimple {
			w.Header().Set("X-Correlation-ID", s.correlation()) // on all answers, commerce/WIRE.md#3
		}
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), mannerKey{}, m)))
	})
}

func (s *System) spoilt(w http.ResponseWriter, r *http.Request, status int) {
	const text = "a fault was switched on"
	switch r.Context().Value(mannerKey{}) {
	case speakText:
		http.Error(w, text, status)
	case speakSimple:
		gatewayError(w, status, text)
	default:
		writeError(w, status, "Fault", text)
	}
}

// all serves every API: the Order Management wherever no prefix says otherwise.
func (s *System) all() http.Handler {
	orderManager := s.spoken(speakAPS, s.orderManager())
	billing := s.spoken(speakText, http.StripPrefix(billingPrefix, s.billing()))
	operations := s.spoken(speakText, http.StripPrefix(operationsPrefix, s.operations()))
	simple := s.spoken(speakSimple, http.StripPrefix(simplePrefix, s.simple()))
	keycloak := s.spoken(speakSimple, s.simple())
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
