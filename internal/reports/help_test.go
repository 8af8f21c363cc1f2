package reports

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// serve starts a loopback server that ends with the test.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func orderClient(t *testing.T, base string, opts ...ordermanager.Option) *ordermanager.Client {
	t.Helper()
	c, err := ordermanager.New(base, ordermanager.Token("a-token-of-the-test"), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func billingClient(t *testing.T, base string, opts ...billing.Option) *billing.Client {
	t.Helper()
	c, err := billing.New(base, billing.NoLogin(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>`

// result wraps the content of a value as Billing answers: {"Result": [value]}.
func result(value string) string {
	return `<methodResponse><params><param><value><struct><member><name>Result</name><value><array><data>` + value +
		`</data></array></value></member></struct></value></param></params></methodResponse>`
}

// execute reads Result[0] of an answer as whatever it is.
func execute(t *testing.T, status int, header http.Header, answer string) (any, error) {
	t.Helper()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		for k, v := range header {
			w.Header()[k] = v
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	})
	c := billingClient(t, s.URL, billing.WithMaxTries(1))
	var out any
	err := c.Execute(within(t, 10*time.Second), billing.Call{Method: "Test_API", ReadOnly: true}, &out)
	return out, err
}

func want(t *testing.T, got any, err error, right any) {
	t.Helper()
	if err != nil {
		t.Errorf("error %v, want %#v", err, right)
	} else if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", right) {
		t.Errorf("got %#v, want %#v", got, right)
	}
}

// row is the answer of GetOrder_API with 17 columns.
func row(id int, status string, comments string) string {
	cells := []string{
		fmt.Sprintf("<i4>%d</i4>", id), "<string>SO000027</string>", "<i4>1</i4>", "<i4>1002</i4>",
		"<string>" + status + "</string>", "<string>SO</string>", "<i4>1795000000</i4>", "<i4>1795000000</i4>",
		"<double>10.50</double>", "<double>0</double>", "<double>0</double>", "<double>10.50</double>",
		comments, "<i4>-2147483648</i4>", "<string></string>", "<i4>-2147483648</i4>", "<i4>-2147483648</i4>",
	}
	for i, c := range cells {
		cells[i] = "<value>" + c + "</value>"
	}
	return result("<value><array><data>" + strings.Join(cells, "") + "</data></array></value>")
}

func delivery(err error) (commerce.Delivery, bool) {
	e, ok := errors.AsType[*commerce.Error](err)
	if !ok {
		return "", false
	}
	return e.Delivery, true
}

// orderJSON is an order as Order Management lists it.
func orderJSON(id, status, date string) string {
	return fmt.Sprintf(`{"orderId":%q,"orderNumber":"SO%s","type":"SO","status":%q,"orderDate":%q,"vendorAccountId":"1",`+
		`"errorDetails":{"en_US":"502 Bad Gateway"},"possiblePushToStatus":{"PD":{"en_US":"Resubmit"}}}`, id, id, status,
		date)
}

func v(s string) string { return "<value>" + s + "</value>" }

func fault(members string) string {
	return xmlHead + "<methodResponse><fault><value><struct>" + members + "</struct></value></fault></methodResponse>"
}

func member(name, value string) string {
	return "<member><name>" + name + "</name><value>" + value + "</value></member>"
}

// h2 is a server that speaks as much of HTTP/2 as is needed to get a request and to end it badly.
// end gets the number of the request and its stream, and writes the answer.
func h2(t *testing.T, end func(w io.Writer, n int, stream uint32) (hangUp bool)) (base string, opt ordermanager.Option,
	requests *atomic.Int32) {
	t.Helper()
	donor := httptest.NewTLSServer(nil)
	defer donor.Close()
	pool := x509.NewCertPool()
	pool.AddCert(donor.Certificate())
	l, err := tls.Listen("tcp", "127.0.0.1:0",
		&tls.Config{Certificates: donor.TLS.Certificates, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	requests = new(atomic.Int32)
	talk := func(c net.Conn) {
		defer func() { _ = c.Close() }()
		r := bufio.NewReader(c)
		if _, err := io.ReadFull(r, make([]byte, 24)); err != nil {
			return
		}
		_, _ = c.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}) // SETTINGS
		for {
			head := make([]byte, 9)
			if _, err := io.ReadFull(r, head); err != nil {
				return
			}
			body := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
			if _, err := io.ReadFull(r, body); err != nil {
				return
			}
			switch kind, flags := head[3], head[4]; {
			case kind == 4 && flags&1 == 0:
				_, _ = c.Write([]byte{0, 0, 0, 4, 1, 0, 0, 0, 0})
			case (kind == 0 || kind == 1) && flags&1 != 0: // the end of a request
				stream := binary.BigEndian.Uint32(head[5:])
				if end(c, int(requests.Add(1)), stream) {
					return
				}
			}
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go talk(c)
		}
	}()
	return "https://" + l.Addr().String(), ordermanager.WithTLSConfig(&tls.Config{RootCAs: pool,
		ServerName: "example.com"}), requests
}

func resetStream(w io.Writer, stream, code uint32) {
	frame := make([]byte, 13)
	frame[2], frame[3] = 4, 3
	binary.BigEndian.PutUint32(frame[5:], stream)
	binary.BigEndian.PutUint32(frame[9:], code)
	_, _ = w.Write(frame)
}

func goAway(w io.Writer, last, code uint32) {
	frame := make([]byte, 17)
	frame[2], frame[3] = 8, 7
	binary.BigEndian.PutUint32(frame[9:], last)
	binary.BigEndian.PutUint32(frame[13:], code)
	_, _ = w.Write(frame)
}

// answers serves a status and headers, and counts.
func answers(t *testing.T, status int, header map[string]string, body string) (string, *atomic.Int32) {
	t.Helper()
	n := new(atomic.Int32)
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n.Add(1)
		for k, v := range header {
			w.Header()[k] = []string{v}
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	return s.URL, n
}

func retryAfterOf(t *testing.T, header map[string]string) time.Duration {
	t.Helper()
	base, _ := answers(t, 429, header, "{}")
	_, err := orderClient(t, base, ordermanager.WithMaxTries(1)).Order(within(t, 5*time.Second), "id-1")
	e, ok := errors.AsType[*commerce.Error](err)
	if !ok {
		t.Fatalf("%v", err)
	}
	return e.RetryAfter
}

var limitForm = regexp.MustCompile(`limit\((\d+),(\d+)\)`)

// pages serves a list in pages: rows says what the list is at the nth request.
func pages(t *testing.T, rows func(n int, query string) []string, most int) (string, *atomic.Int32) {
	t.Helper()
	n := new(atomic.Int32)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		k := int(n.Add(1))
		all := rows(k, r.URL.RawQuery)
		m := limitForm.FindStringSubmatch(r.URL.RawQuery)
		start, count := 0, len(all)
		if m != nil {
			start, _ = strconv.Atoi(m[1])
			count, _ = strconv.Atoi(m[2])
		}
		count = min(count, most)
		start = min(start, len(all))
		page := all[start:min(len(all), start+count)]
		_, _ = io.WriteString(w, "["+strings.Join(page, ",")+"]")
	})
	return s.URL, n
}

func listed(t *testing.T, c *ordermanager.Client, q commerce.Query) ([]string, error) {
	t.Helper()
	var ids []string
	for o, err := range c.Orders(within(t, 20*time.Second), q) {
		if err != nil {
			return ids, err
		}
		ids = append(ids, o.ID)
	}
	return ids, nil
}

func orders(n int, date func(i int) string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = orderJSON(fmt.Sprintf("id-%03d", i), "PF", date(i))
	}
	return out
}

func sameSecond(int) string { return "2026-11-21T02:00:00Z" }

func shuffled(in []string, seed int) []string {
	out := slices.Clone(in)
	x := uint64(seed)*6364136223846793005 + 1442695040888963407
	for i := len(out) - 1; i > 0; i-- {
		x = x*6364136223846793005 + 1442695040888963407
		j := int((x >> 33) % uint64(i+1))
		out[i], out[j] = out[j], out[i]
	}
	return out
}

func connectClient(t *testing.T, base string, opts ...connect.Option) *connect.Client {
	t.Helper()
	c, err := connect.New(base, connect.APIKey("SU-000-000-000:key12345678"), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func requestJSON(id, tenant, created string) string {
	return fmt.Sprintf(
		`{"id":%q,"type":"purchase","status":"approved","created":%q,"asset":{"id":"AS-%s","external_id":%q,`+
			`"external_uid":%q}}`, id, created, id, tenant, tenant)
}

// shop is a small ordering system with a book of the pushes it got.
type shop struct {
	mu     sync.Mutex
	orders []*commerce.Order
	book   []string
	at     []time.Time
	reads  int

	twice   bool                                   // lists each order twice
	breakAt int                                    // the list breaks off there
	onPush  func(s *shop, o *commerce.Order) error // nil: completes
	onRead  func(s *shop, o *commerce.Order) error // nil: nothing
}

func newShop(n int) *shop {
	s := &shop{}
	for i := range n {
		s.orders = append(s.orders, failedOrder(i))
	}
	return s
}

func failedOrder(i int) *commerce.Order {
	return &commerce.Order{
		ID: fmt.Sprintf("id-%04d", i), Number: fmt.Sprintf("SO%06d", i), Type: commerce.TypeSales,
		Status:   commerce.StatusProvisioningFailed,
		PlacedAt: time.Date(2026, 11, 21, 2, 0, i, 0, time.UTC), FailedAt: time.Date(2026, 11, 21, 2, 1, i, 0, time.UTC),
		VendorAccountID: "1", Channel: commerce.ChannelDirect, SubscriptionIDs: []string{fmt.Sprintf("sub-%d", i)},
		Failure:     commerce.Failure{Messages: map[string]string{"en_US": "502 Bad Gateway"}},
		Transitions: []commerce.Transition{{To: commerce.StatusProvisioning}},
	}
}

func (s *shop) Orders(_ context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		s.mu.Lock()
		var all []commerce.Order
		for _, o := range s.orders {
			all = append(all, *o)
		}
		s.mu.Unlock()
		for i := range all {
			if s.breakAt > 0 && i == s.breakAt {
				yield(nil, errors.New("the list broke off"))
				return
			}
			if !q.Match(&all[i]) {
				continue
			}
			if !yield(&all[i], nil) || s.twice && !yield(&all[i], nil) {
				return
			}
		}
	}
}

func (s *shop) find(id string) *commerce.Order {
	for _, o := range s.orders {
		if o.ID == id {
			return o
		}
	}
	return nil
}

func (s *shop) Order(_ context.Context, id string) (*commerce.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	o := s.find(id)
	if o == nil {
		return nil, &commerce.Error{Op: "read order", Err: commerce.ErrNotFound}
	}
	if s.onRead != nil {
		if err := s.onRead(s, o); err != nil {
			return nil, err
		}
	}
	read := *o
	return &read, nil
}

func (s *shop) Push(_ context.Context, id string, _ commerce.Status) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.book, s.at = append(s.book, id), append(s.at, time.Now())
	o := s.find(id)
	if s.onPush != nil {
		return s.onPush(s, o)
	}
	o.Status, o.Transitions = commerce.StatusCompleted, nil
	return nil
}

func (s *shop) pushes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.book)
}

// caller reads and pushes orders.
type caller interface {
	resubmit.OrderReader
	resubmit.Pusher
}

func systemsOf(lister resubmit.OrderLister, orders caller) resubmit.Systems {
	return resubmit.Systems{
		Name: "a shop", Capabilities: commerce.Capabilities{Failure: true, Transitions: true},
		Lister: lister, Reader: orders, Pusher: orders,
	}
}

// quickPolicy lets orders settle soon.
var quickPolicy = resubmit.Policy{SettleDelay: 2 * time.Second}

func planConfig(j resubmit.Journal, s resubmit.OrderLister, f filter.Filter) resubmit.PlanConfig {
	return resubmit.PlanConfig{Systems: systemsOf(s, nil), Policy: quickPolicy, Journal: j, Filter: f, IgnoreConnect: true}
}

func planOf(t *testing.T, j resubmit.Journal, s resubmit.OrderLister, f filter.Filter) *plan.Plan {
	t.Helper()
	p, err := resubmit.BuildPlan(within(t, 20*time.Second), planConfig(j, s, f))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func runnerOf(t *testing.T, j resubmit.Journal, s caller, change func(*resubmit.Config)) *resubmit.Runner {
	t.Helper()
	cfg := resubmit.Config{
		Systems: systemsOf(nil, s), Policy: quickPolicy, Journal: j, RateLimit: -1, Guard: -1,
		Canary:  resubmit.CanaryConfig{Steps: []int{}},
		Breaker: resubmit.BreakerConfig{Failures: -1}, Verify: resubmit.VerifyConfig{InitialInterval: -1,
			Timeout: 2 * time.Second},
	}
	if change != nil {
		change(&cfg)
	}
	r, err := resubmit.NewRunner(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func once(t *testing.T, pushes []string, n int) {
	t.Helper()
	distinct := slices.Compact(slices.Sorted(slices.Values(pushes)))
	if len(pushes) != n || len(distinct) != n {
		t.Errorf("%d pushes of %d orders, want %d of %d", len(pushes), len(distinct), n, n)
	}
}

// opened notes when the breaker opens for the first time.
type opened struct{ once atomic.Bool }

func (o *opened) on(e resubmit.Event) {
	if c, ok := e.(resubmit.BreakerChange); ok && c.State == resubmit.BreakerOpen {
		o.once.Store(true)
	}
}

func asCommerce(err error) (*commerce.Error, bool) {
	for err != nil {
		if e, ok := err.(*commerce.Error); ok { //nolint:errorlint // walked by hand
			return e, true
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return nil, false
		}
		err = u.Unwrap()
	}
	return nil, false
}
