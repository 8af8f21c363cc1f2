package ical

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Error is a failure to fetch a calendar. It contains only the host of the address.
type Error struct {
	Origin     string // scheme and host of the address
	HTTPStatus int    // 0: there was no answer
	Err        error  // the cause; nil if the status is enough
}

// Error returns one line.
func (e *Error) Error() string {
	s := "ical: " + text.Excerpt(e.Origin, 200)
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

// failed returns an error without the address, which servers repeat in their answers.
func (s *Source) failed(err error) error {
	e := &Error{Origin: s.host, Err: err}
	cause, ok := errors.AsType[*rest.Error](err)
	if !ok {
		return e
	}
	e.HTTPStatus, e.Err = cause.Status, cause.Err
	switch {
	case e.HTTPStatus >= 300 && e.HTTPStatus <= 399:
		e.Err = errors.New("redirects are not followed: use the address of its target")
		if to, err := url.Parse(cause.Header.Get("Location")); err == nil && to.Host != "" {
			e.Err = fmt.Errorf("the calendar has moved to %s://%s: redirects are not followed, use the address there", to.Scheme,
				to.Host)
		}
	case e.HTTPStatus == http.StatusNotFound || e.HTTPStatus == http.StatusGone:
		e.Err = errors.New("check the address: a private address stops working when it is reset")
	case e.HTTPStatus == http.StatusUnauthorized || e.HTTPStatus == http.StatusForbidden:
		e.Err = errors.New("the calendar is not public: use its private address")
	case cause.Local && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded):
		e.Err = errors.New("the address is invalid: is it escaped?") // the cause contains the address
	}
	return e
}
