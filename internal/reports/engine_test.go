package reports

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// Particular/ServiceControl#1577: an order that is in the list twice.
func TestServiceControl1577Duplicates(t *testing.T) {
	s, j := newShop(5), new(resubmit.MemoryJournal)
	s.twice = true
	p := planOf(t, j, s, filter.Everything())
	report, err := runnerOf(t, j, s, nil).Apply(within(t, 10*time.Second), p)
	if err != nil {
		t.Fatal(err)
	}
	if p.Counts().Total != 5 || report.Result.Completed != 5 {
		t.Errorf("plan of %d, report %s", p.Counts().Total, report.Result)
	}
	once(t, s.pushes(), 5)
}

// Particular/ServiceControl#4797: the same orders in two plans, applied at the same time by two runners. Each order
// that
// has moved already must not be pushed again.
func TestServiceControl4797TwoPlans(t *testing.T) {
	s, j := newShop(10), new(resubmit.MemoryJournal)
	a, b := planOf(t, j, s, filter.Everything()), planOf(t, j, s, filter.Numbers("SO000003", "SO000004"))
	if _, err := runnerOf(t, j, s, nil).Apply(within(t, 10*time.Second), a); err != nil {
		t.Fatal(err)
	}
	report, err := runnerOf(t, j, s, nil).Apply(within(t, 10*time.Second), b)
	if err != nil || report.Result.ClaimedElsewhere != 2 {
		t.Errorf("%v, %v", report, err)
	}
	once(t, s.pushes(), 10)
}

// Particular/ServiceControl#178, camunda/camunda#40822: what was healed since is left alone.
func TestServiceControl178Healed(t *testing.T) {
	s, j := newShop(4), new(resubmit.MemoryJournal)
	p := planOf(t, j, s, filter.Everything())
	s.orders[1].Status = commerce.StatusCompleted
	s.orders[2].Failure = commerce.Failure{Messages: map[string]string{"en_US": "rejected by the vendor"}}
	report, err := runnerOf(t, j, s, nil).Apply(within(t, 10*time.Second), p)
	if err != nil || report.Result.Completed != 2 || report.Result.Skipped != 2 {
		t.Errorf("%v %v", report, err)
	}
	once(t, s.pushes(), 2)
}

// sidekiq/sidekiq#6481, #3436: what fails again at once is not taken again by the same run.
func TestSidekiq6481FailsAgainAtOnce(t *testing.T) {
	s, j := newShop(20), new(resubmit.MemoryJournal)
	s.onPush = func(_ *shop, o *commerce.Order) error {
		o.Failure = commerce.Failure{Messages: map[string]string{"en_US": "503 Service Unavailable"}}
		return nil
	}
	p := planOf(t, j, s, filter.Everything())
	report, err := runnerOf(t, j, s, nil).Apply(within(t, 20*time.Second), p)
	if err != nil || report.Result.Completed != 0 || report.Result.Total() != 20 {
		t.Errorf("%v %v", report, err)
	}
	once(t, s.pushes(), 20)
}

// camunda/camunda#63192, temporalio/temporal#8125: a push that was accepted and moved nothing is no success.
func TestCamunda63192NothingMoved(t *testing.T) {
	t.Parallel()
	s, j := newShop(3), new(resubmit.MemoryJournal)
	s.onPush = func(*shop, *commerce.Order) error { return nil }
	report, err := runnerOf(t, j, s, nil).Apply(within(t, 20*time.Second), planOf(t, j, s, filter.Everything()))
	if err != nil || report.Result.Completed != 0 {
		t.Errorf("%v %v", report, err)
	}
	once(t, s.pushes(), 3)
}

// opensensor/lightNVR#171: when a run is cancelled, nothing new is sent.
func TestLightNVR171Cancel(t *testing.T) {
	for name, stop := range map[string]func(r *resubmit.Runner, cancel func()){
		"context": func(_ *resubmit.Runner, cancel func()) { cancel() },
		"Cancel":  func(r *resubmit.Runner, _ func()) { r.Cancel() },
		"Drain":   func(r *resubmit.Runner, _ func()) { r.Drain() },
	} {
		s, j := newShop(200), new(resubmit.MemoryJournal)
		ctx, cancel := context.WithCancel(t.Context())
		var r *resubmit.Runner
		var stopped atomic.Bool
		n := 0
		s.onPush = func(_ *shop, o *commerce.Order) error {
			if n++; n == 10 {
				stop(r, cancel)
				stopped.Store(true)
			}
			o.Status = commerce.StatusCompleted
			return nil
		}
		r = runnerOf(t, j, s, nil)
		report, err := r.Apply(ctx, planOf(t, j, s, filter.Everything()))
		cancel()
		if got := len(s.pushes()); got > 14 { // two at a time are on their way
			t.Errorf("%s: %d pushes after the tenth stopped it", name, got)
		}
		if err == nil || report == nil || report.Result.Total() != 200 {
			t.Errorf("%s: %v %v", name, report, err)
		}
	}
}

