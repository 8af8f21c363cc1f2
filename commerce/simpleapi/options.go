package simpleapi

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/fields"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// Option changes a default of [New].
type Option func(*config) error

type config struct {
	rest     rest.Config
	pageSize int
	off      map[ServerFilter]bool
	words    map[string]commerce.Status
	fields   func(json.RawMessage, *commerce.Order) error
}

// WithHTTPClient sets the HTTP client, for its transport and proxy. The client and a
// *http.Transport in it are copied, so later changes have no effect; any other RoundTripper
// is used as is. Redirects are not followed, and a transport that sends a request a second
// time is stopped. Pushes and reads of single orders use connections of their own, which are
// closed after two idle seconds, so that a push rarely meets one that the server is closing.
// A client with a transport cannot be combined with [WithTLSConfig] or [WithTLSFiles].
// Default: a copy of http.DefaultTransport.
func WithHTTPClient(h *http.Client) Option { return func(c *config) error { return c.rest.SetHTTP(h) } }

// WithMiddleware wraps the transports of the client in others, for example to trace its requests:
// see package resubmit/otel. They are copied and checked as [WithHTTPClient] says before they are
// wrapped. A middleware must keep the context of a request, and send it once: a second sending is
// stopped. A second middleware is around the first. Default: none.
func WithMiddleware(wrap func(next http.RoundTripper) http.RoundTripper) Option {
	return func(c *config) error { return c.rest.SetMiddleware(wrap) }
}

// WithTLSFiles reads PEM files, once: the client certificate, its key, and the authorities
// that may sign the server's certificate. Empty names mean no client certificate, or the
// system's authorities.
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

// WithLogger logs each try at level Debug with the attributes op, method, url, status,
// attempt, elapsed and error, and at level Warn the orders that a list dropped although the
// server returned them (see commerce.Query.OnMismatch). Default: nothing is logged.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) error { return c.rest.SetLogger(logger) }
}

// WithPageSize sets how many orders are requested at once, 2 to 1000. Default: 100. The
// largest size that a server accepts is not published; smaller pages are handled. Pages
// overlap by one order, so a page of one would never advance.
func WithPageSize(n int) Option {
	return func(c *config) error {
		c.pageSize = n
		return rest.InRange("WithPageSize", n, 2, 1000)
	}
}

// WithMaxTries sets how often a read is tried, 1 to 20. Default: 3. A change is sent at most
// once in any case.
func WithMaxTries(n int) Option { return func(c *config) error { return c.rest.SetMaxTries(n) } }

// WithMaxWait sets the longest wait before a read is tried again. If the server asks for
// longer (Retry-After), the call fails at once, and its error says for how long. A 429 without
// Retry-After counts as 60 s, as in a public client (commerce/WIRE.md#3). Default: 60 s.
func WithMaxWait(d time.Duration) Option {
	return func(c *config) error { return c.rest.SetMaxWait(d) }
}

// WithTimeout limits one try, including reading the answer. Default: 60 s.
func WithTimeout(d time.Duration) Option {
	return func(c *config) error { return c.rest.SetTimeout(d) }
}

// WithMaxBody limits the size of an answer in bytes; a longer one is an error. Default: 32 MiB.
func WithMaxBody(n int64) Option { return func(c *config) error { return c.rest.SetMaxBody(n) } }

// WithRefusals sets which error answers to a push prove that the server refused it and changed
// nothing, so that the order may be pushed again. The
// error of the push then has Delivery commerce.DeliveryRefused instead of commerce.DeliveryUnknown.
// The function is called with each status outside 200 to 299 and with at most 64 KiB of the
// body; it must not keep or change its arguments. Default, inferred: 401 and 429, and 400,
// 403, 404, 405, 409, 413, 415 and 422 with a JSON object that
// has a code, an error or a message, or with the text for a missing order.
func WithRefusals(refused func(status int, header http.Header, body []byte) bool) Option {
	return func(c *config) error { return c.rest.SetRefusals(refused) }
}

// WithStatusWords maps the server's status words, such as "error", to status codes, for orders
// without a status code and for filters. It replaces the default, which is inferred: submitted OP,
// processing PR, error PF, completed CP, cancelled CL. Any other word becomes the status as
// it is, and is not used to filter.
func WithStatusWords(words map[string]commerce.Status) Option {
	return func(c *config) error {
		for word, code := range words {
			if word == "" || !fields.IsCode(string(code)) {
				return fmt.Errorf("WithStatusWords: the word %q cannot stand for %q: use letters and digits", word, code)
			}
		}
		c.words = maps.Clone(words)
		return nil
	}
}

// WithCustomFields sets a function that fills an order from fields that only this installation
// sends, or sends under other names. It gets the order as sent, after all known fields were
// read. An error becomes one of the order's Problems, so that the order is not resubmitted.
func WithCustomFields(f func(raw json.RawMessage, o *commerce.Order) error) Option {
	return func(c *config) error {
		c.fields = f
		return nil
	}
}

// ServerFilter is a condition of a [commerce.Query] that [Client.Orders] can send to the server.
type ServerFilter string

// Conditions for [WithoutServerFilters], by the names of their query parameters.
const (
	// FilterStatus selects one status word, such as "error". That it covers PF is inferred.
	FilterStatus ServerFilter = "status"
	// FilterStatusCode selects one status code. Lists of a reseller's orders lack it.
	FilterStatusCode ServerFilter = "statusCode"
	// FilterPlaced selects by time of creation.
	FilterPlaced ServerFilter = "creationTime"
	// FilterNumber selects one order number. Lists of a reseller's orders lack it.
	FilterNumber ServerFilter = "orderNumber"
)

// WithoutServerFilters makes the client alone check these conditions, instead of also sending them
// to the server. Lists take longer and stay the same. Default: all are sent.
func WithoutServerFilters(filters ...ServerFilter) Option {
	return func(c *config) error {
		for _, f := range filters {
			switch f {
			case FilterStatus, FilterStatusCode, FilterPlaced, FilterNumber:
				c.off[f] = true
			default:
				return fmt.Errorf("WithoutServerFilters: there is no server filter %q", f)
			}
		}
		return nil
	}
}
