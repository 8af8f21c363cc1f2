package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/examples/internal/web"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// World runs both systems on one address of this machine.
type World struct {
	Commerce *commercetest.System
	Connect  *connecttest.System

	CommerceURL, CommerceToken string
	ConnectURL, ConnectKey     string

	// Exposed reports whether other machines can reach the systems.
	Exposed bool

	// Window is the maintenance; zero before Play.
	Window maintenance.Window

	clock   testkit.Clock // of both systems: set by Play, real time after Live
	seed    uint64
	names   []string // of hosts that are accepted
	servers []*http.Server
	stop    context.CancelFunc
	running sync.WaitGroup
}

// Delays after Live, shorter than those of the real systems.
const (
	livePoll     = 50 * time.Millisecond // until the connector polls Connect again; in reality 60 to 119 s
	liveOldEvent = 200 * time.Millisecond
	liveVendor   = 100 * time.Millisecond
)

// New starts both systems on an address such as 127.0.0.1:0, and extra handlers by the pattern of their path. All are
// protected by [web.Guard]; names are accepted hosts besides addresses and localhost. Close stops them.
func New(ctx context.Context, listen string, seed uint64, extra map[string]http.Handler,
	names ...string) (*World, error) {
	w := &World{
		seed: seed, names: names, CommerceToken: commercetest.DefaultToken, ConnectKey: connecttest.DefaultKey,
	}
	mux := http.NewServeMux()
	ready := make(chan struct{}) // a request can arrive before the systems exist
	defer close(ready)
	base, err := w.Serve(ctx, listen, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		<-ready
		mux.ServeHTTP(rw, r)
	}))
	if err != nil {
		return nil, err
	}
	w.CommerceURL, w.ConnectURL = base, base+"/public/v1"
	w.Connect = connecttest.New(connecttest.Config{Seed: seed, Now: w.clock.Now, Vendor: w.vendor})
	w.Commerce, err = commercetest.New(commercetest.Config{
		Seed: seed, Now: w.clock.Now, ConnectURL: w.ConnectURL, ConnectKey: w.ConnectKey,
		InMaintenance: w.Connect.InMaintenance,
	})
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	mux.Handle("/", w.Commerce) // all its APIs, by their prefixes
	mux.Handle("/public/v1", w.Connect)
	mux.Handle("/public/v1/", w.Connect)
	for pattern, handler := range extra {
		mux.Handle(pattern, handler)
	}
	return w, nil
}

// Serve serves a handler on a further address, with the protection and until the end of the others, and returns its
// base URL.
func (w *World) Serve(ctx context.Context, listen string, h http.Handler) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return "", err
	}
	names := w.names
	if name, _, err := net.SplitHostPort(listen); err == nil && name != "" {
		names = append(slices.Clone(names), name)
	}
	addr, isTCP := listener.Addr().(*net.TCPAddr)
	exposed := !isTCP || !addr.IP.IsLoopback()
	w.Exposed = w.Exposed || exposed
	server := &http.Server{
		Handler: web.Guard(h, web.Hosts{Names: names, AnyAddress: exposed}), ErrorLog: log.New(io.Discard, "", 0),
		// There is no WriteTimeout: a fault may delay an answer for as long as a user likes.
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 1 << 16,
	}
	w.servers = append(w.servers, server)
	w.running.Go(func() { _ = server.Serve(listener) }) // until Close
	return "http://" + listener.Addr().String(), nil
}

