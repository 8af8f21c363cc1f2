package statuspage

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/rest"
)

type config struct {
	rest       rest.Config
	components []string
	longest    time.Duration
	tolerance  time.Duration
	limit      int
}

// Option is an option of [New].
type Option func(*config) error

// WithComponents selects the maintenance of these components, by id or by name, ignoring
// case. Groups do not count: name their components. Maintenance without components is
// always selected. A component that the page does not have is a warning of each call.
// Default: all maintenance.
func WithComponents(idsOrNames ...string) Option {
	return func(c *config) error {
		for _, name := range idsOrNames {
			if strings.TrimSpace(name) == "" {
				return errors.New("WithComponents: a name is empty")
			}
			c.components = append(c.components, strings.TrimSpace(name))
		}
		if len(c.components) == 0 {
			return errors.New("WithComponents: name at least one component")
		}
		return nil
	}
}

// WithMaxDuration leaves out maintenances longer than d, with a warning: pages also
// announce migrations of several weeks, during which Connect
// works. Default 7 days, as in a calendar file.
func WithMaxDuration(d time.Duration) Option {
	return func(c *config) error {
		c.longest = d
		return rest.Positive("WithMaxDuration", d)
	}
}

// WithMaxClockSkew sets how far the clock of the page (the Date of its answers) may differ from the
// local one before there is a warning. Default 2 min.
func WithMaxClockSkew(d time.Duration) Option {
	return func(c *config) error {
		c.tolerance = d
		return rest.Positive("WithMaxClockSkew", d)
	}
}

// WithFeedLimit says how many maintenances the page lists at most: a list of that length may be incomplete, which is a
// warning. Default 50, as documented (connect/WIRE.md#10.2); other products may
// differ.
func WithFeedLimit(n int) Option {
	return func(c *config) error {
		c.limit = n
		return rest.Positive("WithFeedLimit", n)
	}
}

// WithHTTPClient sets the HTTP client, for instance for a proxy or TLS settings.
// Redirects are not followed. The client and a *http.Transport in it are copied; any other
// RoundTripper is used as it is, and must not send a call twice.
func WithHTTPClient(h *http.Client) Option {
	return func(c *config) error { return c.rest.SetHTTP(h) }
}

// WithInsecureTLS allows an HTTP client with InsecureSkipVerify or a TLS version below 1.2,
// which is an error by default. A RoundTripper that is not a *http.Transport is not checked.
func WithInsecureTLS() Option { return func(c *config) error { return c.rest.AllowInsecureTLS() } }

// WithLogger sets the logger of the calls. Default: no logs.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) error { return c.rest.SetLogger(logger) }
}

// WithMaxTries limits how often a call is sent while the page is unavailable. Default 3; 1
// disables retries.
func WithMaxTries(n int) Option {
	return func(c *config) error { return c.rest.SetMaxTries(n) }
}

// WithMaxBody limits the size of an answer in bytes. Default 8 MiB.
func WithMaxBody(n int64) Option {
	return func(c *config) error { return c.rest.SetMaxBody(n) }
}
