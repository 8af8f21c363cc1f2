package commercetest

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

// Operations is the XML-RPC API of Operations, at /RPC2, as documented (commerce/WIRE.md#4):
// pem.APS.getUserToken and nothing else. Its tokens let callers in to the Order Management. All
// answers are HTTP 200, also those that say no, but for a missing HTTP Basic login, which is 401.
func (s *System) Operations() http.Handler { return s.spoken(speakText, s.operations()) }

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

// pemRefusal is the struct with which Operations says no (commerce/WIRE.md#4).
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
		return nil, errors.New("the member user_id is missing or no integer")
	}
	if user != s.cfg.User {
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
