package rest

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
)

// secrets are the credentials that a request carries, so that a server that
// repeats them does not bring them into errors.
type secrets []string

// shortest keeps words such as "Bearer", or a token "test", from being cut out
// of every message.
const shortest = 8

// secretsOf finds what an Auth has added to the headers of a request.
func secretsOf(before, after http.Header) secrets {
	var s secrets
	for name, values := range after {
		for _, v := range values {
			if slices.Contains(before[name], v) {
				continue
			}
			parts := strings.FieldsFunc(v, func(r rune) bool { return r == ' ' || r == ':' })
			for _, part := range append([]string{v}, parts...) {
				if len(part) >= shortest {
					s = append(s, part)
				}
			}
		}
	}
	return s
}

const redacted = "[redacted]"

func (s secrets) scrub(body []byte) []byte {
	for _, secret := range s {
		if secret == "" {
			continue // it is everywhere
		}
		body = bytes.ReplaceAll(body, []byte(secret), []byte(redacted))
	}
	return body
}

func (s secrets) scrubHeader(h http.Header) http.Header {
	h = h.Clone()
	h.Del("Set-Cookie")
	for _, values := range h {
		for i, v := range values {
			values[i] = string(s.scrub([]byte(v)))
		}
	}
	return h
}
