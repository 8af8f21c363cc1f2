package connect

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/paging"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// DefaultBaseURL is the documented base URL of CloudBlue Connect (connect/WIRE.md#1).
const DefaultBaseURL = "https://api.connect.cloudblue.com/public/v1"

// versionHeader is stamped by Connect itself, not by what stands before it.
const versionHeader = "Connect-Version"

// Client reads from Connect. It has no call that changes anything, because orders are
// resubmitted through Commerce. It is immutable and safe for concurrent use.
type Client struct {
	rest *rest.Client
	// once has neither credentials nor retries, for probes: there a 502 is the answer.
	once         *rest.Client
	base         string // without a slash at its end
	pageSize     int
	chunkSize    int
	concurrency  int
	filterFields []string
	logger       *slog.Logger
	fullPage     chan pageSize // holds one
}

type config struct {
	rest         rest.Config
	rate         float64
	pageSize     int
	chunkSize    int
	concurrency  int
	filterFields []string
}

// Option changes a default of [New].
type Option func(*config) error

// WithHTTPClient sets the HTTP client, for its transport and proxy. The client and a
// *http.Transport in it are copied, so later changes have no effect; any other RoundTripper
// is used as is. Redirects are not followed, and a transport that sends a request a second
// time is stopped. A client with a transport cannot be combined with [WithTLSConfig] or
// [WithTLSFiles]. Default: a copy of http.DefaultTransport.
func WithHTTPClient(h *http.Client) Option {
	return func(c *config) error { return c.rest.SetHTTP(h) }
}

// WithMiddleware wraps the transports of the client in others, for example to trace its requests:
// see package resubmit/otel. They are copied and checked as [WithHTTPClient] says before they are
// wrapped. A middleware must keep the context of a request, and send it once: a second sending is
// stopped. A second middleware is around the first. Default: none.
func WithMiddleware(wrap func(next http.RoundTripper) http.RoundTripper) Option {
	return func(c *config) error { return c.rest.SetMiddleware(wrap) }
}

// WithTLSFiles reads PEM files, once: the client certificate, its key, and the authorities
// that may sign the certificate of the server, or of a proxy in front of it. Empty names mean
// no client certificate, or the system's authorities.
func WithTLSFiles(certFile, keyFile, authoritiesFile string) Option {
	return func(c *config) error { return c.rest.LoadTLS(certFile, keyFile, authoritiesFile) }
}

// WithTLSConfig sets the TLS settings, which are copied: RootCAs for a private authority,
// Certificates or GetClientCertificate for a client certificate. See [WithInsecureTLS].
// Default: the system's authorities, no client certificate.
func WithTLSConfig(settings *tls.Config) Option {
	return func(c *config) error { return c.rest.SetTLS(settings) }
}

// WithPlainHTTP allows credentials over http:// to any host, where everybody on the way can
// read them. Default: an error, except for localhost, 127.0.0.0/8 and ::1 without a proxy
// on another host.
func WithPlainHTTP() Option { return func(c *config) error { return c.rest.AllowPlainHTTP() } }

// WithInsecureTLS allows TLS that does not protect credentials: InsecureSkipVerify or a
// version below 1.2, also in the transport of a supplied HTTP client. Default: an error.
// A RoundTripper that is not a *http.Transport is not checked, nor is a DialTLSContext.
func WithInsecureTLS() Option { return func(c *config) error { return c.rest.AllowInsecureTLS() } }

// WithUserAgent sets the User-Agent header. Default: "cloudblue-go".
func WithUserAgent(name string) Option {
	return func(c *config) error { return c.rest.SetUserAgent(name) }
}

// WithLogger logs each try at level Debug, and at level Warn the requests that were listed
// although they do not match. The API key is never logged. Default: nothing is logged.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) error { return c.rest.SetLogger(logger) }
}

// WithMaxTries sets how often a call is tried while Connect is unavailable or limits the
// rate, 1 to 20. Default: 3.
func WithMaxTries(n int) Option {
	return func(c *config) error { return c.rest.SetMaxTries(n) }
}

// WithPageSize sets how many rows are requested at once, 2 to 1000; pages overlap by one row.
// Default: 100. Connect accepts up to 1000 (inferred, connect/WIRE.md#4) and silently sends
// fewer, which the client detects.
func WithPageSize(n int) Option {
	return func(c *config) error {
		c.pageSize = n
		return rest.InRange("WithPageSize", n, paging.MinSize, 1000)
	}
}

