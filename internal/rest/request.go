package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/fields"
)

// Request is one call. Path is relative to the base URL and already escaped (use [PathEscape]
// for its elements); an empty Path is the base URL. RawQuery is sent verbatim.
type Request struct {
	Op       string
	Method   string
	Path     string
	RawQuery string
	Safety   Safety
	Fresh    bool                   // a read right before a push, on connections for pushes
	Body     []byte                 // JSON unless Header says otherwise, or nil
	Header   http.Header            // for this request; overrides Config.Header
	NoAuth   bool                   // send no credentials
	Accept   []int                  // accepted statuses; nil: 200–299
	Final    func(body []byte) bool // whether a read is not retried after this answer; nil: by its status
	Secrets  []string               // secrets in Body, to remove from errors and logs
}

func (r *Request) accepts(status int) bool {
	if r.Accept == nil {
		return 200 <= status && status <= 299
	}
	for _, s := range r.Accept {
		if s == status {
			return true
		}
	}
	return false
}

// PathEscape escapes one element of a path; "", "." and ".." are errors.
func PathEscape(elem string) (string, error) {
	switch {
	case elem == "":
		return "", errors.New("an empty id cannot be part of a path")
	case strings.HasPrefix(elem, fields.RowPrefix):
		return "", fmt.Errorf("%q stands for a row of a list without an id, which cannot be read", elem)
	case elem == "." || elem == "..":
		return "", fmt.Errorf("%q cannot be part of a path", elem)
	default:
		return url.PathEscape(elem), nil
	}
}

// target returns the whole URL of a request.
func (c *Client) target(req *Request) (*url.URL, error) {
	if strings.ContainsAny(req.Path, "?#") {
		return nil, fmt.Errorf("the path %q is not escaped", req.Path)
	}
	for i := range len(req.RawQuery) {
		// These would break the request line, or be cut off.
		if ch := req.RawQuery[i]; ch <= ' ' || ch >= 0x7f || ch == '#' || ch == '"' {
			return nil, fmt.Errorf("byte %d of the query (%q) is not escaped", i, ch)
		}
	}
	u, err := url.Parse(c.address(req))
	if err != nil {
		return nil, fmt.Errorf("the path %q is not escaped: %w", req.Path, cause(err))
	}
	u.RawQuery = req.RawQuery
	return u, nil
}

// address returns the URL of a request without its query. For an empty path it is the base URL
// without a trailing slash.
func (c *Client) address(req *Request) string {
	if path := strings.TrimLeft(req.Path, "/"); path != "" {
		return c.base + "/" + path
	}
	return c.base
}

// checkHeader finds what net/http would reject with an error that looks like a network failure.
func checkHeader(h http.Header) error {
	for name, values := range h {
		for _, v := range values {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return fmt.Errorf("the header %s has a control character in its value: was it read with its line break?", name)
			}
		}
	}
	return nil
}

// prepare returns the request of one try, without credentials.
func (c *Client) prepare(ctx context.Context, req *Request, u *url.URL) (*http.Request, error) {
	if req.Safety == Unsafe && (req.Method == http.MethodGet || req.Method == http.MethodHead ||
		req.Method == http.MethodOptions || req.Method == http.MethodTrace || req.Method == "") {
		// net/http replays these when a connection breaks.
		return nil, fmt.Errorf("a request that must not be sent twice cannot be a %s", req.Method)
	}
	var r *http.Request
	var err error
	if req.Body == nil {
		r, err = http.NewRequestWithContext(ctx, req.Method, u.String(), http.NoBody)
	} else {
		r, err = http.NewRequestWithContext(ctx, req.Method, u.String(), bytes.NewReader(req.Body))
	}
	if err != nil {
		return nil, cause(err)
	}
	// With a GetBody, net/http would send the request again and again if an HTTP/2 stream
	// is reset after the server read all of it (golang/go#47635).
	r.GetBody = nil
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", c.cfg.UserAgent)
	if req.Body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, more := range []http.Header{c.cfg.Header, req.Header} {
		for name, values := range more {
			r.Header[http.CanonicalHeaderKey(name)] = append([]string(nil), values...)
		}
	}
	if req.Safety == Unsafe {
		// net/http may replay any request that has one of these.
		r.Header.Del("Idempotency-Key")
		r.Header.Del("X-Idempotency-Key")
	}
	return r, nil
}
