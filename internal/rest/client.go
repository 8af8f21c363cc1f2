package rest

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Safety says whether a request may be sent more than once.
type Safety int

const (
	// Unsafe requests must not be sent twice, so they are never retried. The zero value.
	Unsafe Safety = iota
	// Read requests change nothing and are retried.
	Read
)

// Config configures a Client. Zero fields have the defaults named.
type Config struct {
	BaseURL   string
	Auth      Auth          // nil: no credentials
	HTTP      *http.Client  // copied with its *http.Transport; nil: a new client
	Wrap      Middleware    // around the transports; nil: none
	TLS       *tls.Config   // copied; nil: those of HTTP, or the system's authorities
	UserAgent string        // "cloudblue-go"
	MaxTries  int           // 3, for reads; one more with renewed credentials
	MaxWait   time.Duration // 30 s, the longest single wait between tries, Retry-After included
	MaxBody   int64         // 32 MiB
	Timeout   time.Duration // 60 s for one try, body included; HTTP.Timeout if that is shorter
	Busy      time.Duration // the Retry-After of a 429 without one; 0: none
	Pace      *Pace         // nil: no shared rate limit
	Logger    *slog.Logger  // discards; at Debug: op, method, url, status, attempt, elapsed, error
	Header    http.Header   // sent with every request
	Refused   Refusals      // 401 and 429

	Sensitive   bool // requests or answers contain secrets besides Auth
	PlainHTTP   bool // allows secrets over http:// to other hosts than this one
	InsecureTLS bool // allows TLS that is not verified, or below 1.2
}

// Client sends requests to one base URL. Immutable, safe for concurrent use.
type Client struct {
	cfg  Config
	base string // without a slash at the end
	http *http.Client
	push *http.Client // for pushes and the reads right before them
}

// New returns a client. The base URL must have the scheme http or https and a host, and no
// credentials, query or fragment.
func New(cfg Config) (*Client, error) {
	if err := checkBaseURL(cfg.BaseURL); err != nil {
		return nil, err
	}
	if cfg.MaxTries < 0 || cfg.MaxWait < 0 || cfg.MaxBody < 0 || cfg.Timeout < 0 || cfg.Busy < 0 {
		return nil, errors.New("tries, waits, body sizes and timeouts must not be negative")
	}
	if err := checkTLS(cfg); err != nil {
		return nil, err
	}
	cfg.UserAgent = cmp.Or(cfg.UserAgent, "cloudblue-go")
	if err := cmp.Or(checkHeader(cfg.Header), checkHeader(http.Header{"User-Agent": {cfg.UserAgent}})); err != nil {
		return nil, err
	}
	cfg.MaxTries = cmp.Or(cfg.MaxTries, 3)
	cfg.MaxWait = cmp.Or(cfg.MaxWait, 30*time.Second)
	cfg.MaxBody = cmp.Or(cfg.MaxBody, 32<<20)
	cfg.Timeout = cmp.Or(cfg.Timeout, 60*time.Second)
	if cfg.HTTP != nil && cfg.HTTP.Timeout > 0 {
		cfg.Timeout = min(cfg.Timeout, cfg.HTTP.Timeout)
	}
	cfg.Logger = cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler))
	cfg.Header = cfg.Header.Clone()
	if cfg.Refused == nil {
		cfg.Refused = func(status int, _ http.Header, _ []byte) bool { return ProvesRefusal(status, false) }
	}
	c := &Client{
		cfg: cfg, base: strings.TrimRight(cfg.BaseURL, "/"),
		http: httpClient(cfg.HTTP, cfg.TLS, readIdle), push: httpClient(cfg.HTTP, cfg.TLS, pushIdle),
	}
	if err := checkPlain(cfg, c.http.Transport); err != nil {
		return nil, err
	}
	if err := checkStrength(c.http.Transport); err != nil && !cfg.InsecureTLS {
		return nil, err
	}
	return c, c.wrap(cfg.Wrap)
}

// Middleware returns a transport that uses another one.
type Middleware func(next http.RoundTripper) http.RoundTripper

// wrap is last, because a wrapped transport can be neither copied nor checked.
func (c *Client) wrap(by Middleware) error {
	if by == nil {
		return nil
	}
	for _, h := range []*http.Client{c.http, c.push} {
		if h.Transport = by(h.Transport); h.Transport == nil {
			return errors.New("WithMiddleware: the function returned no transport")
		}
	}
	return nil
}

// checkPlain rejects secrets over plain http to another host or to a proxy on another host.
// net/http sends requests for spellings of this host such as LocalHost to HTTP_PROXY.
func checkPlain(cfg Config, t http.RoundTripper) error {
	u, err := url.Parse(cfg.BaseURL)
	secrets := cfg.Auth != nil || cfg.Sensitive
	if err != nil || u.Scheme != "http" || cfg.PlainHTTP || !secrets {
		return err
	}
	if !isLoopback(u.Hostname()) {
		return fmt.Errorf("%s would get credentials over plain http, where everybody on the way can read them: "+
			"use https://, or allow it (WithPlainHTTP)", u.Host)
	}
	transport, ok := t.(*http.Transport)
	if !ok || transport.Proxy == nil {
		return nil
	}
	// If the function fails, so does every call.
	proxy, err := transport.Proxy(&http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}})
	if err == nil && proxy != nil && !isLoopback(proxy.Hostname()) {
		return fmt.Errorf("the proxy %s would get the credentials for %s over plain http: "+
			"use no proxy for this host, or allow it (WithPlainHTTP)", proxy.Host, u.Host)
	}
	return nil
}

func isLoopback(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}

// checkBaseURL never shows the URL: a mistyped one may contain a password.
func checkBaseURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return errors.New("the base URL is missing: it must look like https://host:port/path")
	case err != nil:
		return errors.New("the base URL cannot be read: it must look like https://host:port/path")
	case u.User != nil:
		return errors.New("the base URL must not carry credentials: give them as auth")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("the base URL must start with https:// or http://")
	case u.Host == "" || u.Hostname() == "":
		return errors.New("the base URL names no host: it must look like https://host:port/path")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return fmt.Errorf("the base URL for %s must not have a query or a fragment", u.Host)
	default:
		return nil
	}
}
