package commercetest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
	"github.com/cloudblue-go/cloudblue/internal/number"
)

const (
	// noEntity is the answer of Simple API for an unknown id, with 400 (commerce/WIRE.md#3).
	noEntity     = "No entity has been found"
	maxSimple    = 64 << 10 // bytes of a body
	simpleLimit  = 10       // orders per page, commerce/WIRE.md#3
	keycloakPath = "/auth/realms/{realm}/protocol/openid-connect/token"
)

// SimpleAPI returns a handler for the documented Simple API for resellers
// (commerce/WIRE.md#3): POST /token, GET /orders, /resellers/{id}/orders and
// /orders/{id}, PATCH /orders/{id}, and the customers, subscriptions and plans of the
// orders; and the token endpoint of Keycloak, as a public client uses it. It identifies
// orders by their billing id, lists the oldest first, and returns neither failures nor
// possible transitions.
func (s *System) SimpleAPI() http.Handler { return s.withFaults(formatSimple, s.simple()) }

func (s *System) simple() http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("GET /orders", s.simpleList)
	api.HandleFunc("GET /resellers/{id}/orders", s.simpleList)
	api.HandleFunc("GET /orders/{id}", s.simpleOrder)
	api.HandleFunc("PATCH /orders/{id}", s.simplePatch)
	s.serveCatalog(api)
	api.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		gatewayError(w, http.StatusNotFound, "there is no "+r.Method+" "+r.URL.Path+" here")
	})
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+keycloakPath, s.keycloakToken)
	mux.Handle("POST /token", s.subscribed(http.HandlerFunc(s.simpleToken)))
	mux.Handle("/", s.subscribed(s.bearer(api)))
	return mux
}

