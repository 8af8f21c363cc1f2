package billing

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

const (
	opList = "list orders"
	opRead = "read order"
	opPush = "push order"
)

// notSent returns the error of a call that was rejected before it was sent.
func notSent(op string, err error) *commerce.Error {
	return &commerce.Error{Op: op, Delivery: commerce.DeliveryNotSent, Err: err}
}

// failed converts the error of a failed call to a *commerce.Error.
func (c *Client) failed(ctx context.Context, op string, err error, secrets []string) *commerce.Error {
	if f, ok := errors.AsType[*xmlrpc.Fault](err); ok {
		return c.refused(op, http.StatusOK, f, secrets)
	}
	e, ok := errors.AsType[*rest.Error](err)
	if !ok {
		return &commerce.Error{Op: op, Err: err}
	}
	if e.Answered() {
		if f := xmlrpc.FaultIn(e.Header.Get("Content-Type"), e.Body); f != nil {
			made := c.refused(op, e.Status, f, secrets)
			made.RetryAfter = e.RetryAfter
			return made
		}
	}
	made := &commerce.Error{
		Op: op, Method: e.Method, URL: e.URL, HTTPStatus: e.Status,
		RetryAfter: e.RetryAfter, Delivery: commerce.Delivery(e.Delivery()), Err: e.Err,
		Body: strings.ToValidUTF8(string(e.Body[:min(len(e.Body), 1024)]), ""),
	}
	switch {
	case e.Status == http.StatusUnauthorized:
		made.Err = errors.New("the user or the password was refused, or Billing wants them in another way: see " +
			"Basic and LoginInCall")
	case e.Status == http.StatusForbidden:
		made.Err = errors.New("the user may not do this, or Billing does not trust the address of this machine")
	case unavailable(ctx, e):
		made.Err = fmt.Errorf("%w: %w", commerce.ErrUnavailable, e.Err)
	}
	return made
}

// unavailable reports whether there was no answer, or one that did not come from Commerce: a
// page, or a part of an answer. It is false if the caller's context has ended, because then
// nothing is known.
func unavailable(ctx context.Context, e *rest.Error) bool {
	switch {
	case e.Local || e.Err == nil || ctx.Err() != nil:
		return false
	case e.Status == 0:
		return true
	default:
		return errors.Is(e.Err, errPage) || errors.Is(e.Err, io.ErrUnexpectedEOF)
	}
}

// refused returns the error of a fault.
func (c *Client) refused(op string, status int, f *xmlrpc.Fault, secrets []string) *commerce.Error {
	r := &refusal{fault: &commerce.Fault{Code: f.Code, Message: scrub(faultText(f.Message), secrets)}}
	// The text is that of commerce/WIRE.md#1.3; what the codes mean is not published. Nor is the
	// text for a bad signature: that it names it is inferred.
	switch text := strings.ToLower(r.fault.Message); {
	case strings.Contains(text, "does not contain row with id"):
		r.kind = commerce.ErrNotFound
	case op == opPush && strings.Contains(text, "signature"):
		r.kind = commerce.ErrForbidden
	}
	return &commerce.Error{
		Op: op, HTTPStatus: status, Code: "fault " + scrub(f.CodeText(), secrets), Message: r.fault.Message,
		Delivery: c.faults, Err: r,
	}
}

// refusal is a fault with the sentinel that it matches.
type refusal struct {
	fault *commerce.Fault
	kind  error // a sentinel or nil
}

// Error is only the message, because the enclosing error has the code.
func (r *refusal) Error() string { return r.fault.Message }

func (r *refusal) Unwrap() []error {
	if r.kind == nil {
		return []error{r.fault}
	}
	return []error{r.fault, r.kind}
}

// faultText decodes the base64 of a text, and returns any other text unchanged
// (commerce/WIRE.md#1.3).
func faultText(s string) string {
	compact := strings.Join(strings.Fields(s), "")
	text, err := base64.StdEncoding.DecodeString(compact)
	if err != nil || !utf8.Valid(text) {
		return strings.TrimSpace(s)
	}
	return strings.TrimSpace(string(text))
}
