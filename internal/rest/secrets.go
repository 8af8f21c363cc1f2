package rest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// secrets are the credentials of a request, which are removed from errors in case the server
// repeats them.
type secrets []string

// shortest is the length from which a secret is removed wherever it occurs. A shorter one, such as
// the token "test", is removed as a word: it occurs in ordinary ones, such as "latest".
const shortest = 8

// secretsOf returns what an Auth added to the headers of a request.
func secretsOf(before, after http.Header) secrets {
	var s secrets
	for name, values := range after {
		for _, v := range values {
			if !slices.Contains(before[name], v) {
				s = append(s, partsOf(v)...)
			}
		}
	}
	return s
}

// partsOf returns the value of a header and the parts of it that a server may repeat: its words,
// or the secret parts of OAuth and Basic, but not the name of a scheme such as Bearer.
func partsOf(v string) []string {
	all := []string{v}
	scheme, rest, found := strings.Cut(v, " ")
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
		if !found {
			rest = v
		}
		all = append(all, rest)
		all = append(all, strings.FieldsFunc(rest, func(r rune) bool { return r == ' ' || r == ':' })...)
	}
	return all
}

const redacted = "[redacted]"

// Spellings returns the forms in which an answer or an error may repeat a secret, longest first:
// itself, in base64, percent-encoded, escaped for XML, HTML, JSON or Go, and these escaped once
// more.
func Spellings(secret string) []string {
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

func (s secrets) scrub(body []byte) []byte { return Redact(body, s) }

// Redact removes all spellings of secrets, the longest first, so that none leaves a part of
// another. Those of fewer than eight bytes are removed as words. It is slow and meant for errors.
func Redact(body []byte, secrets []string) []byte {
	var all []string
	for _, secret := range secrets {
		if secret != "" { // it would match everywhere
			all = append(all, Spellings(secret)...)
		}
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	for _, spelling := range all {
		if len(spelling) >= shortest {
			body = bytes.ReplaceAll(body, []byte(spelling), []byte(redacted))
		} else {
			body = redactWord(body, []byte(spelling))
		}
	}
	return body
}

// escape matches an escaped character at the end of a text, whose last letter is none of a word.
var escape = regexp.MustCompile(`(\\[abfnrtv]|\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|%[0-9A-Fa-f]{2})$`)

// redactWord replaces a word, beside which there are no further letters and digits.
func redactWord(body, word []byte) []byte {
	var out []byte
	done, from := 0, 0
	for {
		i := bytes.Index(body[from:], word)
		if i < 0 {
			return append(out, body[done:]...)
		}
		start, end := from+i, from+i+len(word)
		if begins(word, body[:start]) && ends(word, body[end:]) {
			out = append(append(out, body[done:start]...), redacted...)
			done, from = end, end
		} else {
			from = start + 1
		}
	}
}

func begins(word, before []byte) bool {
	return len(before) == 0 || !alphanumeric(word[0]) || !alphanumeric(before[len(before)-1]) ||
		escape.Match(before[max(0, len(before)-len(`\u0000`)):])
}

func ends(word, after []byte) bool {
	return len(after) == 0 || !alphanumeric(word[len(word)-1]) || !alphanumeric(after[0])
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
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
