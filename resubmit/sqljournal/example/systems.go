package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
)

// systems are a Commerce and a Connect for tests, which count the calls of the processes.
type systems struct {
	commerce *commercetest.System
	connect  *connecttest.System
	stop     func()

	mu    sync.Mutex
	now   time.Time // zero: the real time
	calls []time.Time
}

// startSystems starts both systems, with orders that failed because Connect was down.
func startSystems(ctx context.Context, s *settings) (*systems, error) {
	x := new(systems)
	x.connect = connecttest.New(connecttest.Config{Seed: 1, Now: x.time})
	connectURL, err := x.connect.Start() // for Commerce, whose calls are not counted
	if err != nil {
		return nil, err
	}
	x.commerce, err = commercetest.New(commercetest.Config{
		Seed: 1, Now: x.time, ConnectURL: connectURL, ConnectKey: connecttest.DefaultKey,
		InMaintenance: x.connect.InMaintenance, PollInterval: 50 * time.Millisecond, StaleEventFor: settle,
	})
	if err != nil {
		return nil, err
	}
	w := window()
	x.set(w.Start)
	x.connect.SetMaintenance(true)
	for i := range orders {
		x.set(w.Start.Add(time.Duration(i) * time.Minute))
		x.commerce.Place(commercetest.OrderSpec{
			Type: commerce.TypeSales, Subscription: strconv.Itoa(2_000_000 + i), Customer: strconv.Itoa(3_000_000 + i),
		})
		if err := x.commerce.Step(ctx); err != nil {
			return nil, err
		}
	}
	x.set(w.End)
	x.connect.SetMaintenance(false)
	x.set(time.Time{})
	running, stop := context.WithCancel(ctx)
	go func() { _ = x.commerce.Run(running) }() // until it is stopped
	shop, vendors := httptest.NewServer(x.counted(x.commerce)), httptest.NewServer(x.counted(x.connect))
	s.commerce, s.connect = shop.URL, vendors.URL+"/public/v1"
	x.stop = func() {
		shop.Close()
		vendors.Close()
		stop()
		_ = x.connect.Close()
	}
	return x, nil
}

func (x *systems) time() time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.now.IsZero() {
		return time.Now()
	}
	return x.now
}

func (x *systems) set(now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.now = now
}

// counted has the calls of a server counted.
func (x *systems) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.mu.Lock()
		x.calls = append(x.calls, time.Now())
		x.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

// waitForPushes waits until so many orders were pushed.
func (x *systems) waitForPushes(ctx context.Context, n int) bool {
	for tick := time.Tick(20 * time.Millisecond); len(x.commerce.Pushes()) < n; {
		select {
		case <-tick:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// check prints what the servers saw, and returns an error if it is not as promised.
func (x *systems) check(out io.Writer) error {
	left, most, end := 0, 0, 0
	for _, o := range x.commerce.Orders() {
		if o.Status != commerce.StatusCompleted {
			left++
		}
	}
	for i, first := range x.calls {
		for end < len(x.calls) && x.calls[end].Sub(first) < time.Second {
			end++
		}
		most = max(most, end-i)
	}
	violations := append(x.commerce.Violations(), x.connect.Violations()...)
	fmt.Fprintf(out, "The servers saw %d pushes of %d orders, %d violations, and %d calls, at most %d in a second.\n",
		len(x.commerce.Pushes()), orders, len(violations), len(x.calls), most)
	if left > 0 || len(violations) > 0 {
		return fmt.Errorf("%d orders are not completed; violations: %v", left, violations)
	}
	return nil
}
