package simpleapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/fields"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

const (
	opToken = "get token"
	opList  = "list orders"
	opRead  = "read order"
	opPush  = "push order"
	opPatch = "patch order"
)

const correlationHeader = "X-Correlation-ID"

// notSent returns the error of a call that was rejected before it was sent.
func notSent(op string, err error) *commerce.Error {
	return &commerce.Error{Op: op, Delivery: commerce.DeliveryNotSent, Err: err}
}

// answered returns the error of an answer that is wrong.
func answered(op string, resp *rest.Response, err error) *commerce.Error {
	return &commerce.Error{Op: op, HTTPStatus: resp.Status, CorrelationID: resp.ScrubHeader(correlationHeader),
		Err: resp.Clean(err)}
}

// convert converts the error of a failed call to a *commerce.Error.
func convert(ctx context.Context, op string, err error) *commerce.Error {
	e, ok := errors.AsType[*rest.Error](err)
	if !ok {
		return &commerce.Error{Op: op, Err: err}
	}
	c := &commerce.Error{
		Op: op, Method: e.Method, URL: e.URL, HTTPStatus: e.Status, CorrelationID: e.Header.Get(correlationHeader),
		RetryAfter: e.RetryAfter, Delivery: commerce.Delivery(e.Delivery()), Err: e.Err,
	}
	c.Code, c.Message = words(e.Body)
	if c.Code == "" && c.Message == "" {
		c.Body = strings.ToValidUTF8(string(e.Body[:min(len(e.Body), 1024)]), "")
	}
	if login, ok := errors.AsType[*commerce.Error](e.Err); ok {
		// There is no token: the Retry-After of its server applies to this call too.
		c.RetryAfter, c.CorrelationID = login.RetryAfter, login.CorrelationID
	}
	switch {
	case e.Status == http.StatusUnauthorized:
		c.Err = errors.New("the token or the subscription key was refused")
	case e.Status == http.StatusForbidden:
		c.Err = errors.New("the token or the subscription key was refused, or the user may not do this")
	case e.Status == http.StatusBadRequest && isNotFound(e.Body):
		c.Err = commerce.ErrNotFound
	case e.Unanswered(ctx):
		c.Err = fmt.Errorf("%w: %w", commerce.ErrUnavailable, e.Err)
	}
	return c
}

// apiRefuses is the default of [WithRefusals].
func apiRefuses(status int, _ http.Header, body []byte) bool {
	code, message := words(body)
	return rest.ProvesRefusal(status, code+message != "" || isNotFound(body))
}

// isNotFound knows the text with which a 400 stands for a 404 (commerce/WIRE.md#3).
func isNotFound(body []byte) bool {
	return strings.Contains(strings.ToLower(string(body)), "no entity has been found")
}

// words reads what an error says of itself. No schema is published: there is
// {message, code, details} of the API (inferred), {statusCode, message} of the
// gateway (inferred), and {error, error_description} of a login; or anything.
func words(body []byte) (code, message string) {
	r, err := fields.Of(body)
	if err != nil {
		return "", ""
	}
	r.Read("error", func(raw json.RawMessage) error {
		if inner, err := fields.Of(raw); err == nil {
			code, message = inner.Text("code"), inner.Text("message")
			return nil
		}
		code, err = fields.Scalar(raw)
		return err
	})
	code = cmp.Or(r.Text("code"), code)
	message = cmp.Or(r.Text("message"), r.Text("error_description"), message)
	r.Read("details", func(raw json.RawMessage) error {
		details, err := fields.Scalar(raw)
		if err != nil {
			details = fields.Excerpt(raw)
		}
		message = strings.TrimPrefix(message+": "+details, ": ")
		return nil
	})
	return code, message
}
