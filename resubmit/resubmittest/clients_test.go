package resubmittest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

const (
	billingUser     = "conformance"
	billingPassword = "conformance-password"
	oneReseller     = "1000001"
	otherReseller   = "1000002"
)

// clientCase is a client of the test Commerce.
type clientCase struct {
	fixture resubmittest.Fixture
	origin  commercetest.Origin
	// client makes the client.
	client func(t testing.TB, base string, h *http.Client) client
	// want is an order as the client must report it.
	want func(o commercetest.Order) *commerce.Order
	// isPush and isRead report whether a request is a push or a read.
	isPush, isRead func(r *http.Request, body []byte) bool
	// reads and pushes select the requests of a fault.
	reads, pushes commercetest.Fault
}

type client interface {
	resubmit.OrderReader
	resubmit.Pusher
}

func clientCases() map[string]clientCase {
	ambiguous := billingCase(billing.WithFaultDelivery(commerce.DeliveryUnknown))
	ambiguous.fixture.AmbiguousRefusals = true
	return map[string]clientCase{
		"Order Management": orderManagerCase(),
		"Order Management without server filters": orderManagerCase(ordermanager.WithoutServerFilters(
			ordermanager.FilterStatus, ordermanager.FilterType, ordermanager.FilterPlaced, ordermanager.FilterNumber)),
		"Billing":                       billingCase(),
		"Billing with ambiguous faults": ambiguous,
		"Simple API":                    simpleCase(),
		"Simple API without server filters": simpleCase(simpleapi.WithoutServerFilters(
			simpleapi.FilterStatus, simpleapi.FilterStatusCode, simpleapi.FilterPlaced, simpleapi.FilterNumber)),
	}
}

func orderManagerCase(opts ...ordermanager.Option) clientCase {
	return clientCase{
		origin: commercetest.OriginOrderManager,
		fixture: resubmittest.Fixture{
			MissingID: "32542b3c-6f91-4037-abe5-ecf5f0752eef", Capabilities: (*ordermanager.Client)(nil).Capabilities(),
			Accounts: []string{oneReseller, otherReseller}, Secrets: []string{commercetest.DefaultToken},
		},
		client: func(t testing.TB, base string, h *http.Client) client {
			c, err := ordermanager.New(commercetest.URLsAt(base).OrderManager, ordermanager.Token(commercetest.DefaultToken),
				append(opts,
					ordermanager.WithHTTPClient(h), ordermanager.WithPageSize(7), ordermanager.WithMaxWait(time.Millisecond))...)
			require.NoError(t, err)
			return c
		},
		want:   wantOrderManager,
		isPush: func(r *http.Request, _ []byte) bool { return r.Method == http.MethodPost },
		isRead: func(r *http.Request, _ []byte) bool { return r.Method == http.MethodGet },
		reads:  commercetest.Fault{Method: http.MethodGet},
		pushes: commercetest.Fault{Method: http.MethodPost},
	}
}

func billingCase(opts ...billing.Option) clientCase {
	return clientCase{
		origin: commercetest.OriginBilling,
		fixture: resubmittest.Fixture{
			MissingID: "1999999", Capabilities: commerce.Capabilities{}, ListsByID: true, Secrets: []string{billingPassword},
		},
		client: func(t testing.TB, base string, h *http.Client) client {
			c, err := billing.New(commercetest.URLsAt(base).Billing, billing.Basic(billingUser, billingPassword), append(opts,
				billing.WithHTTPClient(h), billing.WithMaxWait(time.Millisecond))...)
			require.NoError(t, err)
			return c
		},
		want: func(o commercetest.Order) *commerce.Order {
			want := common(o)
			want.VendorAccountID, want.Channel = o.VendorAccount, channel(o)
			return want
		},
		isPush: func(_ *http.Request, body []byte) bool { return bytes.Contains(body, []byte("OrderStatusChange_API")) },
		isRead: func(_ *http.Request, body []byte) bool { return bytes.Contains(body, []byte("GetOrder_API")) },
		reads:  commercetest.Fault{Contains: "GetOrder_API"},
		pushes: commercetest.Fault{Contains: "OrderStatusChange_API"},
	}
}

