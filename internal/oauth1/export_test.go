package oauth1

import (
	"net/http"
	"time"
)

// SignAt signs with a nonce and a time that are given.
func (s *Signer) SignAt(r *http.Request, nonce string, at time.Time) error {
	return s.sign(r, nonce, at)
}

// BaseString is what is signed when nothing is added to the query.
func (s *Signer) BaseString(r *http.Request) (string, error) { return s.baseString(r, nil) }
