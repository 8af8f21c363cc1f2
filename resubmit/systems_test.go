package resubmit_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

const (
	systemA = "ordermanager https://a.example.net"
	systemB = "ordermanager https://b.example.net"
)

func planForSystem(t testing.TB, system string, o *shopOrder) *plan.Plan {
	plan, _ := writtenPlan(t, plan.Header{System: system}, entryFor(o))
	return plan
}

func TestSystem_of_the_plan_must_be_that_of_the_clients(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		plan, client, says string
		fits               bool
	}{
		"the same": {plan: testSystem, client: testSystem, fits: true},
		"another": {plan: systemA, client: systemB,
			says: "it was made for " + systemA + ", and this is " + systemB},
		"a plan without one": {client: systemB, says: "it names no system, as plans of older versions do not, and this is " +
			systemB},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := outageOrder(1, "a")
				s := newShop(o)
				systems := systemsOf(resubmit.Systems{Name: c.client, Reader: s, Pusher: s})
				p := planForSystem(t, c.plan, o)
				r := runnerFor(t, s, func(cfg *resubmit.Config) { cfg.Systems = systems })

				_, checked := resubmit.CheckPlan(t.Context(), p, resubmit.CheckConfig{RateLimit: -1, Systems: systems}, nil)
				session, opened := r.Open(t.Context(), p)
				if opened == nil {
					session.Close()
				}
				report, applied := r.Apply(t.Context(), p)
				if c.fits {
					require.NoError(t, checked)
					require.NoError(t, opened)
					require.NoError(t, applied)
					require.Equal(t, 1, report.Result.Completed)
					return
				}
				for _, err := range []error{checked, opened, applied} {
					require.ErrorIs(t, err, plan.ErrSystemMismatch)
					require.ErrorContains(t, err, c.says)
				}
				require.Empty(t, s.calls, "no call was made")
			})
		})
	}
}

func TestSystem_rejects_a_plan_of_version_1(t *testing.T) {
	t.Parallel()
	p, err := plan.Open("plan/testdata/plan.v1.golden.jsonl")
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	s := newShop()
	r := runnerFor(t, s, func(c *resubmit.Config) { c.Name, c.MaxPlanAge = systemA, -1 })
	_, err = r.Apply(t.Context(), p)
	require.ErrorIs(t, err, plan.ErrSystemMismatch)
	require.ErrorContains(t, err, "make a new plan")
	require.Empty(t, s.calls)
}

func TestSystems(t *testing.T) {
	t.Parallel()
	s, p := newShop(), planForSystem(t, systemA, outageOrder(1, "a"))
	for name, tt := range map[string]struct{ name, says string }{
		"require a name":        {"", ".Systems.Name is empty; use SystemsOf, or name the Commerce installation"},
		"reject a line break":   {"a\nb", `.Systems.Name is "a b"; give a short text on one line`},
		"reject a name of 1 KB": {strings.Repeat("a", 1000), "aaa"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			systems := resubmit.Systems{Name: tt.name, Lister: failedOrders(1), Reader: s, Pusher: s}
			policy := resubmit.Policy{Targets: protocol.DefaultTargets()}
			_, err := resubmit.NewRunner(resubmit.Config{Systems: systems, Policy: policy})
			require.ErrorContains(t, err, "resubmit: Config.Systems.Name")
			require.ErrorContains(t, err, tt.says)
			_, err = resubmit.CheckPlan(t.Context(), p, resubmit.CheckConfig{Systems: systems}, nil)
			require.ErrorContains(t, err, "CheckConfig.Systems.Name")
			require.ErrorContains(t, err, tt.says)
			_, err = resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
				Systems: systems, Filter: filter.Everything(), Journal: new(resubmit.MemoryJournal),
			})
			require.ErrorContains(t, err, "PlanConfig.Systems.Name")
			require.ErrorContains(t, err, tt.says)
		})
	}
}

