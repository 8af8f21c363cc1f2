package oauth1

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// param is a decoded parameter.
type param struct{ name, value string }

// baseString returns the text to sign (RFC 5849 3.4.1).
func (s *Signer) baseString(r *http.Request, protocol []param) (string, error) {
	where, err := baseURI(r)
	if err != nil {
		return "", err
	}
	params, err := s.queryParams(r.URL.RawQuery)
	if err != nil {
		return "", err
	}
	params = append(params, protocol...)
	for i, p := range params {
		params[i] = param{encode(p.name), encode(p.value)}
	}
	slices.SortFunc(params, func(a, b param) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.value, b.value))
	})
	pairs := make([]string, len(params))
	for i, p := range params {
		pairs[i] = p.name + "=" + p.value
	}
	return strings.ToUpper(r.Method) + "&" + encode(where) + "&" + encode(strings.Join(pairs, "&")), nil
}

// baseURI returns scheme, host and path as the server sees them (RFC 5849 3.4.1.2). The host is
// that of the Host header, without the default port.
func baseURI(r *http.Request) (string, error) {
	scheme := strings.ToLower(r.URL.Scheme)
	host := url.URL{Host: strings.ToLower(cmp.Or(r.Host, r.URL.Host))}
	name, port := host.Hostname(), host.Port()
	if name == "" {
		return "", errors.New("it names no host")
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r >= 0x7f }) {
		return "", fmt.Errorf("the host %q has letters outside ASCII: give its form that begins with xn--", name)
	}
	if strings.Contains(name, ":") {
		name, _, _ = strings.Cut(name, "%") // an IPv6 zone is not sent
		name = "[" + name + "]"
	}
	implied := map[string]string{"http": "80", "https": "443"}
	if port != "" && port != implied[scheme] {
		name += ":" + port
	}
	return scheme + "://" + name + cmp.Or(r.URL.EscapedPath(), "/"), nil
}

// queryParams parses a query as sent. A parameter without "=" has an empty value.
func (s *Signer) queryParams(raw string) ([]param, error) {
	var params []param
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		var p param
		var err error
		if p.name, err = s.decode(name); err == nil {
			p.value, err = s.decode(value)
		}
		if err != nil {
			return nil, fmt.Errorf("the query is not escaped well: %w", err)
		}
		params = append(params, p)
	}
	return params, nil
}

func (s *Signer) decode(part string) (string, error) {
	if !s.literalPlus {
		part = strings.ReplaceAll(part, "+", " ")
	}
	return url.PathUnescape(part) // unlike QueryUnescape it leaves a plus alone
}

// encode escapes all but the unreserved characters (RFC 5849 3.6), which no function of net/url
// does.
func encode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		ch := s[i]
		switch {
		case 'a' <= ch && ch <= 'z', 'A' <= ch && ch <= 'Z', '0' <= ch && ch <= '9', strings.IndexByte("-._~", ch) >= 0:
			b.WriteByte(ch)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[ch>>4])
			b.WriteByte(hex[ch&15])
		}
	}
	return b.String()
}
