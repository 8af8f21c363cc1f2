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

// way is a client before the Commerce for tests.
type way struct {
	fixture resubmittest.Fixture
	by      commercetest.Origin
	// client makes the client.
	client func(t testing.TB, base string, h *http.Client) client
	// told is what the client is to tell of an order.
	told func(o commercetest.Order) *commerce.Order
	// isPush and isRead know the requests that push and read.
	isPush, isRead func(r *http.Request, body []byte) bool
	// reads and pushes are where faults hit.
	reads, pushes commercetest.Fault
}

type client interface {
	resubmit.OrderReader
	resubmit.Pusher
}

func ways() map[string]way {
	vague := billingWay(billing.WithFaultDelivery(commerce.DeliveryUnknown))
	vague.fixture.VagueRefusals = true
	return map[string]way{
		"the Order Management": orderManagerWay(),
		"the Order Management that filters nothing": orderManagerWay(ordermanager.WithoutServerFilters(
			ordermanager.FilterStatus, ordermanager.FilterType, ordermanager.FilterPlaced, ordermanager.FilterNumber)),
		"Billing":                         billingWay(),
		"Billing whose faults prove less": vague,
		"Simple API":                      simpleWay(),
		"Simple API that filters nothing": simpleWay(simpleapi.WithoutServerFilters(
			simpleapi.FilterStatus, simpleapi.FilterStatusCode, simpleapi.FilterPlaced, simpleapi.FilterNumber)),
	}
}

func orderManagerWay(opts ...ordermanager.Option) way {
	return way{
		by: commercetest.OriginOrderManager,
		fixture: resubmittest.Fixture{
			Missing: "32542b3c-6f91-4037-abe5-ecf5f0752eef", Capabilities: (*ordermanager.Client)(nil).Capabilities(),
			Accounts: []string{oneReseller, otherReseller}, Secrets: []string{commercetest.DefaultToken},
		},
		client: func(t testing.TB, base string, h *http.Client) client {
			c, err := ordermanager.New(commercetest.URLsAt(base).OrderManager, ordermanager.Token(commercetest.DefaultToken),
				append(opts,
					ordermanager.WithHTTPClient(h), ordermanager.WithPageSize(7), ordermanager.WithMaxWait(time.Millisecond))...)
			require.NoError(t, err)
			return c
		},
		told:   toldByOrderManager,
		isPush: func(r *http.Request, _ []byte) bool { return r.Method == http.MethodPost },
		isRead: func(r *http.Request, _ []byte) bool { return r.Method == http.MethodGet },
		reads:  commercetest.Fault{Method: http.MethodGet},
		pushes: commercetest.Fault{Method: http.MethodPost},
	}
}

func billingWay(opts ...billing.Option) way {
	return way{
		by: commercetest.OriginBilling,
		fixture: resubmittest.Fixture{
			Missing: "1999999", Capabilities: commerce.Capabilities{}, Given: true, Secrets: []string{billingPassword},
		},
		client: func(t testing.TB, base string, h *http.Client) client {
			c, err := billing.New(commercetest.URLsAt(base).Billing, billing.Basic(billingUser, billingPassword), append(opts,
				billing.WithHTTPClient(h), billing.WithMaxWait(time.Millisecond))...)
			require.NoError(t, err)
			return c
		},
		told: func(o commercetest.Order) *commerce.Order {
			want := common(o)
			want.VendorID, want.Channel = o.Vendor, channel(o)
			return want
		},
		isPush: func(_ *http.Request, body []byte) bool { return bytes.Contains(body, []byte("OrderStatusChange_API")) },
		isRead: func(_ *http.Request, body []byte) bool { return bytes.Contains(body, []byte("GetOrder_API")) },
		reads:  commercetest.Fault{Contains: "GetOrder_API"},
		pushes: commercetest.Fault{Contains: "OrderStatusChange_API"},
	}
}

