package commercetest_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
)

func rules(r *rig) []commercetest.Rule {
	found := []commercetest.Rule{}
	for _, v := range r.sys.Violations() {
		found = append(found, v.Rule)
	}
	return found
}

func TestLedger(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	o := r.failed(commercetest.OrderSpec{})
	at := r.clock.Now()
	require.Equal(t, http.StatusConflict, r.push(o.ID, commerce.StatusProvisioning))
	require.Equal(t, http.StatusNotFound, r.push("nobody", commerce.StatusPaid))
	require.NoError(t, r.sys.Push(o.Number, commerce.StatusPaid))
	_, _ = r.call(http.MethodPost, orders+"/"+o.ID+"/push", "?")
	require.Equal(t, []commercetest.Push{
		{Seq: 1, At: at, Origin: "order-manager", Order: o.ID, Number: "SO000001", From: "PF", To: "PR", FailureNumber: 1,
			HTTPStatus: 409},
		{Seq: 2, At: at, Origin: "order-manager", Order: "nobody", To: "PD", HTTPStatus: 404},
		{Seq: 3, At: at, Origin: "panel", Order: "SO000001", Number: "SO000001", From: "PF", To: "PD", Accepted: true,
			FailureNumber: 1},
		{Seq: 4, At: at, Origin: "order-manager", Order: o.ID, Number: "SO000001", From: "PD", FailureNumber: 1,
			HTTPStatus: 400},
	}, r.sys.Pushes())
	require.Empty(t, r.sys.Violations())
}

func TestRulePushedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.StaleReadsFor = time.Minute })
	o := r.failed(commercetest.OrderSpec{})
	require.Equal(t, http.StatusOK, r.push(o.ID, commerce.StatusPaid))
	require.Equal(t, commerce.StatusPaid, r.order(o.ID).Status)
	_, body := r.call(http.MethodGet, orders+"/"+o.ID, "")
	require.Contains(t, body, `"status":"PF"`, "reads are stale")
	_, body = r.call(http.MethodGet, orders+"?eq(status,PF)", "")
	require.Len(t, numbers(t, body), 1)
	require.Empty(t, r.sys.Violations())

	r.step()
	require.Equal(t, http.StatusOK, r.push(o.ID, commerce.StatusPaid))
	require.Equal(t, []commercetest.Rule{commercetest.RulePushedOnce}, rules(r))
	require.Equal(t, "I1: SO000001: pushed again for failure 1", r.sys.Violations()[0].String())

	r.step()
	require.Len(t, r.connect.posted(), 1)
	r.connect.all("approved", "")
	r.after(time.Minute)
	o = r.order(o.ID)
	require.Equal(t, commerce.StatusCompleted, o.Status)
	require.Equal(t, commerce.ProvisioningFailed, o.ProvisioningStatus, "a completed order with a failed item")
	_, body = r.call(http.MethodGet, orders+"/"+o.ID, "")
	require.Contains(t, body, `"status":"CP"`, "reads are current again")
}

func TestRuleLaneIgnoresSecondEventOfCompletedOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.StaleReadsFor = time.Hour })
	older := r.failed(commercetest.OrderSpec{Subscription: "42"})
	younger := r.failed(commercetest.OrderSpec{Type: "CH", Subscription: "42"})
	require.Equal(t, http.StatusOK, r.push(older.ID, commerce.StatusPaid))
	r.step()
	r.connect.all("approved", "")
	r.after(time.Minute)
	require.Equal(t, commerce.StatusCompleted, r.order(older.ID).Status)
	require.Equal(t, http.StatusOK, r.push(older.ID, commerce.StatusPaid))
	require.Equal(t, commerce.ProvisioningFailed, r.order(older.ID).ProvisioningStatus,
		"a completed order with a failed item")
	require.Equal(t, http.StatusOK, r.push(younger.ID, commerce.StatusPaid))
	require.Equal(t, []commercetest.Rule{commercetest.RulePushedOnce}, rules(r))
}

