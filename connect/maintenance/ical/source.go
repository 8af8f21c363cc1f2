package ical

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// Source is a calendar at an address, fetched again when it changes. It is a
// [maintenance.WindowSource] and safe for concurrent use.
type Source struct {
	cfg    *config
	client *rest.Client
	host   string   // with the scheme, for errors
	secret *url.URL // a pointer, since fmt prints fields of a Source in a hidden field, but follows no pointers

	mu   sync.Mutex
	last *version
}

// version is a fetched calendar with what identifies its version.
type version struct {
	*Schedule
	at             time.Time // when it was last current
	etag, modified string
}

// New returns a source for the calendar at an https:// or webcal:// address (webcal is https).
// http:// is allowed for the local host only, see [WithPlainHTTP]. A user and a password
// in it are sent as Basic credentials.
//
// The addresses of private calendars of Google, Outlook and others are secrets. So errors and
// the Source of windows have only the host, and nothing is logged.
//
// ETag and Last-Modified are used to fetch only changed calendars. Nothing is sent before
// the first call of Windows.
func New(address string, opts ...Option) (*Source, error) {
	cfg, err := configure(opts)
	if err != nil {
		return nil, err
	}
	s, err := newSource(address, cfg)
	if err != nil {
		return nil, fmt.Errorf("ical: %w", err)
	}
	return s, nil
}

func newSource(address string, cfg *config) (*Source, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" {
		return nil, errors.New("the address of the calendar cannot be read: it must look like https://host/path.ics")
	}
	if u.Scheme == "webcal" || u.Scheme == "webcals" {
		u.Scheme = "https"
	}
	s := &Source{cfg: cfg, host: u.Scheme + "://" + u.Host, secret: u}
	cfg.rest.BaseURL, cfg.rest.MaxBody, cfg.rest.Sensitive = s.host, cfg.maxBytes, true
	if u.User != nil {
		password, _ := u.User.Password()
		if cfg.rest.Auth, err = rest.BasicAuth(u.User.Username(), password); err != nil {
			return nil, err
		}
	}
	if s.client, err = rest.New(cfg.rest); err != nil {
		return nil, err
	}
	return s, nil
}

// Format hides the address, which may be secret, from all verbs of package fmt.
func (*Source) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "ical.Source") }

// Windows reads the calendar if it has changed and returns the windows in the range, see
// [Schedule.Windows]. If that fails, it uses the last good version, with a warning of
// the kind [maintenance.ErrStale], or returns an error if there is none.
func (s *Source) Windows(ctx context.Context, from, to time.Time) ([]maintenance.Window, error) {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	now, err := s.fetch(ctx, last)
	switch {
	case err == nil:
		s.store(now)
		return now.Windows(ctx, from, to)
	case last == nil || ctx.Err() != nil:
		return nil, err
	}
	windows, odd := last.Windows(ctx, from, to)
	stale := fmt.Errorf("the calendar is as of %s: %w", last.at.Format(time.RFC3339), err)
	return windows, errors.Join(odd, &maintenance.SourceWarning{Source: last.source, Kind: maintenance.ErrStale,
		Err: stale})
}

// fetch returns the current version, which may be last. last may be nil.
func (s *Source) fetch(ctx context.Context, last *version) (*version, error) {
	header := http.Header{"Accept": {"text/calendar, */*;q=0.5"}}
	good := []int{http.StatusOK}
	if last != nil && (last.etag != "" || last.modified != "") {
		good = append(good, http.StatusNotModified)
		for name, value := range map[string]string{"If-None-Match": last.etag, "If-Modified-Since": last.modified} {
			if value != "" {
				header.Set(name, value)
			}
		}
	}
	resp, err := s.client.Do(ctx, rest.Request{
		Op: "read calendar", Method: http.MethodGet, Path: s.secret.EscapedPath(), RawQuery: s.secret.RawQuery,
		Safety: rest.Read, Header: header, Accept: good,
	})
	if err != nil {
		return nil, s.failed(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.Status == http.StatusNotModified {
		now := *last
		now.at = time.Now()
		return &now, nil
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, s.failed(err)
	}
	now := version{at: time.Now(), etag: resp.Header.Get("ETag"), modified: resp.Header.Get("Last-Modified")}
	if now.Schedule, err = s.cfg.parse(data, s.host); err != nil {
		return nil, fmt.Errorf("ical: %w", err)
	}
	return &now, nil
}

// store stores the latest version: two calls may fetch concurrently.
func (s *Source) store(now *version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil || !now.at.Before(s.last.at) {
		s.last = now
	}
}
