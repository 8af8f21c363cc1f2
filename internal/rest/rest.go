// Package rest is the one way in which the clients of this module speak HTTP:
// authentication, retries of what may be retried, limits, and errors.
package rest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// Safety says what sending a call twice can do.
type Safety int

const (
	// Unsafe must not be sent twice: it is never retried. The zero value.
	Unsafe Safety = iota
	// Read changes nothing: it is retried.
	Read
)

// Auth adds credentials to requests. Implementations are safe for concurrent use.
type Auth interface {
	// Apply sets credentials on a request, fetching them if needed.
	Apply(ctx context.Context, r *http.Request) error
	// Renew is told that an answer of 401 or 403 came to a request that carried
	// these credentials. It reports whether another try with new ones makes
	// sense; concurrent callers lead to one renewal.
	Renew(ctx context.Context, r *http.Request) bool
}

// Config makes a Client. Zero fields take the defaults named.
type Config struct {
	BaseURL   string
	Auth      Auth          // nil: no credentials
	HTTP      *http.Client  // nil: own client, TLS verified. Its redirects are never followed
	UserAgent string        // "cloudblue-go"
	MaxTries  int           // 3, for reads
	MaxWait   time.Duration // 30 s, the longest single wait between tries, Retry-After included
	MaxBody   int64         // 32 MiB
	Timeout   time.Duration // 60 s for one try, body included
	Logger    *slog.Logger  // discards
	Header    http.Header   // sent with every request
}

// Client sends requests to one base URL. Immutable, safe for concurrent use.
type Client struct {
	cfg  Config
	base *url.URL
}

// New checks the configuration: the base URL needs a scheme of http or https and
// a host, and must not carry credentials, a query or a fragment.
func New(cfg Config) (*Client, error) { panic("later") }

// Request is one call. Path is relative to the base URL and is already escaped
// (use PathEscape for its elements); RawQuery goes on the wire verbatim.
type Request struct {
	Op       string
	Method   string
	Path     string
	RawQuery string
	Safety   Safety
	Body     []byte // JSON, or nil
	NoAuth   bool   // send no credentials
	Accept   []int  // statuses that are good; nil: 200–299
}

// Response is a good answer. Close the Body.
type Response struct {
	Status int
	Header http.Header
	Body   io.ReadCloser // limited to MaxBody; reading past it is an *Error, not EOF
}

// Do sends a request. Every error is an *Error.
func (c *Client) Do(ctx context.Context, req Request) (*Response, error) { panic("later") }

// JSON sends a request and decodes its answer into out, which may be nil. An
// answer that is not JSON is an *Error that shows how it starts.
func (c *Client) JSON(ctx context.Context, req Request, out any) (*Response, error) { panic("later") }

// PathEscape escapes one element of a path; "", "." and ".." are errors.
func PathEscape(elem string) (string, error) { panic("later") }

// Error is a failed call, before a client gives it its own type.
type Error struct {
	Op         string
	Method     string
	URL        string // without credentials
	Status     int    // 0: no answer
	Header     http.Header
	Body       []byte // at most 64 KiB of an answer that is not good
	RetryAfter time.Duration
	NotSent    bool // the request never reached the server
	Err        error
}

func (e *Error) Error() string { panic("later") }
func (e *Error) Unwrap() error { return e.Err }