func simpleCase(opts ...simpleapi.Option) clientCase {
	return clientCase{
		origin: commercetest.OriginSimpleAPI,
		fixture: resubmittest.Fixture{
			MissingID: "1999999", Capabilities: (*simpleapi.Client)(nil).Capabilities(),
			Accounts: []string{oneReseller, otherReseller},
			Secrets:  []string{commercetest.DefaultSimpleKey, commercetest.DefaultSimplePassword},
		},
		client: func(t testing.TB, base string, h *http.Client) client {
			auth := simpleapi.GatewayToken(commercetest.DefaultSimpleKey, simpleapi.GatewayLogin{
				User: commercetest.DefaultSimpleUser, Password: commercetest.DefaultSimplePassword, Marketplace: "us",
			})
			c, err := simpleapi.New(commercetest.URLsAt(base).SimpleAPI, auth, append(opts,
				simpleapi.WithHTTPClient(h), simpleapi.WithPageSize(7), simpleapi.WithMaxWait(time.Millisecond))...)
			require.NoError(t, err)
			return c
		},
		want: func(o commercetest.Order) *commerce.Order {
			want := common(o)
			want.SubscriptionIDs = []string{o.Subscription}
			return want
		},
		isPush: func(r *http.Request, _ []byte) bool { return r.Method == http.MethodPatch },
		isRead: func(r *http.Request, _ []byte) bool { return r.Method == http.MethodGet },
		reads:  commercetest.Fault{Method: http.MethodGet},
		pushes: commercetest.Fault{Method: http.MethodPatch},
	}
}

// common is what all clients report; with Billing and Simple API the id is the billing id.
func common(o commercetest.Order) *commerce.Order {
	return &commerce.Order{
		ID: o.BillingID, BillingID: o.BillingID, Number: o.Number, Type: o.Type, Status: o.Status,
		PlacedAt: o.PlacedAt, CustomerID: o.Customer, Total: o.Total,
	}
}

func channel(o commercetest.Order) commerce.Channel {
	if o.VendorAccount == "1" {
		return commerce.ChannelDirect
	}
	return commerce.ChannelReseller
}

func wantOrderManager(o commercetest.Order) *commerce.Order {
	want := common(o)
	want.ID, want.ProvisioningStatus = o.ID, o.ProvisioningStatus
	want.VendorAccountID, want.Channel = o.VendorAccount, channel(o)
	want.CustomerName, want.TenantID = o.CustomerName, o.Tenant
	want.SubscriptionIDs = []string{o.Subscription}
	if o.Failure != "" {
		want.Failure.Messages = map[string]string{"en_US": o.Failure}
	}
	want.Transitions = []commerce.Transition{}
	for _, to := range o.Transitions {
		want.Transitions = append(want.Transitions, commerce.Transition{To: to})
	}
	return want
}

// stage is a test Commerce and its client.
type stage struct {
	clientCase
	sys *commercetest.System

	mu  sync.Mutex
	now time.Time

	pushed atomic.Int64
	denied atomic.Pointer[resubmittest.CallKind]
	mixes  atomic.Bool // reads of one order return another one
}

// approves is a Connect that approves immediately.
type approves struct{}

func (approves) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, status := `[{"id":"PR-1","type":"purchase","status":"approved","created":"2026-03-07T02:00:00Z"}]`,
		http.StatusOK
	if r.Method == http.MethodPost {
		answer, status = `{"id":"PR-1","installation_api_key":"k"}`, http.StatusCreated
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(answer)), Request: r,
		Header: http.Header{}}, nil
}

func newStage(t testing.TB, w clientCase) *stage {
	t.Helper()
	s := &stage{clientCase: w, now: time.Now()}
	cfg := commercetest.Config{
		Now: s.clock, Seed: 1, PollInterval: time.Nanosecond, StaleEventFor: -1, MaxPageSize: 5, ShuffleTies: true,
		ConnectURL: "https://connect.test/public/v1", ConnectHTTP: &http.Client{Transport: approves{}},
	}
	if w.origin == commercetest.OriginBilling {
		cfg.BillingLogin, cfg.BillingUser, cfg.BillingPassword = commercetest.LoginBasic, billingUser, billingPassword
	}
	var err error
	s.sys, err = commercetest.New(cfg)
	require.NoError(t, err)
	return s
}

func (s *stage) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stage) set(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// ServeHTTP counts the pushes and injects some faults.
func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	push, read := s.isPush(r, body), s.isRead(r, body)
	if push {
		s.pushed.Add(1)
	}
	if denied := s.denied.Load(); denied != nil && (*denied == resubmittest.Pushes && push ||
		*denied == resubmittest.Reads && read) {
		deny(w, r, body)
		return
	}
	if read && s.mixes.Load() {
		s.mix(r, body)
	}
	s.sys.ServeHTTP(w, r)
}

// mix changes a read of one order into a read of the next one.
func (s *stage) mix(r *http.Request, body []byte) {
	orders := s.sys.Orders()
	for i, o := range orders {
		id, next := s.want(o).ID, s.want(orders[(i+1)%len(orders)]).ID
		if in := []byte(">" + id + "<"); bytes.Contains(body, in) {
			r.Body = io.NopCloser(bytes.NewReader(bytes.Replace(body, in, []byte(">"+next+"<"), 1)))
			return
		}
		if path, ok := strings.CutSuffix(r.URL.Path, "/"+id); ok {
			r.URL.Path = path + "/" + next
			return
		}
	}
}

