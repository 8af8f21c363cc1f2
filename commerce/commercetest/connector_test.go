package commercetest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

func TestConnectOutageFailsOrders(t *testing.T) {
	t.Parallel()
	down := func(f *fakeConnect) { f.down = true }
	noLookUp := func(f *fakeConnect) { f.lookUpDown = true }
	answers := func(status int, body string) func(*fakeConnect) {
		return func(f *fakeConnect) { f.refuseStatus, f.refuse = status, body }
	}
	const post, put, del = "'500 Internal Server Error' received from 'POST https://",
		"'500 Internal Server Error' received from 'PUT https://",
		"'500 Internal Server Error' received from 'DELETE https://"
	for _, test := range []struct {
		name  string
		typ   commerce.OrderType
		setup func(*fakeConnect)
		want  string
	}{
		{"a purchase", "SO", down, post},
		{"a change", "CH", down, put},
		{"a cancel", "CL", down, del},
		{"a renewal", "RN", down, post},
		{"a cancel whose look-up fails", "CL", noLookUp, del},
		{"an error of Connect", "SO", answers(500, `{"error_code":"SYS_000"}`), post},
		{"a refused key", "SO", answers(401, `{"error_code":"AUTH_001"}`), post},
		{"an unknown 400", "SO", answers(400, `{"error_code":"VAL_001","errors":["the moon is wrong"]}`), post},
		{"a conflict without a request", "SO", answers(409, `{}`), post},
		{"a page instead of a request", "SO", answers(404, `<html>`), post},
		{"a 400 about the listing is a refusal", "SO", answers(400, `{"errors":["There is no listing."]}`),
			"[ProvisioningFailed] Provisioning: resource "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			r.connect.set(test.setup)
			o := r.sys.Place(commercetest.OrderSpec{Type: test.typ})
			r.step()
			o = r.order(o.ID)
			require.Equal(t, commerce.StatusProvisioningFailed, o.Status)
			require.Contains(t, o.Failure, test.want)
			require.NotContains(t, o.Failure, "secret")
			require.Equal(t, r.clock.Now(), o.FailedAt)
			require.NotContains(t, commerce.Failure{Messages: map[string]string{"en_US": o.Failure}}.Reason(),
				"Provisioning of order")
		})
	}
}

func TestOrdersFailWithoutConnect(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.ConnectURL = "" })
	o := r.sys.Place(commercetest.OrderSpec{})
	b := r.sys.Place(commercetest.OrderSpec{Type: commerce.TypeBilling})
	r.step()
	require.Equal(t, commerce.StatusProvisioningFailed, r.order(o.ID).Status)
	require.Equal(t, commerce.StatusCompleted, r.order(b.ID).Status)
}

func TestConnectOutageWhileOrderWaits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		heals bool
		setup func(*fakeConnect)
		want  commerce.Status
	}{
		{"as published", false, func(f *fakeConnect) { f.down = true }, commerce.StatusProvisioningFailed},
		{"as intended", true, func(f *fakeConnect) { f.down = true }, commerce.StatusProvisioning},
		{"when only the look-up fails", false, func(f *fakeConnect) { f.lookUpDown = true }, commerce.StatusProvisioning},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(c *commercetest.Config) { c.WaitingOrdersSurvive = test.heals })
			o := r.sys.Place(commercetest.OrderSpec{})
			r.step()
			r.connect.set(test.setup)
			r.after(time.Minute)
			require.Equal(t, test.want, r.order(o.ID).Status)
			if test.want == commerce.StatusProvisioning {
				r.connect.set(func(f *fakeConnect) { f.down, f.lookUpDown = false, false })
				r.connect.all("approved", "")
				r.after(time.Minute)
				require.Equal(t, commerce.StatusCompleted, r.order(o.ID).Status)
			}
		})
	}
}