// WithMaxBody limits the size of an answer in bytes. Default: 32 MiB.
func WithMaxBody(n int64) Option {
	return func(c *config) error { return c.rest.SetMaxBody(n) }
}

// WithConcurrency sets how many calls [Client.LatestRequests] makes at once, 1 to 4.
// Default: 3. Connect publishes no rate limit.
func WithConcurrency(n int) Option {
	return func(c *config) error {
		c.concurrency = n
		return rest.InRange("WithConcurrency", n, 1, 4)
	}
}

// WithRateLimit limits calls with credentials, including retries, to perSecond, evenly spaced,
// 0.001 to 1000. Default: no limit, because Connect publishes none. After a Retry-After, all
// calls with credentials wait until it has passed; if it is longer than 30 s, a call fails at
// once with [ErrUnavailable]. [Client.Probe] is not limited.
func WithRateLimit(perSecond float64) Option {
	return func(c *config) error {
		c.rate = perSecond
		return rest.InRange("WithRateLimit", perSecond, 0.001, 1000)
	}
}

// WithChunkSize sets how many request keys [Client.LatestRequests] puts into one call, 1 to 50.
// Default: 50, which keeps the URL below 4 KiB. If keys are so long that it would exceed 8 KiB,
// a call has fewer.
func WithChunkSize(n int) Option {
	return func(c *config) error {
		c.chunkSize = n
		return rest.InRange("WithChunkSize", n, 1, maxChunk)
	}
}

// New returns a client. An empty baseURL means [DefaultBaseURL]. Nothing is sent yet; use
// [Client.CheckAccess] to check the key.
func New(baseURL string, auth Auth, opts ...Option) (*Client, error) {
	if baseURL == "" {
		baseURL = DefaultBaseURL
	}
	cfg := config{pageSize: 100, chunkSize: maxChunk, concurrency: 3, filterFields: filterFields}
	cfg.rest.BaseURL = baseURL
	for _, opt := range opts {
		if err := opt(&cfg); err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
	}
	if callback.Nil(auth) {
		return nil, errors.New("connect: no credentials: pass connect.APIKey(…)")
	}
	cfg.rest.Auth = credentials{auth}
	client := &Client{
		base:     strings.TrimRight(baseURL, "/"),
		pageSize: cfg.pageSize, chunkSize: cfg.chunkSize, concurrency: cfg.concurrency,
		filterFields: cfg.filterFields,
		logger:       cfg.rest.Logger, fullPage: make(chan pageSize, 1),
	}
	client.fullPage <- pageSize{}
	if client.logger == nil {
		client.logger = slog.New(slog.DiscardHandler)
	}
	if key, ok := auth.(apiKey); ok {
		if err := key.check(); err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
	}
	var err error
	if cfg.rest.Pace, err = rest.NewPace(cfg.rate); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if client.rest, err = rest.New(cfg.rest); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	cfg.rest.Auth, cfg.rest.MaxTries, cfg.rest.Pace = nil, 1, nil
	if client.once, err = rest.New(cfg.rest); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return client, nil
}

// get reads JSON. The error is an *Error.
func (c *Client) get(ctx context.Context, op, path, query string, out any) (http.Header, error) {
	resp, err := c.rest.JSON(ctx, rest.Request{
		Op: op, Method: http.MethodGet, Path: path, RawQuery: query, Safety: rest.Read,
	}, out)
	if err != nil {
		return nil, failure(ctx, op, err)
	}
	return resp.Header, nil
}

// object reads one object by its id and decodes it.
func object[T any](ctx context.Context, c *Client, op, collection, id string, decode func([]byte) (T, error)) (T,
	error) {
	var none T
	elem, err := rest.PathEscape(id)
	if err != nil {
		return none, &Error{Op: op, Err: err}
	}
	var raw json.RawMessage
	path := collection + "/" + elem
	if _, err := c.get(ctx, op, path, "", &raw); err != nil {
		return none, err
	}
	decoded, err := decode(raw)
	if err != nil {
		return none, unfit(op, c.url(path, ""), err)
	}
	return decoded, nil
}

// unfit returns an error for a 200 with unusable content.
func unfit(op, url string, err error) *Error {
	return &Error{Op: op, Method: http.MethodGet, URL: url, HTTPStatus: http.StatusOK, Err: err}
}

// url returns the URL for errors.
func (c *Client) url(path, query string) string {
	return strings.TrimSuffix(c.base+"/"+path+"?"+query, "?")
}
