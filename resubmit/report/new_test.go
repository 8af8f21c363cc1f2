package report_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// toResubmit returns entries of n orders to resubmit.
func toResubmit(n int) []plan.Entry {
	entries := make([]plan.Entry, n)
	for i := range entries {
		entries[i] = entryAt(i+1, at("01:00:00").Add(time.Duration(i)*time.Minute), failure.Transient)
		entries[i].Decision.Action, entries[i].Target = rules.Resubmit, "PR"
		entries[i].Customer = fmt.Sprintf("Customer %d", i%2)
		entries[i].Total = commerce.Money{Amount: decimal.New(1000, -2), Currency: "EUR"}
	}
	return entries
}

// reportOf returns a report of the outcomes of the orders to resubmit, in order.
func reportOf(p *plan.Plan, outcomes ...protocol.Outcome) *resubmit.Report {
	r := &resubmit.Report{
		PlanDigest: p.Digest(), StartedAt: at("03:00:00"), FinishedAt: at("04:00:00"), ConnectAsked: true, Plan: p.Counts(),
	}
	for i, o := range outcomes {
		countOutcome(&r.Result, o)
		r.Items = append(r.Items, resubmit.Item{
			OrderID: fmt.Sprint(i + 1), Number: fmt.Sprintf("SO%d", i+1), Outcome: o, Why: "a test", DoneAt: at("03:30:00"),
		})
	}
	return r
}

func TestNewRejects(t *testing.T) {
	t.Parallel()
	p := planOf(t, plan.Header{}, toResubmit(1)...)
	other := planOf(t, plan.Header{}, toResubmit(2)...)
	unknown := reportOf(p, protocol.Completed)
	unknown.Items[0].OrderID = "9"
	closed := planOf(t, plan.Header{}, toResubmit(1)...)
	for want, in := range map[string]report.Input{
		"report: Input.Plan is missing":                                               {},
		"report: the report is that of the plan " + other.Digest() + ", not of":       {Plan: p, Report: reportOf(other)},
		"report: the report has 1 order that the plan does not resubmit, such as SO1": {Plan: p, Report: unknown},
		`window "" is invalid`: {Plan: closed, Observed: []maintenance.Window{{}}},
	} {
		d, err := report.New(in)
		require.Nil(t, d)
		if want == `window "" is invalid` {
			want = `report: maintenance: window ""`
		}
		require.ErrorContains(t, err, want)
	}
}

func TestNewStates(t *testing.T) {
	t.Parallel()
	p := planOf(t, plan.Header{}, toResubmit(3)...)
	running := reportOf(p, protocol.Completed, protocol.Progressing)
	running.FinishedAt = time.Time{}
	stopped := reportOf(p, protocol.Completed, protocol.NotStarted, protocol.NotStarted)
	stopped.Err = "the run was cancelled"
	for want, tt := range map[report.State]struct {
		report   *resubmit.Report
		open     int
		sentence string
		actors   map[report.Actor]int
	}{
		report.StatePlanned: {nil, 3, "3 of 3 orders are to be resubmitted. Nothing was sent yet.",
			map[report.Actor]int{report.ActorRun: 3}},
		report.StateRunning: {running, 1, "1 of 3 orders verified so far, 1 in flight, 1 not done yet.",
			map[report.Actor]int{report.ActorRun: 2}},
		report.StateStopped: {stopped, 0, "Stopped early: the run was cancelled. 1 of 3 orders verified. 2 not started.",
			map[report.Actor]int{report.ActorRun: 2}},
		report.StateFinished: {reportOf(p, protocol.Completed, protocol.Completed, protocol.Completed), 0,
			"All 3 orders are verified in Commerce and Connect.", nil},
	} {
		d := documentOf(t, report.Input{Plan: p, Report: tt.report, Command: "tool"})
		require.Equal(t, want, d.State)
		require.Equal(t, tt.open, d.Open, want)
		require.Equal(t, tt.sentence, d.Sentence())
		require.Equal(t, tt.actors, d.ByActor, want)
		require.Equal(t, want == report.StateFinished, d.OK())
	}
}

