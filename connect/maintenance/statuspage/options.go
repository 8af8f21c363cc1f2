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

// Option changes a default of [New].
type Option func(*config) error

// WithComponents counts only the maintenances of these components, each named by
// its id or its name, in any case. Groups are not counted: name what is in
// them. A maintenance that names no component at all counts. A name that the page does
// not have is a warning of each call. Default: every maintenance counts.
func WithComponents(idsOrNames ...string) Option {
	return func(c *config) error {
		for _, name := range idsOrNames {
			if strings.TrimSpace(name) == "" {
				return errors.New("WithComponents: a component has no name")
			}
			c.components = append(c.components, strings.TrimSpace(name))
		}
		if len(c.components) == 0 {
			return errors.New("WithComponents: no component is named")
		}
		return nil
	}
}

// WithMaxDuration sets how long a maintenance may be announced for. A longer one
// is left out with a warning: pages also announce periods of weeks in which
// something is moved, during which Connect works. Default 7 days, as in a file of windows.
func WithMaxDuration(d time.Duration) Option {
	return func(c *config) error {
		c.longest = d
		return rest.Positive("WithMaxDuration", d)
	}
}

// WithClockTolerance sets how far the page's clock (the Date of its answers) may be
// from that of this machine before a warning says so. Default 2 minutes.
func WithClockTolerance(d time.Duration) Option {
	return func(c *config) error {
		c.tolerance = d
		return rest.Positive("WithClockTolerance", d)
	}
}

// WithFeedLimit sets how many maintenances the page tells at most: with that many, older
// ones may be missing. Default 50, as documented (connect/WIRE.md#10.2); imitators may differ.
func WithFeedLimit(n int) Option {
	return func(c *config) error {
		c.limit = n
		return rest.Positive("WithFeedLimit", n)
	}
}

// WithHTTPClient sends the calls through a client of the caller's, for a proxy, TLS
// settings or a transport that observes. Redirects are not followed. The client and a
// *http.Transport in it are copied; any other RoundTripper is used as it is, and stopped when it
// sends a call a second time.
func WithHTTPClient(h *http.Client) Option {
	return func(c *config) error { return c.rest.SetHTTP(h) }
}

// WithInsecureTLS allows TLS that does not protect what is sent: a supplied HTTP client with
// InsecureSkipVerify or a version below 1.2. By default that is an error. A RoundTripper that is
// not a *http.Transport is not checked.
func WithInsecureTLS() Option { return func(c *config) error { return c.rest.AllowInsecureTLS() } }

// WithLogger logs the calls. Default: nothing is logged.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) error { return c.rest.SetLogger(logger) }
}

// WithMaxTries bounds how often one call is tried while the page is unavailable.
// Default 3; 1 never tries again.
func WithMaxTries(n int) Option {
	return func(c *config) error { return c.rest.SetMaxTries(n) }
}

// WithMaxBody bounds the bytes of one answer. Default 8 MiB.
func WithMaxBody(n int64) Option {
	return func(c *config) error { return c.rest.SetMaxBody(n) }
}
