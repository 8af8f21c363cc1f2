package console_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/console"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// shop is a Commerce in which a push works at once.
type shop struct {
	mu     sync.Mutex
	orders []*commerce.Order
	calls  int
	pushes map[string]int
	again  map[string]string // reasons with which orders fail again
	hold   chan struct{}     // if not nil, pushes wait until it is closed
	lists  chan struct{}     // if not nil, lists wait until it is closed
}

// newShop returns a shop with n orders that failed in the hour before now.
func newShop(n int) *shop {
	s := &shop{pushes: make(map[string]int), again: make(map[string]string)}
	start := time.Now().Add(-2 * time.Hour).UTC()
	for i := range n {
		reason := fmt.Sprintf("order %d: 503 Service Unavailable", i+1)
		switch i % 10 {
		case 4:
			reason = "Customer not found"
		case 8:
			reason = "Script check returned 3"
		}
		at := start.Add(time.Duration(i) * time.Hour / time.Duration(n))
		s.orders = append(s.orders, &commerce.Order{
			ID: fmt.Sprintf("id-%d", i+1), Number: fmt.Sprintf("SO%06d", i+1), Type: commerce.TypeSales,
			Status: commerce.StatusProvisioningFailed, PlacedAt: at,
			FailedAt:        at.Add(10 * time.Second),
			VendorAccountID: []string{"1", "1000101"}[i%2], Channel: commerce.ChannelDirect,
			CustomerID: fmt.Sprint(500 + i), CustomerName: fmt.Sprintf("Customer %d", i+1),
			SubscriptionIDs: []string{fmt.Sprint(1000001 + i)},
			Total:           commerce.Money{Amount: decimal.New(int64(1250+i), -2), Currency: []string{"USD", "EUR"}[i%2]},
			Transitions:     []commerce.Transition{{To: commerce.StatusPaid}},
			Failure:         commerce.Failure{Messages: map[string]string{"en_US": reason}},
		})
	}
	return s
}

func (s *shop) Order(_ context.Context, id string) (*commerce.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	for _, o := range s.orders {
		if o.ID == id {
			read := *o
			return &read, nil
		}
	}
	return nil, fmt.Errorf("order %s: %w", id, commerce.ErrNotFound)
}

func (s *shop) Orders(_ context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		s.mu.Lock()
		s.calls++
		orders, lists := slices.Clone(s.orders), s.lists
		s.mu.Unlock()
		if lists != nil {
			<-lists
		}
		for _, o := range orders {
			read := *o
			if q.Match(&read) && !yield(&read, nil) {
				return
			}
		}
	}
}

func (s *shop) Push(ctx context.Context, id string, _ commerce.Status) error {
	s.mu.Lock()
	hold := s.hold
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.pushes[id]++
	for _, o := range s.orders {
		switch reason := s.again[id]; {
		case o.ID != id:
		case reason != "":
			o.Failure.Messages = map[string]string{"en_US": reason}
			o.FailedAt = time.Now()
		default:
			o.Status = commerce.StatusCompleted
		}
	}
	return nil
}

func (s *shop) System() string  { return "commerce.example.net" }
func (s *shop) BaseURL() string { return "https://commerce.example.net" }
func (s *shop) Capabilities() commerce.Capabilities {
	return commerce.Capabilities{Failure: true, Transitions: true, Lists: true}
}

// sent returns how many orders were pushed.
func (s *shop) sent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pushes)
}

// site is a console over a state directory.
type site struct {
	t       *testing.T
	shop    *shop
	dir     *state.Dir
	console *console.Console

	mu    sync.Mutex
	roles []console.Role // of the user
}

// setRoles changes what the user may do.
func (s *site) setRoles(roles ...console.Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles = roles
}