func TestNextOfARunThatIsGoingOn(t *testing.T) {
	t.Parallel()
	p := planOf(t, plan.Header{}, toResubmit(4)...)
	r := reportOf(p, protocol.Completed, protocol.Progressing, protocol.Unknown)
	r.FinishedAt = time.Time{}
	d := documentOf(t, report.Input{Plan: p, Report: r, Command: "tool"})
	require.Equal(t, []report.Step{{
		Actor: report.ActorRun, Orders: 3, Text: "3 orders not done yet: the run is working, or was interrupted",
		Command: "tool status",
	}}, d.Next)
	require.Equal(t, map[report.Actor]int{report.ActorRun: 3}, d.ByActor)
}

func TestNewCountsWhoWaits(t *testing.T) {
	t.Parallel()
	entries := toResubmit(4)
	entries[1].Total.Currency = "USD"
	entries[2].Total = commerce.Money{}
	entries[3].Customer = ""
	exists := entryAt(5, at("02:00:00"), failure.AlreadyProvisioned)
	exists.Decision.Action = rules.Complete
	p := planOf(t, plan.Header{}, append(entries, exists)...)
	d := documentOf(t, report.Input{Plan: p, Report: reportOf(p, protocol.Completed, protocol.FailedAgain,
		protocol.Progressing, protocol.Blocked)})
	euro := commerce.Money{Amount: decimal.New(1000, -2), Currency: "EUR"}
	dollar := commerce.Money{Amount: decimal.New(1000, -2), Currency: "USD"}
	require.Equal(t, report.Tally{
		Orders: 3, Customers: 2, NoCustomer: 1, Money: []commerce.Money{euro, dollar}, NoTotal: 1,
	}, d.Waiting, "neither the completed order nor the one whose service exists")
	require.Equal(t, 5, d.All.Orders)
	require.Equal(t, "20.00 EUR", d.All.Money[0].String())
	require.Equal(t, map[report.Actor]int{report.ActorVendor: 1, report.ActorPlan: 1, report.ActorPerson: 2}, d.ByActor)
	require.Equal(t, []string{"SO2", "SO5"}, []string{d.People[0].Number, d.People[1].Number})
	require.Len(t, d.FailedAgain, 1)
	require.Equal(t, 1, d.FailedAgain[0].Orders)
	sum := 0
	for _, s := range d.Classes {
		sum += s.All.Orders
	}
	require.Equal(t, 5, sum)
}

// A run with Config.OmitItems has no items: who waits is not known then, unless nobody does.
func TestNewOfAReportWithoutItems(t *testing.T) {
	t.Parallel()
	p := planOf(t, plan.Header{}, toResubmit(2)...)
	done := reportOf(p, protocol.Completed, protocol.Completed)
	done.Items = nil
	d := documentOf(t, report.Input{Plan: p, Report: done})
	require.Zero(t, d.Waiting.Orders)
	require.Contains(t, d.Chart().Description(), " 2 verified.")
	require.NotContains(t, d.Chart().Description(), "Nothing was sent")
	require.Equal(t, protocol.Completed, d.Items[1].Outcome)

	half := reportOf(p, protocol.Completed, protocol.FailedAgain)
	half.Items = nil
	d = documentOf(t, report.Input{Plan: p, Report: half})
	require.Equal(t, 2, d.Waiting.Orders)
	require.Equal(t, 2, d.Unlisted)
	require.Contains(t, d.Text(), "which of 2 orders have which result is not known: they count as waiting\n")
}

// A plan may have an order twice. Each entry has its own result.
func TestNewOfAnOrderThatThePlanHasTwice(t *testing.T) {
	t.Parallel()
	entries := toResubmit(2)
	entries[1].OrderID = entries[0].OrderID
	entries[1].Fingerprint = plan.Fingerprint(entries[1].OrderID, entries[1].Before)
	p := planOf(t, plan.Header{}, entries...)
	r := reportOf(p, protocol.Completed, protocol.FailedAgain)
	r.Items[1].OrderID = "1"
	d := documentOf(t, report.Input{Plan: p, Report: r})
	require.Equal(t, protocol.Completed, d.Items[0].Outcome)
	require.Equal(t, protocol.FailedAgain, d.Items[1].Outcome)
}

