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

// Client reads from Connect. It has no call that changes anything: what is to be
// done again is done through Commerce. Immutable, safe for concurrent use.
type Client struct {
	rest *rest.Client
	// once has neither credentials nor a second try, for probes: there a 502 is
	// the answer, not a reason to ask again.
	once        *rest.Client
	base        string // without a slash at its end
	pageSize    int
	chunkSize   int
	concurrency int
	logger      *slog.Logger
}

type config struct {
	rest        rest.Config
	rate        float64
	pageSize    int
	chunkSize   int
	concurrency int
}

// Option changes a default of [New].
type Option func(*config) error

// WithHTTPClient sends the calls through a client of the caller's, for a proxy or
// a transport that observes. Redirects are not followed. The client and a *http.Transport
// in it are copied; any other RoundTripper is used as it is, and stopped when it sends a call a
// second time. A client with a transport of its own cannot be combined with [WithTLSConfig] and [WithTLSFiles].
func WithHTTPClient(client *http.Client) Option {
	return func(c *config) error {
		if client == nil {
			return errors.New("WithHTTPClient: the client is nil")
		}
		c.rest.HTTP = client
		return nil
	}
}

// WithTLSFiles reads PEM files: the certificate that the client shows, its key, and
// the certificates of the authorities that may sign the server's, which is that
// of a proxy where one stands in between. Without a certificate and key ("", "") none is shown;
// without authorities ("") those of the system are trusted. The files are read once, here.
func WithTLSFiles(certFile, keyFile, authoritiesFile string) Option {
	return func(c *config) error { return c.rest.LoadTLS(certFile, keyFile, authoritiesFile) }
}

// WithTLSConfig sets what TLS trusts and shows: RootCAs for a private authority,
// Certificates or GetClientCertificate for a client certificate. It is
// copied. See [WithInsecureTLS]. Default: the system's authorities, no certificate.
func WithTLSConfig(settings *tls.Config) Option {
	return func(c *config) error { return c.rest.SetTLS(settings) }
}

// WithPlainHTTP allows credentials over http:// to any host: everybody on the way can read
// them. By default that is an error, except for localhost, 127.0.0.0/8 and ::1 without a proxy on another host.
func WithPlainHTTP() Option {
	return func(c *config) error {
		c.rest.PlainHTTP = true
		return nil
	}
}

// WithInsecureTLS allows TLS that does not protect credentials: a tls.Config, also that of a
// supplied HTTP client, with InsecureSkipVerify or a version below 1.2. By default that is an error.
// A RoundTripper that is not a *http.Transport is not checked, nor is a DialTLSContext.
func WithInsecureTLS() Option {
	return func(c *config) error {
		c.rest.InsecureTLS = true
		return nil
	}
}

// WithUserAgent names the program to Connect. Default "cloudblue-go".
func WithUserAgent(name string) Option {
	return func(c *config) error {
		if name == "" || strings.ContainsAny(name, "\r\n") {
			return fmt.Errorf("WithUserAgent: %q is empty or has a line break in it", name)
		}
		c.rest.UserAgent = name
		return nil
	}
}

// WithLogger logs the calls, and warns of requests that were listed although they do not
// match. Default: nothing is logged. The key never is.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) error {
		if logger == nil {
			return errors.New("WithLogger: the logger is nil")
		}
		c.rest.Logger = logger
		return nil
	}
}

// WithMaxTries bounds how often one call is tried while Connect is unavailable
// or says that calls come too fast. Default 3; 1 never tries again.
func WithMaxTries(n int) Option {
	return func(c *config) error {
		c.rest.MaxTries = n
		return upTo("WithMaxTries", n, 20)
	}
}

// WithPageSize sets how many rows are asked for at once, 2 to 1000: pages overlap
// by one row. Default 100; Connect accepts up to 1000 (inferred, connect/WIRE.md#4) and silently
// sends less, which this client notices.
func WithPageSize(n int) Option {
	return func(c *config) error {
		if n < paging.MinSize {
			return fmt.Errorf("WithPageSize: %d is less than %d: pages overlap by one row", n, paging.MinSize)
		}
		c.pageSize = n
		return upTo("WithPageSize", n, 1000)
	}
}

// WithMaxBody bounds the bytes of one answer. Default 32 MiB.
func WithMaxBody(bytes int64) Option {
	return func(c *config) error {
		if bytes < 1 {
			return fmt.Errorf("WithMaxBody: %d is not positive", bytes)
		}
		c.rest.MaxBody = bytes
		return nil
	}
}

// WithConcurrency sets how many look-ups [Client.LatestRequests] has under way at
// once, 1 to 4. Default 3. Connect publishes no rate limit.
func WithConcurrency(n int) Option {
	return func(c *config) error {
		c.concurrency = n
		return upTo("WithConcurrency", n, 4)
	}
}

// WithRate bounds the calls with credentials to so many a second, evenly spaced,
// tries again included. Default: no bound, for Connect publishes none. In any
// case nothing with credentials goes out before a Retry-After has passed that another
// such call was answered with; if that is more than 30 s, a call fails at once with
// [ErrUnavailable]. [Client.Probe] is not held back.
func WithRate(perSecond float64) Option {
	return func(c *config) error {
		if !(perSecond >= 0.001 && perSecond <= 1000) { // nor if it is no number
			return fmt.Errorf("WithRate: %v a second is not between 0.001 and 1000", perSecond)
		}
		c.rate = perSecond
		return nil
	}
}

// WithChunkSize sets how many keys [Client.LatestRequests] asks for in one
// look-up, 1 to 50. Default 50, which keeps the URL below 4 KiB.
func WithChunkSize(n int) Option {
	return func(c *config) error {
		c.chunkSize = n
		return upTo("WithChunkSize", n, maxChunk)
	}
}

func upTo(option string, n, most int) error {
	if n < 1 || n > most {
		return fmt.Errorf("%s: %d is not between 1 and %d", option, n, most)
	}
	return nil
}

// New makes a client. An empty baseURL is [DefaultBaseURL]. Nothing is sent yet:
// [Client.CheckAccess] tells whether the key is good.
func New(baseURL string, auth Auth, opts ...Option) (*Client, error) {
	if baseURL == "" {
		baseURL = DefaultBaseURL
	}
	cfg := config{pageSize: 100, chunkSize: maxChunk, concurrency: 3}
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
		logger: cfg.rest.Logger,
	}
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
func object[T any](ctx context.Context, c *Client, op, collection, id string, decode func([]byte) (T, error)) (T, error) {
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

// unfit is an answer that is good by its status and not by its content.
func unfit(op, url string, err error) *Error {
	return &Error{Op: op, Method: http.MethodGet, URL: url, HTTPStatus: http.StatusOK, Err: err}
}

// url is for errors.
func (c *Client) url(path, query string) string {
	return strings.TrimSuffix(c.base+"/"+path+"?"+query, "?")
}
