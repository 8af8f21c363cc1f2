package browsertest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/console"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// world is a Commerce and a Connect after a maintenance, with a state directory.
type world struct {
	commerce *commercetest.System
	connect  *connecttest.System
	dir      *state.Dir
	clock    testkit.Clock
	key      ed25519.PrivateKey // of approvals
}

// companies are the customers. Some names would change a page if they were not escaped.
var companies = []string{
	"Acme Bakery", "Borealis Clinics", "Cobalt Farms", "Dunes Freight", `<script>alert("x")</script>`, "Elm Games",
	"Fjord Legal", "Granite \u202eMotors", "Harbour & Sons", "Indigo Textiles",
}

// newWorld returns a world in which a maintenance of three hours ended half an hour ago, and n orders failed. Commerce
// and Connect are quick from now on. more changes the configuration of the directory.
func newWorld(t *testing.T, n int, more ...func(*state.Config)) *world {
	t.Helper()
	w := &world{}
	now := time.Now().UTC().Truncate(time.Minute)
	start, end := now.Add(-210*time.Minute), now.Add(-30*time.Minute)
	w.clock.Set(now.Add(-48 * time.Hour))
	w.connect = connecttest.New(connecttest.Config{Seed: 1, Now: w.clock.Now, Vendor: w.vendor})
	connectServer := httptest.NewServer(w.connect)
	t.Cleanup(connectServer.Close)
	var err error
	w.commerce, err = commercetest.New(commercetest.Config{
		Seed: 1, Now: w.clock.Now, ConnectURL: connectServer.URL + "/public/v1", ConnectKey: connecttest.DefaultKey,
		InMaintenance: w.connect.InMaintenance,
	})
	require.NoError(t, err)
	commerceServer := httptest.NewServer(w.commerce)
	t.Cleanup(commerceServer.Close)

	w.advance(t, start)
	w.connect.SetMaintenance(true)
	for i := range n {
		w.advance(t, start.Add(end.Sub(start)*time.Duration(i*i)/time.Duration(n*n)))
		w.place(i)
	}
	w.advance(t, end)
	w.connect.SetMaintenance(false)
	w.advance(t, now)
	w.clock.Set(time.Time{})
	require.NoError(t, w.commerce.SetTiming(20*time.Millisecond, 100*time.Millisecond))
	go func() { _ = w.commerce.Run(t.Context()) }()

	orders, err := ordermanager.New(commerceServer.URL, ordermanager.Token(commercetest.DefaultToken))
	require.NoError(t, err)
	requests, err := connect.New(connectServer.URL+"/public/v1", connect.APIKey(connecttest.DefaultKey))
	require.NoError(t, err)
	calendar, err := maintenance.NewCalendar([]maintenance.Window{{
		ID: "CHG-2041", Title: "Upgrade of Connect <26>", Start: start, End: end.Add(-40 * time.Minute), ActualStart: start,
		ActualEnd: end, Source: "status page",
	}, {ID: "CHG-1999", Title: "Old window", Start: now.Add(-40 * time.Hour), End: now.Add(-39 * time.Hour)}})
	require.NoError(t, err)
	systems := resubmit.SystemsOf(orders, orders)
	systems.Requests, systems.Prober = requests, requests
	systems.Name = "commerce.example.net"
	cfg := state.Config{
		Systems: systems,
		Plan:    resubmit.PlanConfig{Filter: filter.Everything(), RateLimit: -1},
		Runner: resubmit.Config{RateLimit: 100, Verify: resubmit.VerifyConfig{
			InitialInterval: 50 * time.Millisecond, MaxInterval: 200 * time.Millisecond,
		}},
		Calendar: func() *maintenance.Calendar { return calendar },
		Anchor:   state.FileAnchor(filepath.Join(t.TempDir(), "anchor")),
		Program:  "browsertest", Command: "aftermaintenance",
	}
	public, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	w.key, cfg.Approvers = key, []ed25519.PublicKey{public}
	for _, f := range more {
		f(&cfg)
	}
	w.dir, err = state.Open(t.Context(), filepath.Join(t.TempDir(), "state"), cfg)
	require.NoError(t, err)
	return w
}

// advance processes everything that is due before to.
func (w *world) advance(t *testing.T, to time.Time) {
	t.Helper()
	for {
		due, ok := w.commerce.NextDue()
		if !ok || due.After(to) {
			break
		}
		w.clock.Set(due)
		require.NoError(t, w.commerce.Step(t.Context()))
	}
	w.clock.Set(to)
}

// place places an order. One in twelve fails for a reason that resubmitting does not change.
func (w *world) place(i int) {
	spec := commercetest.OrderSpec{
		Type: commerce.TypeSales, Product: "PRD-100-200-300", Customer: fmt.Sprint(3100000 + i%64),
		CustomerName: companies[i%len(companies)], VendorAccount: []string{"", "1000101", "1000102"}[i%3],
		Total: commerce.Money{
			Amount: decimal.New(int64(1999+i*7919%400000), -2), Currency: []string{"USD", "USD", "EUR"}[i%3],
		},
	}
	switch i % 24 {
	case 7:
		spec.FailWith = testkit.FailCustomerNotFound
	case 15:
		spec.FailWith = testkit.FailAlreadyExists
	case 19:
		spec.FailWith = "Script <b>local-check</b> returned 3: ask \u202eBasement"
	}
	w.commerce.Place(spec)
}

func (w *world) vendor(connecttest.PendingRequest) connecttest.VendorAnswer {
	after := 5 * time.Minute
	if w.clock.Live() {
		after = 100 * time.Millisecond
	}
	return connecttest.VendorAnswer{Action: connecttest.VendorApprove, After: after}
}

// serve mounts a console at a path of a host's server, and returns its address.
func (w *world) serve(t *testing.T, base string, change ...func(*console.Config)) string {
	t.Helper()
	cfg := console.Config{
		State:     w.dir,
		Authorize: func(*http.Request, console.Action) (string, error) { return "mrossi", nil },
		Apply: func(ctx context.Context) error {
			_, err := w.dir.Once(ctx, state.OnceOptions{Continue: true})
			return err
		},
		ApprovalKey: w.key, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := console.New(cfg)
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle(base+"/", http.StripPrefix(base, c))
	server := httptest.NewUnstartedServer(mux)
	server.Config.WriteTimeout = time.Second // shorter than the event streams
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(c.Close)
	return server.URL + base + "/"
}
