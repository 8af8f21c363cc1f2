package commercetest

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

// Operations returns a handler for the documented XML-RPC API of Operations
// (commerce/WIRE.md#4), at /RPC2. It has only the method pem.APS.getUserToken, whose tokens the Order
// Management accepts. Refusals are HTTP 200, except that of a missing HTTP Basic login,
// which is 401.
func (s *System) Operations() http.Handler { return s.withFaults(formatText, s.operations()) }

func (s *System) operations() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !isRPCPath(r.URL.Path):
			http.NotFound(w, r)
		case s.cfg.OperationsUser != "" && !basic(r, s.cfg.OperationsUser, s.cfg.OperationsPassword):
			refuseBasic(w)
		default:
			call := func(c xmlrpc.Call) (any, error) { return s.pem(c, r) }
			serveRPC(w, r, xmlrpc.EncodeOptions{Wide: xmlrpc.BigInt}, call, pemRefusal)
		}
	})
}

// pemRefusal encodes the struct with which Operations refuses a call (commerce/WIRE.md#4).
func pemRefusal(err error) ([]byte, error) {
	return xmlrpc.EncodeResponse(xmlrpc.EncodeOptions{}, map[string]any{
		"status": -1, "extype_id": 21, "module_id": "OpenAPI",
		"error_message": err.Error(),
		"properties":    map[string]any{"reason": err.Error()},
	})
}

func (s *System) pem(c xmlrpc.Call, r *http.Request) (any, error) {
	if c.Method != "pem.APS.getUserToken" {
		return nil, fmt.Errorf("there is no method %s", c.Method)
	}
	if len(c.Params) != 1 {
		return nil, fmt.Errorf("%s takes one struct, not %d parameters", c.Method, len(c.Params))
	}
	in, ok := c.Params[0].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s takes a struct", c.Method)
	}
	user, ok := in["user_id"].(int)
	if !ok {
		return nil, errors.New("the member user_id is missing or not an integer")
	}
	if user != s.cfg.TokenUserID {
		return nil, fmt.Errorf("User #%d is not found", user) //nolint:staticcheck // a name
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return map[string]any{"status": 0, "result": map[string]any{
		"aps_token":      s.issue(tokenAPS, s.cfg.TokenLifetime),
		"controller_uri": scheme + "://" + r.Host + "/",
	}}, nil
}
