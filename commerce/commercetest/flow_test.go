package commercetest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect"
)

func TestOrdersCompleteWhileConnectIsUp(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		order    commercetest.OrderSpec
		after    commerce.Status // after the first step
		requests int
	}{
		{"a sales order waits for the vendor", commercetest.OrderSpec{Type: commerce.TypeSales}, commerce.StatusProvisioning,
			1},
		{"no type is a sales order", commercetest.OrderSpec{}, commerce.StatusProvisioning, 1},
		{"a change order waits for the vendor", commercetest.OrderSpec{Type: commerce.TypeChange},
			commerce.StatusProvisioning,
			1},
		{"an upgrade waits for the vendor", commercetest.OrderSpec{Type: commerce.TypeUpgrade}, commerce.StatusProvisioning,
			1},
		{"a downgrade waits for the vendor", commercetest.OrderSpec{Type: commerce.TypeDowngrade},
			commerce.StatusProvisioning,
			1},
		{"a cancellation waits for the vendor", commercetest.OrderSpec{Type: commerce.TypeCancellation},
			commerce.StatusProvisioning, 1},
		{"a cancellation charge waits for the vendor", commercetest.OrderSpec{Type: commerce.TypeCancellationCharge},
			commerce.StatusProvisioning, 1},
		{"a suspension waits for the vendor", commercetest.OrderSpec{Type: "XX", RequestType: connect.TypeSuspend},
			commerce.StatusProvisioning, 1},
		{"a renewal asks nothing of the vendor", commercetest.OrderSpec{Type: commerce.TypeRenewal}, commerce.StatusCompleted,
			0},
		{"a billing order provisions nothing", commercetest.OrderSpec{Type: commerce.TypeBilling}, commerce.StatusCompleted,
			0},
		{"a payment order provisions nothing", commercetest.OrderSpec{Type: commerce.TypePayment}, commerce.StatusCompleted,
			0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			o := r.sys.Place(test.order)
			require.Equal(t, commerce.StatusPaid, o.Status)
			require.Equal(t, commerce.ProvisioningInProgress, o.ProvisioningStatus)
			r.step()
			require.Equal(t, test.after, r.order(o.ID).Status)
			require.Len(t, r.connect.posted(), test.requests)
			r.connect.all("approved", "")
			r.after(time.Minute)
			o = r.order(o.ID)
			require.Equal(t, commerce.StatusCompleted, o.Status)
			require.Equal(t, commerce.ProvisioningCompleted, o.ProvisioningStatus)
			require.Zero(t, o.Failures)
			_, due := r.sys.NextDue()
			require.False(t, due)
		})
	}
}

func TestFailedOrderAcceptsOnlyOfferedTransitions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		typ        commerce.OrderType
		documented bool
		offers     []commerce.Status
	}{
		{"sales orders offer PD in practice", commerce.TypeSales, false, []commerce.Status{"CL", "PD"}},
		{"sales orders offer PR by the guide", commerce.TypeSales, true, []commerce.Status{"CL", "PR"}},
		{"cancellation charges offer RB", commerce.TypeCancellationCharge, false, []commerce.Status{"CL", "RB"}},
		{"cancellation charges offer RB by the guide too", commerce.TypeCancellationCharge, true,
			[]commerce.Status{"CL", "RB"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(c *commercetest.Config) { c.OfferProvisioning = test.documented })
			o := r.failed(commercetest.OrderSpec{Type: test.typ})
			require.Equal(t, test.offers, o.Transitions)
			for _, to := range []commerce.Status{"CP", "PF", "FR", "I4", "LO", ""} {
				require.ErrorContains(t, r.sys.Push(o.ID, to), "offers no transition")
			}
			require.NoError(t, r.sys.Push(o.Number, test.offers[1]))
			require.Error(t, r.sys.Push(o.ID, test.offers[1]), "it is in progress now")
			r.step()
			r.connect.all("approved", "")
			r.after(time.Minute)
			o = r.order(o.ID)
			require.Equal(t, commerce.StatusCompleted, o.Status)
			require.Equal(t, commerce.ProvisioningCompleted, o.ProvisioningStatus)
			require.Equal(t, 1, o.Pushes)
			require.Equal(t, 1, o.Failures)
			require.Empty(t, o.Failure)
		})
	}
}

func TestCancelledOrderEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	o := r.failed(commercetest.OrderSpec{})
	require.NoError(t, r.sys.Push(o.ID, commerce.StatusCancelled))
	require.Equal(t, commerce.StatusCancelled, r.order(o.ID).Status)
	require.Empty(t, r.order(o.ID).Transitions)
	_, due := r.sys.NextDue()
	require.False(t, due)
}

func TestMarkFailedStopsOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	o := r.sys.Place(commercetest.OrderSpec{})
	r.step()
	require.NoError(t, r.sys.MarkFailed(o.ID, "marked by hand"))
	_, due := r.sys.NextDue()
	require.False(t, due)
	r.connect.all("approved", "")
	r.after(time.Hour)
	o = r.order(o.ID)
	require.Equal(t, commerce.StatusProvisioningFailed, o.Status)
	require.Equal(t, "marked by hand", o.Failure)
	require.Equal(t, 1, o.Failures)
	require.ErrorContains(t, r.sys.MarkFailed(o.ID, "again"), "not in progress")
}

func TestFailWith(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		want string
	}{
		{"error_code #2007, extype_id #205, module_id #ResourceManagement, Subscription #{subscription} already exists",
			"error_code #2007, extype_id #205, module_id #ResourceManagement, Subscription #42 already exists"},
		{"'n/a' is not valid value for the parameter 'postalCode' of customer {customer}",
			"'n/a' is not valid value for the parameter 'postalCode' of customer 7"},
		{"the account {customer} is ambiguous",
			"the account 7 is ambiguous"},
		{"marketplace misconfiguration: no listing for subscription {subscription}",
			"marketplace misconfiguration: no listing for subscription 42"},
		{"Customer not found", "Customer not found"},
		{"The Reseller Account is not Active", "The Reseller Account is not Active"},
		{"Concurrent Billing Order has been processed", "Concurrent Billing Order has been processed"},
		{"the request has quantity 0 for all items", "the request has quantity 0 for all items"},
		{"the dog ate it", "the dog ate it"},
	} {
		t.Run(test.want, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			o := r.sys.Place(commercetest.OrderSpec{Subscription: "42", Customer: "7", FailWith: test.text})
			r.step()
			o = r.order(o.ID)
			require.Equal(t, commerce.StatusProvisioningFailed, o.Status)
			require.Equal(t, commerce.ProvisioningFailed, o.ProvisioningStatus)
			require.Equal(t, test.want, commerce.Failure{Messages: map[string]string{"en_US": o.Failure}}.Reason())
			require.Empty(t, r.connect.posted())

			r.clock.Add(5 * time.Minute)
			require.NoError(t, r.sys.Push(o.ID, commerce.StatusPaid))
			r.step()
			require.Equal(t, 2, r.order(o.ID).Failures)

			require.NoError(t, r.sys.FailWith(o.ID, ""))
			require.NoError(t, r.sys.Push(o.ID, commerce.StatusPaid))
			r.step()
			require.Equal(t, commerce.StatusProvisioning, r.order(o.ID).Status)
			require.Len(t, r.connect.posted(), 1)
		})
	}
}

func TestFailWithOnBillingOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	o := r.sys.Place(commercetest.OrderSpec{Type: commerce.TypeBilling, FailWith: "The Reseller Account is not Active"})
	r.step()
	require.Equal(t, commerce.StatusProvisioningFailed, r.order(o.ID).Status)
}

