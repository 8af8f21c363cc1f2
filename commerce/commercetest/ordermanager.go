package commercetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

const (
	locale      = "en_US"
	maxPushBody = 64 << 10
)

// orderManager serves the Order Management REST API (commerce/WIRE.md#2).
func (s *System) orderManager() http.Handler {
	mux := http.NewServeMux()
	for _, end := range []string{"", "/{$}"} {
		mux.HandleFunc("GET /aps/2/services/order-manager/orders"+end, s.serveList)
		mux.HandleFunc("GET /aps/2/resources/{account}/orders"+end, s.serveList)
	}
	mux.HandleFunc("GET /aps/2/services/order-manager/orders/{id}", s.serveOrder)
	mux.HandleFunc("GET /aps/2/resources/{account}/orders/{id}", s.serveOrder)
	mux.HandleFunc("POST /aps/2/services/order-manager/orders/{id}/push", s.servePush)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusNotFound, "NotFound", fmt.Sprintf("there is no %s %s here", r.Method, r.URL.Path))
	})
	return s.authorized(mux)
}

// authorized accepts callers with an APS token, and those who sign as the OAuth
// consumer. Answers to the latter have the header of the booster (commerce/WIRE.md#2.2).
func (s *System) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		why := ""
		if _, signed := oauthHeader(r); signed {
			w.Header().Set("X-APSBooster-Response", "true")
			if err := s.verifyOAuth(r); err != nil {
				why = err.Error()
			}
		} else {
			why = s.checkToken(r.Header.Get("APS-Token"))
		}
		if why != "" {
			writeError(w, http.StatusUnauthorized, "Unauthorized", why)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkToken returns what is wrong with an APS token, or "".
func (s *System) checkToken(value string) string {
	switch {
	case value == "":
		return "the header APS-Token is missing"
	case same(value, s.cfg.Token), s.validToken(tokenAPS, value):
		return ""
	default:
		return "the header APS-Token is not valid"
	}
}

func (s *System) serveList(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		writeError(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	orders, ok := s.visible(r.PathValue("account"))
	if !ok {
		writeError(w, http.StatusNotFound, "NotFound", fmt.Sprintf("there is no account %q", r.PathValue("account")))
		return
	}
	if s.cfg.ShuffleTies {
		s.shuffle(orders)
		q.sort = q.sort[:min(1, len(q.sort))]
	}
	found, complete := q.run(orders, s.cfg.MaxPageSize)
	answer := make([]wireOrder, len(found))
	for i := range found {
		answer[i] = s.wire(found[i], q.details || s.cfg.ListDetails)
		if q.orderDetails {
			answer[i].OrderDetails = []wireDetail{{SubscriptionID: found[i].Subscription}}
		}
	}
	status := http.StatusOK
	if !complete {
		status = http.StatusPartialContent
	}
	writeJSON(w, status, answer)
}

func (s *System) serveOrder(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	o, ok := s.read(r.PathValue("account"), id)
	if !ok {
		writeError(w, http.StatusNotFound, "NotFound", noOrder(id))
		return
	}
	writeJSON(w, http.StatusOK, s.wire(&o, true))
}

func (s *System) servePush(w http.ResponseWriter, r *http.Request) {
	to, err := readPush(http.MaxBytesReader(w, r.Body, maxPushBody))
	if err != nil {
		s.refused(OriginOrderManager, r.PathValue("id"), http.StatusBadRequest)
		writeError(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	p := s.push(attempt{origin: OriginOrderManager, id: r.PathValue("id"), to: to})
	if !p.accepted {
		writeError(w, p.status, p.code, p.message)
		return
	}
	writeJSON(w, p.status, s.wire(&p.order, true))
}

// readPush reads {"ofStatus":"PD"}.
func readPush(body io.Reader) (commerce.Status, error) {
	type pushBody struct {
		OfStatus commerce.Status `json:"ofStatus"`
	}
	push, err := decodeStrictly[pushBody](body)
	if err != nil {
		return "", fmt.Errorf(`want {"ofStatus":"<status>"}: %w`, err)
	}
	if push.OfStatus == "" {
		return "", errors.New(`the body names no status: want {"ofStatus":"<status>"}`)
	}
	return push.OfStatus, nil
}

// refused records a push that could not be read.
func (s *System) refused(origin Origin, id string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := Push{At: s.cfg.Now(), Origin: origin, Order: id, HTTPStatus: status}
	if rec := s.lookUp(origin, id); rec != nil {
		c.Number, c.From, c.FailureNumber = rec.Number, rec.Status, rec.Failures
	}
	s.record(c)
}

// visible returns copies of the orders that an account sees, as APIs return them, and
// reports whether there is such an account.
func (s *System) visible(account string) ([]*Order, bool) {
	orders := s.views(func(rec *record) bool { return s.sees(account, rec) })
	return orders, len(orders) > 0 || s.seesAll(account)
}

// views returns copies of some orders, as APIs return them, oldest first.
func (s *System) views(shown func(*record) bool) []*Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	var orders []*Order
	for _, rec := range s.store.records {
		if shown(rec) {
			o := rec.view(now)
			orders = append(orders, &o)
		}
	}
	return orders
}

// read returns one order as APIs return it, by its APS id only.
func (s *System) read(account, id string) (Order, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, ok := s.store.byID[id]
	if !ok || !s.sees(account, rec) {
		return Order{}, false
	}
	return rec.view(s.cfg.Now()), true
}

// seesAll reports whether an account is the provider, or "".
func (s *System) seesAll(account string) bool {
	return account == "" || account == s.cfg.ProviderAccount
}

// sees reports whether an account sold or bought the order, or sees all orders.
func (s *System) sees(account string, rec *record) bool {
	return s.seesAll(account) || rec.VendorAccount == account || rec.Customer == account
}

// wireOrder is the JSON of commerce/WIRE.md#2.4. The four ids after EndCustomerName
// are inferred.
type wireOrder struct {
	OrderID            string                      `json:"orderId"`
	InternalID         string                      `json:"internalId"`
	OrderNumber        string                      `json:"orderNumber"`
	Type               commerce.OrderType          `json:"type"`
	Status             commerce.Status             `json:"status"`
	ProvisioningStatus commerce.ProvisioningStatus `json:"provisioningStatus"`
	OrderDate          string                      `json:"orderDate"`
	Total              wireTotal                   `json:"total"`
	Description        string                      `json:"description,omitempty"`
	EndCustomerName    string                      `json:"endCustomerName"`
	VendorAccountID    string                      `json:"vendorAccountId"`
	CustomerID         string                      `json:"customerId"`
	SubscriptionID     string                      `json:"subscriptionId"`
	TenantID           string                      `json:"tenantId"`

	OrderDetails         []wireDetail                          `json:"orderDetails,omitempty"`
	ErrorDetails         map[string]string                     `json:"errorDetails,omitempty"`
	PossiblePushToStatus map[commerce.Status]map[string]string `json:"possiblePushToStatus,omitzero"`
}

type wireTotal struct {
	Code  string      `json:"code"`
	Value json.Number `json:"value"`
}

type wireDetail struct {
	SubscriptionID string `json:"subscriptionId"`
}

func (s *System) wire(o *Order, details bool) wireOrder {
	w := wireOrder{
		OrderID: o.ID, InternalID: o.BillingID, OrderNumber: o.Number,
		Type: o.Type, Status: o.Status, ProvisioningStatus: o.ProvisioningStatus,
		OrderDate:       o.PlacedAt.Format(time.RFC3339),
		Total:           wireTotal{Code: o.Total.Currency, Value: json.Number(o.Total.Amount.String())},
		Description:     o.Comments,
		EndCustomerName: o.CustomerName, VendorAccountID: o.VendorAccount, CustomerID: o.Customer,
		SubscriptionID: o.Subscription, TenantID: o.Tenant,
	}
	if !details {
		return w
	}
	if o.Failure != "" {
		w.ErrorDetails = map[string]string{locale: o.Failure}
	}
	w.PossiblePushToStatus = map[commerce.Status]map[string]string{}
	for to, label := range s.transitions(o) {
		w.PossiblePushToStatus[to] = map[string]string{locale: label}
	}
	return w
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller may have gone
}

// writeError is the APS error of commerce/WIRE.md#2.6. The types are inferred.
func writeError(w http.ResponseWriter, status int, errorType, message string) {
	writeJSON(w, status, struct {
		Error   string `json:"error"`
		Message string `json:"message"`
	}{errorType, message})
}