func TestNewWindows(t *testing.T) {
	t.Parallel()
	h := sampleHeader()
	h.Windows = append(h.Windows,
		maintenance.Window{ID: "unmatched", Start: at("03:30:00"), End: at("03:40:00")},
		maintenance.Window{ID: "years ago", Start: at("01:00:00").AddDate(-3, 0, 0), End: at("03:00:00").AddDate(-3, 0, 0)},
		maintenance.Window{ID: "to come", Start: at("01:00:00").AddDate(0, 1, 0), End: at("03:00:00").AddDate(0, 1, 0)})
	entries := toResubmit(10)
	entries[0].Attribution.Verdict, entries[0].Attribution.WindowID = failure.Caused, "CHG-2041"
	p := planOf(t, h, entries...)
	open := sampleObserved()
	open[0].ActualEnd = time.Time{}
	d := documentOf(t, report.Input{Plan: p, Observed: open, Now: at("04:10:00")})
	require.Len(t, d.Windows, 2)
	w := d.Windows[0]
	require.Equal(t, "CHG-2041", w.ID)
	require.Equal(t, &maintenance.Span{Start: at("01:00:00"), End: at("03:00:00")}, w.Announced)
	require.Equal(t, &maintenance.Span{Start: at("01:07:00")}, w.Observed, "it is not over")
	require.Equal(t, 3, w.Inside, "from 01:07 to 01:09")
	require.Equal(t, 1, w.Attributed)
	require.Contains(t, string(d.Chart().SVG(report.ChartOptions{})), "observed 01:07, still down")
	require.Equal(t, "unmatched", d.Windows[1].ID)
	require.Contains(t, d.Text(), "warning: no order fits the window unmatched, announced 2026-11-21 03:30–03:40 UTC.")
	var page bytes.Buffer
	require.NoError(t, d.WriteHTML(&page))
	require.Contains(t, page.String(), "No order fits the window unmatched.")
}

func TestNewDeadlines(t *testing.T) {
	t.Parallel()
	entries := toResubmit(3)
	for i := range entries {
		entries[i].Decision.Action, entries[i].Target = rules.Wait, ""
	}
	entries[0].Due, entries[1].Due = at("05:00:00"), at("06:00:00")
	d := documentOf(t, report.Input{Plan: planOf(t, plan.Header{}, entries...)})
	require.Equal(t, report.Deadlines{First: at("05:00:00"), Last: at("06:00:00"), Undated: 1}, d.Deadlines)
	require.Equal(t, "3 orders waiting: make a new plan after 2026-11-21 05:00 UTC, when the first is due, or after "+
		"2026-11-21 06:00 UTC for all that have a time", d.Next[0].Text)
}

func TestNextCommands(t *testing.T) {
	t.Parallel()
	p := planOf(t, plan.Header{}, toResubmit(5)...)
	digest := strings.TrimPrefix(p.Digest(), "sha256:")[:12]
	next := func(r *resubmit.Report) []string {
		d := documentOf(t, report.Input{Plan: p, Report: r, Command: "tool -state dir"})
		lines := make([]string, 0, len(d.Next))
		for _, s := range d.Next {
			lines = append(lines, s.Command+": "+s.Text)
		}
		return lines
	}
	require.Equal(t, []string{
		"tool -state dir apply " + digest + ": 5 orders can be resubmitted: review the plan, then apply it",
	}, next(nil))
	c, f, n := protocol.Completed, protocol.FailedAgain, protocol.NotStarted
	require.Equal(t, []string{
		"tool -state dir apply " + digest + ": 3 orders not started: apply the same plan again",
		"tool -state dir show SO2: 1 order failed again: look at the reasons before you make a new plan",
	}, next(reportOf(p, c, f, n, n, n)))
	r := reportOf(p, c, f, n, n, n)
	r.Canary = []resubmit.CanaryStatus{{Group: "a", Stopped: "the canary of a stopped"}}
	require.Equal(t, "tool -state dir plan: 3 orders not started, because the canary stopped: look at the reasons, "+
		"then make a new plan", next(r)[0])
	d := documentOf(t, report.Input{Plan: p, Report: r, Command: "tool"})
	require.Equal(t, 3, d.ByActor[report.ActorPlan])
	for _, ended := range []error{resubmit.ErrDrained, resubmit.ErrCancelled} {
		r = reportOf(p, c, n, n, n, n)
		r.Err = ended.Error()
		require.Equal(t, []string{
			"tool -state dir plan: 4 orders not started, because the run was ended: make a new plan",
		}, next(r), "state.Dir has ended its plan")
	}
	r = reportOf(p, c, c, c, c, protocol.Blocked)
	r.Blockers = []resubmit.Blocker{{Number: "SO7; rm -rf /", Orders: 1}}
	require.Equal(t, []string{
		": 1 order blocked by an older order of the same subscription: resolve that one, then make a new plan",
	}, next(r), "no command that does more than it should")
}

