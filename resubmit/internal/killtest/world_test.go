package killtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// world are the two systems of one program, with orders that failed in a maintenance that ended long ago.
type world struct {
	commerce *commercetest.System
	connect  *connecttest.System
	killer   *killer
	program  program
	clock    testkit.Clock // of both systems

	hopeless map[string]bool // ids of orders that fail again and again
	never    map[string]bool // ids of orders that no resubmission can help
	mu       sync.Mutex
	once     map[string]bool // ids of orders that fail once more, with another reason
}

const (
	productSlow = "PRD-SLOW"

	failTransient = "Provisioning: resource of APS application: '503 Service Unavailable' received from 'POST " +
		"https://connect-extension.example.com/tenant'"
)

// size is how much there is to do.
type size struct {
	quick         bool // the delays are short
	orders, chain int  // chain is the number of orders of some subscriptions
	slow          time.Duration
}

func newWorld(t *testing.T, seed uint64, of size) *world {
	t.Helper()
	end := time.Now().Add(-2 * time.Hour).UTC().Truncate(time.Second)
	w := &world{
		hopeless: make(map[string]bool), never: make(map[string]bool), once: make(map[string]bool),
		program: program{
			Dir: t.TempDir(), Quick: of.quick, Window: maintenance.Window{ID: "W", Start: end.Add(-2 * time.Hour), End: end},
		},
	}
	w.clock.Set(w.program.Window.Start)
	w.connect = connecttest.New(connecttest.Config{Seed: seed, Now: w.clock.Now, Vendor: w.vendor(seed, of.slow)})
	var err error
	w.program.Connect, err = w.connect.Start()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.connect.Close()) })
	config := commercetest.Config{
		Seed: seed, Now: w.clock.Now, ConnectURL: w.program.Connect, ConnectKey: connecttest.DefaultKey,
		InMaintenance: w.connect.InMaintenance, PollInterval: 3 * time.Second, StaleReadsFor: 20 * time.Second,
	}
	if of.quick {
		config.PollInterval, config.StaleEventFor, config.StaleReadsFor = 50*time.Millisecond, quickSettle, quickSettle/4
	}
	w.commerce, err = commercetest.New(config)
	require.NoError(t, err)
	w.killer = &killer{next: w.commerce, lost: make(map[string]bool), onPush: w.healOnce}
	server := httptest.NewServer(w.killer)
	t.Cleanup(server.Close)
	w.program.Commerce = server.URL

	w.connect.SetMaintenance(true)
	for i := range of.orders {
		w.place(t, i, of.chain)
	}
	w.clock.Set(w.program.Window.End)
	w.connect.SetMaintenance(false)
	w.clock.Set(time.Time{})
	w.live(t)
	return w
}

// vendor returns the vendors.
func (w *world) vendor(seed uint64, slow time.Duration) func(connecttest.PendingRequest) connecttest.VendorAnswer {
	return func(r connecttest.PendingRequest) connecttest.VendorAnswer {
		a := connecttest.VendorAnswer{Action: connecttest.VendorApprove, After: slow / 8}
		if r.Request.Asset.ProductID == productSlow {
			a.After = slow/2 + time.Duration(testkit.Random(seed, r.Request.ID).Int64N(int64(slow/2)))
		}
		return a
	}
}

// The orders are placed in blocks of twelve.
const (
	placeNever     = 3 // in a block: no resubmission can help
	chainFrom      = 4 // in a block: the first order of a subscription, which others change
	chainTo        = 8
	placeHopeless  = 9  // fails again, with the same reason
	placeFailsOnce = 11 // fails once more, with another reason
)

// place makes an order fail in the maintenance. A chain has so many orders of one subscription.
func (w *world) place(t *testing.T, i, chain int) {
	t.Helper()
	w.clock.Add(time.Minute)
	spec := commercetest.OrderSpec{Subscription: strconv.Itoa(2_000_000 + i), Customer: strconv.Itoa(3_000_000 + i)}
	if i%2 == 0 {
		spec.Product = productSlow
	}
	kind := i % 12
	switch {
	case i > chainTo && i < 12: // so few that the canary does not wait for those that fail again
		spec.VendorAccount = "1000102"
	case i/12%2 == 1:
		spec.VendorAccount = "1000101"
	}
	if link := kind - chainFrom; link >= 0 && kind <= chainTo && link%chain > 0 {
		spec.Type = commerce.TypeChange
		spec.Subscription, spec.Customer = strconv.Itoa(2_000_000+i-link%chain), strconv.Itoa(3_000_000+i-link%chain)
	}
	if kind == placeNever {
		spec.FailWith = testkit.FailInvalidValue
	}
	o := w.commerce.Place(spec)
	require.NoError(t, w.commerce.Step(t.Context()))
	o, _ = w.commerce.Order(o.ID)
	require.Equal(t, commerce.StatusProvisioningFailed, o.Status)
	switch {
	case kind == placeNever:
		w.never[o.ID] = true
		require.NoError(t, w.commerce.ForbidPush(o.ID, "no resubmission can help"))
	case i == placeHopeless:
		w.hopeless[o.ID] = true
		_, reason, _ := strings.Cut(o.Failure, "Reason: ")
		require.NoError(t, w.commerce.FailWith(o.ID, strings.TrimSuffix(reason, ".")))
	case i == placeFailsOnce:
		w.once[o.ID] = true
		require.NoError(t, w.commerce.FailWith(o.ID, failTransient))
	}
}

// healOnce lets an order that has failed again succeed from now on.
func (w *world) healOnce(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if o, ok := w.commerce.Order(id); ok && w.once[id] && o.Failures > 1 {
		delete(w.once, id)
		_ = w.commerce.FailWith(id, "") // it exists
	}
}

// live lets the orders proceed in real time until the test ends.
func (w *world) live(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.commerce.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

// check returns what must never happen and did, by the ledgers of the systems.
func (w *world) check() error {
	var errs []error
	for _, v := range slices.Concat(w.commerce.Violations(), w.connect.Violations()) {
		errs = append(errs, errors.New(v.String()))
	}
	type failure struct {
		order  string
		number int
	}
	accepted := make(map[failure]int)
	for _, c := range w.commerce.Pushes() {
		if c.Accepted {
			accepted[failure{c.Number, c.FailureNumber}]++
		}
	}
	for f, n := range accepted {
		if n > 1 {
			errs = append(errs, fmt.Errorf("%s was pushed %d times for failure %d", f.order, n, f.number))
		}
	}
	return errors.Join(errs...)
}

// unfinished returns the numbers of the orders that a resubmission can help and that are not completed.
func (w *world) unfinished() (numbers []string) {
	for _, o := range w.commerce.Orders() {
		if !w.hopeless[o.ID] && !w.never[o.ID] && o.Status != commerce.StatusCompleted {
			numbers = append(numbers, o.Number)
		}
	}
	return numbers
}

// halfDone returns the completed orders with an item that is not provisioned.
func (w *world) halfDone() error {
	half := make(map[string]commerce.ProvisioningStatus)
	for _, o := range w.commerce.Orders() {
		if o.Status == commerce.StatusCompleted && o.ProvisioningStatus != commerce.ProvisioningCompleted {
			half[o.Number] = o.ProvisioningStatus
		}
	}
	if len(half) == 0 {
		return nil
	}
	return fmt.Errorf("completed, but not provisioned: %v", slices.Sorted(maps.Keys(half)))
}
