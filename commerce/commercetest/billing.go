package commercetest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

const (
	// nullInt is the number that Billing sends for a missing one (commerce/WIRE.md#1.3).
	nullInt = math.MinInt32
	// done is the answer to a change of status, inferred from sibling methods (commerce/WIRE.md#1.5).
	done = "Operation done."
	// faultCode is the code of every fault. The meaning of the real codes is unknown
	// (commerce/WIRE.md#1.3).
	faultCode = 1
	// longestStatus is longer than any status.
	longestStatus = 8
)

// Billing returns a handler for the XML-RPC API of Billing (commerce/WIRE.md#1), at
// /RPC2 and at /: Execute with the server BM and the methods GetOrder_API and
// OrderStatusChange_API. Refusals are faults with the code 1, except that of a wrong
// HTTP Basic login, which is 401. The signature is checked before the transition.
func (s *System) Billing() http.Handler { return s.withFaults(formatText, s.billing()) }

func (s *System) billing() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !isRPCPath(r.URL.Path):
			http.NotFound(w, r)
		case s.cfg.BillingLogin == LoginBasic && !basic(r, s.cfg.BillingUser, s.cfg.BillingPassword):
			refuseBasic(w)
		default:
			serveRPC(w, r, xmlrpc.EncodeOptions{}, s.execute, s.fault)
		}
	})
}

// fault encodes a refusal, with its text as base64.
func (s *System) fault(err error) ([]byte, error) {
	text := err.Error()
	if !s.cfg.PlainFaultTexts {
		text = base64.StdEncoding.EncodeToString([]byte(text))
	}
	return xmlrpc.EncodeFault(&xmlrpc.Fault{Code: faultCode, Message: text})
}

// execute performs Execute, the only method of Billing.
func (s *System) execute(c xmlrpc.Call) (any, error) {
	if c.Method != "Execute" {
		return nil, fmt.Errorf("there is no method %s: call Execute", c.Method)
	}
	var in map[string]any
	if len(c.Params) == 1 {
		in, _ = c.Params[0].(map[string]any)
	}
	if in == nil {
		return nil, errors.New("the method Execute takes one struct")
	}
	server, method, err := s.checkMembers(in)
	if err != nil {
		return nil, err
	}
	params, ok := in["Params"].([]any)
	if !ok {
		return nil, errors.New("the member Params is not an array")
	}
	if server != "BM" {
		return nil, fmt.Errorf("there is no server %q", server)
	}
	var row []any
	switch method {
	case "GetOrder_API":
		row, err = s.getOrder(params)
	case "OrderStatusChange_API":
		row, err = s.changeStatus(params)
	default:
		err = fmt.Errorf("the server BM has no method %q", method)
	}
	if err != nil {
		return nil, err
	}
	return map[string]any{"Result": []any{row}}, nil
}

// checkMembers checks the types of the known members and the login. It ignores unknown
// members, because real programs send some.
func (s *System) checkMembers(in map[string]any) (server, method string, err error) {
	text := map[string]string{}
	for _, name := range []string{"Server", "Method", "Lang", "Username", "Password"} {
		value, given := in[name]
		if !given && name != "Server" && name != "Method" {
			continue
		}
		t, ok := value.(string)
		if !ok {
			return "", "", fmt.Errorf("the member %s is not a string", name)
		}
		text[name] = t
	}
	if s.cfg.BillingLogin == LoginInCall {
		userOK, passwordOK := same(text["Username"], s.cfg.BillingUser), same(text["Password"], s.cfg.BillingPassword)
		if !userOK || !passwordOK {
			return "", "", errors.New("the members Username and Password are missing or wrong")
		}
	}
	return text["Server"], text["Method"], nil
}

func (s *System) getOrder(params []any) ([]any, error) {
	if len(params) != 1 {
		return nil, fmt.Errorf("GetOrder_API takes [OrderID], not %d parameters", len(params))
	}
	id, err := orderID(params[0])
	if err != nil {
		return nil, fmt.Errorf("GetOrder_API: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.lookUp(OriginBilling, id)
	if rec == nil {
		return nil, errors.New(noRow(id))
	}
	o := rec.view(s.cfg.Now())
	return s.row(&o), nil
}

// changeStatus performs a push.
func (s *System) changeStatus(params []any) ([]any, error) {
	a, given, err := s.readChange(params)
	if err != nil {
		id := ""
		if len(params) > 0 {
			id = fmt.Sprint(params[0])
		}
		s.refused(OriginBilling, id, http.StatusOK)
		return nil, fmt.Errorf("OrderStatusChange_API: %w", err)
	}
	a.verify = func(o *Order) string {
		if same(given, signature(o, s.cfg.digits(o.Total.Currency))) {
			return ""
		}
		return "the signature is not valid for the order with ID " + o.BillingID
	}
	if p := s.push(a); !p.accepted {
		return nil, errors.New(p.message)
	}
	return []any{done}, nil
}

func (s *System) readChange(params []any) (a attempt, signed string, err error) {
	to, sign, names := 1, 2, "[OrderID, NewOrderStatus, Signature]"
	if s.cfg.SignatureBeforeStatus {
		to, sign, names = 2, 1, "[OrderID, Signature, NewOrderStatus]"
	}
	if len(params) != 3 {
		return a, "", fmt.Errorf("it takes %s, not %d parameters", names, len(params))
	}
	id, err := orderID(params[0])
	if err != nil {
		return a, "", err
	}
	status, isText := params[to].(string)
	signed, isSigned := params[sign].(string)
	if !isText || !isSigned || status == "" {
		return a, "", fmt.Errorf("it takes %s, of which the last two are strings", names)
	}
	if len(status) > longestStatus { // keeps signatures out of the ledger
		return a, "", fmt.Errorf("it takes %s, and no status has %d letters", names, len(status))
	}
	return attempt{origin: OriginBilling, id: id, to: commerce.Status(status)}, signed, nil
}

func orderID(param any) (string, error) {
	n, ok := param.(int)
	if !ok {
		return "", errors.New("the OrderID is not an integer")
	}
	return strconv.Itoa(n), nil
}

// noRow has the format of the only known text (commerce/WIRE.md#1.3).
func noRow(id string) string { return "Table Order does not contain row with ID " + id + "." }

// row is an order as GetOrder_API returns it (commerce/WIRE.md#1.4).
func (s *System) row(o *Order) []any {
	placed, none := unix(o.PlacedAt), 0.0
	row := []any{
		asInt(o.BillingID), o.Number, asInt(o.VendorAccount), asInt(o.Customer),
		string(o.Status), string(o.Type), placed, placed,
		o.Total.Amount, none, none, o.Total.Amount,
		o.Comments, nullInt, "", nullInt, nullInt,
	}
	if s.cfg.ShortRows {
		return row
	}
	return append(row, o.Total.Currency, unix(o.CompletedAt))
}

func asInt(text string) int {
	n, err := number.ParseInt(text, 10, 32)
	if err != nil {
		return nullInt
	}
	return int(n)
}

func unix(t time.Time) int {
	if n := t.Unix(); 0 <= n && n <= math.MaxInt32 {
		return int(n)
	}
	return nullInt
}
