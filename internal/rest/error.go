package rest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Error is a failed call, before a client gives it its own type. It holds no
// credentials: not in the URL, and not in what a server repeats of them, as far as
// they are eight characters or longer.
type Error struct {
	Op         string
	Method     string
	URL        string // without credentials; empty when no URL could be made
	Status     int    // 0: no answer
	Header     http.Header
	Body       []byte // at most 64 KiB of an answer that is not good
	RetryAfter time.Duration
	NotSent    bool // for sure no server has read a byte of the request
	Local      bool // not even tried: the request could not be made, or credentials could not be had
	Err        error
}

// Error is one line: what was tried, what came back, and why that is an error.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(text.Excerpt(e.Op, maxShown))
	if e.Status != 0 {
		fmt.Fprintf(&b, ": HTTP %d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Err != nil {
		b.WriteString(": " + text.Excerpt(e.Err.Error(), maxShown))
	} else if len(e.Body) > 0 {
		fmt.Fprintf(&b, ": the body starts %q", start(e.Body))
	}
	if e.URL != "" {
		fmt.Fprintf(&b, " (%s)", text.Excerpt(e.Method+" "+e.URL, maxShown))
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// maxShown bounds each part of an error text, in bytes.
const maxShown = 2000

// start is how a body starts, as one short line.
func start(body []byte) string {
	return text.Excerpt(string(body[:min(len(body), 1024)]), 80)
}

// cause takes off the *url.Error of net/http, which repeats the URL.
func cause(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
