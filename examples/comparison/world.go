package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// settleDelay is how long after a failure, and after a push without an answer, Commerce may still be at work.
const settleDelay = 4 * time.Second

// world is a Commerce and a Connect after a maintenance, with the calls that a contender has made.
type world struct {
	commerce *commercetest.System
	connect  *connecttest.System
	ids      []string // of the orders that failed, in Billing
	export   string   // of the same
	window   maintenance.Window
	base     *httptest.Server
	vendors  *httptest.Server
	close    func()

	mu       sync.Mutex
	limit    int // calls per second to Commerce; 0 for none
	recent   []time.Time
	toOrders int // calls to Commerce, with those that were refused
	toVendor int // calls to Connect
	refused  int // calls that were answered with 429
}

// newWorld lets the orders of a scenario fail, and waits until Commerce has settled.
func newWorld(ctx context.Context, s *scenario) (*world, error) {
	w := &world{connect: connecttest.New(connecttest.Config{Delay: 20 * time.Millisecond})}
	own := httptest.NewServer(w.connect) // for Commerce
	var err error
	w.commerce, err = commercetest.New(commercetest.Config{
		ConnectURL: own.URL + "/public/v1", ConnectKey: connecttest.DefaultKey, PollInterval: 10 * time.Millisecond,
		StaleEventFor: -1, StaleReadsFor: s.lag,
	})
	if err != nil {
		return nil, err
	}
	w.export = "Order ID,Subscription ID\n"
	w.window = maintenance.Window{ID: "CHG-7", Start: time.Now().Truncate(time.Second)}
	w.connect.SetMaintenance(true)
	for i := range s.orders {
		o := w.commerce.Place(commercetest.OrderSpec{CustomerName: fmt.Sprintf("Customer %d", i)})
		w.ids = append(w.ids, o.BillingID)
		w.export += o.BillingID + "," + o.Subscription + "\n"
	}
	if err := w.commerce.Step(ctx); err != nil {
		return nil, err
	}
	w.connect.SetMaintenance(false)
	w.window.End = time.Now()
	if s.lose > 0 {
		for _, f := range []commercetest.Fault{
			{Path: "*/push"}, {Path: "*/RPC2", Contains: "OrderStatusChange_API", Holds: "Operation done."},
		} {
			f.Method, f.Kind, f.After, f.Skip, f.Every = http.MethodPost, commercetest.FaultReset, true, 2, s.lose
			if err := w.commerce.AddFault(f); err != nil {
				return nil, err
			}
		}
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() { _ = w.commerce.Run(running) }()
	w.limit = s.limit
	w.base = httptest.NewServer(w.counted(w.commerce, &w.toOrders, true))
	w.vendors = httptest.NewServer(w.counted(w.connect, &w.toVendor, false))
	w.close = func() { stop(); w.base.Close(); w.vendors.Close(); own.Close() }
	select {
	case <-time.After(settleDelay + time.Second):
		return w, nil
	case <-ctx.Done():
		w.close()
		return nil, ctx.Err()
	}
}

// counted counts calls, and answers 429 to those above the limit.
func (w *world) counted(next http.Handler, n *int, limited bool) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !w.admit(n, limited) {
			rw.Header().Set("Retry-After", "1")
			rw.WriteHeader(http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(rw, r)
	})
}

func (w *world) admit(n *int, limited bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	*n++
	if !limited || w.limit == 0 {
		return true
	}
	now := time.Now()
	for len(w.recent) > 0 && now.Sub(w.recent[0]) >= time.Second {
		w.recent = w.recent[1:]
	}
	if len(w.recent) >= w.limit {
		w.refused++
		return false
	}
	w.recent = append(w.recent, now)
	return true
}

// job is what a contender needs.
func (w *world) job(s *scenario, threads int, state string) *job {
	rate := -1.0
	if s.limit > 0 {
		rate = float64(s.limit)
	}
	urls := commercetest.URLsAt(w.base.URL)
	return &job{
		Orders: w.base.URL + "/aps/2/services/order-manager/orders", Token: commercetest.DefaultToken,
		Commerce: urls.OrderManager, Billing: strings.TrimSuffix(urls.Billing, "/RPC2"), IDs: w.ids, Export: w.export,
		Connect: w.vendors.URL + "/public/v1", ConnectKey: connecttest.DefaultKey, Threads: threads, Rate: rate,
		State: state, Window: w.window,
	}
}

// accepted returns how often each order was moved by a push.
func (w *world) accepted() map[string]int {
	times := map[string]int{}
	for _, p := range w.commerce.Pushes() {
		if p.Accepted {
			times[p.Number]++
		}
	}
	return times
}

// left counts the orders that are not completed.
func (w *world) left() (n int) {
	for _, o := range w.commerce.Orders() {
		if o.Status != commerce.StatusCompleted {
			n++
		}
	}
	return n
}