func TestSeedDeterminesOrders(t *testing.T) {
	t.Parallel()
	place := func(seed uint64) []commercetest.Order {
		now := newClock()
		sys := newSystem(t, commercetest.Config{Seed: seed, Now: now.Now})
		for range 50 {
			sys.Place(commercetest.OrderSpec{})
			now.Add(time.Second)
		}
		require.NoError(t, sys.Step(t.Context()))
		return sys.Orders()
	}
	first, again := place(7), place(7)
	require.Equal(t, first, again)
	require.NotEqual(t, first[0].ID, place(8)[0].ID)
	ids := map[string]bool{}
	for _, o := range place(7) {
		require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, o.ID)
		ids[o.ID], ids[o.Tenant] = true, true
	}
	require.Len(t, ids, 100)
}

func TestOrdersOfSubscriptionShareTenant(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	first := r.sys.Place(commercetest.OrderSpec{Subscription: "42"})
	change := r.sys.Place(commercetest.OrderSpec{Type: commerce.TypeChange, Subscription: "42"})
	other := r.sys.Place(commercetest.OrderSpec{Subscription: "43", Tenant: "own"})
	more := r.sys.Place(commercetest.OrderSpec{Type: commerce.TypeChange, Subscription: "43"})
	require.Equal(t, first.Tenant, change.Tenant)
	require.Equal(t, "own", other.Tenant)
	require.Equal(t, "own", more.Tenant)
}

func TestUnknownOrdersAndInvalidSettings(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	o := r.sys.Place(commercetest.OrderSpec{})
	const want = `commercetest: there is no order "SO9"`
	require.EqualError(t, r.sys.MarkFailed("SO9", "x"), want)
	require.EqualError(t, r.sys.FailWith("SO9", ""), want)
	require.EqualError(t, r.sys.ForbidPush("SO9", "x"), want)
	require.ErrorContains(t, r.sys.Push("SO9", "PD"), `there is no order "SO9"`)
	require.ErrorContains(t, r.sys.ForbidPush(o.ID, ""), "the reason is empty")
	_, ok := r.sys.Order("SO9")
	require.False(t, ok)
	_, err := r.sys.Start()
	require.ErrorContains(t, err, "started already")

	for want, cfg := range map[string]commercetest.Config{
		"ConnectURL":   {ConnectURL: "connect.example.com"},
		"PollInterval": {PollInterval: -1},
		"StaleReads":   {StaleReadsFor: -1},
		"MaxPage":      {MaxPageSize: -1},
		"RefusedPush":  {RefusedPushStatus: 200},
	} {
		_, err := commercetest.New(cfg)
		require.ErrorContains(t, err, want)
	}
}

func TestCauseIsIndependentOfFailureText(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.OutageTexts = []string{"{method} of {product}: we are away", ""} })
	injected := r.sys.Place(commercetest.OrderSpec{FailWith: "502 Bad Gateway"})
	marked := r.sys.Place(commercetest.OrderSpec{})
	refused := r.sys.Place(commercetest.OrderSpec{})
	r.step()
	require.NoError(t, r.sys.MarkFailed(marked.ID, "503 Service Unavailable"))
	r.connect.all("failed", "no credit")
	r.step()
	r.after(2 * 60e9)
	require.Equal(t, commercetest.CauseInjected, r.order(injected.ID).Cause)
	require.Equal(t, commercetest.CauseOperator, r.order(marked.ID).Cause)
	require.Equal(t, commercetest.CauseVendor, r.order(refused.ID).Cause)

	r.connect.set(func(f *fakeConnect) { f.down = true })
	texts := map[string]int{}
	for range 20 {
		o := r.sys.Place(commercetest.OrderSpec{Product: "PRD-1"})
		r.step()
		o = r.order(o.ID)
		require.Equal(t, commerce.StatusProvisioningFailed, o.Status)
		require.Equal(t, commercetest.CauseConnect, o.Cause)
		if o.Failure != "" {
			require.Contains(t, o.Failure, ": POST of PRD-1: we are away.")
		}
		texts[o.Failure[:min(12, len(o.Failure))]]++
	}
	require.Len(t, texts, 2, "each text is used")
	o := r.order(marked.ID)
	r.connect.set(func(f *fakeConnect) { f.down = false })
	require.NoError(t, r.sys.Push(o.ID, commerce.StatusPaid))
	require.Empty(t, r.order(marked.ID).Cause, "it is no longer failed")
}
