package commercetest

import (
	"crypto/subtle"
	"strconv"
	"time"
)

// tokenKind is the API that accepts a token.
type tokenKind string

const (
	tokenAPS    tokenKind = "aps"
	tokenSimple tokenKind = "simple"
)

// token is an issued token.
type token struct {
	kind    tokenKind
	expires time.Time // zero: never
}

// issue returns a new token that is valid for a lifetime; 0 means forever.
func (s *System) issue(kind tokenKind, lifetime time.Duration) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	for value, t := range s.store.tokens {
		if t.expired(now) {
			delete(s.store.tokens, value)
		}
	}
	s.store.issued++
	value := s.store.uuid("token", strconv.Itoa(s.store.issued))
	t := token{kind: kind}
	if lifetime > 0 {
		t.expires = now.Add(lifetime)
	}
	s.store.tokens[value] = t
	return value
}

// validToken reports whether a token was issued and has not expired.
func (s *System) validToken(kind tokenKind, value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.store.tokens[value]
	return ok && t.kind == kind && !t.expired(s.cfg.Now())
}

func (t token) expired(now time.Time) bool { return !t.expires.IsZero() && !now.Before(t.expires) }

// same compares secrets in constant time.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
