package rest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
)

// Refused reports whether the answer proves that the server did not act. One of
// 4xx says no, and a redirect was not followed. The exceptions: 408 is a server
// that gave up waiting, somewhere on the way, and 303 is how one answers after it
// has acted.
func (e *Error) Refused() bool {
	return e.Status >= 300 && e.Status <= 499 && e.Status != http.StatusSeeOther && e.Status != http.StatusRequestTimeout
}

// Unanswered reports whether there was no answer, or one that did not come from
// the API: a page instead of JSON, or a part of an answer. When the caller has
// given up, nothing is known.
func (e *Error) Unanswered(ctx context.Context) bool {
	switch {
	case e.Local || e.Err == nil || ctx.Err() != nil:
		return false
	case e.Status == 0:
		return true
	default:
		good := e.Status >= 200 && e.Status <= 299
		return good && (IsPage(e.Body) || errors.Is(e.Err, io.ErrUnexpectedEOF))
	}
}

// IsPage reports whether a body is HTML or XML.
func IsPage(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n\ufeff"), []byte("<"))
}
