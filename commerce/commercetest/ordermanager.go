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

// orderManager is the HTTP face of commerce/WIRE.md#2.
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

// authorized lets callers pass who have an APS token, or sign as the OAuth consumer.
// Answers to the latter say that they came through the booster (commerce/WIRE.md#2.2).
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

// checkToken tells what is wrong with an APS token; "" when it is good.
func (s *System) checkToken(value string) string {
	switch {
	case value == "":
		return "the header APS-Token is missing"
	case same(value, s.cfg.Token), s.holds(tokenAPS, value):
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
	found, complete := q.run(orders, s.cfg.MaxPage)
	answer := make([]wireOrder, len(found))
	for i := range found {
		answer[i] = s.wire(&found[i], q.details || s.cfg.ListDetails)
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
		s.refused(ByOrderManager, r.PathValue("id"), http.StatusBadRequest)
		writeError(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	p := s.push(attempt{by: ByOrderManager, id: r.PathValue("id"), to: to})
	if !p.accepted {
		writeError(w, p.status, p.code, p.message)
		return
	}
	writeJSON(w, p.status, s.wire(&p.order, true))
}

// readPush reads {"ofStatus":"PD"}.
func readPush(body io.Reader) (commerce.Status, error) {
	var push struct {
		OfStatus commerce.Status `json:"ofStatus"`
	}
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&push); err != nil {
		return "", fmt.Errorf(`the body is not {"ofStatus":"<status>"}: %w`, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return "", errors.New(`the body goes on after {"ofStatus":"<status>"}`)
	}
	if push.OfStatus == "" {
		return "", errors.New(`the body names no status: want {"ofStatus":"<status>"}`)
	}
	return push.OfStatus, nil
}

// refused writes down a push that could not be understood.
func (s *System) refused(by, id string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := Call{At: s.cfg.Now(), By: by, Order: id, HTTPStatus: status}
	if rec := s.lookUp(by, id); rec != nil {
		c.Number, c.From, c.Failure = rec.Number, rec.Status, rec.Failures
	}
	s.enter(c)
}

// visible returns the orders that an account sees, as readers see them, and
// reports whether there is such an account.
func (s *System) visible(account string) ([]Order, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	orders := make([]Order, 0, len(s.store.records))
	for _, rec := range s.store.records {
		if s.sees(account, rec) {
			orders = append(orders, rec.view(now))
		}
	}
	return orders, len(orders) > 0 || s.seesAll(account)
}

// read returns one order as readers see it, by its APS id only.
func (s *System) read(account, id string) (Order, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, ok := s.store.byID[id]
	if !ok || !s.sees(account, rec) {
		return Order{}, false
	}
	return rec.view(s.cfg.Now()), true
}

// seesAll is true for the provider and for a caller who names no account.
func (s *System) seesAll(account string) bool {
	return account == "" || account == s.cfg.ProviderAccount
}

// sees reports whether an account sold or bought the order, or sees all.
func (s *System) sees(account string, rec *record) bool {
	return s.seesAll(account) || rec.Vendor == account || rec.Customer == account
}

// wireOrder is the JSON of commerce/WIRE.md#2.4. The four ids after the name of the customer are
// inferred.
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
		OrderID: o.ID, InternalID: o.InternalID, OrderNumber: o.Number,
		Type: o.Type, Status: o.Status, ProvisioningStatus: o.Provisioning,
		OrderDate:       o.PlacedAt.Format(time.RFC3339),
		Total:           wireTotal{Code: o.Total.Currency, Value: json.Number(o.Total.Amount.String())},
		Description:     o.Comments,
		EndCustomerName: o.CustomerName, VendorAccountID: o.Vendor, CustomerID: o.Customer,
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
	_ = json.NewEncoder(w).Encode(body) // a caller that has gone away is no concern here
}

// writeError is the APS error of commerce/WIRE.md#2.6. The types are inferred.
func writeError(w http.ResponseWriter, status int, errorType, message string) {
	writeJSON(w, status, struct {
		Error   string `json:"error"`
		Message string `json:"message"`
	}{errorType, message})
}
