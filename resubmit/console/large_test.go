package console

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// writeLarge writes a plan of n orders of 300 vendors to a file.
func writeLarge(tb testing.TB, path string, n int) {
	tb.Helper()
	f, err := os.Create(path)
	require.NoError(tb, err)
	defer f.Close()
	w, err := plan.NewWriter(f, plan.Header{System: "commerce.example.net", View: "Failed Orders", Filter: "everything()"})
	require.NoError(tb, err)
	start := time.Now().Add(-5 * time.Hour).Truncate(time.Second)
	for i := range n {
		e := &plan.Entry{
			OrderID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i), Number: fmt.Sprintf("SO%06d", i),
			Type:            []commerce.OrderType{commerce.TypeSales, commerce.TypeChange}[i%2],
			VendorAccountID: fmt.Sprint(1000100 + i%300), Channel: commerce.ChannelDirect,
			Customer:   fmt.Sprintf("Customer %d (%d)", i%40_000, 500+i%40_000),
			CustomerID: fmt.Sprint(500 + i%40_000), Subscriptions: []string{fmt.Sprint(2_000_000 + i)},
			Total: commerce.Money{Amount: decimal.New(int64(999+i), -2), Currency: []string{"USD", "EUR"}[i%2]},
			Before: plan.Snapshot{
				Status: commerce.StatusProvisioningFailed, PlacedAt: start.Add(time.Duration(i) * time.Second / 10),
				Message: fmt.Sprintf("Provisioning of order SO%06d has failed. Reason: 503 Service Unavailable %d", i, i%50),
			},
			Attribution: failure.Attribution{
				Verdict: failure.Verdicts()[i%4], Class: failure.Classes()[i%3],
				Evidence: []failure.Evidence{{Kind: "reason", Text: "the reason is that of a system that does not answer"}},
			},
			Decision: rules.Decision{Action: rules.Actions()[i%3], RuleID: "r", Why: "the call never reached Connect"},
		}
		e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
		require.NoError(tb, w.Write(e))
	}
	_, _, err = w.Close()
	require.NoError(tb, err)
}

// consoleOf returns a new console of a directory.
func consoleOf(tb testing.TB, d *state.Dir) *Console {
	tb.Helper()
	c, err := New(Config{State: d, Authorize: func(*http.Request, Action) (string, error) { return "ana", nil }})
	require.NoError(tb, err)
	tb.Cleanup(c.Close)
	return c
}