// open opens a state directory for the shop.
func (s *shop) open(t *testing.T, more ...func(*state.Config)) *state.Dir {
	t.Helper()
	now := time.Now()
	calendar, err := maintenance.NewCalendar([]maintenance.Window{{
		ID: "CHG-2041", Title: "Upgrade", Start: now.Add(-130 * time.Minute), End: now.Add(-time.Hour), Source: "file",
	}})
	require.NoError(t, err)
	cfg := state.Config{
		Systems: resubmit.SystemsOf(s, s), Plan: resubmit.PlanConfig{
			Filter: filter.Everything(), RateLimit: -1, IgnoreConnect: true,
		},
		Runner:   resubmit.Config{RateLimit: 1000},
		Calendar: func() *maintenance.Calendar { return calendar },
		Anchor:   state.FileAnchor(filepath.Join(t.TempDir(), "anchor")), Program: "nightly", Command: "aftermaintenance",
		Policy: resubmit.Policy{SettleDelay: 2 * time.Minute, PushTimeout: time.Minute},
	}
	for _, f := range more {
		f(&cfg)
	}
	d, err := state.Open(t.Context(), filepath.Join(t.TempDir(), "state"), cfg)
	require.NoError(t, err)
	return d
}

// newSite returns a console over a shop with n failed orders, for a user with all roles.
func newSite(t *testing.T, n int, change ...func(*console.Config)) *site {
	t.Helper()
	shop := newShop(n)
	s := &site{t: t, shop: shop, dir: shop.open(t), roles: console.Roles()}
	s.mount(change...)
	return s
}

// mount makes the console.
func (s *site) mount(change ...func(*console.Config)) {
	s.t.Helper()
	cfg := console.Config{
		State: s.dir, Authorize: s.authorize, Hosts: []string{"ops.example.net"},
		Apply: func(ctx context.Context) error {
			_, err := s.dir.Once(ctx, state.OnceOptions{Continue: true})
			return err
		},
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := console.New(cfg)
	require.NoError(s.t, err)
	s.t.Cleanup(c.Close)
	s.console = c
}

func (s *site) authorize(_ *http.Request, a console.Action) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.roles, a.Role) {
		return "", errors.New("the role " + string(a.Role) + " is missing")
	}
	return "mrossi", nil
}

func (s *site) serve(r *http.Request) *http.Response {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.console.ServeHTTP(w, r)
	return w.Result()
}

func (s *site) request(method, target string, form url.Values) *http.Request {
	r := httptest.NewRequestWithContext(s.t.Context(), method, "https://ops.example.net/"+target,
		strings.NewReader(form.Encode()))
	r.RemoteAddr = "10.0.0.7:4711"
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return r
}

// get returns the status and the body of a page.
func (s *site) get(target string) (int, string) {
	s.t.Helper()
	return read(s.t, s.serve(s.request(http.MethodGet, target, nil)))
}

func read(t *testing.T, res *http.Response) (int, string) {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

// page returns a page, which must be shown.
func (s *site) page(target string) string {
	s.t.Helper()
	status, body := s.get(target)
	require.Equal(s.t, http.StatusOK, status, body)
	return body
}

// post submits a form, given as pairs.
func (s *site) post(target string, pairs ...string) *http.Response {
	s.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return s.serve(s.request(http.MethodPost, target, form))
}

// see submits a form that works, and returns the page to which it leads.
func (s *site) see(target string, pairs ...string) string {
	s.t.Helper()
	res := s.post(target, pairs...)
	status, body := read(s.t, res)
	require.Equal(s.t, http.StatusSeeOther, status, body)
	return res.Header.Get("Location")
}

// run returns the newest run.
func (s *site) run() *state.Run {
	s.t.Helper()
	status, err := s.dir.Status()
	require.NoError(s.t, err)
	require.NotNil(s.t, status.Run)
	return status.Run
}

// plan makes a plan of all orders.
func (s *site) plan() *state.Run {
	s.t.Helper()
	time.Sleep(time.Second) // in a bubble; so that each plan is another one
	require.Contains(s.t, s.see("plan", "all", "1"), "plan?run=")
	return s.run()
}

// wait waits until the run has ended.
func (s *site) wait() {
	s.t.Helper()
	for range 1000 {
		if s.run().Ended() {
			return
		}
		time.Sleep(time.Second) // in a bubble
	}
	require.Fail(s.t, "the run does not end", "%s", s.run())
}
