package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Sentinels for errors.Is. An [*Error] matches the one that fits.
var (
	// ErrNotFound means that Connect has no such object.
	ErrNotFound = errors.New("not found")
	// ErrUnauthorized means that the API key was refused.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden means that the API key is valid but does not permit the call: it lacks a
	// module permission, or belongs to the wrong side (vendor or provider).
	ErrForbidden = errors.New("forbidden")
	// ErrConflict means that Connect answered 409.
	ErrConflict = errors.New("conflict")
	// ErrRateLimited means that there were too many calls.
	ErrRateLimited = errors.New("rate limited")
	// ErrUnavailable means that Connect did not answer, or that a proxy answered in its
	// place. That is 502, 503, 504, another 5xx or a 404 without a sign of Connect, a network
	// error, or a page with a good status instead of JSON.
	ErrUnavailable = errors.New("unavailable")
	// ErrAmbiguousRequest means that Connect returned a request that cannot be read or has an
	// unknown type or status, so that the latest request for a [RequestKey] is uncertain.
	ErrAmbiguousRequest = errors.New("unclear request")
)

var byStatus = map[int]error{
	http.StatusNotFound: ErrNotFound, http.StatusUnauthorized: ErrUnauthorized, http.StatusForbidden: ErrForbidden,
	http.StatusConflict: ErrConflict, http.StatusTooManyRequests: ErrRateLimited,
}

// Error is a failed call to Connect. It holds no secrets.
type Error struct {
	// Op says what was tried: "list requests", "read hub".
	Op string
	// Method and URL of the call, without credentials. Empty when no call was made.
	Method string
	URL    string
	// HTTPStatus is 0 when there was no answer.
	HTTPStatus int
	// Code is the server's own, for instance "VAL_001"; its form is documented, the values are not
	// (connect/WIRE.md#5).
	Code string
	// Messages are the server's own.
	Messages []string
	// Params are the server's details, nil where it gave none.
	Params map[string]any
	// RetryAfter is how long the server asked to wait; 0 when it did not.
	RetryAfter time.Duration
	// ConnectVersion is the release that answered. Empty when something before
	// Connect answered, or nothing at all.
	ConnectVersion string
	// Body is the start of an answer that could not be understood, at most 1 KiB.
	Body string
	// Err is the cause: a network error, a context error, a sentinel. May be nil.
	Err error
}

// Error returns one line: the operation, the HTTP status and the server's messages. Characters that
// could act on a terminal or deceive a reader are replaced by U+FFFD; long parts are cut.
func (e *Error) Error() string {
	line := rest.ErrorLine{Op: "connect: " + e.Op, Status: e.HTTPStatus,
		Details: []string{e.Code, strings.Join(e.Messages, "; ")}}
	if e.Err != nil {
		line.Details = append(line.Details, e.Err.Error())
	} else {
		line.Body = e.Body
	}
	if e.URL == "" {
		return line.String()
	}
	return line.String() + " (" + text.Excerpt(e.Method+" "+e.URL, 200) + ")"
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is the sentinel for the HTTP status, such as [ErrRateLimited] for 429.
// A page that a proxy served says nothing about what Connect has, so it is not ErrNotFound.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrUnavailable:
		return e.unavailable()
	case ErrNotFound:
		return e.HTTPStatus == http.StatusNotFound && !e.foreignPage()
	default:
		return target != nil && target == byStatus[e.HTTPStatus]
	}
}

func (e *Error) unavailable() bool {
	switch e.HTTPStatus {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	case http.StatusNotFound:
		return e.foreignPage()
	default:
		return e.HTTPStatus >= http.StatusInternalServerError && e.ConnectVersion == "" && e.Code == ""
	}
}

// foreignPage reports whether a text came back that is no JSON and that Connect
// did not sign.
func (e *Error) foreignPage() bool {
	body := strings.TrimSpace(e.Body)
	return e.ConnectVersion == "" && body != "" && body[0] != '{' && body[0] != '['
}

// failure turns a failed call into an *Error.
func failure(ctx context.Context, op string, err error) *Error {
	e := &Error{Op: op, Err: err}
	cause, ok := errors.AsType[*rest.Error](err)
	if !ok {
		return e
	}
	e.Method, e.URL, e.HTTPStatus = cause.Method, cause.URL, cause.Status
	e.RetryAfter, e.Err = cause.RetryAfter, cause.Err
	if cause.Header != nil {
		e.ConnectVersion = cause.Header.Get(versionHeader)
	}
	e.explain(string(cause.Body))
	if ctx.Err() == nil && lost(cause) {
		e.Err = fmt.Errorf("%w: %w", ErrUnavailable, e.Err)
	}
	return e
}

// lost reports whether the answer never came, or not in one piece, or was a good
// one by its status but no JSON. Statuses that are not good speak for themselves.
func lost(e *rest.Error) bool {
	_, ours := errors.AsType[*credentialsError](e.Err)
	_, otherJSON := errors.AsType[*json.UnmarshalTypeError](e.Err)
	switch {
	case ours || otherJSON || e.Local:
		return false
	case e.Status == 0:
		return true
	case e.Status < 200 || e.Status > 299:
		return false
	case e.Body != nil: // it came as a whole, and cannot be read
		return true
	default: // it broke off, unless it was merely too long
		_, network := errors.AsType[net.Error](e.Err)
		return network || errors.Is(e.Err, io.EOF) || errors.Is(e.Err, io.ErrUnexpectedEOF)
	}
}

// explain reads the error body of connect/WIRE.md#5, or keeps its start.
func (e *Error) explain(body string) {
	var told struct {
		Code   string          `json:"error_code"`
		Errors json.RawMessage `json:"errors"`
		Params map[string]any  `json:"params"`
	}
	if json.Unmarshal([]byte(body), &told) == nil {
		e.Code, e.Params = told.Code, told.Params
		e.Messages = messages(told.Errors)
	}
	if e.Code == "" && len(e.Messages) == 0 {
		e.Body = strings.ToValidUTF8(body[:min(len(body), 1024)], "")
	}
}

// messages reads a list of strings; whatever else it is, its JSON is the message.
func messages(raw json.RawMessage) []string {
	var list []string
	if len(raw) == 0 || json.Unmarshal(raw, &list) == nil {
		return list
	}
	return []string{string(raw)}
}
