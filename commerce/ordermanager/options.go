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

// Option changes what [New] and [UserToken] make.
type Option func(*config) error

type config struct {
	rest     rest.Config
	pageSize int
	provider string
	off      map[ServerFilter]bool
	fields   func(json.RawMessage, *commerce.Order) error
	refuses  refuses

	sortsByTime bool
	literalPlus bool
	// forOrders and forToken name an option that only New, or only UserToken, has
	// a use for.
	forOrders, forToken string
}

// WithHTTPClient sets the HTTP client, for its transport and proxy. Redirects are not
// followed. The client and a *http.Transport in it are copied: connections are not shared, and later
// changes have no effect. Pushes and reads of single orders use a second copy, whose connections
// are closed after 2 s without a request, so that a push rarely meets one that the server is about
// to close. Any other RoundTripper is used as it is, for all calls. One that sends a request a
// second time is stopped, and the call fails. Default: a copy of http.DefaultTransport. A client with a
// transport of its own cannot be combined with [WithTLSConfig] and [WithTLSFiles].
func WithHTTPClient(h *http.Client) Option {
	return func(c *config) error {
		c.rest.HTTP = h
		return nil
	}
}

// WithTLSFiles reads PEM files: the certificate that the client shows, its key, and
// the certificates of the authorities that may sign the server's. Without a
// certificate and key ("", "") none is shown; without authorities ("") those of the
// system are trusted. The files are read once, here.
func WithTLSFiles(certFile, keyFile, authoritiesFile string) Option {
	return func(c *config) error { return c.rest.LoadTLS(certFile, keyFile, authoritiesFile) }
}

// WithTLSConfig sets what TLS trusts and shows: RootCAs for a private authority,
// Certificates or GetClientCertificate for a client certificate. It is
// copied. See [WithInsecureTLS]. Default: the system's authorities, no certificate.
func WithTLSConfig(settings *tls.Config) Option {
	return func(c *config) error { return c.rest.SetTLS(settings) }
}

// WithBasicAuth sends a name and a password to Operations. It is for [UserToken].
func WithBasicAuth(name, password string) Option {
	return func(c *config) (err error) {
		c.forToken = "WithBasicAuth"
		c.rest.Auth, err = rest.BasicAuth(name, password)
		return err
	}
}