func TestSystemsOf(t *testing.T) {
	t.Parallel()
	orders, err := ordermanager.New("https://a.example.net", ordermanager.Token("t"))
	require.NoError(t, err)
	systems := resubmit.SystemsOf(orders, orders)
	require.Equal(t, resubmit.Systems{
		Name: systemA, BaseURL: "https://a.example.net", Capabilities: orders.Capabilities(),
	}, resubmit.Systems{Name: systems.Name, BaseURL: systems.BaseURL, Capabilities: systems.Capabilities})
	require.Equal(t, []any{orders, orders, orders}, []any{systems.Lister, systems.Reader, systems.Pusher})
	require.Nil(t, systems.Requests)
	require.Nil(t, systems.Prober)

	_, err = resubmit.NewRunner(resubmit.Config{Systems: resubmit.SystemsOf((*ordermanager.Client)(nil), nil)})
	require.ErrorContains(t, err, "Config.Reader holds a nil *ordermanager.Client")
	_, err = resubmit.NewRunner(resubmit.Config{Systems: resubmit.SystemsOf(nil, nil)})
	require.ErrorContains(t, err, "Config.Reader is nil")
}

func TestSortedRejectsANilLister(t *testing.T) {
	t.Parallel()
	_, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
		Journal: new(resubmit.MemoryJournal),
		Systems: systemsOf(resubmit.Systems{Lister: resubmit.Sorted((*planSource)(nil))}), Filter: filter.Everything(),
	})
	require.ErrorContains(t, err, "nil lister")
}

func TestSystem_is_in_the_plan_in_normal_form(t *testing.T) {
	t.Parallel()
	client := func(r resubmit.Client, err error) resubmit.Client {
		require.NoError(t, err)
		return r
	}
	om := func(url string) resubmit.Client { return client(ordermanager.New(url, ordermanager.Token("t"))) }
	bill := func(url string, opts ...billing.Option) resubmit.Client {
		return client(billing.New(url, billing.NoLogin(), opts...))
	}
	simple := func(url string) resubmit.Client { return client(simpleapi.New(url, simpleapi.Token("k", "t"))) }
	for want, client := range map[string]resubmit.Client{
		"ordermanager https://mn.example.net:6308":       om("https://mn.example.net:6308"),
		"ordermanager https://mn.example.net":            om("HTTPS://MN.Example.NET:443/"),
		"ordermanager http://127.0.0.1/Brand":            om("http://127.0.0.1:80/Brand/"),
		"ordermanager https://[::1]:6308":                om("https://[::1]:6308"),
		"billing https://billing.example.net:5224":       bill("https://Billing.example.net:5224/RPC2"),
		"billing https://billing.example.net:5224/other": bill("https://billing.example.net:5224", billing.WithPath("other")),
		"billing https://mn.example.net:6308":            bill("https://mn.example.net:6308"),
		"simpleapi https://gw.example.net/marketplace":   simple("https://gw.example.net/marketplace/"),
	} {
		plan, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
			Journal:   new(resubmit.MemoryJournal),
			RateLimit: -1,
			Systems:   resubmit.SystemsOf(client, failedOrders(1)), IgnoreConnect: true, Filter: filter.Everything(),
		})
		require.NoError(t, err)
		require.Equal(t, want, plan.Header().System)
	}
}

// others are changes that make an order another one, and what is said of them.
var others = map[string]struct {
	change func(*commerce.Order)
	says   string
}{
	"number":      {func(o *commerce.Order) { o.Number = "SO999999" }, "another order: number SO000001 → SO999999"},
	"type":        {func(o *commerce.Order) { o.Type = commerce.TypeChange }, "another order: type SO → CH"},
	"vendor":      {func(o *commerce.Order) { o.VendorAccountID = "1000002" }, "another order: vendor 1 → 1000002"},
	"customer id": {func(o *commerce.Order) { o.CustomerID = "43" }, "another order: customer Acme (42) → Acme (43)"},
	"customer name, where there is no id": {
		func(o *commerce.Order) { o.CustomerID, o.CustomerName = "", "Rose" }, "another order: customer Acme (42) → Rose",
	},
}

// ownedOrder is an order whose entry tells all that makes it that order.
func ownedOrder() (*shopOrder, *plan.Entry) {
	o := outageOrder(1, "a")
	o.CustomerID = "42"
	e := entryFor(o)
	e.Customer, e.CustomerID = "Acme (42)", "42"
	return o, e
}

func TestDiffPlans_rejects_plans_of_two_systems(t *testing.T) {
	t.Parallel()
	o := outageOrder(1, "a")
	_, err := plan.Diff(planForSystem(t, systemA, o), planForSystem(t, systemB, o), nil)
	require.ErrorIs(t, err, plan.ErrSystemMismatch)
	require.ErrorContains(t, err, systemA)
	require.ErrorContains(t, err, systemB)
	_, err = plan.Diff(planForSystem(t, "", o), planForSystem(t, systemB, o), nil)
	require.NoError(t, err, "a plan of version 1")
}
