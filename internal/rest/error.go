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

// Error is a failed call, before a client converts it to its own type. It holds no
// credentials: neither in the URL, nor in what a server repeats of them, see [Redact].
type Error struct {
	Op         string
	Method     string
	URL        string // without credentials; empty if no URL could be made
	Status     int    // 0: no answer
	Header     http.Header
	Body       []byte        // the start of an answer that was not accepted, at most 64 KiB
	RetryAfter time.Duration // 0: the server did not ask for a pause
	NotSent    bool          // certainly no server has read a byte of the request
	Local      bool          // not tried: the request could not be made, or there were no credentials
	Err        error

	refused Refusals // of Config
}

// Error is one line: what failed, the status, the cause or the start of the body, the URL.
func (e *Error) Error() string {
	line := ErrorLine{Op: e.Op, Status: e.Status, Method: e.Method, URL: e.URL}
	if e.Err != nil {
		line.Details = []string{e.Err.Error()}
	} else {
		line.Body = string(e.Body)
	}
	return line.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrorLine builds the text of an error of this package or of a client. Characters that
// could act on a terminal or deceive a reader are replaced by U+FFFD; long parts are cut.
type ErrorLine struct {
	Op          string // what failed, with the name of the package
	Status      int    // 0: no answer
	Details     []string
	Body        string // its start is shown; empty if Details say enough
	Method, URL string
}

// String returns one line.
func (l ErrorLine) String() string {
	var b strings.Builder
	b.WriteString(Excerpt(l.Op))
	if l.Status != 0 {
		fmt.Fprintf(&b, ": HTTP %d %s", l.Status, http.StatusText(l.Status))
	}
	for _, detail := range l.Details {
		if detail != "" {
			b.WriteString(": " + Excerpt(detail))
		}
	}
	if l.Body != "" {
		fmt.Fprintf(&b, ": the body starts %q", start(l.Body))
	}
	if l.URL != "" {
		fmt.Fprintf(&b, " (%s)", Excerpt(l.Method+" "+l.URL))
	}
	return b.String()
}

// Excerpt returns s as one line of at most 2000 bytes, for one part of an error.
func Excerpt(s string) string { return text.Excerpt(s, 2000) }

// start returns the start of a body as one short line.
func start[T string | []byte](body T) string {
	return text.Excerpt(string(body[:min(len(body), 1024)]), 80)
}

// cause removes the *url.Error of net/http, which repeats the URL.
func cause(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
