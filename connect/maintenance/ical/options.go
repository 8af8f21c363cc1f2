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
	filter         func(Event) bool
	maxBytes       int64
	maxEvents      int
	maxOccurrences int
}

// Option changes a default of [Parse], [NewFile] and [New].
type Option func(*config) error

func configure(opts []Option) (*config, error) {
	cfg := &config{
		rest:      rest.Config{Timeout: 30 * time.Second},
		zoneNames: make(map[string]string),
		maxBytes:  8 << 20, maxEvents: 10_000, maxOccurrences: 10_000,
	}
	for _, opt := range opts {
		if err := opt(cfg); err != nil {
			return nil, fmt.Errorf("ical: %w", err)
		}
	}
	return cfg, nil
}

// WithFloatingZone says where days and times are that name no zone: whole days,
// above all. An IANA name, such as Europe/Berlin or UTC. Default: such events are
// left out, with a warning.
func WithFloatingZone(name string) Option {
	return func(c *config) (err error) {
		if c.floating, err = loadZone(name); err != nil {
			return fmt.Errorf("WithFloatingZone: %w", err)
		}
		return nil
	}
}

// WithZoneName says which IANA zone a calendar means by a name of its own, such as
// "W. Europe Standard Time". Default: the rules that the calendar has for that name; windows
// are then shown in UTC. Events in a zone without rules are left out, with a warning.
func WithZoneName(tzid, name string) Option {
	return func(c *config) error {
		if _, err := loadZone(name); err != nil {
			return fmt.Errorf("WithZoneName: %w", err)
		}
		c.zoneNames[tzid] = name
		return nil
	}
}

// WithFilter says which events are maintenance. Given more than once, all have to
// agree. An occurrence that was changed by itself is asked about by itself. Default: all are.
func WithFilter(filter func(Event) bool) Option {
	return func(c *config) error {
		if filter == nil {
			return errors.New("WithFilter: the filter is nil")
		}
		before := c.filter
		c.filter = func(e Event) bool { return (before == nil || before(e)) && filter(e) }
		return nil
	}
}

// WithSummary takes events as maintenance whose summary has one of the texts in it, in
// capitals or not.
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

// WithCategory takes events as maintenance that have one of the categories, in capitals
// or not. A category that has a comma in its name counts as two.
func WithCategory(names ...string) Option {
	if slices.ContainsFunc(names, blank) || len(names) == 0 {
		return func(*config) error { return errors.New("WithCategory: a name is empty") }
	}
	return WithFilter(func(e Event) bool { return slices.ContainsFunc(names, e.in) })
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// WithMaxBytes bounds the size of a calendar. Default 8 MiB. Some ten times that is
// needed of memory at worst.
func WithMaxBytes(n int64) Option {
	return func(c *config) error {
		c.maxBytes = n
		return rest.Positive("WithMaxBytes", n)
	}
}

// WithMaxEvents bounds the events of a calendar. Default 10 000. A calendar with more is
// refused.
func WithMaxEvents(n int) Option {
	return func(c *config) error {
		c.maxEvents = n
		return rest.InRange("WithMaxEvents", n, 1, 1_000_000)
	}
}

// WithMaxOccurrences bounds the windows of one event in one answer; ten times as many
// may be in the whole answer. Default 10 000. An event with more is left out,
// with a warning; an answer with more is refused.
func WithMaxOccurrences(n int) Option {
	return func(c *config) error {
		c.maxOccurrences = n
		return rest.InRange("WithMaxOccurrences", n, 1, 1_000_000)
	}
}

// WithHTTPClient fetches through a client of the caller's, for a proxy, a private
// authority, or a transport that observes, which then sees the address with what
// is secret in it. Redirects are not followed. The client and a *http.Transport in it are
// copied; any other RoundTripper is used as it is, and stopped when it sends a call a second time.
// Not for files.
func WithHTTPClient(h *http.Client) Option {
	return func(c *config) error { return c.rest.SetHTTP(h) }
}

// WithPlainHTTP allows an http:// address of any host: everybody on the way can read the
// address, which is a secret if the calendar is private. By default that is an error, except
// for localhost, 127.0.0.0/8 and ::1. Not for files.
func WithPlainHTTP() Option { return func(c *config) error { return c.rest.AllowPlainHTTP() } }

// WithInsecureTLS allows TLS that does not protect what is sent: a supplied HTTP client with
// InsecureSkipVerify or a version below 1.2. By default that is an error. A RoundTripper that is
// not a *http.Transport is not checked. Not for files.
func WithInsecureTLS() Option { return func(c *config) error { return c.rest.AllowInsecureTLS() } }

// WithTimeout bounds one try to fetch a calendar, its body included. Default 30 s.
// Not for files.
func WithTimeout(d time.Duration) Option {
	return func(c *config) error { return c.rest.SetTimeout(d) }
}

// WithMaxTries bounds how often a calendar is tried to fetch while its server does
// not answer or is busy. Default 3; 1 never tries again. Not for files.
func WithMaxTries(n int) Option {
	return func(c *config) error { return c.rest.SetMaxTries(n) }
}
