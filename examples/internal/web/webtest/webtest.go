// Package webtest checks what every handler of the examples must hold against browsers.
package webtest

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Call is a request to a handler that is served at a base URL.
type Call struct {
	Method, Path, Body string
	Header             http.Header
	Host               string // the Host header; "" is that of the URL
}

// Do makes the call and returns the answer with its body, after it has checked that
// no browser can take the body for a page that runs scripts.
func (c Call) Do(t *testing.T, base string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), c.Method, base+c.Path, strings.NewReader(c.Body))
	require.NoError(t, err)
	if c.Header != nil {
		req.Header = c.Header
	}
	req.Host = c.Host
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	requireHarmless(t, c.Method+" "+c.Path, res, string(body))
	return res, string(body)
}

func requireHarmless(t *testing.T, call string, res *http.Response, body string) {
	t.Helper()
	require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"), call)
	require.Equal(t, "no-referrer", res.Header.Get("Referrer-Policy"), call)
	require.Equal(t, "no-store", res.Header.Get("Cache-Control"), call)
	for _, directive := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'",
		"form-action 'none'"} {
		require.Contains(t, res.Header.Get("Content-Security-Policy"), directive, call)
	}
	if body == "" {
		return
	}
	kind := res.Header.Get("Content-Type")
	require.NotEmpty(t, kind, call)
	if strings.HasPrefix(kind, "text/") {
		require.Contains(t, kind, "charset=utf-8", call)
	}
	if !strings.HasPrefix(kind, "text/plain;") {
		require.NotContains(t, body, "<script", call)
	}
}

// RequireGuarded checks that a call is answered when a program makes it or the page of
// the server itself, and not when a page of another origin does. It makes the call as
// it is last, and returns that answer.
func RequireGuarded(t *testing.T, base string, c Call) (*http.Response, string) {
	t.Helper()
	own := strings.TrimPrefix(base, "http://")
	own, _, _ = strings.Cut(own, "/")
	for name, foreign := range map[string]struct {
		host   string
		header http.Header
		status int
	}{
		"another origin":           {"", http.Header{"Origin": {"https://evil.example"}}, http.StatusForbidden},
		"an origin without a name": {"", http.Header{"Origin": {"null"}}, http.StatusForbidden},
		"another port":             {"", http.Header{"Origin": {"http://127.0.0.1:1"}}, http.StatusForbidden},
		"a form of another site": {"", http.Header{"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"},
			"Sec-Fetch-Mode": {"navigate"}}, http.StatusForbidden},
		"an image of another site": {"", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"no-cors"}},
			http.StatusForbidden},
		"a rebound name": {"evil.example", nil, http.StatusMisdirectedRequest},
		"a rebound name with port": {"evil.example:80",
			http.Header{"Origin": {"http://evil.example:80"}, "Sec-Fetch-Site": {"same-origin"}}, http.StatusMisdirectedRequest},
		"a name like the loopback":   {"127.0.0.1.evil.example", nil, http.StatusMisdirectedRequest},
		"a name like localhost":      {"localhost.evil.example", nil, http.StatusMisdirectedRequest},
		"the address of another":     {"203.0.113.7", nil, http.StatusMisdirectedRequest},
		"the server's page, foreign": {"", http.Header{"Origin": {"http://" + own + ".evil.example"}}, http.StatusForbidden},
	} {
		f := c
		f.Host, f.Header = foreign.host, foreign.header
		res, _ := f.Do(t, base)
		require.Equal(t, foreign.status, res.StatusCode, "%s %s: %s", c.Method, c.Path, name)
	}
	return c.Do(t, base)
}
