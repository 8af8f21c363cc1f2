package commercetest

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // OAuth 1.0a signs with it
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

// signed is a request with an OAuth 1.0a signature.
type signed struct {
	method, host, path, query string
	params                    map[string]string // of the Authorization header
}

// oauthHeader returns what follows "OAuth " in the Authorization header.
func oauthHeader(r *http.Request) (string, bool) {
	scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return rest, strings.EqualFold(scheme, "OAuth")
}

// verifyOAuth checks the signature of a request (commerce/WIRE.md#2.2), its timestamp
// and that its nonce was not used before.
func (s *System) verifyOAuth(r *http.Request) error {
	header, _ := oauthHeader(r)
	params, err := parseOAuth(header)
	if err != nil {
		return err
	}
	if s.cfg.ConsumerKey == "" {
		return errors.New("there is no OAuth consumer: set ConsumerKey")
	}
	at, err := checkOAuth(params)
	if err != nil {
		return err
	}
	if !same(params["oauth_consumer_key"], s.cfg.ConsumerKey) {
		return errors.New("the oauth_consumer_key is not known")
	}
	req := signed{r.Method, r.Host, r.URL.EscapedPath(), r.URL.RawQuery, params}
	if err := req.verify(s.cfg.ConsumerSecret); err != nil {
		return err
	}
	return s.useNonce(params["oauth_nonce"], at)
}

// parseOAuth reads the parameters of an Authorization header: percent-encoded
// name="value" pairs, separated by commas.
func parseOAuth(header string) (map[string]string, error) {
	params := map[string]string{}
	for part := range strings.SplitSeq(header, ",") {
		name, quoted, ok := strings.Cut(strings.TrimSpace(part), "=")
		value, opened := strings.CutPrefix(quoted, `"`)
		value, closed := strings.CutSuffix(value, `"`)
		if !ok || !opened || !closed {
			return nil, errors.New(`the OAuth header is not a list of name="value"`)
		}
		name, err := url.PathUnescape(name)
		if err != nil {
			return nil, errors.New("a name in the OAuth header is not percent-encoded")
		}
		if _, twice := params[name]; twice {
			return nil, fmt.Errorf("the OAuth header has %q twice", name)
		}
		if params[name], err = url.PathUnescape(value); err != nil {
			return nil, fmt.Errorf("%q in the OAuth header is not percent-encoded", name)
		}
	}
	return params, nil
}

// checkOAuth validates the parameters and returns the timestamp.
func checkOAuth(params map[string]string) (int64, error) {
	for _, name := range []string{
		"oauth_consumer_key", "oauth_signature_method", "oauth_timestamp", "oauth_nonce", "oauth_signature",
	} {
		if params[name] == "" {
			return 0, fmt.Errorf("%s is missing", name)
		}
	}
	if m := params["oauth_signature_method"]; m != "HMAC-SHA1" {
		return 0, fmt.Errorf("the oauth_signature_method is %q: it must be HMAC-SHA1", m)
	}
	if v, ok := params["oauth_version"]; ok && v != "1.0" {
		return 0, fmt.Errorf("the oauth_version is %q: it must be 1.0", v)
	}
	at, err := number.ParseInt(params["oauth_timestamp"], 10, 64)
	if err != nil || at <= 0 {
		return 0, fmt.Errorf("the oauth_timestamp is %q: it must be seconds since 1970", params["oauth_timestamp"])
	}
	return at, nil
}

// verify checks the signature. The scheme may be either, because a proxy that
// terminates TLS hides the one that the caller used.
func (q signed) verify(secret string) error {
	given, err := base64.StdEncoding.DecodeString(q.params["oauth_signature"])
	if err != nil {
		return errors.New("the oauth_signature is not base64")
	}
	for _, scheme := range []string{"https", "http"} {
		text, err := q.base(scheme)
		if err != nil {
			return err
		}
		mac := hmac.New(sha1.New, []byte(percent(secret)+"&")) // there is no token secret
		mac.Write([]byte(text))
		if hmac.Equal(given, mac.Sum(nil)) {
			return nil
		}
	}
	return errors.New("the oauth_signature is not valid for this request")
}

// base returns the signature base string: RFC 5849, 3.4.1.
func (q signed) base(scheme string) (string, error) {
	pairs, err := queryPairs(q.query)
	if err != nil {
		return "", err
	}
	for name, value := range q.params {
		if name != "realm" && name != "oauth_signature" {
			pairs = append(pairs, [2]string{percent(name), percent(value)})
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	list := make([]string, len(pairs))
	for i, p := range pairs {
		list[i] = p[0] + "=" + p[1]
	}
	host := strings.TrimSuffix(strings.ToLower(q.host), map[string]string{"http": ":80", "https": ":443"}[scheme])
	base := percent(scheme + "://" + host + q.path)
	return strings.ToUpper(q.method) + "&" + base + "&" + percent(strings.Join(list, "&")), nil
}

// queryPairs returns the parameters of a query, encoded again. A part without = is a
// name with an empty value, as in RQL; a plus is a space, as in forms.
func queryPairs(query string) (pairs [][2]string, err error) {
	for part := range strings.SplitSeq(query, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(strings.ReplaceAll(part, "+", " "), "=")
		if name, err = url.PathUnescape(name); err == nil {
			value, err = url.PathUnescape(value)
		}
		if err != nil {
			return nil, errors.New("the query is not percent-encoded")
		}
		pairs = append(pairs, [2]string{percent(name), percent(value)})
	}
	return pairs, nil
}

// percent encodes all characters except the unreserved ones of RFC 3986.
func percent(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// useNonce accepts each nonce of a timestamp once.
func (s *System) useNonce(nonce string, at int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, skew := s.cfg.Now(), s.cfg.OAuthSkew
	if skew >= 0 {
		if off := now.Sub(time.Unix(at, 0)).Abs(); off > skew {
			return fmt.Errorf("the oauth_timestamp is more than %v away from the time of the server", skew)
		}
		for key, used := range s.store.nonces {
			if now.Sub(time.Unix(used, 0)) > skew {
				delete(s.store.nonces, key) // its timestamp is too old now
			}
		}
	}
	key := strconv.FormatInt(at, 10) + " " + nonce
	if _, used := s.store.nonces[key]; used {
		return errors.New("the oauth_nonce was used before")
	}
	s.store.nonces[key] = at
	return nil
}
