package secrets_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// hostile is a proxy between a client and a system. At chosen calls it answers instead of the system and repeats what
// it was sent.
type hostile struct {
	next    http.RoundTripper
	secrets *vault
	where   func(r *http.Request, body string) bool
	how     mischief
	hits    atomic.Int64
}

// mischief writes an answer. echo is the content of the request in many forms.
type mischief func(h *hostile, r *http.Request, echo string) (*http.Response, error)

var (
	tokenGiven = regexp.MustCompile(
		`"(?:token|access_token)"\s*:\s*"([^"]+)"|aps_token</name>\s*<value>(?:<string>)?([^<]+)`)
	signature = regexp.MustCompile(`oauth_signature="([^"]+)"`)
	md5Sum    = regexp.MustCompile(`<string>([0-9a-f]{32})</string>`)
)

func (h *hostile) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		_ = r.Body.Close()
		body = string(content)
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(strings.NewReader(body))
	}
	if m := signature.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		h.secrets.add("the signature of OAuth", m[1])
	}
	if m := md5Sum.FindStringSubmatch(body); m != nil {
		h.secrets.add("the signature of a push", m[1])
	}
	if h.where != nil && h.where(r, body) {
		h.hits.Add(1)
		return h.how(h, r, h.echo(r, body))
	}
	return h.through(r)
}

// through forwards a call, and records the tokens in the answer.
func (h *hostile) through(r *http.Request) (*http.Response, error) {
	resp, err := h.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	for _, m := range tokenGiven.FindAllSubmatch(content, -1) {
		h.secrets.add("a token that was fetched", string(m[1])+string(m[2]))
	}
	resp.Body = io.NopCloser(bytes.NewReader(content))
	return resp, nil
}

// echo returns the content of a request: first the secrets in all forms, then the headers and the body.
func (h *hostile) echo(r *http.Request, body string) string {
	var sent strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(&sent, "%s: %s\n", name, strings.Join(r.Header[name], ", "))
	}
	sent.WriteString(body)
	if user, password, ok := r.BasicAuth(); ok {
		fmt.Fprintf(&sent, "\n%s:%s", user, password)
	}
	h.secrets.mu.Lock()
	defer h.secrets.mu.Unlock()
	var alone []string
	for _, k := range h.secrets.known {
		if slices.ContainsFunc(k.forms, func(form string) bool { return strings.Contains(sent.String(), form) }) {
			alone = append(alone, k.forms...)
		}
	}
	slices.Sort(alone)
	return strings.Join(alone, " ") + "\n" + sent.String()
}

func respond(r *http.Request, status int, header map[string]string, body io.Reader) *http.Response {
	resp := &http.Response{
		StatusCode: status, Header: http.Header{}, Body: io.NopCloser(body), Request: r, ContentLength: -1, Proto: "HTTP/1.1",
		ProtoMajor: 1, ProtoMinor: 1,
	}
	for name, value := range header {
		resp.Header.Set(name, value)
	}
	return resp
}

// repeating are headers in which a server may repeat what it was sent.
func repeating(echo string) map[string]string {
	line := strings.Join(strings.Fields(echo), " ")
	return map[string]string{
		"X-Correlation-Id": line, "Www-Authenticate": "Bearer " + line, "Set-Cookie": "s=" + line,
		"Location": "https://elsewhere.example.net/" + strings.Fields(echo + " x")[0], "Connect-Version": line,
	}
}

func status(code int, text func(echo string) string) mischief {
	return func(_ *hostile, r *http.Request, echo string) (*http.Response, error) {
		return respond(r, code, repeating(echo), strings.NewReader(text(echo))), nil
	}
}

func plain(echo string) string { return echo }

func page(echo string) string { return "<html><body>" + echo + "</body></html>" }

