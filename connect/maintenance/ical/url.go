package ical

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

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
	from, err := newPlace(address, cfg)
	if err != nil {
		return nil, fmt.Errorf("ical: %w", err)
	}
	return &Source{from: from}, nil
}

// place is an address.
type place struct {
	cfg    *config
	client *rest.Client
	host   string // with the scheme, for errors
	path   string
	query  string
}

func newPlace(address string, cfg *config) (*place, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" {
		return nil, errors.New("the address of the calendar cannot be read: it must look like https://host/path.ics")
	}
	if u.Scheme == "webcal" || u.Scheme == "webcals" {
		u.Scheme = "https"
	}
	p := &place{cfg: cfg, host: u.Scheme + "://" + u.Host, path: u.EscapedPath(), query: u.RawQuery}
	cfg.rest.BaseURL, cfg.rest.MaxBody, cfg.rest.Sensitive = p.host, cfg.maxBytes, true
	if u.User != nil {
		password, _ := u.User.Password()
		if cfg.rest.Auth, err = rest.BasicAuth(u.User.Username(), password); err != nil {
			return nil, err
		}
	}
	if p.client, err = rest.New(cfg.rest); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *place) fetch(ctx context.Context, last *version) (*version, error) {
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
	resp, err := p.client.Do(ctx, rest.Request{
		Op: "read calendar", Method: http.MethodGet, Path: p.path, RawQuery: p.query,
		Safety: rest.Read, Header: header, Accept: good,
	})
	if err != nil {
		return nil, p.failed(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.Status == http.StatusNotModified {
		now := *last
		now.at = time.Now()
		return &now, nil
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, p.failed(err)
	}
	now := version{at: time.Now(), etag: resp.Header.Get("ETag"), modified: resp.Header.Get("Last-Modified")}
	if now.Schedule, err = p.cfg.parse(data, p.host); err != nil {
		return nil, fmt.Errorf("ical: %w", err)
	}
	return &now, nil
}

// Error is a failure to fetch a calendar. It contains only the host of the address.
type Error struct {
	Host       string // with the scheme
	HTTPStatus int    // 0: there was no answer
	Err        error  // the cause; nil if the status is enough
}

// Error returns one line.
func (e *Error) Error() string {
	s := "ical: " + text.Excerpt(e.Host, 200)
	if e.HTTPStatus != 0 {
		s += fmt.Sprintf(": HTTP %d %s", e.HTTPStatus, http.StatusText(e.HTTPStatus))
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return text.Excerpt(s, 2000)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// failed returns an error without the address, which servers repeat in their pages.
func (p *place) failed(err error) error {
	e := &Error{Host: p.host, Err: err}
	cause, ok := errors.AsType[*rest.Error](err)
	if !ok {
		return e
	}
	e.HTTPStatus, e.Err = cause.Status, cause.Err
	switch {
	case e.HTTPStatus >= 300 && e.HTTPStatus <= 399:
		e.Err = errors.New("redirects are not followed: give the address that it leads to")
		if to, err := url.Parse(cause.Header.Get("Location")); err == nil && to.Host != "" {
			e.Err = fmt.Errorf("it has moved to %s://%s: redirects are not followed, give the address there", to.Scheme, to.Host)
		}
	case e.HTTPStatus == http.StatusNotFound || e.HTTPStatus == http.StatusGone:
		e.Err = errors.New("is the address still the one that the calendar has? A private one ends when it is reset")
	case e.HTTPStatus == http.StatusUnauthorized || e.HTTPStatus == http.StatusForbidden:
		e.Err = errors.New("the calendar is not for all to read: use its private address")
	case cause.Local && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded):
		e.Err = errors.New("the address cannot be asked for: is it escaped?") // the cause would show it
	}
	return e
}