// deny refuses the credentials, and repeats them in all fields that clients read.
func deny(w http.ResponseWriter, r *http.Request, body []byte) {
	w.WriteHeader(http.StatusUnauthorized)
	text := fmt.Sprintf("denied: %v %s", r.Header, body)
	if _, password, ok := r.BasicAuth(); ok {
		text += " " + password
	}
	// the status is enough
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text, "code": text, "message": text})
}

func (s *stage) put(t testing.TB, n resubmittest.OrderSpec) *commerce.Order {
	t.Helper()
	now := s.clock()
	s.set(n.PlacedAt)
	defer s.set(now) // tokens expire by this clock too
	o := s.sys.Place(commercetest.OrderSpec{Type: n.Type, VendorAccount: n.Account, Total: n.Total, FailWith: n.Failure})
	require.NoError(t, s.sys.Step(t.Context()))
	s.set(n.PlacedAt.Add(time.Second))
	require.NoError(t, s.sys.Step(t.Context()))
	o, _ = s.sys.Order(o.ID)
	return s.want(o)
}

func (s *stage) cancel(t testing.TB, id string) {
	t.Helper()
	require.NoError(t, s.sys.Push(id, commerce.StatusCancelled))
}

func (s *stage) ledger() resubmittest.Ledger {
	l := resubmittest.Ledger{Received: int(s.pushed.Load())}
	for _, call := range s.sys.Pushes() {
		if call.Accepted && call.Origin == s.origin {
			l.Accepted = append(l.Accepted, resubmittest.Push{ID: call.Order, To: call.To})
		}
	}
	return l
}

func (s *stage) inject(t testing.TB, f resubmittest.Fault, on resubmittest.CallKind) func() {
	t.Helper()
	fault := s.reads
	if on == resubmittest.Pushes {
		fault = s.pushes
	}
	switch f {
	case resubmittest.FaultUnavailable:
		fault.Kind, fault.Status = commercetest.FaultStatus, http.StatusServiceUnavailable
	case resubmittest.FaultUnauthorized:
		s.denied.Store(&on)
		return func() { s.denied.Store(nil) }
	case resubmittest.FaultWrongOrder:
		s.mixes.Store(true)
		return func() { s.mixes.Store(false) }
	case resubmittest.FaultRateLimited:
		fault.Kind, fault.Status, fault.RetryAfter = commercetest.FaultStatus, http.StatusTooManyRequests,
			7*time.Second
	case resubmittest.FaultHTMLPage:
		fault.Kind = commercetest.FaultHTML
	case resubmittest.FaultResponseLost:
		fault.Kind, fault.After = commercetest.FaultReset, true
	case resubmittest.FaultResponseReplaced:
		fault.Kind, fault.Status, fault.After = commercetest.FaultStatus, http.StatusBadGateway, true
	case resubmittest.FaultResponseTruncated:
		fault.Kind = commercetest.FaultTruncate
	case resubmittest.FaultResponseDelayed:
		fault.Kind, fault.Delay, fault.After = commercetest.FaultDelay, time.Hour, true
	}
	require.NoError(t, s.sys.AddFault(fault))
	return s.sys.ClearFaults
}

// system connects a client to the stage, in memory or over a socket.
func (s *stage) system(t testing.TB, socket bool) resubmittest.System {
	t.Helper()
	base, h := "https://commerce.test", &http.Client{Transport: testkit.Transport(s)}
	if socket {
		server := httptest.NewServer(s)
		t.Cleanup(server.Close)
		base, h = server.URL, server.Client()
	}
	c := s.client(t, base, h)
	return resubmittest.System{
		AddOrder: s.put, CancelOrder: s.cancel, Ledger: s.ledger, Inject: s.inject,
		Reader: c, Pusher: c,
		Lister: func(_ testing.TB, ids []string) resubmit.OrderLister {
			if b, ok := c.(*billing.Client); ok {
				return b.FromIDs(ids...)
			}
			return c.(resubmit.OrderLister)
		},
	}
}

// Billing lists given ids only.
var _ = []resubmit.OrderLister{(*ordermanager.Client)(nil), (*simpleapi.Client)(nil), (*billing.Lister)(nil)}

func TestClients(t *testing.T) {
	t.Parallel()
	for name, w := range clientCases() {
		for line, socket := range map[string]bool{"in memory": false, "over a socket": true} {
			if testing.Short() && socket && name != "Billing" {
				continue
			}
			t.Run(name+" "+line, func(t *testing.T) {
				t.Parallel()
				f := w.fixture
				f.Faults = resubmittest.AllFaults()
				f.New = func(t testing.TB) resubmittest.System { return newStage(t, w).system(t, socket) }
				t.Run("lister", func(t *testing.T) { resubmittest.TestLister(t, f) })
				t.Run("reader", func(t *testing.T) { resubmittest.TestReader(t, f) })
				t.Run("pusher", func(t *testing.T) { resubmittest.TestPusher(t, f) })
			})
		}
	}
}