func asJSON(echo string) string {
	text, err := json.Marshal(map[string]any{
		"error": echo, "message": echo, "code": echo, "details": []string{echo}, "error_code": echo, "errors": []string{echo},
		"error_description": echo, "statusCode": 1, "params": map[string]string{"p": echo},
	})
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func otherJSON(echo string) string {
	text, err := json.Marshal([]any{map[string]any{"orderId": []string{echo}, "id": map[string]string{"x": echo},
		"orderDate": echo, "total": echo}, echo})
	if err != nil {
		return err.Error()
	}
	return string(text)
}

var xmlText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func fault(text string) string {
	return `<?xml version="1.0"?><methodResponse><fault><value><struct><member><name>faultCode</name><value><int>` +
		`1</int></value></member>` +
		`<member><name>faultString</name><value><string>` + text +
		`</string></value></member></struct></value></fault></methodResponse>`
}

func refusedByOperations(echo string) string {
	return `<?xml version="1.0"?><methodResponse><params><param><value><struct><member><name>status</name><value><i4>` +
		`-1</i4></value></member>` +
		`<member><name>error_message</name><value><string>` + xmlText.Replace(echo) + `</string></value></member>` +
		`<member><name>module_id</name><value><string>` + xmlText.Replace(echo) +
		`</string></value></member></struct></value></param></params></methodResponse>`
}

func badRow(echo string) string {
	return `<?xml version="1.0"?><methodResponse><params><param><value><struct><member><name>Result</name><value>` +
		`<array><data><value><array><data><value><i4>` +
		xmlText.Replace(
			echo) + `</i4></value></data></array></value></data></array></value></member></struct></value></param></params>` +
		`</methodResponse>`
}

// cut ends the connection in the middle of a body.
type cut struct{ io.Reader }

func (c cut) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func mischiefs() map[string]mischief {
	all := map[string]mischief{
		"200 and a page":               status(200, page),
		"200 and text":                 status(200, plain),
		"200 and an error in JSON":     status(200, asJSON),
		"200 and JSON of another kind": status(200, otherJSON),
		"200 and a fault":              status(200, func(echo string) string { return fault(xmlText.Replace(echo)) }),
		"200 and a fault in base64": status(200, func(echo string) string {
			return fault(base64.StdEncoding.EncodeToString([]byte(echo)))
		}),
		"200 and XML that is none": status(200, func(echo string) string {
			return "<methodResponse><params>" + echo +
				"<x>"
		}),
		"200 and a refusal in XML":      status(200, refusedByOperations),
		"200 and a row of another kind": status(200, badRow),
		"a body that breaks off": func(_ *hostile, r *http.Request, echo string) (*http.Response, error) {
			return respond(r, 200, repeating(echo), cut{strings.NewReader(`{"token":"` + echo)}), nil
		},
		"an answer that breaks off": func(h *hostile, r *http.Request, _ string) (*http.Response, error) {
			resp, err := h.through(r)
			if err != nil {
				return nil, err
			}
			content, err := io.ReadAll(resp.Body)
			resp.Body = io.NopCloser(cut{bytes.NewReader(content[:len(content)*9/10])})
			return resp, err
		},
		"an answer that is cut": func(h *hostile, r *http.Request, _ string) (*http.Response, error) {
			resp, err := h.through(r)
			if err != nil {
				return nil, err
			}
			content, err := io.ReadAll(resp.Body)
			resp.Body = io.NopCloser(bytes.NewReader(content[:len(content)*9/10]))
			return resp, err
		},
		"an answer that is no HTTP": func(_ *hostile, _ *http.Request, echo string) (*http.Response, error) {
			return nil, fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w",
				fmt.Errorf("malformed HTTP response %q", echo))
		},
		"a certificate that nobody trusts": func(_ *hostile, _ *http.Request, echo string) (*http.Response, error) {
			return nil, fmt.Errorf("%s: %w", echo, &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}})
		},
		"a redirect": status(302, plain),
	}
	for _, code := range []int{400, 401, 403, 409, 429, 500, 503} {
		all[fmt.Sprint(code, " and text")] = status(code, plain)
		all[fmt.Sprint(code, " and JSON")] = status(code, asJSON)
		all[fmt.Sprint(code, " and a page")] = status(code, page)
	}
	return all
}

// A client that prints what it received must be detected: the servers repeat secrets, and the search finds them.
func TestSearchFindsANaiveClient(t *testing.T) {
	t.Parallel()
	for what, how := range mischiefs() {
		if strings.HasPrefix(what, "an answer that ") && what != "an answer that is no HTTP" {
			continue // it repeats nothing
		}
		secrets := newVault()
		h := &hostile{secrets: secrets, how: how, where: func(*http.Request, string) bool { return true }}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base, http.NoBody)
		require.NoError(t, err)
		r.Header.Set("APS-Token", apsToken)
		resp, err := h.RoundTrip(r)
		if err == nil {
			content, _ := io.ReadAll(resp.Body)
			require.NoError(t, resp.Body.Close())
			require.NotEmpty(t, secrets.within(resp.Header.Get("X-Correlation-Id")), what)
			err = fmt.Errorf("HTTP %d: %s", resp.StatusCode, bytes.ReplaceAll(content, []byte(apsToken), []byte("***")))
		}
		require.NotEmpty(t, secrets.within(writtenError(err)), "%s: not even where the plain token is cut out", what)
	}
}