func TestStaleReadsEndWithTheNextFailure(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.StaleReadsFor = time.Hour })
	o := r.sys.Place(commercetest.OrderSpec{FailWith: "the first cause"})
	r.step()
	require.NoError(t, r.sys.FailWith(o.ID, ""))
	r.clock.Add(5 * time.Minute)
	require.Equal(t, http.StatusOK, r.push(o.ID, commerce.StatusPaid))
	_, body := r.call(http.MethodGet, orders+"/"+o.ID, "")
	require.Contains(t, body, "the first cause")
	r.connect.set(func(f *fakeConnect) { f.down = true })
	r.step()
	require.Equal(t, 2, r.order(o.ID).Failures)
	_, body = r.call(http.MethodGet, orders+"/"+o.ID, "")
	require.Contains(t, body, "500 Internal Server Error")
	r.clock.Add(5 * time.Minute)
	require.Equal(t, http.StatusOK, r.push(o.ID, commerce.StatusPaid), "a push for the second failure")
	require.Empty(t, r.sys.Violations())
}

func TestRuleStaleEvent(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		oldEvent time.Duration
		wait     time.Duration
		want     []commercetest.Rule
	}{
		{"one second too early", 0, 239 * time.Second, []commercetest.Rule{commercetest.RuleStaleEvent}},
		{"in time", 0, 240 * time.Second, []commercetest.Rule{}},
		{"too early for a longer one", 10 * time.Minute, 5 * time.Minute, []commercetest.Rule{commercetest.RuleStaleEvent}},
		{"at once without a stale event", -1, 0, []commercetest.Rule{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(c *commercetest.Config) { c.StaleEventFor = test.oldEvent })
			o := r.sys.Place(commercetest.OrderSpec{FailWith: "x"})
			r.step()
			require.NoError(t, r.sys.FailWith(o.ID, ""))
			r.clock.Add(test.wait)
			require.Equal(t, http.StatusOK, r.push(o.ID, commerce.StatusPaid))
			require.Equal(t, test.want, rules(r))
			r.step()
			r.connect.all("approved", "")
			r.after(time.Minute)
			wantItem := commerce.ProvisioningCompleted
			if len(test.want) > 0 {
				wantItem = commerce.ProvisioningFailed
			}
			require.Equal(t, wantItem, r.order(o.ID).ProvisioningStatus)
		})
	}
}

func TestNewFailureDropsSecondEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	o := r.sys.Place(commercetest.OrderSpec{FailWith: "x"})
	r.step()
	require.Equal(t, http.StatusOK, r.push(o.ID, commerce.StatusPaid), "too early")
	r.step()
	require.NoError(t, r.sys.FailWith(o.ID, ""))
	r.clock.Add(5 * time.Minute)
	require.Equal(t, http.StatusOK, r.push(o.ID, commerce.StatusPaid), "in time")
	r.step()
	r.connect.all("approved", "")
	r.after(time.Minute)
	require.Equal(t, commerce.ProvisioningCompleted, r.order(o.ID).ProvisioningStatus)
}

func TestRuleMaintenance(t *testing.T) {
	t.Parallel()
	var open atomic.Bool
	r := newRig(t, func(c *commercetest.Config) { c.InMaintenance = open.Load })
	a, b := r.failed(commercetest.OrderSpec{}), r.failed(commercetest.OrderSpec{})
	require.Equal(t, http.StatusOK, r.push(a.ID, commerce.StatusPaid))
	require.Empty(t, rules(r))
	open.Store(true)
	require.Equal(t, http.StatusConflict, r.push(a.ID, commerce.StatusPaid))
	require.Equal(t, http.StatusOK, r.push(b.ID, commerce.StatusPaid))
	require.Equal(t, []commercetest.Rule{commercetest.RuleMaintenance, commercetest.RuleMaintenance}, rules(r))
}

func TestRuleForbidden(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	a, b := r.failed(commercetest.OrderSpec{}), r.failed(commercetest.OrderSpec{})
	require.NoError(t, r.sys.ForbidPush(a.ID, "the vendor rejected it"))
	require.Equal(t, http.StatusOK, r.push(b.ID, commerce.StatusPaid))
	require.Empty(t, rules(r))
	require.Equal(t, http.StatusConflict, r.push(a.ID, commerce.StatusProvisioning))
	require.Equal(t, http.StatusOK, r.push(a.ID, commerce.StatusPaid))
	require.Equal(t, []commercetest.Rule{commercetest.RuleForbidden, commercetest.RuleForbidden}, rules(r))
	require.Contains(t, r.sys.Violations()[0].Text, "the vendor rejected it")
}

