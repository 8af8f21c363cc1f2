package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/examples/internal/web"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// World is both systems, served on one address of this machine.
type World struct {
	Commerce *commercetest.System
	Connect  *connecttest.System

	CommerceURL, CommerceToken string
	ConnectURL, ConnectKey     string

	// Exposed says that other machines may reach the world.
	Exposed bool

	// Window is the maintenance of the story; zero before Play.
	Window maintenance.Window

	clock   testkit.Clock // of both systems: set by hand in the past, live afterwards
	seed    uint64
	server  *http.Server
	stop    context.CancelFunc
	running sync.WaitGroup
}

// In a live world nobody wants to wait as long as in the real one.
const (
	livePoll     = 50 * time.Millisecond // the connector asks Connect again; 60–119 s really
	liveOldEvent = 200 * time.Millisecond
	liveVendor   = 100 * time.Millisecond
)

// New starts both systems on an address such as 127.0.0.1:0, and extra handlers
// beside them, by the pattern of their path. All of them are guarded, see [web.Guard];
// names are hosts that they answer for besides addresses and localhost. Close ends them.
func New(ctx context.Context, listen string, seed uint64, extra map[string]http.Handler,
	names ...string) (*World, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, err
	}
	if name, _, err := net.SplitHostPort(listen); err == nil && name != "" {
		names = append(names, name)
	}
	addr, isTCP := listener.Addr().(*net.TCPAddr)
	exposed := !isTCP || !addr.IP.IsLoopback()
	base := "http://" + listener.Addr().String()
	w := &World{
		seed: seed, Exposed: exposed,
		CommerceURL: base, CommerceToken: commercetest.DefaultToken,
		ConnectURL: base + "/public/v1", ConnectKey: connecttest.DefaultKey,
	}
	w.Connect = connecttest.New(connecttest.Config{Seed: seed, Now: w.clock.Now, Vendor: w.vendor})
	w.Commerce, err = commercetest.New(commercetest.Config{
		Seed: seed, Now: w.clock.Now, ConnectURL: w.ConnectURL, ConnectKey: w.ConnectKey,
		InMaintenance: w.Connect.InMaintenance,
	})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	mux := http.NewServeMux()
	mux.Handle("/", w.Commerce) // all of its APIs, by their prefixes
	mux.Handle("/public/v1", w.Connect)
	mux.Handle("/public/v1/", w.Connect)
	for pattern, handler := range extra {
		mux.Handle(pattern, handler)
	}
	w.server = &http.Server{
		Handler: web.Guard(mux, web.Hosts{Names: names, AnyAddress: exposed}), ErrorLog: log.New(io.Discard, "", 0),
		// There is no WriteTimeout: a fault may delay an answer for as long as a user likes.
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 1 << 16,
	}
	w.running.Go(func() { _ = w.server.Serve(listener) }) // it ends by Close
	return w, nil
}

// Close ends both systems. Calls that are under way have a second to end.
func (w *World) Close() error {
	if w.stop != nil {
		w.stop()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := w.server.Shutdown(ctx)
	if err != nil {
		err = w.server.Close()
	}
	w.running.Wait()
	return err
}

// Violations are what both systems saw that must never happen, a line each.
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

// Play lets n orders, and the purchases that they build on, live through the
// last three days, with an outage and a maintenance of Connect, up to now.
func (w *World) Play(ctx context.Context, n int) error {
	now := time.Now()
	author := newAuthor(w.seed, now)
	w.Window = maintenance.Window{
		ID: "CHG-2041", Title: "Upgrade of CloudBlue Connect",
		Start: author.start, End: author.end.Add(-20 * time.Minute), // announced
		ActualStart: author.start, ActualEnd: author.end, Source: "sandbox", // it took longer
	}
	for _, s := range author.write(n) {
		if err := w.passUntil(ctx, s.at); err != nil {
			return err
		}
		if err := s.do(w); err != nil {
			return fmt.Errorf("sandbox: %w", err)
		}
	}
	if err := w.passUntil(ctx, now); err != nil {
		return err
	}
	return w.guardTheRest()
}

// passUntil lets all happen that is due before t.
func (w *World) passUntil(ctx context.Context, t time.Time) error {
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

// guardTheRest forbids to touch whatever no resubmission can help.
func (w *World) guardTheRest() error {
	for _, o := range w.Commerce.Orders() {
		if cause := Cause(o); cause != "" && cause != Transient {
			if err := w.Commerce.Forbid(o.ID, cause); err != nil {
				return err
			}
		}
	}
	return nil
}

// Live lets time run by itself from here on, until Close.
func (w *World) Live() error {
	w.clock.Set(time.Time{})
	if err := w.Commerce.SetTiming(livePoll, liveOldEvent); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	w.running.Go(func() { _ = w.Commerce.Run(ctx) }) // it ends with the error of ctx, by Close
	return nil
}

// vendor answers as the product's vendor would.
func (w *World) vendor(call connecttest.VendorCall) connecttest.VendorAnswer {
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
			Action: connecttest.Reject, After: after(3*time.Minute, 5*time.Minute),
			Reason: "the customer's domain is not verified with the vendor",
		}
	case productSlow:
		return connecttest.VendorAnswer{Action: connecttest.Approve, After: after(40*time.Minute, 100*time.Minute)}
	default:
		return connecttest.VendorAnswer{Action: connecttest.Approve, After: after(2*time.Minute, 8*time.Minute)}
	}
}

// Transient is the cause of a failure for which Connect did not answer.
const Transient = "transient"

// Cause tells why an order is failed, as the story made it: "" when it is not,
// Transient when Connect did not answer, and else what no resubmission helps.
func Cause(o commercetest.Order) string {
	switch {
	case o.Status != commerce.StatusProvisioningFailed:
		return ""
	case o.FailWith != "":
		return o.FailWith
	case o.Failure == operatorsMark:
		return "marked by the operator"
	case o.Product == productStrict:
		return "rejected by the vendor"
	default:
		return Transient
	}
}

// maxPlaced is how many orders Place takes at once.
const maxPlaced = 100_000

// Place places orders like one. Subscription, customer and tenant are each
// order's own unless they are given.
func (w *World) Place(count int, like commercetest.NewOrder) ([]commercetest.Order, error) {
	if count < 1 || count > maxPlaced {
		return nil, fmt.Errorf("count %d: give a number from 1 to %d", count, maxPlaced)
	}
	orders := make([]commercetest.Order, count)
	for i := range orders {
		orders[i] = w.Commerce.Place(like)
	}
	return orders, nil
}