// Particular/ServicePulse#390, sidekiq/sidekiq#4112: an interrupted run resumes and handles every order once.
func TestServicePulse390GoesOn(t *testing.T) {
	s := newShop(100)
	path := filepath.Join(t.TempDir(), "journal")
	var p *plan.Plan
	for round := range 8 {
		j, err := journal.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if p == nil {
			p = planOf(t, j, s, filter.Everything())
		}
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		s.onPush = func(_ *shop, o *commerce.Order) error {
			if n++; n == 17 {
				cancel()
			}
			o.Status = commerce.StatusCompleted
			return nil
		}
		report, err := runnerOf(t, j, s, nil).Apply(ctx, p)
		cancel()
		_ = j.Close()
		if err == nil {
			if report.Result.Completed != 100 {
				t.Errorf("%s", report.Result)
			}
			break
		}
		if round == 7 {
			t.Fatalf("%v", err)
		}
	}
	once(t, s.pushes(), 100)
}

// temporalio/temporal#11683: a list that breaks off makes no plan: it would look complete.
func TestTemporal11683ListBreaksOff(t *testing.T) {
	s := newShop(10)
	s.breakAt = 6
	path := filepath.Join(t.TempDir(), "plan.jsonl")
	if _, err := resubmit.WritePlanFile(within(t, 10*time.Second),
		planConfig(new(resubmit.MemoryJournal), s, filter.Everything()), path); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a plan was left behind")
	}
}