func TestVendorAnswerEndsOrder(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		order  commercetest.OrderSpec
		status string
		want   string // "" means completed
	}{
		{"approved", commercetest.OrderSpec{}, "approved", ""},
		{"failed purchase", commercetest.OrderSpec{}, "failed",
			"Vendor has failed request PR-0000-0000-0000-001 with following reason: no seats, submitting again this order " +
				"will fail due previous reason please create a new purchase request"},
		{"failed change", commercetest.OrderSpec{Type: "CH"}, "failed",
			"Vendor has failed request PR-0000-0000-0000-001 with following reason: no seats"},
		{"failed cancel", commercetest.OrderSpec{Type: "CL"}, "failed",
			"Vendor has failed request PR-0000-0000-0000-001 with following reason: no seats"},
		{"failed resume", commercetest.OrderSpec{Type: "XX", RequestType: connect.TypeResume}, "failed",
			"Vendor has failed request PR-0000-0000-0000-001 with following reason: no seats"},
		{"failed suspend is reported as done", commercetest.OrderSpec{Type: "XX", RequestType: connect.TypeSuspend}, "failed",
			""},
		{"revoking", commercetest.OrderSpec{}, "revoking", "accepted revoking"},
		{"revoked", commercetest.OrderSpec{}, "revoked", "accepted revoking"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			o := r.sys.Place(test.order)
			r.step()
			r.connect.all(test.status, "no seats")
			r.after(time.Minute)
			o = r.order(o.ID)
			if test.want == "" {
				require.Equal(t, commerce.StatusCompleted, o.Status)
				return
			}
			require.Equal(t, commerce.StatusProvisioningFailed, o.Status)
			require.Contains(t, o.Failure, test.want)
		})
	}
}

func TestMissingRequestFailsOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	o := r.sys.Place(commercetest.OrderSpec{})
	r.step()
	r.connect.set(func(f *fakeConnect) { f.requests = nil })
	r.after(time.Minute)
	require.Contains(t, r.order(o.ID).Failure, "No request for APS tenant with id "+o.Tenant)
}

func TestResubmissionReusesRequest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		order  commercetest.OrderSpec
		status string
		want   commerce.Status // one poll after the push
		text   string
		posts  int // in all
	}{
		{"a live purchase", commercetest.OrderSpec{}, "pending", commerce.StatusProvisioning, "", 2},
		{"an approved purchase", commercetest.OrderSpec{}, "approved", commerce.StatusCompleted, "", 2},
		{"a failed purchase fails again", commercetest.OrderSpec{}, "failed", commerce.StatusProvisioningFailed,
			"[ProvisioningFailed]", 2},
		{"a failed change is requested again", commercetest.OrderSpec{Type: "CH"}, "failed", commerce.StatusProvisioning, "",
			2},
		{"a live cancel", commercetest.OrderSpec{Type: "CL"}, "pending", commerce.StatusProvisioning, "", 1},
		{"an approved cancel", commercetest.OrderSpec{Type: "CL"}, "approved", commerce.StatusCompleted, "", 1},
		{"an old failed cancel is requested again", commercetest.OrderSpec{Type: "CL"}, "failed", commerce.StatusProvisioning,
			"", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			o := r.sys.Place(test.order)
			r.step()
			r.connect.set(func(f *fakeConnect) { f.down = true })
			r.after(time.Minute)
			require.Equal(t, commerce.StatusProvisioningFailed, r.order(o.ID).Status)
			r.connect.set(func(f *fakeConnect) { f.down = false })
			r.connect.all(test.status, "no seats")
			r.clock.Add(10 * time.Minute)
			require.NoError(t, r.sys.Push(o.ID, commerce.StatusPaid))
			r.step()
			r.after(time.Minute)
			o = r.order(o.ID)
			require.Equal(t, test.want, o.Status)
			require.Contains(t, o.Failure, test.text)
			require.Len(t, r.connect.posted(), test.posts)
		})
	}
}

func TestRecentFailedCancelIsNotRepeated(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.StaleEventFor = -1 })
	o := r.sys.Place(commercetest.OrderSpec{Type: "CL"})
	r.step()
	r.connect.all("failed", "still in use")
	r.after(time.Minute)
	require.NoError(t, r.sys.Push(o.ID, commerce.StatusPaid))
	r.step()
	r.after(time.Minute)
	require.Equal(t, 2, r.order(o.ID).Failures)
	require.Len(t, r.connect.posted(), 1)
}

func TestEarlierRequestDecidesWhetherOneIsCreated(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		typ    connect.RequestType
		status string // of the earlier request
		want   commerce.Status
		posts  int
	}{
		{"a failed suspend is reported as done", connect.TypeSuspend, "failed", commerce.StatusCompleted, 0},
		{"a suspend after an approved one is new", connect.TypeSuspend, "approved", commerce.StatusProvisioning, 1},
		{"a resume after an approved one is new", connect.TypeResume, "approved", commerce.StatusProvisioning, 1},
		{"a resume after a revoked one is new", connect.TypeResume, "revoked", commerce.StatusProvisioning, 1},
		{"a live resume is awaited", connect.TypeResume, "pending", commerce.StatusProvisioning, 0},
		{"a cancel after an approved one is not repeated", connect.TypeCancel, "approved", commerce.StatusProvisioning, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			o := r.sys.Place(commercetest.OrderSpec{Type: "XX", RequestType: test.typ})
			r.connect.set(func(f *fakeConnect) {
				f.vendor = test.status
				f.add(o.Tenant, string(test.typ))
				f.vendor = ""
			})
			r.step()
			require.Equal(t, test.want, r.order(o.ID).Status)
			require.Len(t, r.connect.posted(), test.posts)
		})
	}
}

