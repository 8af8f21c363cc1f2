package resubmit_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

// The labels: why an order really failed.
const (
	ofMaintenance = "the maintenance"
	ofOutage      = "an outage that was seen"
	ofNetwork     = "the network, at another time"
	ofBlip        = "a network blip on this side"
	ofVendor      = "the vendor said no"
	ofThere       = "the service exists already"
	ofValue       = "a wrong value"
	ofCustom      = "a check of the provider"
	ofOperator    = "the operator's mark"
)

// outageTexts are what a maintenance makes Operations say: all that is known to be
// transient, one of the provider's own that no pattern knows, and nothing.
func outageTexts(t testing.TB) []string {
	texts := []string{"the application is away, ask the night shift", ""}
	for _, r := range reasons(t) {
		if r.Class == failure.Transient {
			texts = append(texts, r.Text)
		}
	}
	return texts
}

// twoDays is a world in which Connect has a maintenance in the second night, an outage
// that looks found in the second evening, and one of a quarter of an hour on the
// first morning that nobody saw.
type twoDays struct {
	t        testing.TB
	random   *rand.Rand
	now      time.Time
	commerce *commercetest.System
	connect  *connecttest.System
	scenes   []scene
	blips    map[string]bool
	checks   map[string]bool
}

type scene struct {
	at time.Time
	do func()
}

// october is long past, so that everything has settled.
func october(clock string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", "2025-10-"+clock)
	if err != nil {
		panic(err)
	}
	return t
}

const (
	quick, patient, strict = "PRD-100-200-300", "PRD-100-200-301", "PRD-100-200-302"

	blip  = "Temporary failure in name resolution"
	check = "Script local-check-7 returned 3: ask Basement Billing"
)

func newTwoDays(t testing.TB, seed uint64) *twoDays {
	w := &twoDays{t: t, random: rand.New(rand.NewPCG(seed, 7)), blips: map[string]bool{}, checks: map[string]bool{}}
	now := func() time.Time { return w.now }
	w.connect = connecttest.New(connecttest.Config{Seed: seed, Now: now, Vendor: w.vendor})
	var err error
	w.commerce, err = commercetest.New(commercetest.Config{
		Seed: seed, Now: now, OutageTexts: outageTexts(t), InMaintenance: w.connect.InMaintenance,
		ConnectURL: "https://connect.test/public/v1", ConnectKey: connecttest.DefaultKey,
		ConnectHTTP: &http.Client{Transport: w.connect.Transport()},
	})
	require.NoError(t, err)
	return w
}

func (w *twoDays) vendor(call connecttest.PendingRequest) connecttest.VendorAnswer {
	some := func(from, to time.Duration) time.Duration {
		return from + time.Duration(w.random.Int64N(int64(to-from)))
	}
	switch call.Request.Asset.ProductID {
	case strict:
		return connecttest.VendorAnswer{Action: connecttest.VendorReject, Reason: "no credit, says the 502nd gateway",
			After: some(time.Minute, time.Hour)}
	case patient:
		return connecttest.VendorAnswer{Action: connecttest.VendorApprove, After: some(time.Hour, 20*time.Hour)}
	default:
		return connecttest.VendorAnswer{Action: connecttest.VendorApprove, After: some(time.Minute, 10*time.Minute)}
	}
}

// calendar is what is known of it: the night was announced until 06:00, and looks found
// Connect up again at 05:25.
func (w *twoDays) calendar() *maintenance.Calendar {
	cal, err := maintenance.NewCalendar([]maintenance.Window{{ID: "CHG-1", Start: october("05 02:00"),
		End: october("05 06:00")}})
	require.NoError(w.t, err)
	seen := func(id, up, from, to string) maintenance.Window {
		return availability.Outage{ID: id, LastUp: october(up), First: october(from), Last: october(to),
			End: october(to)}.Window()
	}
	cal, err = cal.WithObserved([]maintenance.Window{
		seen("looks", "05 01:55", "05 02:05", "05 05:25"), seen("evening", "05 19:55", "05 20:00", "05 20:40"),
	}, october("06 00:00"))
	require.NoError(w.t, err)
	return cal
}

func (w *twoDays) play(orders int) {
	down := func(on bool) func() { return func() { w.connect.SetMaintenance(on) } }
	w.scenes = []scene{
		{october("04 10:00"), down(true)}, {october("04 10:15"), down(false)}, // nobody knows
		{october("05 02:00"), down(true)}, {october("05 05:20"), down(false)}, // the maintenance
		{october("05 19:58"), down(true)}, {october("05 20:40"), down(false)}, // an outage
	}
	for range orders {
		w.order()
	}
	slices.SortStableFunc(w.scenes, func(a, b scene) int { return a.at.Compare(b.at) })
	for _, s := range w.scenes {
		w.until(s.at)
		s.do()
	}
	w.until(october("07 12:00"))
}