// load loads a page and returns how long that took.
func load(tb testing.TB, c *Console, target string) time.Duration {
	tb.Helper()
	w := httptest.NewRecorder()
	begin := time.Now()
	c.ServeHTTP(w, httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/"+target, nil))
	took := time.Since(begin)
	require.Equal(tb, http.StatusOK, w.Code, w.Body.String())
	return took
}

// BenchmarkLargePlan measures pages over 100 000 orders, each the first time. The budgets are a second for the first page
// (first-ms, overview-ms), 100 ms for a filter (filter-ms, text-ms), and 128 MiB (sys-MiB).
func BenchmarkLargePlan(b *testing.B) {
	const n = 100_000
	dir := openDir(b)
	writeLarge(b, dir.OverviewPath(), n)
	for b.Loop() {
		debug.FreeOSMemory()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c := consoleOf(b, dir)
		overview := load(b, c, "")
		c.Close()
		c = consoleOf(b, dir)
		first := load(b, c, "orders")
		filter := load(b, c, "orders?q="+url.QueryEscape("eq(vendor,1000142)"))
		text := load(b, c, "orders?q="+url.QueryEscape("ilike(customerName,*er 3999*)"))
		reason := load(b, c, "orders?q="+url.QueryEscape("or(ilike(reason,*unavailable 49*),gt(amount,500USD))"))
		load(b, c, "")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(milliseconds(overview), "overview-ms")
		b.ReportMetric(milliseconds(first), "first-ms")
		b.ReportMetric(milliseconds(filter), "filter-ms")
		b.ReportMetric(milliseconds(max(text, reason)), "text-ms")
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "kept-MiB")
		b.ReportMetric(float64(after.Sys)/(1<<20), "sys-MiB")
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func TestFiltersFindTheSameByCodesAndByEntries(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plan.jsonl")
	const n = 3000
	writeLarge(t, path, n)
	o, err := open(path)
	require.NoError(t, err)
	defer o.Close()
	for _, query := range []string{
		"eq(vendor,1000142)", "and(eq(type,SO),ne(class,transient))", "in(verdict,(caused,likely))",
		"or(eq(vendor,1000101),not(eq(channel,direct)))", "like(template,*<n>*)", "everything()", "eq(status,PF)",
		"eq(number,SO000007)", "eq(id,00000000-0000-4000-8000-000000000042)", "ilike(customerName,*R 29*)",
		"eq(customer,777)", "eq(subscription,2000033)", "ilike(reason,*unavailable 4*)", "like(tenant,*)",
		"ge(amount,30USD)", "lt(placed," + time.Now().Add(-5*time.Hour+time.Minute).UTC().Format(time.RFC3339) + ")",
		"ge(failed,2020-01-01)",
	} {
		sel := selection{action: rules.Resubmit, query: query}
		match, _, err := sel.compile()
		require.NoError(t, err)
		found, err := o.find(sel)
		require.NoError(t, err)
		read, err := (&opened{
			Plan: o.Plan, offsets: o.offsets, kindOf: o.kindOf, kinds: o.kinds, details: details{tooBig: true},
		}).find(sel)
		require.NoError(t, err)
		require.Equal(t, read, found, query)
		for i, offset := range o.offsets {
			e, err := o.EntryAt(offset)
			require.NoError(t, err)
			require.Equal(t, e.Decision.Action == rules.Resubmit && match(plannedOf(e)), found.has(i), "%s: %d", query, i)
		}
	}
	_, byKind, err := (&selection{query: "eq(number,SO000007)"}).compile()
	require.NoError(t, err)
	require.False(t, byKind)
	found, err := o.find(selection{query: "eq(number,SO000007)"})
	require.NoError(t, err)
	require.Equal(t, 1, found.count())
}

func TestPagesOfAListAreCompleteInBothDirections(t *testing.T) {
	t.Parallel()
	b := newBitmap(1000)
	var want []int
	for i := range 1000 {
		if i%7 == 3 {
			b.set(i)
			want = append(want, i)
		}
	}
	require.Equal(t, len(want), b.count())
	var got, starts []int
	for position := 0; position >= 0; {
		page, next := b.page(position, 50, 1000)
		got, starts = append(got, page...), append(starts, page[0])
		position = next
	}
	require.Equal(t, want, got)
	for i := 1; i < len(starts); i++ {
		require.Equal(t, starts[i-1], b.before(starts[i], 50))
	}
	require.Equal(t, -1, b.before(starts[0], 50))
	require.Equal(t, 50, b.rank(starts[1]))
}

func TestManyTemplatesAreStillFiltered(t *testing.T) {
	t.Parallel()
	x := newIndexer()
	for i := range 2 * maxTemplates {
		e := &plan.Entry{Decision: rules.Decision{Action: rules.Hold}}
		e.Before.Message = "reason " + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676)) + "x"
		x.add(e, int64(i))
	}
	require.LessOrEqual(t, len(x.o.kinds), maxTemplates+1)
	require.Len(t, x.o.offsets, 2*maxTemplates)
	require.True(t, x.o.kinds[len(x.o.kinds)-1].mixed)
}

func TestPlansThatAreNotUsedAreClosed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var p plans
	var all []*shared
	for i := range maxPlans + 2 {
		path := filepath.Join(dir, fmt.Sprint(i))
		writeLarge(t, path, 3)
		s, leave, err := p.use(path, "")
		require.NoError(t, err)
		all = append(all, s)
		if i > 0 {
			leave()
		} else {
			defer leave()
		}
	}
	_, err := all[0].EntryAt(all[0].offsets[0])
	require.NoError(t, err, "it is in use")
	_, err = all[1].EntryAt(all[1].offsets[0])
	require.ErrorContains(t, err, "file already closed")
	_, _, err = p.use(filepath.Join(dir, "0"), "sha256:other")
	require.ErrorContains(t, err, "the plan was replaced")
	p.close()
	_, err = all[maxPlans+1].EntryAt(all[maxPlans+1].offsets[0])
	require.ErrorContains(t, err, "file already closed")
}

func TestReadingAgainShowsTheNewOrders(t *testing.T) {
	t.Parallel()
	d := openDir(t)
	c, err := New(Config{State: d, Authorize: func(*http.Request, Action) (string, error) { return "ana", nil }})
	require.NoError(t, err)
	defer c.Close()
	for n := 3; n < 6; n++ {
		next := filepath.Join(t.TempDir(), "next")
		writeLarge(t, next, n)
		require.NoError(t, os.Rename(next, d.OverviewPath()))
		p, leave, err := c.site.snapshot()
		require.NoError(t, err)
		require.Equal(t, n, p.Counts().Total)
		leave()
	}
}