func TestConnectKeyWithPrefix(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.ConnectKey, c.ConnectURL = "ApiKey SU-1:secret", c.ConnectURL+"/" })
	o := r.sys.Place(commercetest.OrderSpec{})
	r.step()
	require.Equal(t, commerce.StatusProvisioning, r.order(o.ID).Status)
	r.connect.set(func(f *fakeConnect) { require.Equal(t, map[string]bool{"ApiKey SU-1:secret": true}, f.keys) })
}

func TestFiveFailedCancelsAreReportedAsSuccess(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.connect.set(func(f *fakeConnect) { f.vendor, f.reason = "failed", "no" })
	o := r.sys.Place(commercetest.OrderSpec{Type: "CL"})
	r.step()
	for try := 1; try <= 4; try++ {
		r.after(time.Minute)
		require.Equal(t, try, r.order(o.ID).Failures)
		r.clock.Add(10 * time.Minute)
		require.NoError(t, r.sys.Push(o.ID, commerce.StatusPaid))
		r.step()
	}
	r.after(time.Minute)
	require.Equal(t, commerce.StatusCompleted, r.order(o.ID).Status, "although the vendor did not cancel")
	require.Len(t, r.connect.posted(), 5)
}

func TestFiveEarlierFailedCancelsAreReportedAsSuccess(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	o := r.sys.Place(commercetest.OrderSpec{Type: "CL"})
	r.connect.set(func(f *fakeConnect) {
		f.vendor = "failed"
		for range 5 {
			f.add(o.Tenant, "cancel")
		}
	})
	r.step()
	require.Equal(t, commerce.StatusCompleted, r.order(o.ID).Status)
	require.Empty(t, r.connect.posted())
}

func TestRequestBody(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	purchase := r.sys.Place(commercetest.OrderSpec{Subscription: "42", Customer: "7", CustomerName: "Acme",
		Product: "PRD-1"})
	change := r.sys.Place(commercetest.OrderSpec{Type: "CH", Subscription: "42", Customer: "7", CustomerName: "Acme",
		Product: "PRD-1"})
	r.step()
	bodies := r.connect.posted()
	require.Len(t, bodies, 2)
	const form = `{"type":%q,"asset":{"external_id":%s,"external_uid":%q,"product":{"id":"PRD-1"},
		"items":[{"id":"PRD-1-0001","quantity":%q}],"tiers":{"customer":{"name":"Acme","external_id":"7"}}}}`
	require.JSONEq(t, fmt.Sprintf(form, "purchase", `"42"`, purchase.Tenant, "1"), bodies[0])
	require.JSONEq(t, fmt.Sprintf(form, "change", `null`, change.Tenant, "2"), bodies[1])
	r.connect.set(func(f *fakeConnect) { require.Equal(t, map[string]bool{"ApiKey SU-1:secret": true}, f.keys) })
}

func TestConnectCallsAreRetried(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) {
		inner, failures := c.ConnectHTTP.Transport, 2
		c.ConnectHTTP = &http.Client{Transport: testkit.RoundTripFunc(func(req *http.Request) (*http.Response, error) {
			if failures > 0 {
				failures--
				return nil, fmt.Errorf("connection reset")
			}
			return inner.RoundTrip(req)
		})}
	})
	o := r.sys.Place(commercetest.OrderSpec{})
	r.step()
	require.Equal(t, commerce.StatusProvisioning, r.order(o.ID).Status)
}

func TestLedgerAndOrdersMarshal(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	o := r.failed(commercetest.OrderSpec{})
	require.NoError(t, r.sys.ForbidPush(o.ID, "not in the plan"))
	require.Equal(t, http.StatusOK, r.push(o.ID, commerce.StatusPaid))
	for _, v := range []any{r.sys.Pushes(), r.sys.Violations(), r.sys.Orders()} {
		data, err := json.Marshal(v)
		require.NoError(t, err)
		require.Contains(t, string(data), o.Number)
	}
}