func TestTextOfEarlierRuns(t *testing.T) {
	t.Parallel()
	p := planOf(t, plan.Header{}, toResubmit(2)...)
	r := reportOf(p, protocol.Completed, protocol.Completed)
	for earlier, want := range map[int]string{
		0: "All 2 orders are verified in Commerce; Connect was not asked.\n2 orders failed",
		1: "1 of these results are of an earlier run of this plan\n",
		2: "nothing was sent now: an earlier run of this plan has ended, and these are its results\n",
	} {
		r.Earlier, r.ConnectAsked = earlier, false
		require.Contains(t, documentOf(t, report.Input{Plan: p, Report: r}).Text(), want)
	}
	r.ConnectAsked, r.CommerceOnly = true, 1
	d := documentOf(t, report.Input{Plan: p, Report: r})
	require.Contains(t, d.Sentence(), "in Commerce, and all but 1 in Connect.")
}

func TestTextNamesAFewAndCountsTheRest(t *testing.T) {
	t.Parallel()
	entries := toResubmit(30)
	p := planOf(t, plan.Header{}, entries...)
	r := reportOf(p)
	for i := range entries {
		r.Result.FailedAgain++
		r.Items = append(r.Items, resubmit.Item{
			OrderID: entries[i].OrderID, Outcome: protocol.FailedAgain, AfterClass: failure.Permanent,
			After: plan.Snapshot{Message: strings.Repeat("x", i/3+1)},
		})
		r.Blockers = append(r.Blockers, resubmit.Blocker{Number: fmt.Sprint("SO", i), Orders: 1})
	}
	text := documentOf(t, report.Input{Plan: p, Report: r}).Text()
	require.Contains(t, text, "  3 failed again (permanent): x\n")
	require.Contains(t, text, "  and for 5 other reasons more\n")
	require.Contains(t, text, "  1 blocked by SO9\n  and others by 20 orders more\n")
}

func TestPageSaysWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	entries := make([]plan.Entry, 300)
	for i := range entries {
		entries[i] = entryAt(i, at("01:00:00").Add(time.Duration(i)*time.Second), failure.Unclassified)
		entries[i].VendorAccountID = fmt.Sprint("v", i)
	}
	var b bytes.Buffer
	require.NoError(t, documentOf(t, report.Input{Plan: planOf(t, plan.Header{}, entries...)}).WriteHTML(&b))
	require.Contains(t, b.String(), "These are the first 200 of 300. The CSV file lists all.")
	require.Contains(t, b.String(), "These are the first 50 of 300. The JSON file has all.")
	b.Reset()
	without := report.Input{Plan: planOf(t, plan.Header{}, entries...), OmitItems: true}
	require.NoError(t, documentOf(t, without).WriteHTML(&b))
	require.Contains(t, b.String(), "These are the first 200 of 300. The plan lists all.")
}

func TestZoneName(t *testing.T) {
	t.Parallel()
	p := planOf(t, plan.Header{}, toResubmit(1)...)
	require.Equal(t, "UTC", documentOf(t, report.Input{Plan: p}).ZoneName())
	require.Equal(t, "Europe/Warsaw", documentOf(t, report.Input{Plan: p, Location: warsaw(t)}).ZoneName())
	d := documentOf(t, report.Input{Plan: p, Location: time.Local, Now: at("04:00:00")})
	require.Equal(t, at("04:00:00").Local().Format("MST"), d.ZoneName())
}

