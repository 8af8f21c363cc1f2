package ordermanager

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

const opToken = "get user token"

// UserToken returns a function for [TokenFunc] that asks Operations for the APS
// token of a user, by pem.APS.getUserToken, as the code of the vendor's tools does
// (commerce/WIRE.md#2.2, commerce/WIRE.md#4). The URL is that of the management node, like
// "https://mn.example.net:8440"; the user's id is in Operations, 1 being the provider's first user.
//
// Operations authenticates callers by their network address or with [WithOperationsLogin]. Options
// for HTTP and TLS are those of [New]; options for orders are rejected. Errors of the function
// are a [*commerce.Error]. It caches nothing, because TokenFunc does.
func UserToken(operationsURL string, userID int, opts ...Option) (func(context.Context) (string, error), error) {
	var c config
	c.rest.Refused = apsRefuses
	for _, opt := range opts {
		if err := opt(&c); err != nil {
			return nil, fmt.Errorf("ordermanager: %w", err)
		}
	}
	switch {
	case c.forOrders != "":
		return nil, fmt.Errorf("ordermanager: %s is for New, not for UserToken", c.forOrders)
	case userID < 1 || userID > math.MaxInt32:
		return nil, fmt.Errorf("ordermanager: the user id is %d: it must be 1 to %d", userID, math.MaxInt32)
	case strings.HasSuffix(strings.TrimRight(operationsURL, "/"), "/RPC2"):
		return nil, errors.New("ordermanager: the URL of Operations must end before /RPC2")
	}
	c.rest.BaseURL, c.rest.Sensitive = operationsURL, true // the answer is a token
	client, err := rest.New(c.rest)
	if err != nil {
		return nil, fmt.Errorf("ordermanager: Operations: %w", err)
	}
	o := operations{
		rpc: &xmlrpc.Client{HTTP: client, Path: "RPC2"},
		url: strings.TrimRight(operationsURL, "/") + "/RPC2",
	}
	return func(ctx context.Context) (string, error) { return o.userToken(ctx, userID) }, nil
}

type operations struct {
	rpc *xmlrpc.Client
	url string // for errors
}

func (o operations) userToken(ctx context.Context, userID int) (string, error) {
	var answer map[string]any
	params := map[string]any{"user_id": userID}
	// Retrying is safe: another token does no harm.
	resp, err := o.rpc.Exchange(ctx, opToken, rest.Read, "pem.APS.getUserToken", &answer, params)
	if err != nil {
		return "", o.failure(ctx, err)
	}
	if status, ok := answer["status"].(int); !ok || status != 0 {
		return "", o.refusal(answer, resp)
	}
	result, _ := answer["result"].(map[string]any)
	token, _ := result["aps_token"].(string)
	if strings.TrimSpace(token) == "" {
		e := o.answered()
		e.Err = errors.New("the answer has no aps_token")
		return "", e
	}
	return token, nil
}

// answered returns the error of an answer with status 200.
func (o operations) answered() *commerce.Error {
	return &commerce.Error{Op: opToken, Method: http.MethodPost, URL: o.url, HTTPStatus: http.StatusOK,
		Delivery: commerce.DeliveryRefused}
}

func (o operations) failure(ctx context.Context, err error) *commerce.Error {
	if f, ok := errors.AsType[*xmlrpc.Fault](err); ok {
		e := o.answered()
		e.Code, e.Message = "fault "+f.CodeText(), f.Message
		return e
	}
	e := convert(ctx, opToken, err, operationsAdvice)
	if x, ok := errors.AsType[*xmlrpc.Error](err); ok {
		// Its text quotes the answer, which may contain the token.
		e.Err = fmt.Errorf("%w: byte %d of the answer is not as Operations speaks XML-RPC: check host and port "+
			"(its text is not shown, since it may hold a token)", commerce.ErrUnavailable, x.Offset)
	}
	return e
}

// refusal returns the error of an answer that reports a failure with status 200.
func (o operations) refusal(answer map[string]any, resp *rest.Response) *commerce.Error {
	e := o.answered()
	if answer["status"] == nil {
		e.Err = errors.New("the answer has no status")
		return e
	}
	var code []string
	for _, name := range []string{"module_id", "extype_id", "error_code"} {
		if v, ok := answer[name]; ok {
			code = append(code, fmt.Sprintf("%s %v", name, v))
		}
	}
	e.Code = strings.Join(code, ", ")
	e.Message, _ = answer["error_message"].(string)
	properties, _ := answer["properties"].(map[string]any)
	if reason, _ := properties["reason"].(string); reason != "" && !strings.Contains(e.Message, reason) {
		e.Message = strings.TrimSpace(e.Message + " (" + reason + ")")
	}
	e.Code, e.Message = string(resp.Scrub([]byte(e.Code))), string(resp.Scrub([]byte(e.Message)))
	if e.Message == "" {
		e.Err = fmt.Errorf("the status is %v, and no message says why", answer["status"])
	}
	return e
}
