package rest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
)

// ProvesRefusal reports whether an answer to a push proves that the server did not
// act. apiError says that its body is an error of the API itself: many statuses also come
// from proxies and gateways, which do not know what happened behind them. Everything else,
// redirects, 408, 460, 499 and 5xx included, proves nothing. The list is inferred.
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

// Answered reports whether an answer came with a status of 300 or more.
func (e *Error) Answered() bool { return e.Status >= 300 }

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