func (w *twoDays) until(t time.Time) {
	for {
		due, ok := w.commerce.NextDue()
		if !ok || due.After(t) {
			break
		}
		w.now = due
		require.NoError(w.t, w.commerce.Step(w.t.Context()))
	}
	w.now = t
}

func (w *twoDays) between(from, to string) time.Time {
	a, b := october(from), october(to)
	return a.Add(time.Duration(w.random.Int64N(int64(b.Sub(a)))).Truncate(time.Second))
}

func (w *twoDays) order() {
	at := w.between("04 00:00", "06 00:00")
	switch dice := w.random.IntN(10); {
	case dice < 5:
		at = w.between("05 02:00", "05 05:20")
	case dice < 6:
		at = w.between("05 19:58", "05 20:40")
	case dice < 7:
		at = w.between("04 10:00", "04 10:15")
	}
	n := commercetest.OrderSpec{Type: commerce.TypeSales, Product: quick}
	if w.random.IntN(4) == 0 {
		n.Type = commerce.TypeRenewal
	}
	place := func() commercetest.Order { return w.commerce.Place(n) }
	do := func() { place() }
	switch dice := w.random.IntN(100); {
	case dice < 4:
		n.FailWith = testkit.FailAlreadyExists
	case dice < 12:
		n.FailWith = []string{
			testkit.FailInvalidValue, testkit.FailCustomerNotFound, testkit.FailResellerInactive, testkit.FailConcurrentOrder,
			testkit.FailAmbiguous, testkit.FailMisconfigured, testkit.FailZeroQuantity,
		}[w.random.IntN(7)]
	case dice < 16:
		n.FailWith = check
		do = func() { w.checks[place().ID] = true }
	case dice < 20:
		n.FailWith = blip
		do = func() { w.blips[place().ID] = true }
	case dice < 40:
		n.Type, n.Product = commerce.TypeSales, patient
	case dice < 50:
		n.Type, n.Product = commerce.TypeSales, strict
	case dice < 56:
		n.Type, n.Product = commerce.TypeSales, patient
		do = func() {
			id := place().ID
			w.until(w.now.Add(10 * time.Minute))
			_ = w.commerce.MarkFailed(id, "Marked as failed by the operator: see ticket 4711.") // unless it has failed by then
		}
	}
	w.scenes = append(w.scenes, scene{at, do})
}

// label is why an order failed, from what the world knows and not from its text.
func (w *twoDays) label(o commercetest.Order) string {
	in := func(from, to string) bool { return !o.FailedAt.Before(october(from)) && !o.FailedAt.After(october(to)) }
	switch {
	case o.Cause == commercetest.CauseOperator:
		return ofOperator
	case o.Cause == commercetest.CauseVendor:
		return ofVendor
	case w.blips[o.ID]:
		return ofBlip
	case w.checks[o.ID]:
		return ofCustom
	case o.FailWith == testkit.FailAlreadyExists:
		return ofThere
	case o.Cause == commercetest.CauseInjected:
		return ofValue
	case in("05 02:00", "05 05:20"):
		return ofMaintenance
	case in("05 19:58", "05 20:40"):
		return ofOutage
	default:
		return ofNetwork
	}
}

// failures are the failed orders as a client would tell them, with the time of the
// failure or without it, and their labels.
func (w *twoDays) failures(told bool) (orders []*commerce.Order, labels map[string]string) {
	labels = map[string]string{}
	for _, o := range w.commerce.Orders() {
		if o.Status != commerce.StatusProvisioningFailed {
			continue
		}
		labels[o.ID] = w.label(o)
		c := &commerce.Order{
			ID: o.ID, Number: o.Number, Type: o.Type, Status: o.Status, PlacedAt: o.PlacedAt, VendorAccountID: o.VendorAccount,
			SubscriptionIDs: []string{o.Subscription}, TenantID: o.Tenant, Failure: failed(o.Failure),
			Transitions: []commerce.Transition{{To: commerce.StatusPaid}},
		}
		if told {
			c.FailedAt = o.FailedAt
		}
		orders = append(orders, c)
	}
	slices.SortStableFunc(orders, func(a, b *commerce.Order) int { return a.PlacedAt.Compare(b.PlacedAt) })
	return orders, labels
}

// confusion counts verdicts by label.
type confusion map[string]map[failure.Verdict]int

func (c confusion) count(label string, v failure.Verdict) {
	if c[label] == nil {
		c[label] = map[failure.Verdict]int{}
	}
	c[label][v]++
}

