package commercetest

import (
	"crypto/subtle"
	"strconv"
	"time"
)

// tokenKind says where a token is good.
type tokenKind string

const (
	tokenAPS    tokenKind = "aps"
	tokenSimple tokenKind = "simple"
)

// token is one that was given out.
type token struct {
	kind    tokenKind
	expires time.Time // zero: never
}

// issue gives out a token that is good for a lifetime; 0 is for ever.
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

// holds reports whether a token was given out and is still good.
func (s *System) holds(kind tokenKind, value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.store.tokens[value]
	return ok && t.kind == kind && !t.expired(s.cfg.Now())
}

func (t token) expired(now time.Time) bool { return !t.expires.IsZero() && !now.Before(t.expires) }

// same compares what must not be guessed.
func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