// subscribed accepts callers with the subscription key.
func (s *System) subscribed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !same(r.Header.Get("X-Subscription-Key"), s.cfg.SimpleKey) {
			gatewayError(w, http.StatusUnauthorized, "the header X-Subscription-Key is missing or wrong")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// bearer accepts callers with a token.
func (s *System) bearer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || !s.validToken(tokenSimple, value) {
			simpleError(w, http.StatusUnauthorized, "Unauthorized", "the token is missing, wrong or expired")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// simpleToken serves the login of the specification (variant A).
func (s *System) simpleToken(w http.ResponseWriter, r *http.Request) {
	if !basic(r, s.cfg.SimpleUser, s.cfg.SimplePassword) {
		simpleError(w, http.StatusUnauthorized, "Unauthorized", "user or password is missing or wrong")
		return
	}
	type login struct {
		Marketplace string `json:"marketplace"` // any value is accepted
	}
	if _, err := decodeStrictly[login](http.MaxBytesReader(w, r.Body, maxSimple)); err != nil {
		simpleError(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"token":            s.issue(tokenSimple, s.cfg.SimpleTokenLifetime),
		"expiresInSeconds": int(s.cfg.SimpleTokenLifetime / time.Second),
	})
}

// keycloakToken serves the login by Keycloak (variant B).
func (s *System) keycloakToken(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, code, text string) {
		writeJSON(w, status, map[string]string{"error": code, "error_description": text})
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxSimple)
	if err := r.ParseForm(); err != nil {
		refuse(http.StatusBadRequest, "invalid_request", "the body is not a form")
		return
	}
	get := r.PostForm.Get
	userOK, passwordOK := same(get("username"), s.cfg.SimpleUser), same(get("password"), s.cfg.SimplePassword)
	switch {
	case r.PathValue("realm") != s.cfg.Realm:
		refuse(http.StatusNotFound, "not_found", "Realm does not exist")
	case get("grant_type") != "password":
		refuse(http.StatusBadRequest, "unsupported_grant_type", "the grant_type must be password")
	case !same(get("client_id"), s.cfg.ClientID), !same(get("client_secret"), s.cfg.ClientSecret):
		refuse(http.StatusUnauthorized, "invalid_client", "Invalid client or Invalid client credentials")
	case !userOK, !passwordOK:
		refuse(http.StatusUnauthorized, "invalid_grant", "Invalid user credentials")
	default:
		writeJSON(w, http.StatusOK, map[string]any{
			"access_token": s.issue(tokenSimple, s.cfg.SimpleTokenLifetime),
			"expires_in":   int(s.cfg.SimpleTokenLifetime / time.Second),
			"token_type":   "Bearer", "scope": get("scope"),
		})
	}
}

func (s *System) simpleList(w http.ResponseWriter, r *http.Request) {
	reseller := r.PathValue("id")
	q, err := parseSimple(r.URL.RawQuery, reseller != "")
	if err != nil {
		simpleError(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	orders, ok := s.simpleOrders(reseller)
	if !ok {
		simpleError(w, http.StatusBadRequest, "NotFound", noEntity)
		return
	}
	if s.cfg.ShuffleTies {
		s.shuffle(orders)
		slices.SortStableFunc(orders, func(a, b *Order) int { return a.PlacedAt.Compare(b.PlacedAt) })
	}
	data := []simpleWire{} // not null if it is empty
	total := 0
	if s.cfg.MaxPageSize > 0 {
		q.limit = min(q.limit, s.cfg.MaxPageSize)
	}
	for _, o := range orders {
		if !matches(q.terms, o) {
			continue
		}
		if total >= q.offset && len(data) < q.limit {
			data = append(data, simpleForm(o, false))
		}
		total++
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"data":       data,
		"pagination": map[string]int{"offset": q.offset, "limit": q.limit, "total": total},
	})
}

// simpleOrders are the orders that the caller sees, or those among them that a
// reseller sold, and whether that reseller exists.
func (s *System) simpleOrders(reseller string) ([]*Order, bool) {
	orders := s.views(func(rec *record) bool {
		return s.inSimpleScope(rec) && (reseller == "" || rec.VendorAccount == reseller)
	})
	return orders, len(orders) > 0 || reseller == "" || reseller == s.cfg.SimpleReseller
}

// inSimpleScope reports whether the caller of Simple API sees an order.
func (s *System) inSimpleScope(rec *record) bool {
	return s.cfg.SimpleReseller == "" || rec.VendorAccount == s.cfg.SimpleReseller
}

func (s *System) simpleOrder(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	rec := s.lookUp(OriginSimpleAPI, r.PathValue("id"))
	var o Order
	if rec != nil {
		o = rec.view(s.cfg.Now())
	}
	s.mu.Unlock()
	if rec == nil {
		simpleError(w, http.StatusBadRequest, "NotFound", noEntity)
		return
	}
	writeJSON(w, http.StatusOK, simpleForm(&o, true))
}

// simplePatch serves PATCH, which is a push if it contains a status.
func (s *System) simplePatch(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	patch, err := readPatch(http.MaxBytesReader(w, r.Body, maxSimple))
	if err != nil {
		s.refused(OriginSimpleAPI, id, http.StatusBadRequest)
		simpleError(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	set := func(rec *record) {
		if patch.CreditCheck != nil {
			rec.CreditCheck = *patch.CreditCheck
		}
	}
	var p pushed
	if patch.StatusCode == nil {
		p = s.setOnly(id, set)
	} else {
		p = s.push(attempt{origin: OriginSimpleAPI, id: id, to: *patch.StatusCode, with: set})
	}
	if !p.accepted {
		simpleError(w, p.status, cmp.Or(p.code, "NotFound"), p.message)
		return
	}
	writeJSON(w, http.StatusOK, simpleForm(&p.order, true))
}

// setOnly changes an order without moving it.
func (s *System) setOnly(id string, set func(*record)) pushed {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.lookUp(OriginSimpleAPI, id)
	if rec == nil {
		return unknownOrder(OriginSimpleAPI, id)
	}
	set(rec)
	return pushed{accepted: true, order: rec.view(s.cfg.Now())}
}

type simplePatch struct {
	StatusCode  *commerce.Status `json:"statusCode"`
	CreditCheck *bool            `json:"creditCheck"`
}

func readPatch(body io.Reader) (p simplePatch, err error) {
	if p, err = decodeStrictly[simplePatch](body); err != nil {
		return p, err
	}
	if p.StatusCode == nil && p.CreditCheck == nil {
		return p, errors.New("the body changes nothing: give statusCode or creditCheck")
	}
	if p.StatusCode != nil && *p.StatusCode == "" {
		return p, errors.New("the statusCode is empty")
	}
	return p, nil
}

// decodeStrictly reads a body of any length: the reader limits it.
func decodeStrictly[T any](body io.Reader) (T, error) {
	v, err := jsonfile.Format[T]{MaxBytes: math.MaxInt32, AllowNull: true}.Read(body)
	if err != nil {
		err = fmt.Errorf("the body is not as expected: %w", err)
	}
	return v, err
}

// simpleQuery is the query of a list. Both limits of the time are inclusive, which is
// not published.
type simpleQuery struct {
	terms         []func(*Order) bool
	offset, limit int
}

// parseSimple reads the parameters of the specification, each at most once. Lists of a
// reseller's orders have fewer of them.
func parseSimple(raw string, reseller bool) (*simpleQuery, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("the query is not percent-encoded")
	}
	q := &simpleQuery{limit: simpleLimit}
	for name, all := range values {
		if reseller && (name == "orderNumber" || name == "statusCode") {
			return nil, fmt.Errorf("the orders of a reseller have no parameter %q", name)
		}
		if len(all) != 1 {
			return nil, fmt.Errorf("the parameter %q is given %d times", name, len(all))
		}
		if err := q.add(name, all[0]); err != nil {
			return nil, err
		}
	}
	return q, nil
}

func (q *simpleQuery) add(name, value string) (err error) {
	texts := map[string]func(*Order) string{
		"customerId":     func(o *Order) string { return o.Customer },
		"subscriptionId": func(o *Order) string { return o.Subscription },
		"orderNumber":    func(o *Order) string { return o.Number },
		"statusCode":     func(o *Order) string { return string(o.Status) },
		"status":         func(o *Order) string { return statusWord(o.Status) },
	}
	if text, ok := texts[name]; ok {
		if name == "status" && !statusWords[value] {
			return fmt.Errorf("the status is %q: want submitted, processing, error, completed or cancelled", value)
		}
		q.terms = append(q.terms, func(o *Order) bool { return text(o) == value })
		return nil
	}
	switch name {
	case "creationTimeFrom", "creationTimeTo":
		return q.addTime(name, value)
	case "offset":
		q.offset, err = count(name, value, 0)
	case "limit":
		q.limit, err = count(name, value, 1)
	default:
		err = fmt.Errorf("there is no parameter %q", name)
	}
	return err
}

func (q *simpleQuery) addTime(name, value string) error {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return fmt.Errorf("%s is %q: it must be a time such as 2026-03-07T02:00:00Z", name, value)
	}
	if name == "creationTimeFrom" {
		q.terms = append(q.terms, func(o *Order) bool { return !o.PlacedAt.Before(t) })
	} else {
		q.terms = append(q.terms, func(o *Order) bool { return !o.PlacedAt.After(t) })
	}
	return nil
}

func count(name, value string, least int) (int, error) {
	n, err := number.Atoi(value)
	if err != nil || n < least {
		return 0, fmt.Errorf("%s is %q: want a number from %d", name, value, least)
	}
	return n, nil
}

var statusWords = map[string]bool{
	"submitted": true, "processing": true, "error": true, "completed": true, "cancelled": true,
}

// statusWord is the word for a status. Which codes a word stands for is inferred
// (commerce/WIRE.md#8.6).
func statusWord(s commerce.Status) string {
	switch s {
	case commerce.StatusNew, commerce.StatusOpen:
		return "submitted"
	case commerce.StatusProvisioningFailed:
		return "error"
	case commerce.StatusCompleted:
		return "completed"
	case commerce.StatusCancelled:
		return "cancelled"
	default:
		return "processing"
	}
}

func typeWord(t commerce.OrderType) string {
	switch t {
	case commerce.TypeSales:
		return "sales"
	case commerce.TypeChange, commerce.TypeUpgrade, commerce.TypeDowngrade:
		return "change"
	case commerce.TypeRenewal:
		return "renewal"
	case commerce.TypeCancellation, commerce.TypeCancellationCharge:
		return "cancellation"
	default:
		return "unknown"
	}
}

// simpleWire is the JSON of an order (commerce/WIRE.md#3). The format of its total is inferred.
type simpleWire struct {
	ID             string            `json:"id"`
	OrderNumber    string            `json:"orderNumber"`
	Type           string            `json:"type"`
	CustomerID     string            `json:"customerId"`
	CreationDate   string            `json:"creationDate"`
	Status         string            `json:"status"`
	StatusCode     commerce.Status   `json:"statusCode"`
	Total          simpleTotal       `json:"total"`
	CreditCheck    bool              `json:"creditCheck"`
	Attributes     map[string]string `json:"attributes"`
	SubscriptionID string            `json:"subscriptionId,omitempty"`
	Products       []simpleProduct   `json:"products,omitempty"`
}

type simpleTotal struct {
	Currency string `json:"currency"`
	Amount   string `json:"amount"`
}

type simpleProduct struct {
	ID             string `json:"id"`
	SubscriptionID string `json:"subscriptionId"`
}

func simpleForm(o *Order, details bool) simpleWire {
	w := simpleWire{
		ID: o.BillingID, OrderNumber: o.Number, Type: typeWord(o.Type), CustomerID: o.Customer,
		CreationDate: o.PlacedAt.Format(time.RFC3339), Status: statusWord(o.Status), StatusCode: o.Status,
		Total:       simpleTotal{Currency: o.Total.Currency, Amount: o.Total.Amount.String()},
		CreditCheck: o.CreditCheck, Attributes: map[string]string{},
	}
	if details {
		w.SubscriptionID = o.Subscription
		w.Products = []simpleProduct{{ID: o.Product, SubscriptionID: o.Subscription}}
	}
	return w
}

// correlation returns a new correlation id.
func (s *System) correlation() string {
	return s.store.uuid("correlation", strconv.FormatUint(s.correlations.Add(1), 10))
}

// simpleError writes an error of the API; its format is inferred (commerce/WIRE.md#3).
func simpleError(w http.ResponseWriter, status int, code, message string) {
	writeJSON(w, status, map[string]string{"code": code, "message": message})
}

// gatewayError writes an error of the gateway in front of the API; its format is inferred (commerce/WIRE.md#3).
func gatewayError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]any{"statusCode": status, "message": message})
}
