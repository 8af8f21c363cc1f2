package ordermanager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/rest"
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

func (c *Client) convert(ctx context.Context, op string, err error) *commerce.Error {
	return convert(ctx, op, err, c.advice)
}

// convert converts the error of a failed call to a *commerce.Error.
func convert(ctx context.Context, op string, err error, a advice) *commerce.Error {
	e, ok := errors.AsType[*rest.Error](err)
	if !ok {
		return &commerce.Error{Op: op, Err: err}
	}
	c := &commerce.Error{
		Op: op, Method: e.Method, URL: e.URL, HTTPStatus: e.Status,
		RetryAfter: e.RetryAfter, Delivery: commerce.Delivery(e.Delivery()), Err: e.Err,
	}
	c.Code, c.Message = apsError(e.Body)
	if c.Code == "" && c.Message == "" {
		c.Body = strings.ToValidUTF8(string(e.Body[:min(len(e.Body), 1024)]), "")
	}
	switch {
	case e.Status == http.StatusUnauthorized:
		c.Err = errors.New(a.unauthorized)
	case e.Status == http.StatusForbidden:
		c.Err = errors.New(a.forbidden)
	case e.Unanswered(ctx):
		c.Err = fmt.Errorf("%w: %w", commerce.ErrUnavailable, e.Err)
	}
	return c
}

// apsRefuses is the default of [WithRefusals].
func apsRefuses(status int, _ http.Header, body []byte) bool {
	code, message := apsError(body)
	return rest.ProvesRefusal(status, code+message != "")
}

// apsError reads the body of commerce/WIRE.md#2.6; the body may be anything.
func apsError(body []byte) (code, message string) {
	var aps struct {
		Error   json.RawMessage `json:"error"`
		Message json.RawMessage `json:"message"`
	}
	if json.Unmarshal(body, &aps) != nil {
		return "", ""
	}
	_ = json.Unmarshal(aps.Error, &code)
	_ = json.Unmarshal(aps.Message, &message)
	return code, message
}
