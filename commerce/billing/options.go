package billing

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// Option changes a default of [New].
type Option func(*config) error

type config struct {
	rest        rest.Config
	client      Client
	concurrency int
	path        *string
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
// attempt, elapsed and error. Default: nothing is logged.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) error { return c.rest.SetLogger(logger) }
}

// WithPath sets the path of the API below the base URL. Default: "/RPC2"; "/" works too,
// as a public program shows (commerce/WIRE.md#1.1).
func WithPath(path string) Option {
	return func(c *config) error {
		c.path = new(strings.Trim(path, "/"))
		return nil
	}
}

// WithLang sets the language of Billing's answers, such as "en" or "pl". Default: not sent.
func WithLang(lang string) Option {
	return func(c *config) error {
		c.client.lang = lang
		return nil
	}
}

// WithConcurrency sets how many calls the client makes at once; further calls wait. It must
// be at least 1, and should stay below 20 % of the Threads of xmlrpcd. Default: 2.
func WithConcurrency(n int) Option {
	return func(c *config) error {
		// The documents ask to stay below 20 % of the Threads of xmlrpcd, for all
		// callers together; near Threads most of Billing stops working
		// (commerce/WIRE.md#1.1, API-Usage-Basics). Only the operator knows how many
		// Threads there are, and this client is not the only caller: hence 2.
		c.concurrency = n
		return rest.Positive("WithConcurrency", n)
	}
}

// WithMaxTries sets how often a read is tried, 1 to 20. Default: 3. A push is sent at most
// once in any case.
func WithMaxTries(n int) Option { return func(c *config) error { return c.rest.SetMaxTries(n) } }

// WithMaxWait sets the longest wait before a read is tried again. If the server asks for
// longer (Retry-After), the call fails at once. Default: 30 s.
func WithMaxWait(d time.Duration) Option {
	return func(c *config) error { return c.rest.SetMaxWait(d) }
}

// WithTimeout limits one try, including reading the answer. Default: 60 s.
func WithTimeout(d time.Duration) Option {
	return func(c *config) error { return c.rest.SetTimeout(d) }
}

// WithMaxBody limits the size of an answer in bytes; a longer one is an error. Default: 32 MiB.
func WithMaxBody(n int64) Option { return func(c *config) error { return c.rest.SetMaxBody(n) } }

// WithProviderAccount sets the id of the provider's account: orders that it sold have channel
// direct, all others reseller. Default: "1", inferred.
func WithProviderAccount(id string) Option {
	return func(c *config) error {
		if id == "" {
			return errors.New("WithProviderAccount: the id is empty")
		}
		c.client.provider = id
		return nil
	}
}

// WithDefaultCurrency sets the currency of orders whose row has none: the rows of 17 columns
// that old versions send. Without it such an order has a total without currency and cannot
// be pushed, because the currency is part of the signature.
func WithDefaultCurrency(code string) Option {
	return func(c *config) error {
		if code == "" {
			return errors.New("WithDefaultCurrency: the code is empty")
		}
		c.client.currency = code
		return nil
	}
}

// DateColumn is the column of GetOrder_API that Order.PlacedAt is read from.
type DateColumn string

// The columns for [WithPlacedAtColumn].
const (
	OrderDateColumn    DateColumn = "OrderDate"
	CreationTimeColumn DateColumn = "CreationTime"
)

// WithPlacedAtColumn sets the column that Order.PlacedAt is read from; where it is null or 0,
// CreationTimeColumn is used. Default: OrderDateColumn, inferred, because Order Management calls the time
// of placing orderDate.
func WithPlacedAtColumn(column DateColumn) Option {
	return func(c *config) error {
		if column != OrderDateColumn && column != CreationTimeColumn {
			return fmt.Errorf("WithPlacedAtColumn: %q is neither %s nor %s", column, OrderDateColumn, CreationTimeColumn)
		}
		c.client.placedAt = column
		return nil
	}
}

// WithSignatureRule sets how the signature of a push is built. Default: the zero rule.
func WithSignatureRule(rule SignatureRule) Option {
	return func(c *config) error {
		if err := rule.check(); err != nil {
			return err
		}
		rule.Precision = maps.Clone(rule.Precision)
		c.client.rule = rule
		return nil
	}
}

// WithSignatureBeforeStatus sends the parameters of OrderStatusChange_API as (id, signature, status), for
// installations that expect that. Default: (id, status, signature). Public programs use both
// (commerce/WIRE.md#1.5).
func WithSignatureBeforeStatus() Option {
	return func(c *config) error {
		c.client.swapped = true
		return nil
	}
}

// WithFaultDelivery sets the Delivery of an error that is an XML-RPC fault: commerce.DeliveryRefused
// if a fault proves that Billing changed nothing, otherwise commerce.DeliveryUnknown. With the
// latter, a push that failed with a fault is followed by reads until the state of its order is known. Default:
// DeliveryRefused, inferred, because a fault takes the place of a result.
func WithFaultDelivery(d commerce.Delivery) Option {
	return func(c *config) error {
		if d != commerce.DeliveryRefused && d != commerce.DeliveryUnknown {
			return fmt.Errorf("WithFaultDelivery: %q is neither commerce.DeliveryRefused nor commerce.DeliveryUnknown", d)
		}
		c.client.faults = d
		return nil
	}
}

// WithRefusals sets which HTTP error answers to a push, other than XML-RPC faults, prove that the
// server refused it and changed nothing, so that the order may be pushed again. The error of the push
// then has Delivery commerce.DeliveryRefused instead of commerce.DeliveryUnknown.
// The function is called with each status outside 200 to 299 and with at most 64 KiB of the
// body; it must not keep or change its arguments. It is not called for an XML-RPC fault, see
// [WithFaultDelivery]. Default, inferred: 401 and 429.
func WithRefusals(refused func(status int, header http.Header, body []byte) bool) Option {
	return func(c *config) error { return c.rest.SetRefusals(refused) }
}

// WithNumberResolver sets the function that finds the id for an order number such as SO000027. A
// [Lister] of numbers needs it, because Billing reads orders by id only. It is called
// concurrently and must honor its context. Default: a number is an error.
func WithNumberResolver(resolve func(ctx context.Context, number string) (id string, err error)) Option {
	return func(c *config) error {
		if resolve == nil {
			return errors.New("WithNumberResolver: the function is nil")
		}
		c.client.resolve = resolve
		return nil
	}
}
