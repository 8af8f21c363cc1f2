package ical

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

type config struct {
	rest           rest.Config
	floating       *zone
	zoneNames      map[string]string
	selects        func(Event) bool
	maxBytes       int64
	maxEvents      int
	maxOccurrences int
}

// Option is an option of [Parse], [NewFile] and [New].
type Option func(*config) error

func configure(opts []Option) (*config, error) {
	cfg := &config{
		rest:      rest.Config{Timeout: 30 * time.Second},
		zoneNames: make(map[string]string), selects: func(Event) bool { return true },
		maxBytes: 8 << 20, maxEvents: 10_000, maxOccurrences: 10_000,
	}
	for _, opt := range opts {
		if err := opt(cfg); err != nil {
			return nil, fmt.Errorf("ical: %w", err)
		}
	}
	return cfg, nil
}

// WithFloatingZone sets the zone of whole days and of events without a zone, as an IANA name
// such as Europe/Berlin or UTC. Default: such events are left out, with a warning.
func WithFloatingZone(name string) Option {
	return func(c *config) (err error) {
		if c.floating, err = loadZone(name); err != nil {
			return fmt.Errorf("WithFloatingZone: %w", err)
		}
		return nil
	}
}

// WithZoneName maps a zone name of the calendar, such as "Office", to an IANA name, whatever the
// calendar defines. Default: see the package. Windows in a zone that is only defined in the calendar are
// displayed in UTC. Events in an unknown zone are left out, with a warning.
func WithZoneName(tzid, name string) Option {
	return func(c *config) error {
		if _, err := loadZone(name); err != nil {
			return fmt.Errorf("WithZoneName: %w", err)
		}
		c.zoneNames[tzid] = name
		return nil
	}
}

// WithFilter selects the events that are maintenance. Several filters must all return true.
// A changed occurrence is selected if it or its event is. Only the latest version of an event
// counts. Default: all events.
func WithFilter(filter func(Event) bool) Option {
	return func(c *config) error {
		if filter == nil {
			return errors.New("WithFilter: the filter is nil")
		}
		before := c.selects
		c.selects = func(e Event) bool { return before(e) && filter(e) }
		return nil
	}
}

// WithSummary selects events whose summary contains one of the texts, ignoring case.
func WithSummary(texts ...string) Option {
	if slices.ContainsFunc(texts, blank) || len(texts) == 0 {
		return func(*config) error { return errors.New("WithSummary: a text is empty") }
	}
	return WithFilter(func(e Event) bool {
		summary := strings.ToLower(text.OneLine(e.Summary))
		return slices.ContainsFunc(texts, func(s string) bool {
			return strings.Contains(summary, strings.ToLower(s))
		})
	})
}

// WithCategory selects events that have one of the categories, ignoring case. A category with
// a comma in its name counts as two.
func WithCategory(names ...string) Option {
	if slices.ContainsFunc(names, blank) || len(names) == 0 {
		return func(*config) error { return errors.New("WithCategory: a name is empty") }
	}
	return WithFilter(func(e Event) bool { return slices.ContainsFunc(names, e.in) })
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// WithMaxBody limits the size of a calendar in bytes. Default 8 MiB. Parsing may need ten
// times that in memory.
func WithMaxBody(n int64) Option {
	return func(c *config) error {
		c.maxBytes = n
		return rest.Positive("WithMaxBody", n)
	}
}

// WithMaxEvents limits the events of a calendar; one with more is an error. Default 10 000.
func WithMaxEvents(n int) Option {
	return func(c *config) error {
		c.maxEvents = n
		return rest.InRange("WithMaxEvents", n, 1, 1_000_000)
	}
}

// WithMaxOccurrences limits the windows of one event in one call; an event with more is left
// out, with a warning. Ten times as many for the whole calendar are an error. Default 10 000.
func WithMaxOccurrences(n int) Option {
	return func(c *config) error {
		c.maxOccurrences = n
		return rest.InRange("WithMaxOccurrences", n, 1, 1_000_000)
	}
}

// WithHTTPClient sets the HTTP client, for instance for a proxy or a private certificate authority.
// Its transport sees the secret address. Redirects are not followed. The client
// and a *http.Transport in it are copied; any other RoundTripper is used as it is, and must
// not send a call twice. Not for files.
func WithHTTPClient(h *http.Client) Option {
	return func(c *config) error { return c.rest.SetHTTP(h) }
}

// WithPlainHTTP allows http:// for any host: the address, a secret if the calendar is private,
// is then sent unencrypted. By default that is an error, except for localhost, 127.0.0.0/8
// and ::1. Not for files.
func WithPlainHTTP() Option { return func(c *config) error { return c.rest.AllowPlainHTTP() } }

// WithInsecureTLS allows an HTTP client with InsecureSkipVerify or a TLS version below 1.2,
// which is an error by default. A RoundTripper that is not a *http.Transport is not checked.
// Not for files.
func WithInsecureTLS() Option { return func(c *config) error { return c.rest.AllowInsecureTLS() } }

// WithTimeout limits one attempt to fetch a calendar, including its body. Default 30 s. Not
// for files.
func WithTimeout(d time.Duration) Option {
	return func(c *config) error { return c.rest.SetTimeout(d) }
}

// WithMaxTries limits the attempts to fetch a calendar while its server is unavailable.
// Default 3; 1 disables retries. Not for files.
func WithMaxTries(n int) Option {
	return func(c *config) error { return c.rest.SetMaxTries(n) }
}