func TestRuleLane(t *testing.T) {
	t.Parallel()
	const a, b, c = 0, 1, 2 // a and b are of one subscription, c is of another
	for _, test := range []struct {
		name   string
		pushes []int
		finish bool // each push before the next
		want   []commercetest.Rule
	}{
		{"oldest first, one at a time", []int{a, b, c}, true, []commercetest.Rule{}},
		{"others in between and at the same time", []int{c, a}, false, []commercetest.Rule{}},
		{"only the younger", []int{b, c}, false, []commercetest.Rule{}},
		{"two at a time", []int{a, b}, false, []commercetest.Rule{commercetest.RuleOldestFirst}},
		{"the younger first", []int{b, a}, true, []commercetest.Rule{commercetest.RuleOldestFirst}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			placed := []commercetest.Order{
				r.failed(commercetest.OrderSpec{Subscription: "42"}),
				r.failed(commercetest.OrderSpec{Type: "CH", Subscription: "42"}),
				r.failed(commercetest.OrderSpec{Subscription: "43"}),
			}
			for _, i := range test.pushes {
				require.Equal(t, http.StatusOK, r.push(placed[i].ID, commerce.StatusPaid))
				if test.finish {
					r.step()
					r.connect.all("approved", "")
					r.after(time.Minute)
					require.Equal(t, commerce.StatusCompleted, r.order(placed[i].ID).Status)
				}
			}
			require.Equal(t, test.want, rules(r))
		})
	}
}

func TestRuleLaneOrdersPlacedAtTheSameTime(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.sys.Place(commercetest.OrderSpec{Subscription: "42", FailWith: "x"})
	r.sys.Place(commercetest.OrderSpec{Subscription: "42", FailWith: "x"})
	r.step()
	r.clock.Add(5 * time.Minute)
	for _, number := range []string{"SO000001", "SO000002"} {
		require.Equal(t, http.StatusOK, r.push(r.order(number).ID, commerce.StatusPaid))
		r.after(5 * time.Minute)
	}
	require.Empty(t, rules(r))

	r.sys.Place(commercetest.OrderSpec{Subscription: "43", FailWith: "x"})
	r.sys.Place(commercetest.OrderSpec{Subscription: "43", FailWith: "x"})
	r.step()
	r.clock.Add(5 * time.Minute)
	for _, number := range []string{"SO000004", "SO000003"} {
		require.Equal(t, http.StatusOK, r.push(r.order(number).ID, commerce.StatusPaid))
		r.after(5 * time.Minute)
	}
	require.Equal(t, []commercetest.Rule{commercetest.RuleOldestFirst}, rules(r))
}

func TestRuleLaneOlderOrderFailsLater(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	older := r.sys.Place(commercetest.OrderSpec{Subscription: "42"})
	r.step()
	younger := r.sys.Place(commercetest.OrderSpec{Type: "CH", Subscription: "42", FailWith: "x"})
	r.step()
	r.clock.Add(5 * time.Minute)
	require.Equal(t, http.StatusOK, r.push(younger.ID, commerce.StatusPaid))
	r.clock.Add(time.Second)
	require.NoError(t, r.sys.MarkFailed(older.ID, "by hand"))
	r.step()
	r.clock.Add(5 * time.Minute)
	require.Equal(t, http.StatusOK, r.push(older.ID, commerce.StatusPaid))
	require.Empty(t, rules(r))
}

func TestPanelPushesViolateNoRule(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) {
		c.InMaintenance = func() bool { return true }
		c.StaleReadsFor = time.Minute
	})
	o := r.sys.Place(commercetest.OrderSpec{FailWith: "x"})
	r.step()
	require.NoError(t, r.sys.ForbidPush(o.ID, "not in the plan"))
	require.NoError(t, r.sys.Push(o.ID, commerce.StatusPaid))
	require.NoError(t, r.sys.Push(o.ID, commerce.StatusPaid))
	require.Empty(t, r.sys.Violations())
	require.Len(t, r.sys.Pushes(), 2)
}

func TestRuleLaneIgnoresPanelPushes(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	older := r.failed(commercetest.OrderSpec{Subscription: "42"})
	younger := r.failed(commercetest.OrderSpec{Subscription: "42"})
	require.NoError(t, r.sys.Push(younger.ID, commerce.StatusPaid))
	require.Equal(t, http.StatusOK, r.push(older.ID, commerce.StatusPaid))
	require.Empty(t, r.sys.Violations())
}
