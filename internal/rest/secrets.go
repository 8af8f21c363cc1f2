package rest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// secrets are the credentials of a request, which are removed from errors in case the server
// repeats them.
type secrets []string

// shortest is the length of the shortest part that is removed: a shorter one, such as "Bearer" or
// the token "test", occurs in ordinary messages.
const shortest = 8

// secretsOf returns what an Auth added to the headers of a request.
func secretsOf(before, after http.Header) secrets {
	var s secrets
	for name, values := range after {
		for _, v := range values {
			if slices.Contains(before[name], v) {
				continue
			}
			for _, part := range partsOf(v) {
				if len(part) >= shortest {
					s = append(s, part)
				}
			}
		}
	}
	return s
}

// partsOf returns the value of a header and the parts of it that a server may repeat: its words,
// or the secret parts of OAuth and Basic.
func partsOf(v string) []string {
	all := []string{v}
	scheme, rest, _ := strings.Cut(v, " ")
	switch strings.ToLower(scheme) {
	case "oauth":
		for p := range strings.SplitSeq(rest, ",") {
			name, value, _ := strings.Cut(p, "=")
			if name != "oauth_consumer_key" && name != "oauth_signature" {
				continue // the others explain why a signature was refused
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

// Spellings returns the forms in which an answer or an error may repeat a secret, longest first:
// itself, in base64, percent-encoded, escaped for XML, HTML, JSON or Go, and these escaped once
// more. A secret of fewer than eight bytes has no other forms, because they could be ordinary
// words.
func Spellings(secret string) []string {
	if len(secret) < shortest {
		return []string{secret}
	}
	plain := []byte(secret)
	all := []string{
		secret, url.PathEscape(secret), strings.TrimPrefix(url.Values{"": {secret}}.Encode(), "="),
		base64.StdEncoding.EncodeToString(plain), base64.RawStdEncoding.EncodeToString(plain),
		base64.URLEncoding.EncodeToString(plain), base64.RawURLEncoding.EncodeToString(plain),
	}
	for range 2 {
		for _, s := range all {
			all = append(all, quoted(s)...)
		}
		slices.Sort(all)
		all = slices.Compact(all)
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	return all
}

var xmlText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// quoted returns s escaped for XML, HTML, Go and JSON.
func quoted(s string) []string {
	all := []string{xmlText.Replace(s), html.EscapeString(s),
		strings.TrimSuffix(strings.TrimPrefix(strconv.Quote(s), `"`), `"`)}
	for _, escapeHTML := range []bool{false, true} {
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(escapeHTML)
		if e.Encode(s) == nil {
			all = append(all, strings.TrimSuffix(strings.TrimPrefix(text.String(), `"`), "\"\n"))
		}
	}
	return all
}

// scrub removes all spellings, the longest first, so that none leaves a part of another. It is
// slow and meant for errors.
func (s secrets) scrub(body []byte) []byte {
	var all []string
	for _, secret := range s {
		if secret != "" { // it would match everywhere
			all = append(all, Spellings(secret)...)
		}
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	for _, spelling := range all {
		body = bytes.ReplaceAll(body, []byte(spelling), []byte(redacted))
	}
	return body
}

// clean returns err without the secrets that it quotes, and in that case without causes.
func (s secrets) clean(err error) error {
	if err == nil {
		return nil
	}
	if text := string(s.scrub([]byte(err.Error()))); text != err.Error() {
		return errors.New(text)
	}
	return err
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
