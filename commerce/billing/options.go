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

// Option changes what [New] makes.
type Option func(*config) error

type config struct {
	rest        rest.Config
	client      Client
	concurrency int
	path        *string
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
// status, attempt, elapsed and error. Default: nothing is logged.
func WithLogger(l *slog.Logger) Option {
	return func(c *config) error {
		c.rest.Logger = l
		return nil
	}
}

// WithPath sets the path that calls are posted to, below the base URL. Default:
// "/RPC2"; "/" works too, as a public program shows (commerce/WIRE.md#1.1).
func WithPath(path string) Option {
	return func(c *config) error {
		c.path = new(strings.Trim(path, "/"))
		return nil
	}
}

// WithLang sets the language that Billing shall answer in, such as "en" or "pl".
// Default: not sent.
func WithLang(lang string) Option {
	return func(c *config) error {
		c.client.lang = lang
		return nil
	}
}

// WithConcurrency sets how many calls of this client are on their way at once;
// others wait. Default: 2.
func WithConcurrency(n int) Option {
	return func(c *config) error {
		// The documents ask to stay below 20 % of the Threads of xmlrpcd, for all
		// callers together; near Threads most of Billing stops to work
		// (commerce/WIRE.md#1.1, API-Usage-Basics). How many Threads there are only the operator
		// knows, and this client is not the only caller: hence 2.
		if n < 1 {
			return fmt.Errorf("the concurrency is %d: it must be at least 1, and at most 20 %% of the Threads of xmlrpcd", n)
		}
		c.concurrency = n
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
		c.client.maxBody = n
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
		c.client.provider = id
		return nil
	}
}

// WithDefaultCurrency names the currency of orders whose row tells none: the rows of 17
// columns that old versions send. Default: unknown, so that such an order has a total without
// currency, and cannot be pushed, because the currency is part of the signature.
func WithDefaultCurrency(code string) Option {
	return func(c *config) error {
		if code == "" {
			return errors.New("the default currency is empty")
		}
		c.client.currency = code
		return nil
	}
}

// PlacedAt names the column that Order.PlacedAt is taken from.
type PlacedAt string

// The columns of GetOrder_API that can be meant.
const (
	OrderDate    PlacedAt = "OrderDate"
	CreationTime PlacedAt = "CreationTime"
)

// WithPlacedAt sets the column that Order.PlacedAt is taken from. Default: OrderDate,
// inferred, because Order Management calls the time of placing orderDate. Where it is
// null or 0, it is CreationTime.
func WithPlacedAt(column PlacedAt) Option {
	return func(c *config) error {
		if column != OrderDate && column != CreationTime {
			return fmt.Errorf("there is no time of placing %q: it must be %s or %s", column, OrderDate, CreationTime)
		}
		c.client.placedAt = column
		return nil
	}
}

// WithSignatureRule changes what the signature of a push is made of. Default: the zero rule.
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

// WithSwappedPush sends the parameters of OrderStatusChange_API as order id, signature, status.
// Default: order id, status, signature. Public programs disagree about it, and no document was
// found (commerce/WIRE.md#1.5).
func WithSwappedPush() Option {
	return func(c *config) error {
		c.client.swapped = true
		return nil
	}
}

// WithFaultDelivery sets what an XML-RPC fault says about the call: commerce.Refused,
// that Billing did not act on it, or commerce.DeliveryUnknown. Default: Refused, inferred, because
// a fault is the answer in the place of a result. With DeliveryUnknown a push that
// was refused is followed by reads until the state of its order tells.
func WithFaultDelivery(d commerce.Delivery) Option {
	return func(c *config) error {
		if d != commerce.Refused && d != commerce.DeliveryUnknown {
			return fmt.Errorf("a fault cannot mean %q: it must be commerce.Refused or commerce.DeliveryUnknown", d)
		}
		c.client.faults = d
		return nil
	}
}

// WithRefusals sets which answers to a push prove that the server did not act on it: the
// error of the push then has Delivery commerce.Refused instead of commerce.DeliveryUnknown. It is
// called with every status outside 200 to 299, and with at most 64 KiB of the body; it must not
// keep or change what it gets. Default, inferred: 401 and 429; nothing else.
// An XML-RPC fault is not asked about, whatever its status: see [WithFaultDelivery].
func WithRefusals(refused func(status int, header http.Header, body []byte) bool) Option {
	return func(c *config) error {
		if refused == nil {
			return errors.New("the function for refusals is missing")
		}
		c.client.refuses = refused
		return nil
	}
}

// WithNumberResolver finds the id for an order's number, such as SO000027, when
// a [Source] is given numbers: Billing reads orders by id only. It is called by several calls at once, and
// must honour its context. Default: numbers are errors.
func WithNumberResolver(resolve func(ctx context.Context, number string) (id string, err error)) Option {
	return func(c *config) error {
		if resolve == nil {
			return errors.New("the number resolver is missing")
		}
		c.client.resolve = resolve
		return nil
	}
}
