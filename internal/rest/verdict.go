package rest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
)

// Refusals reports whether an answer proves that the server did not act. It must not keep
// or change its arguments.
type Refusals func(status int, header http.Header, body []byte) bool

// What is known about a failed call; see [Error.Delivery].
const (
	DeliveryUnknown = ""
	NotSent         = "not sent"
	Refused         = "refused"
)

// Delivery returns [NotSent] if no server read the request, [Refused] if the answer proves
// that the server did not act, and [DeliveryUnknown] otherwise.
func (e *Error) Delivery() string {
	switch {
	case e.NotSent:
		return NotSent
	case e.Answered() && e.refused != nil && e.refused(e.Status, e.Header, e.Body):
		return Refused
	default:
		return DeliveryUnknown
	}
}

// ProvesRefusal reports whether the status of an answer proves that the server did not act.
// apiError says that the body is an error of the API itself: many statuses also come
// from proxies and gateways, which do not know what happened behind them. Everything else,
// including redirects, 408, 460, 499 and 5xx, proves nothing. The list is inferred.
func ProvesRefusal(status int, apiError bool) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusTooManyRequests:
		return true
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusConflict,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return apiError
	default:
		return false
	}
}

// Answered reports whether the server answered with a status of 300 or more.
func (e *Error) Answered() bool { return e.Status >= 300 }

// Unanswered reports whether there was no answer, or one that did not come from the API: a
// page instead of JSON, or a part of an answer. It is false if the caller's context has
// ended, because then nothing is known.
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
