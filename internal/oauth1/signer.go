package oauth1

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // the method is HMAC-SHA1, there is no choice
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Signer signs requests in the Authorization header. It implements rest.Auth.
type Signer struct {
	// consumer returns the key and its secret. It is a function, because printing the
	// struct then shows only its address.
	consumer func() (key, secret string)
	// literalPlus means that a plus in a query is signed as a plus, not as a space.
	literalPlus bool
}

// New returns a signer. Key and secret must be printable ASCII without spaces.
func New(consumerKey, consumerSecret string) (*Signer, error) {
	for _, part := range []struct{ name, value string }{{"key", consumerKey}, {"secret", consumerSecret}} {
		if part.value == "" {
			return nil, fmt.Errorf("the consumer %s is empty", part.name)
		}
		for i := range len(part.value) {
			if ch := part.value[i]; ch <= ' ' || ch >= 0x7f {
				return nil, fmt.Errorf("the consumer %s has a space, a control character or a letter outside ASCII at "+
					"byte %d: was it read with its line break?", part.name, i)
			}
		}
	}
	return &Signer{consumer: func() (string, string) { return consumerKey, consumerSecret }}, nil
}

// WithLiteralPlus returns a copy that signs a plus in a query as a plus. By RFC 5849 3.4.1.3.1 and
// the usual libraries it is a space.
func (s *Signer) WithLiteralPlus() *Signer {
	other := *s
	other.literalPlus = true
	return &other
}

// Apply signs the request with a new nonce and the current time.
func (s *Signer) Apply(_ context.Context, r *http.Request) error {
	// The nonce must be unique among the requests of one second: 128 random bits.
	return s.sign(r, rand.Text(), time.Now())
}

// Renew returns false: a refused key stays refused, and each try has a new signature anyway.
func (s *Signer) Renew(context.Context, *http.Request) bool { return false }

func (s *Signer) sign(r *http.Request, nonce string, at time.Time) error {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return errors.New("a form cannot be signed: send JSON")
	}
	key, secret := s.consumer()
	protocol := []param{
		{"oauth_consumer_key", key},
		{"oauth_signature_method", "HMAC-SHA1"},
		{"oauth_timestamp", strconv.FormatInt(at.Unix(), 10)},
		{"oauth_nonce", nonce},
		{"oauth_version", "1.0"},
	}
	base, err := s.baseString(r, protocol)
	if err != nil {
		return fmt.Errorf("the request cannot be signed: %w", err)
	}
	// The second half of the key is the token's secret: there is no token.
	mac := hmac.New(sha1.New, []byte(encode(secret)+"&"))
	mac.Write([]byte(base))
	signature := base64.StdEncoding.EncodeToString(mac.Sum(nil))

	var header strings.Builder
	header.WriteString("OAuth ")
	for _, p := range append(protocol, param{"oauth_signature", signature}) {
		if p.name != protocol[0].name {
			header.WriteByte(',')
		}
		header.WriteString(p.name + `="` + encode(p.value) + `"`)
	}
	r.Header.Set("Authorization", header.String())
	return nil
}