// Close stops both systems. Calls in flight have a second to end.
func (w *World) Close() error {
	if w.stop != nil {
		w.stop()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var errs []error
	for _, server := range w.servers {
		if server.Shutdown(ctx) != nil {
			errs = append(errs, server.Close())
		}
	}
	w.running.Wait()
	return errors.Join(errs...)
}

// Violations returns what both systems detected that must never happen, one line each.
func (w *World) Violations() []string {
	lines := []string{}
	for _, v := range w.Commerce.Violations() {
		lines = append(lines, "commerce: "+v.String())
	}
	for _, v := range w.Connect.Violations() {
		lines = append(lines, "connect: "+v.String())
	}
	return lines
}

// Play simulates the last three days with n orders, the purchases that they change, an outage and a maintenance.
func (w *World) Play(ctx context.Context, n int) error {
	now := time.Now()
	g := newGenerator(w.seed, now)
	w.Window = maintenance.Window{
		ID: "CHG-2041", Title: "Upgrade of CloudBlue Connect",
		Start: g.start, End: g.end.Add(-20 * time.Minute), // announced
		ActualStart: g.start, ActualEnd: g.end, Source: "sandbox", // longer than announced
	}
	for _, s := range g.generate(n) {
		if err := w.advance(ctx, s.at); err != nil {
			return err
		}
		if err := s.do(w); err != nil {
			return fmt.Errorf("sandbox: %w", err)
		}
	}
	if err := w.advance(ctx, now); err != nil {
		return err
	}
	return w.forbidPermanent()
}

// advance processes everything that is due before t.
func (w *World) advance(ctx context.Context, t time.Time) error {
	for {
		due, ok := w.Commerce.NextDue()
		if !ok || due.After(t) {
			break
		}
		w.clock.Set(due)
		if err := w.Commerce.Step(ctx); err != nil {
			return err
		}
	}
	w.clock.Set(t)
	return ctx.Err()
}

// forbidPermanent makes pushes of orders that no resubmission can help a violation.
func (w *World) forbidPermanent() error {
	for _, o := range w.Commerce.Orders() {
		if cause := Cause(o); cause != "" && cause != Transient {
			if err := w.Commerce.ForbidPush(o.ID, cause); err != nil {
				return err
			}
		}
	}
	return nil
}

// Live switches to real time, until Close.
func (w *World) Live() error {
	w.clock.Set(time.Time{})
	if err := w.Commerce.SetTiming(livePoll, liveOldEvent); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	w.running.Go(func() { _ = w.Commerce.Run(ctx) }) // until Close cancels ctx
	return nil
}

// vendor answers as the product's vendor would.
func (w *World) vendor(call connecttest.PendingRequest) connecttest.VendorAnswer {
	random := testkit.Random(w.seed, call.Request.ID)
	after := func(from, spread time.Duration) time.Duration {
		if w.clock.Live() {
			return liveVendor
		}
		return from + time.Duration(random.Int64N(int64(spread)))
	}
	switch call.Request.Asset.ProductID {
	case productStrict:
		return connecttest.VendorAnswer{
			Action: connecttest.VendorReject, After: after(3*time.Minute, 5*time.Minute),
			Reason: "the customer's domain is not verified with the vendor",
		}
	case productSlow:
		return connecttest.VendorAnswer{Action: connecttest.VendorApprove, After: after(40*time.Minute, 100*time.Minute)}
	default:
		return connecttest.VendorAnswer{Action: connecttest.VendorApprove, After: after(2*time.Minute, 8*time.Minute)}
	}
}

// Transient is the cause of a failure for which Connect did not answer.
const Transient = "transient"

// Cause returns why an order failed: Transient if Connect did not answer, another text if no resubmission can help, ""
// if the order has not failed.
func Cause(o commercetest.Order) string {
	switch {
	case o.Status != commerce.StatusProvisioningFailed:
		return ""
	case o.FailWith != "":
		return o.FailWith
	case o.Failure == markedByOperator:
		return "marked by the operator"
	case o.Product == productStrict:
		return "rejected by the vendor"
	default:
		return Transient
	}
}

// maxPlaced limits the orders of one call of Place.
const maxPlaced = 100_000

// Place places count orders. Each has a subscription, customer and tenant of its own unless they are given.
func (w *World) Place(count int, like commercetest.OrderSpec) ([]commercetest.Order, error) {
	if count < 1 || count > maxPlaced {
		return nil, fmt.Errorf("count %d: give a number from 1 to %d", count, maxPlaced)
	}
	orders := make([]commercetest.Order, count)
	for i := range orders {
		orders[i] = w.Commerce.Place(like)
	}
	return orders, nil
}
