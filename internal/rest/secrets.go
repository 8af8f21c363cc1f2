package rest

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
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
			for _, part := range spellings(v) {
				if len(part) >= shortest {
					s = append(s, part)
				}
			}
		}
	}
	return s
}

// spellings are the value of a header and the parts of it that a server may
// repeat: its words, or what is secret in OAuth's and Basic's.
func spellings(v string) []string {
	all := []string{v}
	scheme, rest, _ := strings.Cut(v, " ")
	switch strings.ToLower(scheme) {
	case "oauth":
		for p := range strings.SplitSeq(rest, ",") {
			name, value, _ := strings.Cut(p, "=")
			if name != "oauth_consumer_key" && name != "oauth_signature" {
				continue // the other ones tell why a signature was refused
			}
			value = strings.Trim(value, `"`)
			plain, _ := url.PathUnescape(value)
			all = append(all, value, plain)
		}
	case "basic":
		pair, _ := base64.StdEncoding.DecodeString(rest)
		_, password, _ := strings.Cut(string(pair), ":")
		all = append(all, rest, string(pair), password)
	default:
		all = append(all, strings.FieldsFunc(v, func(r rune) bool { return r == ' ' || r == ':' })...)
	}
	return all
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