func simpleWay(opts ...simpleapi.Option) way {
	return way{
		by: commercetest.OriginSimpleAPI,
		fixture: resubmittest.Fixture{
			Missing: "1999999", Capabilities: (*simpleapi.Client)(nil).Capabilities(),
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
		told: func(o commercetest.Order) *commerce.Order {
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

// common is what all clients tell; with Billing and Simple API the id is the billing id.
func common(o commercetest.Order) *commerce.Order {
	return &commerce.Order{
		ID: o.InternalID, BillingID: o.InternalID, Number: o.Number, Type: o.Type, Status: o.Status,
		PlacedAt: o.PlacedAt, CustomerID: o.Customer, Total: o.Total,
	}
}

func channel(o commercetest.Order) commerce.Channel {
	if o.Vendor == "1" {
		return commerce.ChannelDirect
	}
	return commerce.ChannelReseller
}

func toldByOrderManager(o commercetest.Order) *commerce.Order {
	want := common(o)
	want.ID, want.ProvisioningStatus = o.ID, o.Provisioning
	want.VendorID, want.Channel = o.Vendor, channel(o)
	want.CustomerName, want.TenantID = o.CustomerName, o.Tenant
	want.SubscriptionIDs = []string{o.Subscription}
	if o.Failure != "" {
		want.Failure.Text = map[string]string{"en_US": o.Failure}
	}
	want.Transitions = []commerce.Transition{}
	for _, to := range o.Offers {
		want.Transitions = append(want.Transitions, commerce.Transition{To: to})
	}
	return want
}

// stage is one Commerce for tests and the client before it.
type stage struct {
	way
	sys *commercetest.System

	mu  sync.Mutex
	now time.Time

	pushed atomic.Int64
	denied atomic.Pointer[resubmittest.Calls]
	mixes  atomic.Bool // reads of one order are taken for those of another
}

// approves is a Connect that delivers at once.
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

func newStage(t testing.TB, w way) *stage {
	t.Helper()
	s := &stage{way: w, now: time.Now()}
	cfg := commercetest.Config{
		Now: s.clock, Seed: 1, Poll: time.Nanosecond, OldEvent: -1, MaxPage: 5, ShuffleTies: true,
		ConnectURL: "https://connect.test/public/v1", ConnectHTTP: &http.Client{Transport: approves{}},
	}
	if w.by == commercetest.OriginBilling {
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

// ServeHTTP counts the pushes that come in.
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

// mix makes a read of one order one of the next, and of the last one of the first.
func (s *stage) mix(r *http.Request, body []byte) {
	orders := s.sys.Orders()
	for i, o := range orders {
		id, next := s.told(o).ID, s.told(orders[(i+1)%len(orders)]).ID
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

// deny refuses the credentials, and repeats them in all the ways that clients read.
func deny(w http.ResponseWriter, r *http.Request, body []byte) {
	w.WriteHeader(http.StatusUnauthorized)
	said := fmt.Sprintf("denied: %v %s", r.Header, body)
	if _, password, ok := r.BasicAuth(); ok {
		said += " " + password
	}
	// the client has its status
	_ = json.NewEncoder(w).Encode(map[string]string{"error": said, "code": said, "message": said})
}

func (s *stage) put(t testing.TB, n resubmittest.NewOrder) *commerce.Order {
	t.Helper()
	back := s.clock()
	s.set(n.PlacedAt)
	defer s.set(back) // tokens live by this clock too
	o := s.sys.Place(commercetest.NewOrder{Type: n.Type, Vendor: n.Account, Total: n.Total, FailWith: n.Failure})
	require.NoError(t, s.sys.Step(t.Context()))
	s.set(n.PlacedAt.Add(time.Second))
	require.NoError(t, s.sys.Step(t.Context()))
	o, _ = s.sys.Order(o.ID)
	return s.told(o)
}

func (s *stage) takeAway(t testing.TB, id string) {
	t.Helper()
	require.NoError(t, s.sys.Push(id, commerce.StatusCancelled))
}

func (s *stage) ledger() resubmittest.Ledger {
	l := resubmittest.Ledger{Sent: int(s.pushed.Load())}
	for _, call := range s.sys.Ledger() {
		if call.Accepted && call.Origin == s.by {
			l.Moved = append(l.Moved, resubmittest.Pushed{ID: call.Order, To: call.To})
		}
	}
	return l
}

func (s *stage) spoil(t testing.TB, f resubmittest.Fault, on resubmittest.Calls) func() {
	t.Helper()
	fault := s.reads
	if on == resubmittest.Pushes {
		fault = s.pushes
	}
	switch f {
	case resubmittest.Unavailable:
		fault.Kind, fault.Status = commercetest.FaultStatus, http.StatusServiceUnavailable
	case resubmittest.Denied:
		s.denied.Store(&on)
		return func() { s.denied.Store(nil) }
	case resubmittest.Another:
		s.mixes.Store(true)
		return func() { s.mixes.Store(false) }
	case resubmittest.Busy:
		fault.Kind, fault.Status, fault.RetryAfter = commercetest.FaultStatus, http.StatusTooManyRequests,
			7*time.Second
	case resubmittest.Page:
		fault.Kind = commercetest.FaultHTML
	case resubmittest.AnswerLost:
		fault.Kind, fault.After = commercetest.FaultReset, true
	case resubmittest.AnswerReplaced:
		fault.Kind, fault.Status, fault.After = commercetest.FaultStatus, http.StatusBadGateway, true
	case resubmittest.AnswerHalf:
		fault.Kind = commercetest.FaultTruncate
	case resubmittest.Slow:
		fault.Kind, fault.Delay, fault.After = commercetest.FaultDelay, time.Hour, true
	}
	require.NoError(t, s.sys.AddFault(fault))
	return s.sys.ClearFaults
}

// system brings a client before the stage: in memory, or over a socket.
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
		Put: s.put, TakeAway: s.takeAway, Ledger: s.ledger, Break: s.spoil,
		Reader: c, Pusher: c,
		Source: func(_ testing.TB, ids []string) resubmit.OrderLister {
			if b, ok := c.(*billing.Client); ok {
				return b.FromIDs(ids...)
			}
			return c.(resubmit.OrderLister)
		},
	}
}

// How Billing lists is a matter of the ids that are given to it.
var _ = []resubmit.OrderLister{(*ordermanager.Client)(nil), (*simpleapi.Client)(nil), (*billing.Source)(nil)}

func TestEveryClientOfCommerceKeepsThePromises(t *testing.T) {
	t.Parallel()
	for name, w := range ways() {
		for line, socket := range map[string]bool{"in memory": false, "over a socket": true} {
			if testing.Short() && socket && name != "Billing" {
				continue
			}
			t.Run(name+" "+line, func(t *testing.T) {
				t.Parallel()
				f := w.fixture
				f.Faults = resubmittest.AllFaults()
				f.New = func(t testing.TB) resubmittest.System { return newStage(t, w).system(t, socket) }
				t.Run("source", func(t *testing.T) { resubmittest.TestSource(t, f) })
				t.Run("reader", func(t *testing.T) { resubmittest.TestReader(t, f) })
				t.Run("pusher", func(t *testing.T) { resubmittest.TestPusher(t, f) })
			})
		}
	}
}