// A daily window for each day of a month is one line too many, and too many bands for a chart.
func TestWindowsWithoutOrdersAreBounded(t *testing.T) {
	t.Parallel()
	h := plan.Header{CreatedAt: at("12:00:00")}
	for n := range 30 {
		start := at("05:00:00").AddDate(0, 0, n-29)
		h.Windows = append(h.Windows, maintenance.Window{ID: fmt.Sprint("day ", n), Start: start, End: start.Add(time.Hour)})
	}
	p := planOf(t, h, entryAt(1, at("00:00:00").AddDate(0, 0, -40), failure.Permanent),
		entryAt(2, at("05:30:00"), failure.Transient))
	d := documentOf(t, report.Input{Plan: p, Now: at("12:00:00")})
	require.Len(t, d.Windows, 30)
	require.Equal(t, 6, strings.Count(d.Text(), "warning: no order fits "))
	require.Contains(t, d.Text(), "warning: no order fits 24 windows more\n")
	require.Contains(t, d.Chart().Description(), "29 maintenance windows without orders are not drawn.")
	require.Equal(t, 1, strings.Count(string(d.Chart().SVG(report.ChartOptions{})), `<g class="chart-announced">`))
}

func TestObservedWindowsThatWereNotAnnounced(t *testing.T) {
	t.Parallel()
	outage := maintenance.Window{
		ID: "out", Start: at("01:00:00"), End: at("01:05:00"), ActualStart: at("01:00:00"), ActualEnd: at("01:05:00"),
		Source: maintenance.SourceUnreachable,
	}
	p := planOf(t, plan.Header{CreatedAt: at("02:00:00")}, toResubmit(10)...)
	d := documentOf(t, report.Input{Plan: p, Observed: []maintenance.Window{outage}, Now: at("02:00:00")})
	require.Equal(t, []report.Window{{
		ID: "out", Source: maintenance.SourceUnreachable, Inside: 5,
		Observed: &maintenance.Span{Start: at("01:00:00"), End: at("01:05:00")},
	}}, d.Windows)
	require.Contains(t, d.Chart().Description(), "5 of them are within the observed maintenance 01:00–01:05.")
}

func TestTallyWithManyCurrencies(t *testing.T) {
	t.Parallel()
	entries := toResubmit(7)
	for i := range entries {
		entries[i].Total.Currency = fmt.Sprintf("CU%d", i)
		entries[i].Total.Amount = decimal.New(-123456700, -2)
	}
	d := documentOf(t, report.Input{Plan: planOf(t, plan.Header{}, entries...)})
	require.Equal(t, "7 orders of 2 customers, -1234567.00 CU0, -1234567.00 CU1, -1234567.00 CU2, -1234567.00 CU3, "+
		"-1234567.00 CU4, and 2 more currencies", d.All.String())
	var b bytes.Buffer
	require.NoError(t, d.WriteHTML(&b))
	require.Contains(t, b.String(), `<dd class="money">-1`+"\u202f234\u202f567.00 CU0</dd>")
	require.Contains(t, b.String(), "and 2 more currencies")
}

func TestSentenceOfOneOrder(t *testing.T) {
	t.Parallel()
	p := planOf(t, plan.Header{}, toResubmit(1)...)
	d := documentOf(t, report.Input{Plan: p, Report: reportOf(p, protocol.Completed)})
	require.Equal(t, "The order is verified in Commerce and Connect.", d.Sentence())
}

func TestEachBoundedTableSaysHowManyRowsThereAre(t *testing.T) {
	t.Parallel()
	d := sample(t, true)
	for range 60 {
		d.Windows = append(d.Windows, d.Windows[0])
		d.Blockers = append(d.Blockers, resubmit.Blocker{Number: "SO1", Orders: 1})
		d.Canary = append(d.Canary, d.Canary[0])
		d.Marks = append(d.Marks, d.Marks[0])
		d.Reasons = append(d.Reasons, d.Reasons[0])
		d.FailedAgain = append(d.FailedAgain, d.Reasons[0])
		d.Vendors = append(d.Vendors, d.Vendors[0])
	}
	var b bytes.Buffer
	require.NoError(t, d.WriteHTML(&b))
	require.Equal(t, 7, strings.Count(b.String(), "These are the first 50 of 6"))
}
