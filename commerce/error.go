package commerce

import (
	"errors"
	"net/http"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Sentinels for errors.Is. An [*Error] matches the one of its HTTP status, and those that its
// Err wraps; a call without any answer wraps ErrUnavailable.
var (
	// ErrNotFound means that there is no such order or account.
	ErrNotFound = errors.New("not found")
	// ErrUnauthorized means that the credentials were refused.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden means that the credentials are valid but do not permit the call.
	ErrForbidden = errors.New("forbidden")
	// ErrConflict means that the state of the order does not permit the call.
	ErrConflict = errors.New("conflict")
	// ErrRateLimited means that there were too many calls.
	ErrRateLimited = errors.New("rate limited")
	// ErrUnavailable means that Commerce did not answer, or that a proxy answered in its
	// place.
	ErrUnavailable = errors.New("unavailable")
)

var byStatus = map[int]error{
	http.StatusNotFound: ErrNotFound, http.StatusUnauthorized: ErrUnauthorized, http.StatusForbidden: ErrForbidden,
	http.StatusConflict: ErrConflict, http.StatusTooManyRequests: ErrRateLimited,
}

// Delivery says whether a failed call may have changed anything on the server.
type Delivery string

const (
	// DeliveryUnknown means that the server may or may not have acted on the call. It is the zero value.
	DeliveryUnknown Delivery = rest.DeliveryUnknown
	// DeliveryNotSent means that the call never reached the server.
	DeliveryNotSent Delivery = rest.NotSent
	// DeliveryRefused means that the answer proves that the server changed nothing. Which answers do
	// is inferred; each client has an option WithRefusals for it.
	DeliveryRefused Delivery = rest.Refused
)

// Error is a failed call to Commerce. It contains no secrets. Delivery and HTTPStatus say what is
// known of a failed push:
//
//   - DeliveryNotSent: it was not sent, or the connection was closed before a byte of it was written.
//   - DeliveryRefused: Commerce said no. NotOffered tells whether another transition may do.
//   - Otherwise it may have been executed. If Gateway is true, something answered that does not know
//     what Commerce did, such as a proxy with 302, 408, 460, 499, 502 or a page. If HTTPStatus is 0,
//     there was no answer.
type Error struct {
	// Op is the operation: "list orders", "read order", "push order".
	Op string
	// Method and URL of the request, without credentials. Empty when no request was made.
	Method string
	URL    string
	// HTTPStatus is the status of the answer; 0 if there was none.
	HTTPStatus int
	// Code is the error code of the server: the APS error type, or a fault code.
	Code string
	// Message is the error message of the server.
	Message string
	// CorrelationID identifies the call to support. Only Simple API has one.
	CorrelationID string
	// RetryAfter is how long the server asked to wait; 0 if it did not.
	RetryAfter time.Duration
	// Body is the start of an answer that could not be parsed, at most 1 KiB.
	Body string
	// Delivery is whether the server may have acted on the call.
	Delivery Delivery
	// Err is the cause, such as a network error, a context error or a sentinel. May be nil.
	Err error
}

// Error returns one line: the operation, the HTTP status and the server's message. Characters that
// could act on a terminal or deceive a reader are replaced by U+FFFD; long parts are cut.
func (e *Error) Error() string {
	line := rest.ErrorLine{Op: "commerce: " + e.Op, Status: e.HTTPStatus, Method: e.Method, URL: e.URL,
		Details: []string{e.Code, e.Message}}
	switch {
	case e.Err != nil && e.Err.Error() != e.Message:
		line.Details = append(line.Details, e.Err.Error())
	case e.Err == nil && e.Message == "":
		line.Body = e.Body
	}
	if e.CorrelationID == "" {
		return line.String()
	}
	return line.String() + " [correlation " + text.Excerpt(e.CorrelationID, 200) + "]"
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the sentinel for the HTTP status, such as [ErrNotFound] for 404.
func (e *Error) Is(target error) bool {
	if target == ErrUnavailable {
		// A fault comes from Commerce itself, even with status 500.
		return e.Delivery != DeliveryRefused &&
			(e.HTTPStatus == http.StatusRequestTimeout || e.HTTPStatus >= http.StatusInternalServerError)
	}
	return target != nil && target == byStatus[e.HTTPStatus]
}

// Gateway reports whether a call was answered, but the answer does not prove whether Commerce
// executed it, as that of a proxy or a login page. The call may still be under way behind it.
func (e *Error) Gateway() bool {
	_, fault := errors.AsType[*Fault](e.Err) // is from Commerce itself
	return e.Delivery == DeliveryUnknown && e.HTTPStatus != 0 && !fault
}

// NotOffered reports whether a push was probably refused because the order does not offer its
// transition; the caller can then try another one. How each API says so is not known
// (commerce/WIRE.md#8.2), so the rule is inferred: the answer is 400, 409, 422 or a fault, and is
// not known to be about the credentials, a missing order or a rate limit.
func (e *Error) NotOffered() bool {
	for _, other := range []error{ErrUnauthorized, ErrForbidden, ErrNotFound, ErrRateLimited, ErrUnavailable} {
		if errors.Is(e, other) {
			return false
		}
	}
	if _, fault := errors.AsType[*Fault](e.Err); fault {
		return e.Delivery == DeliveryRefused && e.RetryAfter == 0
	}
	switch e.HTTPStatus {
	case 0, http.StatusOK, http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity:
		return e.Delivery == DeliveryRefused && e.RetryAfter == 0
	default:
		return false
	}
}
