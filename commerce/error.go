package commerce

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// The sentinels for errors.Is. A client's *Error matches the one that fits its
// HTTP status, and those that its Err wraps: that is how a call without any answer
// is ErrUnavailable.
var (
	// ErrNotFound says that there is no such order or account.
	ErrNotFound = errors.New("not found")
	// ErrUnauthorized says that the credentials were refused.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden says that the credentials are good but not for this.
	ErrForbidden = errors.New("forbidden")
	// ErrConflict says that the state of the order does not allow the call.
	ErrConflict = errors.New("conflict")
	// ErrRateLimited says that calls came too fast.
	ErrRateLimited = errors.New("rate limited")
	// ErrUnavailable says that Commerce did not answer, or something before it
	// answered in its place.
	ErrUnavailable = errors.New("unavailable")
)

// Delivery is what is known about a call that failed.
type Delivery string

const (
	// DeliveryUnknown is the zero value: the server may or may not have acted.
	DeliveryUnknown Delivery = ""
	// NotSent says that the call never reached the server.
	NotSent Delivery = "not sent"
	// Refused says that the server answered that it did not act. Which answers prove
	// that is inferred; each client has an option for it.
	Refused Delivery = "refused"
)

// Error is a failed call to Commerce. It holds no secrets.
type Error struct {
	// Op says what was tried: "list orders", "read order", "push order".
	Op string
	// Method and URL of the request, without credentials. Empty when no request was made.
	Method string
	URL    string
	// HTTPStatus is 0 when there was no answer.
	HTTPStatus int
	// Code is the server's own: the APS error type, a fault code.
	Code string
	// Message is the server's own.
	Message string
	// CorrelationID is what support asks for. Empty where the way in has none.
	CorrelationID string
	// RetryAfter is how long the server asked to wait; 0 when it did not.
	RetryAfter time.Duration
	// Body is the start of an answer that could not be understood, at most 1 KiB.
	Body string
	// Delivery tells whether the server can have acted on the call.
	Delivery Delivery
	// Err is the cause: a network error, a context error, one of the sentinels. May be nil.
	Err error
}

// maxShown bounds each part of an error text, in bytes.
const maxShown = 2000

// Error is one line: what was tried, what came back, and the server's words. In
// those, characters that a terminal acts on, that are invisible or that change the
// direction of text are replaced by U+FFFD, and long texts are cut.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("commerce: ")
	b.WriteString(text.Excerpt(e.Op, maxShown))
	if e.HTTPStatus != 0 {
		fmt.Fprintf(&b, ": HTTP %d %s", e.HTTPStatus, http.StatusText(e.HTTPStatus))
	}
	for _, part := range []string{e.Code, e.Message} {
		if part != "" {
			b.WriteString(": " + text.Excerpt(part, maxShown))
		}
	}
	if e.Err != nil && e.Message != e.Err.Error() {
		b.WriteString(": " + text.Excerpt(e.Err.Error(), maxShown))
	}
	if e.Message == "" && e.Err == nil && e.Body != "" {
		fmt.Fprintf(&b, ": the body starts %q", text.Excerpt(e.Body, 80))
	}
	if e.URL != "" {
		fmt.Fprintf(&b, " (%s)", text.Excerpt(e.Method+" "+e.URL, maxShown))
	}
	if e.CorrelationID != "" {
		b.WriteString(" [correlation " + text.Excerpt(e.CorrelationID, 200) + "]")
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches the sentinel of the HTTP status.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.HTTPStatus == http.StatusNotFound
	case ErrUnauthorized:
		return e.HTTPStatus == http.StatusUnauthorized
	case ErrForbidden:
		return e.HTTPStatus == http.StatusForbidden
	case ErrConflict:
		return e.HTTPStatus == http.StatusConflict
	case ErrRateLimited:
		return e.HTTPStatus == http.StatusTooManyRequests
	case ErrUnavailable:
		// A fault comes from Commerce itself, also with the status 500.
		return e.Delivery != Refused &&
			(e.HTTPStatus == http.StatusRequestTimeout || e.HTTPStatus >= http.StatusInternalServerError)
	default:
		return false
	}
}

// NotOffered reports whether the refusal of a push can mean that the flow lacks the
// transition, so that another one is worth a try. How each API says so is not known
// (commerce/WIRE.md#8.2), so the rule is inferred: the answer is 400, 409, 422 or a fault, and is
// not known to be about the credentials, a missing order or a rate limit.
func (e *Error) NotOffered() bool {
	for _, other := range []error{ErrUnauthorized, ErrForbidden, ErrNotFound, ErrRateLimited, ErrUnavailable} {
		if errors.Is(e, other) {
			return false
		}
	}
	if _, fault := errors.AsType[*Fault](e.Err); fault {
		return e.Delivery == Refused && e.RetryAfter == 0
	}
	switch e.HTTPStatus {
	case 0, http.StatusOK, http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity:
		return e.Delivery == Refused && e.RetryAfter == 0
	default:
		return false
	}
}