// A plan that was cut off, edited, or saved by an editor with other line ends.
func TestExtraSpoiltPlans(t *testing.T) {
	s := newShop(5)
	path := filepath.Join(t.TempDir(), "plan.jsonl")
	if _, err := resubmit.WritePlanFile(within(t, 10*time.Second),
		planConfig(new(resubmit.MemoryJournal), s, filter.Everything()), path); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"cut": string(good[:len(good)*2/3]), "last line gone": strings.Join(strings.SplitAfter(string(good), "\n")[:5], ""),
		"edited": strings.Replace(string(good), "SO000003", "SO000009", 1),
		"CRLF":   strings.ReplaceAll(string(good), "\n", "\r\n"),
		"BOM":    "\ufeff" + string(good), "empty": "", "twice": string(good) + string(good),
		"a line twice": strings.Replace(string(good), "\n", "\n"+strings.SplitAfter(string(good), "\n")[1], 1),
	} {
		if p, err := plan.Read(strings.NewReader(bad), int64(len(bad))); err == nil {
			t.Errorf("%s: it was taken: %s", name, p.Counts())
			_ = p.Close()
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

// future-agi/future-agi#2693, smallrye/smallrye-fault-tolerance#323: while Connect is down, one order at a time is
// tried.
func TestFutureAgi2693BreakerTriesOne(t *testing.T) {
	t.Parallel()
	s, j := newShop(2000), new(resubmit.MemoryJournal)
	o := &opened{}
	late := 0
	s.onPush = func(_ *shop, order *commerce.Order) error {
		if o.once.Load() {
			late++
		}
		order.Failure = commerce.Failure{Messages: map[string]string{"en_US": "503 Service Unavailable from the connector"}}
		return nil
	}
	r := runnerOf(t, j, s, func(c *resubmit.Config) {
		c.Breaker = resubmit.BreakerConfig{Failures: 3, SampleSize: 5, Wait: 30 * time.Millisecond, MaxOpens: 4}
		c.Concurrency, c.OnEvent = 8, o.on
	})
	report, err := r.Apply(within(t, 30*time.Second), planOf(t, j, s, filter.Everything()))
	if !errors.Is(err, resubmit.ErrCircuitOpen) {
		t.Errorf("%v", err)
	}
	// Those that were under way when it opened, and one for each time that it was tried.
	if late > 8+4 {
		t.Errorf("%d pushes after the breaker had opened", late)
	}
	t.Logf("%d pushes, %d of them after the breaker had opened; %s", len(s.pushes()), late, report.Result)
}

// Particular/ServiceControl#938: the rate is kept by all calls together.
func TestServiceControl938Rate(t *testing.T) {
	t.Parallel()
	s, j := newShop(15), new(resubmit.MemoryJournal)
	began := time.Now()
	_, err := runnerOf(t, j, s, func(c *resubmit.Config) { c.RateLimit, c.Concurrency = 20, 8 }).Apply(within(t,
		30*time.Second),
		planOf(t, j, s, filter.Everything()))
	if err != nil {
		t.Fatal(err)
	}
	calls := s.reads + len(s.pushes())
	if took := time.Since(began); took < time.Duration(float64(calls-25)/20*float64(time.Second)) {
		t.Errorf("%d calls in %s", calls, took)
	}
}

// paolosalvatori/ServiceBusExplorer#342, dotnetcore/CAP#1078: orders of one subscription go in turn, the older first,
// and an older one that fails stops the younger.
func TestServiceBusExplorer342InTurn(t *testing.T) {
	s, j := newShop(6), new(resubmit.MemoryJournal)
	for _, o := range s.orders {
		o.SubscriptionIDs = []string{"the-same"}
	}
	s.onPush = func(_ *shop, o *commerce.Order) error {
		if o.ID == "id-0003" {
			o.Failure = commerce.Failure{Messages: map[string]string{"en_US": "503 Service Unavailable"}}
			return nil
		}
		o.Status = commerce.StatusCompleted
		return nil
	}
	_, err := runnerOf(t, j, s, func(c *resubmit.Config) { c.Concurrency = 4 }).Apply(within(t, 30*time.Second),
		planOf(t, j, s, filter.Everything()))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.pushes(); !slices.Equal(got, []string{"id-0000", "id-0001", "id-0002", "id-0003"}) {
		t.Errorf("%v", got)
	}
}

// apache/airflow#799, hatchet-dev/hatchet#1668: bounds of dates, in UTC and in other zones.
func TestAirflow799Dates(t *testing.T) {
	o := failedOrder(1) // placed on 2026-11-21 at 02:00:01 UTC
	for text, right := range map[string]bool{
		"ge(placed,2026-11-21)": true, "lt(placed,2026-11-22)": true, "lt(placed,2026-11-21)": false,
		"ge(placed,2026-11-22)":                false,
		"ge(placed,2026-11-21T03:00:00+01:00)": true, "ge(placed,2026-11-21T03:00:02+01:00)": false,
		"and(ge(placed,2026-11-21),lt(placed,2026-11-22))": true,
	} {
		f, err := filter.Parse(text)
		if err != nil || f.Match(o) != right {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// perplexhub/rsql-jpa-specification#185, supabase/postgrest-py#477, ruckus/quickbooks-ruby#309: characters in patterns.
func TestRsqlJpa185Patterns(t *testing.T) {
	o := failedOrder(1)
	o.CustomerName = `Müller & Söhne (a,b) "x" *star* 50% O'Neil \back`
	for text, right := range map[string]bool{
		`ilike(customerName,"müller*")`: true, `like(customerName,"*(a,b)*")`: true, `like(customerName,"*""x""*")`: true,
		`like(customerName,"*\*star\**")`: true, `like(customerName,"*\*none\**")`: false, `like(customerName,"*50%*")`: true,
		`like(customerName,"*O'Neil*")`: true,
		`like(customerName,"*\\back")`:  true, `like(customerName,"*_tar*")`: false, `ilike(customerName,"*SÖHNE*")`: true,
	} {
		f, err := filter.Parse(text)
		if err != nil || f.Match(o) != right {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"in(number,())", "number=", "", "everything", "type=SO|type=CH", "like(number,)"} {
		if f, err := filter.Parse(text); err == nil {
			t.Errorf("%q was read as %s", text, f)
		}
	}
}

// A list of orders to look at, as people export it.
func TestExtraListsOfIds(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		ids  []string
	}{
		"crlf":            {"OrderID\r\n1000027\r\n1000028\r\n", []string{"1000027", "1000028"}},
		"bom, semicolons": {"\ufeffOrder ID;Order Number;Total\r\n1000027;SO000027;\"1.234,50\"\r\n", []string{"1000027"}},
		"quoted": {"\"OrderID\",\"Comment\"\n\"1000027\",\"a, \"\"b\"\"\nc\"\n1000028,\n",
			[]string{"1000027", "1000028"}},
		"nbsp":            {"OrderID\n1000027\u00a0\n", []string{"1000027"}},
		"short last line": {"OrderID,Number\n1000027,SO000027\n\n", []string{"1000027"}},
		"twice":           {"1000027\n1000028\n1000027\n", []string{"1000027", "1000028"}},
	} {
		lines, err := billing.ReadOrderRefs(strings.NewReader(c.text))
		var ids []string
		for _, l := range lines {
			if !slices.Contains(ids, l.ID) {
				ids = append(ids, l.ID)
			}
		}
		if err != nil || !slices.Equal(ids, c.ids) {
			t.Errorf("%s: %v %v", name, ids, err)
		}
	}
	for name, text := range map[string]string{"1.00003E+06": "OrderID\n1.00003E+06\n",
		"1,000,027": "OrderID\n\"1,000,027\"\n", "001000027": "OrderID\n001000027\n"} {
		if lines, err := billing.ReadOrderRefs(strings.NewReader(text)); err == nil {
			t.Errorf("%s was read as %v", name, lines)
		}
	}
}

// An answer that says 200 and holds an error: the push is not taken for done, since the order is read.
func TestExtraErrorInsideOf200(t *testing.T) {
	t.Parallel()
	j := new(resubmit.MemoryJournal)
	var pushes atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			pushes.Add(1)
			_, _ = io.WriteString(w, `{"error":"APS::Hosting::Exception","message":"no such transition"}`)
			return
		}
		o := orderJSON("id-1", "PF", "2026-11-21T02:00:00Z")
		if strings.HasSuffix(r.URL.Path, "/orders") {
			o = "[" + o + "]"
			if !strings.Contains(r.URL.RawQuery, "limit(0,") {
				o = "[]"
			}
		}
		_, _ = io.WriteString(w, o)
	})
	c := orderClient(t, s.URL)
	report, err := runnerOf(t, j, c, nil).Apply(within(t, 20*time.Second), planOf(t, j, c, filter.Everything()))
	if err != nil || report.Result.Completed != 0 || pushes.Load() != 1 {
		t.Errorf("%v %v, %d pushes", report, err, pushes.Load())
	}
}

// grafana/mimir#8815 again, by a way in that does not tell transitions: the next target is tried after a sure refusal
// only, and a 499, a 460 or a redirect is none.
func TestMimir8815NextTarget(t *testing.T) {
	t.Parallel()
	for _, status := range []int{499, 302, 460} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			j := new(resubmit.MemoryJournal)
			var pushes atomic.Int32
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPatch {
					pushes.Add(1)
					w.Header().Set("Location", "/login")
					w.WriteHeader(status)
					return
				}
				state := "PF"
				if pushes.Load() > 1 {
					state = "CP"
				}
				o := fmt.Sprintf(
					`{"id":"1000027","orderNumber":"SO000027","type":"sales","status":"error","statusCode":%q,`+
						`"creationDate":"2026-11-21T02:00:00Z","subscriptionId":"7"}`, state)
				if strings.HasSuffix(r.URL.Path, "/orders") {
					o = `{"data":[` + o + `],"pagination":{"offset":0,"limit":100,"total":1}}`
				}
				_, _ = io.WriteString(w, o)
			})
			c, err := simpleapi.New(s.URL, simpleapi.Token("key-12345678", "token-12345678"))
			if err != nil {
				t.Fatal(err)
			}
			p, err := resubmit.BuildPlan(within(t, 10*time.Second), resubmit.PlanConfig{
				Systems: resubmit.Systems{Name: "a shop", Lister: c},
				Policy:  resubmit.Policy{SettleDelay: 2 * time.Second, Targets: []commerce.Status{"PD", "PR"}}, Journal: j,
				Filter: filter.Everything(), IgnoreConnect: true, Override: []string{"SO000027"},
			})
			if err != nil {
				t.Fatal(err)
			}
			if p.Counts().Resubmit != 1 {
				t.Fatalf("%s", p.Counts())
			}
			report, err := runnerOf(t, j, c,
				func(c *resubmit.Config) { c.Targets = []commerce.Status{"PD", "PR"} }).Apply(within(t, 30*time.Second), p)
			if n := pushes.Load(); n != 1 {
				t.Errorf("%d: %d pushes: %v, %v", status, n, report, err)
			}
		})
	}
}