// WithLiteralPlus makes [OAuth1] sign a plus in a query, such as that of
// sort(+orderDate), as a plus. By default it counts as a space, as RFC 5849
// 3.4.1.3.1 says and the usual libraries do. How the booster reads it is not
// known (commerce/WIRE.md#8.5): try this where single orders can be read and lists are refused with
// 401.
func WithLiteralPlus() Option {
	return func(c *config) error {
		c.forOrders, c.literalPlus = "WithLiteralPlus", true
		return nil
	}
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

// WithUserAgent sets the User-Agent. Default: "cloudblue-go".
func WithUserAgent(s string) Option {
	return func(c *config) error {
		c.rest.UserAgent = s
		return nil
	}
}

// WithLogger logs every try at level Debug with the attributes op, method, url,
// status, attempt, elapsed and error, and at level Warn what a list left out although the
// server returned it (see commerce.Query.OnMismatch). Default: nothing is logged.
func WithLogger(l *slog.Logger) Option {
	return func(c *config) error {
		c.rest.Logger = l
		return nil
	}
}

// WithPageSize sets how many orders to ask for at once, 2 to 1000. Default: 100.
// Pages overlap, so a page of one would never advance.
func WithPageSize(n int) Option {
	return func(c *config) error {
		if n < 2 || n > 1000 {
			return fmt.Errorf("the page size is %d: it must be 2 to 1000", n)
		}
		c.forOrders, c.pageSize = "WithPageSize", n
		return nil
	}
}

// WithMaxTries sets how often a read is tried, at least once. Default: 3. A push is
// sent once whatever this says.
func WithMaxTries(n int) Option {
	return func(c *config) error {
		if n < 1 {
			return fmt.Errorf("the number of tries is %d: it must be at least 1", n)
		}
		c.rest.MaxTries = n
		return nil
	}
}

// WithMaxWait sets the longest single wait before a read is tried again. When the
// server asks for longer (Retry-After), the call fails at once. Default: 30 s.
func WithMaxWait(d time.Duration) Option {
	return func(c *config) error {
		if d <= 0 {
			return fmt.Errorf("the longest wait is %s: it must be positive", d)
		}
		c.rest.MaxWait = d
		return nil
	}
}

// WithTimeout bounds one try, the answer's body included. Default: 60 s.
func WithTimeout(d time.Duration) Option {
	return func(c *config) error {
		if d <= 0 {
			return fmt.Errorf("the timeout is %s: it must be positive", d)
		}
		c.rest.Timeout = d
		return nil
	}
}

// WithMaxBody bounds the size of an answer in bytes; a longer one is an error.
// Default: 32 MiB.
func WithMaxBody(n int64) Option {
	return func(c *config) error {
		if n < 1 {
			return fmt.Errorf("the largest answer is %d bytes: it must be at least 1", n)
		}
		c.rest.MaxBody = n
		return nil
	}
}

// WithRefusals sets which answers to a push prove that the server did not act on it: the
// error of the push then has Delivery commerce.Refused instead of commerce.DeliveryUnknown. It is
// called with every status outside 200 to 299, and with at most 64 KiB of the body; it must not
// keep or change what it gets. Default, inferred: 401 and 429; 400, 403, 404, 405, 409, 413, 415
// and 422 with a JSON object that has an error or a message, as the APS controller sends.
func WithRefusals(refused func(status int, header http.Header, body []byte) bool) Option {
	return func(c *config) error {
		if refused == nil {
			return errors.New("the function for refusals is missing")
		}
		c.forOrders, c.refuses = "WithRefusals", refused
		return nil
	}
}

// WithProviderAccount names the account of the provider: orders that it sold come
// from direct customers, all others from resellers. Default: "1", inferred.
func WithProviderAccount(id string) Option {
	return func(c *config) error {
		if id == "" {
			return errors.New("the provider account is empty")
		}
		c.forOrders, c.provider = "WithProviderAccount", id
		return nil
	}
}

// WithSubscriptionHeader sends APS-Subscription-ID, to act in that subscription, as documented
// (commerce/WIRE.md#2.2). Default: not sent.
func WithSubscriptionHeader(id string) Option {
	return func(c *config) error {
		if id == "" {
			return errors.New("the APS subscription id is empty")
		}
		c.forOrders = "WithSubscriptionHeader"
		c.rest.Header = http.Header{"Aps-Subscription-Id": {id}}
		return nil
	}
}

// WithFields fills an order with what only this installation sends, or sends
// under other names. How an order names its vendor, customer, tenant and
// subscriptions is not known (commerce/WIRE.md#2.4): without this option they are read from
// vendorAccountId, customerId, tenantId, subscriptionId, subscriptions and orderDetails, all
// inferred. It is called with the order as it was sent, after all that is known has been read; the
// channel is set afterwards, from VendorID, unless it has been set by then. An error is one of the
// order's Problems, so that it is not resubmitted.
func WithFields(f func(raw json.RawMessage, o *commerce.Order) error) Option {
	return func(c *config) error {
		c.forOrders, c.fields = "WithFields", f
		return nil
	}
}

// ServerFilter is a condition that the client asks the server to check.
type ServerFilter string

// The conditions. Which properties an installation can filter by is not
// known (commerce/WIRE.md#2.5); asking for one it does not know is typically answered with 400.
const (
	FilterStatus ServerFilter = "status"
	FilterType   ServerFilter = "type"
	FilterPlaced ServerFilter = "orderDate"
	FilterNumber ServerFilter = "orderNumber"
)

// WithoutServerFilters leaves conditions to the client, which checks all of them
// in any case: lists take longer and stay the same. Default: all are asked for.
func WithoutServerFilters(filters ...ServerFilter) Option {
	return func(c *config) error {
		c.forOrders = "WithoutServerFilters"
		for _, f := range filters {
			switch f {
			case FilterStatus, FilterType, FilterPlaced, FilterNumber:
				c.off[f] = true
			default:
				return fmt.Errorf("there is no server filter %q", f)
			}
		}
		return nil
	}
}

// WithoutSortByID sorts lists by orderDate alone. By default orders of the same time are
// sorted by internalId as well, which grows with each order: the older of two orders of a
// subscription comes first, and pages fit together. That the
// server can do this is inferred (commerce/WIRE.md#2.5). A client whose server rejects that sort
// with 400 leaves it out by itself from then on.
func WithoutSortByID() Option {
	return func(c *config) error {
		c.forOrders, c.sortsByTime = "WithoutSortByID", true
		return nil
	}
}
