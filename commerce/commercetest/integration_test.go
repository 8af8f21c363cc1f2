package commercetest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
)

// both is a rig whose Connect is a connecttest.System.
func both(t *testing.T, vendor func(connecttest.PendingRequest) connecttest.VendorAnswer) (*rig, *connecttest.System) {
	t.Helper()
	r := &rig{t: t, clock: newClock()}
	con := connecttest.New(connecttest.Config{Now: r.clock.Now, Seed: 1, Vendor: vendor, Delay: 90 * time.Second})
	r.start(con, commercetest.Config{ConnectKey: connecttest.DefaultKey, InMaintenance: con.InMaintenance}, nil)
	return r, con
}

// until advances the clock by d, event by event.
func (r *rig) until(d time.Duration) {
	r.t.Helper()
	end := r.clock.Now().Add(d)
	for {
		due, ok := r.sys.NextDue()
		if !ok || due.After(end) {
			break
		}
		r.clock.Add(max(due.Sub(r.clock.Now()), 0))
		r.step()
	}
	r.clock.Add(end.Sub(r.clock.Now()))
	r.step()
}

func TestMaintenanceAndResubmission(t *testing.T) {
	t.Parallel()
	r, con := both(t, nil)
	var before, during []commercetest.Order
	for range 20 { // done before it begins
		before = append(before, r.sys.Place(commercetest.OrderSpec{}))
	}
	r.until(time.Hour)
	for _, o := range before {
		require.Equal(t, commerce.StatusCompleted, r.order(o.ID).Status)
	}
	for range 20 { // waiting for the vendor when it begins
		during = append(during, r.sys.Place(commercetest.OrderSpec{}))
	}
	r.step()
	con.SetMaintenance(true)
	for i := range 60 {
		typ := []commerce.OrderType{"SO", "CH", "RN"}[i%3]
		n := commercetest.OrderSpec{Type: typ}
		if typ == "CH" {
			n.Subscription = before[i%20].Subscription
		}
		during = append(during, r.sys.Place(n))
		r.until(time.Minute)
	}
	for _, o := range during {
		require.Equal(t, commerce.StatusProvisioningFailed, r.order(o.ID).Status)
		require.Contains(t, r.order(o.ID).Failure, "500 Internal Server Error")
	}
	con.SetMaintenance(false)
	r.until(10 * time.Minute)
	for _, o := range during {
		require.Equal(t, http.StatusOK, r.push(o.ID, commerce.StatusPaid))
		r.until(5 * time.Minute)
		require.Equal(t, commerce.StatusCompleted, r.order(o.ID).Status, r.order(o.ID).Failure)
	}
	require.Empty(t, r.sys.Violations())
	require.Empty(t, con.Violations())
	require.Len(t, con.Requests(), 20+20+20+20, "each order except a renewal has one request, however often it was pushed")
}

func TestVendorRejects(t *testing.T) {
	t.Parallel()
	r, con := both(t, func(c connecttest.PendingRequest) connecttest.VendorAnswer {
		if c.Request.Type == connect.TypePurchase && c.Request.Asset.ExternalID != "42" {
			return connecttest.VendorAnswer{Action: connecttest.VendorApprove}
		}
		return connecttest.VendorAnswer{Action: connecttest.VendorReject, Reason: "No seats left"}
	})
	rejected := r.sys.Place(commercetest.OrderSpec{Subscription: "42"})
	good := r.sys.Place(commercetest.OrderSpec{Subscription: "43"})
	r.until(5 * time.Minute)
	cancel := r.sys.Place(commercetest.OrderSpec{Type: commerce.TypeCancellation, Subscription: "43"})
	r.until(10 * time.Minute)
	require.Equal(t, commerce.StatusCompleted, r.order(good.ID).Status)
	require.Contains(t, r.order(rejected.ID).Failure,
		"following reason: No seats left, submitting again this order will fail")
	require.Contains(t, r.order(cancel.ID).Failure, "following reason: No seats left")

	require.Equal(t, http.StatusOK, r.push(rejected.ID, commerce.StatusPaid))
	r.until(10 * time.Minute)
	require.Contains(t, r.order(rejected.ID).Failure, "[ProvisioningFailed]", "resubmitting does not help")
	require.Contains(t, r.order(rejected.ID).Failure, "No seats left")

	for range 4 {
		require.Equal(t, http.StatusOK, r.push(cancel.ID, commerce.StatusPaid))
		r.until(10 * time.Minute)
	}
	require.Equal(t, commerce.StatusCompleted, r.order(cancel.ID).Status, "reported as success")
	asset, ok := con.Asset(cancel.Tenant)
	require.True(t, ok)
	require.Equal(t, "active", asset.Status, "although it is not")
	require.Len(t, con.Violations(), 1)
	require.Equal(t, connecttest.RuleFourCancels, con.Violations()[0].Rule)
	require.Empty(t, r.sys.Violations())
}

func TestLostAnswerOfConnectCreatesNoSecondRequest(t *testing.T) {
	t.Parallel()
	r, con := both(t, nil)
	require.NoError(t, con.AddFault(connecttest.Fault{
		Method: http.MethodPost, Path: "*/requests", Kind: connecttest.FaultStatus, Status: http.StatusInternalServerError,
		After: true, Times: 1,
	}))
	o := r.sys.Place(commercetest.OrderSpec{})
	r.until(5 * time.Minute)
	require.Equal(t, commerce.StatusCompleted, r.order(o.ID).Status)
	require.Len(t, con.Requests(), 1)
	require.Equal(t, o.Tenant, con.Requests()[0].Asset.ExternalUID)
	require.Equal(t, o.Subscription, con.Requests()[0].Asset.ExternalID)
}