func (c confusion) total(label string) int {
	n := 0
	for _, k := range c[label] {
		n += k
	}
	return n
}

func (c confusion) found(label string) float64 {
	return float64(c[label][failure.Caused]+c[label][failure.Likely]) / float64(c.total(label))
}

var allLabels = []string{ofMaintenance, ofOutage, ofNetwork, ofBlip, ofVendor, ofThere, ofValue, ofCustom, ofOperator}

func (c confusion) String() string {
	verdicts := []failure.Verdict{failure.Caused, failure.Likely, failure.UnknownCause, failure.Unrelated}
	var b strings.Builder
	fmt.Fprintf(&b, "%-30s", "it failed for")
	for _, v := range verdicts {
		fmt.Fprintf(&b, "%10s", v)
	}
	b.WriteString("       sum\n")
	for _, label := range allLabels {
		fmt.Fprintf(&b, "%-30s", label)
		for _, v := range verdicts {
			fmt.Fprintf(&b, "%10d", c[label][v])
		}
		fmt.Fprintf(&b, "%10d\n", c.total(label))
	}
	return b.String()
}

// judged makes a plan with all that there is: both kinds of windows, the rates and Connect.
func (w *twoDays) judged(told bool) confusion {
	orders, labels := w.failures(told)
	source := &planSource{orders: orders}
	rates, err := resubmit.MeasureBaseline(w.t.Context(), source, commerce.View{}, october("03 00:00"),
		october("07 00:00"),
		nil)
	require.NoError(w.t, err)
	client, err := connect.New("https://connect.test/public/v1", connect.APIKey(connecttest.DefaultKey),
		connect.WithHTTPClient(&http.Client{Transport: w.connect.Transport()}), connect.WithRateLimit(1000))
	require.NoError(w.t, err)
	plan, err := resubmit.BuildPlan(w.t.Context(), resubmit.PlanConfig{
		Journal:   new(resubmit.MemoryJournal),
		RateLimit: -1,
		Systems:   systemsOf(resubmit.Systems{Lister: source, Requests: client}), Filter: filter.Everything(),
		Calendar: w.calendar(), Baseline: rates,
	})
	require.NoError(w.t, err)
	counts := confusion{}
	for e, err := range plan.Entries() {
		require.NoError(w.t, err)
		counts.count(labels[e.OrderID], e.Attribution.Verdict)
	}
	return counts
}

// The labelled set: worlds whose failures have known causes. The matrices are in
// testdata/confusion.golden; -v prints them.
func TestAttributionFindsWhatTheMaintenanceCausedAndNothingPermanent(t *testing.T) {
	t.Parallel()
	var report strings.Builder
	var worlds []*twoDays
	for seed := range testkit.Scale(3, 1) {
		worlds = append(worlds, newTwoDays(t, uint64(seed)))
		worlds[seed].play(600)
	}
	for _, way := range []struct {
		name string
		told bool
	}{{"the time of the failure is told", true}, {"only the time of placing is told", false}} {
		sum := confusion{}
		for seed, w := range worlds {
			one := w.judged(way.told)
			failures := 0
			for label, verdicts := range one {
				failures += one.total(label)
				for v, n := range verdicts {
					for range n {
						sum.count(label, v)
					}
				}
			}
			require.GreaterOrEqual(t, failures, 300, "seed %d", seed)
			require.Len(t, one, len(allLabels), "seed %d: every cause occurs", seed)
			for _, permanent := range []string{ofVendor, ofThere, ofValue} {
				require.Equal(t, one.total(permanent), one[permanent][failure.Unrelated], "seed %d: %s\n%s", seed, permanent, one)
			}
			for _, unclassified := range []string{ofCustom, ofOperator} {
				require.Zero(t, one[unclassified][failure.Caused], "seed %d: %s\n%s", seed, unclassified, one)
			}
			require.GreaterOrEqual(t, one.found(ofMaintenance), 0.95, "seed %d\n%s", seed, one)
			require.GreaterOrEqual(t, one.found(ofOutage), 0.95, "seed %d\n%s", seed, one)
		}
		fmt.Fprintf(&report, "%s\n\n%sof the maintenance: %.1f %% caused, %.1f %% caused or likely\n\n", way.name, sum,
			100*float64(sum[ofMaintenance][failure.Caused])/float64(cmp.Or(sum.total(ofMaintenance), 1)),
			100*sum.found(ofMaintenance))
	}
	t.Log("\n" + report.String())
	if testing.Short() {
		return // the golden file sums up three worlds
	}
	const golden = "testdata/confusion.golden"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(report.String()), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), report.String())
}
