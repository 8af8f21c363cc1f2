package ordermanager

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// Option changes a default of [New] or [UserToken].
type Option func(*config) error

type config struct {
	rest     rest.Config
	pageSize int
	provider string
	off      map[ServerFilter]bool
	fields   func(json.RawMessage, *commerce.Order) error

	sortsByTime bool
	literalPlus bool
	// forOrders and forToken name an option that only New, or only UserToken, supports.
	forOrders, forToken string
}

// forOrders is an option that UserToken rejects.
func forOrders(name string, apply func(*config) error) Option {
	return func(c *config) error {
		c.forOrders = name
		return apply(c)
	}
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

// WithOperationsLogin sends a user name and a password to Operations. It is only for [UserToken].
func WithOperationsLogin(name, password string) Option {
	return func(c *config) (err error) {
		c.forToken = "WithOperationsLogin"
		c.rest.Auth, err = rest.BasicAuth(name, password)
		return err
	}
}

// WithLiteralPlus makes [OAuth1] sign a plus in a query, such as that of sort(+orderDate), as a
// plus, for servers that refuse the standard signature of lists. By default it is signed as a
// space, as RFC 5849 3.4.1.3.1 says and the usual libraries do. How the booster reads it is not
// known (commerce/WIRE.md#8.5): try this option if single orders can be read but lists are refused
// with 401.
func WithLiteralPlus() Option {
	return forOrders("WithLiteralPlus", func(c *config) error {
		c.literalPlus = true
		return nil
	})
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

// WithPageSize sets how many orders are requested at once, 2 to 1000. Default: 100. Pages
// overlap by one order, so a page of one would never advance.
func WithPageSize(n int) Option {
	return forOrders("WithPageSize", func(c *config) error {
		c.pageSize = n
		return rest.InRange("WithPageSize", n, 2, 1000)
	})
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

// WithRefusals sets which error answers to a push prove that the server refused it and changed
// nothing, so that the order may be pushed again. The
// error of the push then has Delivery commerce.DeliveryRefused instead of commerce.DeliveryUnknown.
// The function is called with each status outside 200 to 299 and with at most 64 KiB of the
// body; it must not keep or change its arguments. Default, inferred: 401 and 429, and 400,
// 403, 404, 405, 409, 413, 415 and 422 with a JSON object that
// has an error or a message, as the APS controller sends.
func WithRefusals(refused func(status int, header http.Header, body []byte) bool) Option {
	return forOrders("WithRefusals", func(c *config) error { return c.rest.SetRefusals(refused) })
}

// WithProviderAccount sets the id of the provider's account: orders that it sold have channel
// direct, all others reseller. Default: "1", inferred.
func WithProviderAccount(id string) Option {
	return forOrders("WithProviderAccount", func(c *config) error {
		if id == "" {
			return errors.New("WithProviderAccount: the id is empty")
		}
		c.provider = id
		return nil
	})
}

// WithSubscriptionHeader sends APS-Subscription-ID, to act in that subscription, as documented
// (commerce/WIRE.md#2.2). Default: not sent.
func WithSubscriptionHeader(id string) Option {
	return forOrders("WithSubscriptionHeader", func(c *config) error {
		if id == "" {
			return errors.New("WithSubscriptionHeader: the id is empty")
		}
		c.rest.Header = http.Header{"Aps-Subscription-Id": {id}}
		return nil
	})
}

// WithCustomFields sets a function that fills an order from fields that only this installation
// sends, or sends under other names. How an order names its vendor, customer, tenant and
// subscriptions is not published (commerce/WIRE.md#2.4); without this option they are read
// from vendorAccountId, customerId, tenantId, subscriptionId, subscriptions and orderDetails,
// all inferred. The function gets the order as sent, after all known fields were read; the
// channel is set afterwards, from VendorAccountID, unless it is set by then. An error becomes one of
// the order's Problems, so that the order is not resubmitted.
func WithCustomFields(f func(raw json.RawMessage, o *commerce.Order) error) Option {
	return forOrders("WithCustomFields", func(c *config) error {
		c.fields = f
		return nil
	})
}

// ServerFilter is a condition that the client asks the server to check.
type ServerFilter string

// Conditions for [WithoutServerFilters]. Which properties an installation can filter by is
// not known (commerce/WIRE.md#2.5); an unknown one is typically answered with 400.
const (
	FilterStatus ServerFilter = "status"      // FilterStatus is the condition on the order's status.
	FilterType   ServerFilter = "type"        // FilterType is the condition on the order's type.
	FilterPlaced ServerFilter = "orderDate"   // FilterPlaced is the condition on the time of placing.
	FilterNumber ServerFilter = "orderNumber" // FilterNumber is the condition on the order number.
)

// WithoutServerFilters makes the client alone check these conditions, instead of also sending them
// to the server. Lists take longer and stay the same. Default: all are sent.
func WithoutServerFilters(filters ...ServerFilter) Option {
	return forOrders("WithoutServerFilters", func(c *config) error {
		for _, f := range filters {
			switch f {
			case FilterStatus, FilterType, FilterPlaced, FilterNumber:
				c.off[f] = true
			default:
				return fmt.Errorf("WithoutServerFilters: there is no server filter %q", f)
			}
		}
		return nil
	})
}

// WithoutSortByID sorts lists by orderDate alone. By default, orders of the same time are
// also sorted by internalId, which grows with each order, so that the older of two orders of a
// subscription comes first and pages fit together. That the server supports this is inferred
// (commerce/WIRE.md#2.5). If it rejects that sort with 400, the client stops using it.
func WithoutSortByID() Option {
	return forOrders("WithoutSortByID", func(c *config) error {
		c.sortsByTime = true
		return nil
	})
}
