package resubmit_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

// callCounter counts the calls that a server gets, by method and path without ids.
type callCounter struct {
	next  http.RoundTripper
	mu    *sync.Mutex
	calls map[string]int
}

func (c callCounter) RoundTrip(r *http.Request) (*http.Response, error) {
	kind := r.URL.Host + " " + r.Method
	if r.URL.RawQuery != "" {
		kind += " list"
	}
	c.mu.Lock()
	c.calls[kind]++
	c.mu.Unlock()
	return c.next.RoundTrip(r)
}

func (c callCounter) total() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.calls {
		n += k
	}
	return n
}

// night is a maintenance of Connect in which orders failed, with the clients for both systems.
type night struct {
	commerce *commercetest.System
	connect  *connecttest.System
	systems  resubmit.Systems
	windows  *maintenance.Calendar
	calls    callCounter
}

// newNight places orders of six vendors during a maintenance. Vendors reject 5 % of them later, and take minutes for
// 10 %.
func newNight(t *testing.T, orders int) *night {
	slow, rejected := make(map[string]time.Duration), make(map[string]bool) // by tenant
	n := &night{calls: callCounter{mu: new(sync.Mutex), calls: map[string]int{}}}
	n.connect = connecttest.New(connecttest.Config{
		Vendor: func(p connecttest.PendingRequest) connecttest.VendorAnswer {
			tenant := p.Request.Asset.ExternalUID
			if rejected[tenant] {
				return connecttest.VendorAnswer{Action: connecttest.VendorReject, After: time.Second}
			}
			return connecttest.VendorAnswer{Action: connecttest.VendorApprove, After: max(time.Second, slow[tenant])}
		},
	})
	var err error
	n.commerce, err = commercetest.New(commercetest.Config{
		PollInterval: 2 * time.Second, MaxPageSize: 100, InMaintenance: n.connect.InMaintenance,
		ConnectURL: "https://connect.example.net/public/v1", ConnectKey: connecttest.DefaultKey,
		ConnectHTTP: &http.Client{Transport: n.connect.Transport()},
	})
	require.NoError(t, err)
	start := time.Now()
	n.connect.SetMaintenance(true)
	for i := range orders {
		o := n.commerce.Place(commercetest.OrderSpec{Type: commerce.TypeSales, VendorAccount: fmt.Sprint(1000000 + i%6)})
		switch i / 6 % 20 {
		case 7:
			rejected[o.Tenant] = true
		case 4, 14:
			slow[o.Tenant] = time.Minute + time.Duration(i%240)*time.Second
		}
		<-time.After(time.Second)
	}
	require.NoError(t, n.commerce.Step(t.Context()))
	n.connect.SetMaintenance(false)
	n.windows, err = maintenance.NewCalendar([]maintenance.Window{{ID: "night", Start: start, End: time.Now()}})
	require.NoError(t, err)
	<-time.After(10 * time.Minute) // longer than the settle delay

	client := func(next http.RoundTripper) *http.Client {
		return &http.Client{Transport: callCounter{next, n.calls.mu, n.calls.calls}}
	}
	shop, err := ordermanager.New("https://commerce.example.net", ordermanager.Token(commercetest.DefaultToken),
		ordermanager.WithPageSize(100), ordermanager.WithHTTPClient(client(n.commerce.Transport())))
	require.NoError(t, err)
	vendors, err := connect.New("https://connect.example.net/public/v1", connect.APIKey(connecttest.DefaultKey),
		connect.WithHTTPClient(client(n.connect.Transport())))
	require.NoError(t, err)
	n.systems = resubmit.SystemsOf(shop, shop)
	n.systems.Requests, n.systems.Prober = vendors, vendors
	return n
}

// live lets time-driven changes of the systems happen, until the returned function is called.
func (n *night) live(t *testing.T) (end func()) {
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-over:
				return
			case <-time.After(500 * time.Millisecond):
			}
			if err := n.commerce.Step(t.Context()); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	return func() { close(over); <-done }
}

// The calls at the servers for each order, with the real clients and the default settings, and the time to recover at
// 50 calls a second. -v shows the figures.
func TestCallBudget(t *testing.T) {
	t.Parallel()
	const orders = 600
	for name, rate := range map[string]float64{"default rate": 0, "50 calls per second": 50} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNight(t, orders)
				end := n.live(t)
				defer end()
				plan, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
					Systems: n.systems, Journal: journalOf(t), Filter: filter.Everything(), Calendar: n.windows, RateLimit: rate,
				})
				require.NoError(t, err)
				require.Equal(t, orders, plan.Counts().Resubmit)
				planned := n.calls.total()
				t.Attr("planning-calls/order", fmt.Sprint(float64(planned)/orders))
				t.Logf("planning: %.3f calls per order %v", float64(planned)/orders, n.calls.calls)
				require.LessOrEqual(t, float64(planned)/orders, 1.1)

				clear(n.calls.calls)
				start := time.Now()
				r, err := resubmit.NewRunner(resubmit.Config{Systems: n.systems, Journal: journalOf(t), RateLimit: rate})
				require.NoError(t, err)
				report, err := r.Apply(t.Context(), plan)
				require.NoError(t, err)
				applied := float64(n.calls.total()) / orders
				t.Attr("applying-calls/order", fmt.Sprint(applied))
				t.Logf("applying: %.3f calls per order %v", applied, n.calls.calls)
				t.Logf("recovered in %v; ideal for 2 calls per order %v: %s", time.Since(start),
					time.Duration(2*orders/max(rate, defaultRate)*float64(time.Second)), report.Result)
				t.Log(report.Canary)
				require.Equal(t, orders, report.Result.Completed+report.Result.FailedAgain, report.Result.String())
				require.LessOrEqual(t, applied, 2.2)
				require.Empty(t, n.commerce.Violations())
				require.Empty(t, n.connect.Violations())
			})
		})
	}
}
