package report_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
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

// at returns a time in the night of the sample, in UTC.
func at(clock string) time.Time {
	t, err := time.Parse(time.DateTime, "2026-11-21 "+clock)
	if err != nil {
		panic(err)
	}
	return t
}

// warsaw is the zone of the sample.
func warsaw(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Warsaw")
	require.NoError(t, err)
	return zone
}

// planOf writes and reads a plan.
func planOf(t testing.TB, h plan.Header, entries ...plan.Entry) *plan.Plan {
	t.Helper()
	var b bytes.Buffer
	w, err := plan.NewWriter(&b, h)
	require.NoError(t, err)
	for i := range entries {
		require.NoError(t, w.Write(&entries[i]))
	}
	_, _, err = w.Close()
	require.NoError(t, err)
	p, err := plan.Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
	require.NoError(t, err)
	return p
}

// documentOf makes a document.
func documentOf(t testing.TB, in report.Input) *report.Document {
	t.Helper()
	d, err := report.New(in)
	require.NoError(t, err)
	return d
}

// messages are failure texts and their classes.
var messages = []struct {
	class failure.Class
	text  string
}{
	{failure.Transient, "Connect API answered 503 Service Unavailable for request PR-%04d-0001"},
	{failure.Transient, "connection to api.connect.example.com timed out after 30 s (order %d)"},
	{failure.Unclassified, "Activation of subscription %d failed: unexpected response"},
	{failure.Permanent, "Item validation failed: quota exceeded for account %d"},
	{failure.AlreadyProvisioned, "Subscription %d already exists at the vendor"},
}

// sampleEntry returns the n-th entry of the sample. The orders with a small number fail for other reasons.
func sampleEntry(n int, placed time.Time, r *rand.Rand) plan.Entry {
	m := messages[[...]int{0, 0, 1, 0, 2, 0, 1, 0, 3, 0, 0, 2, 1}[n%13]]
	if n == 40 {
		m = messages[4]
	}
	customer, vendor := r.IntN(64)+1, r.IntN(3)
	e := plan.Entry{
		OrderID: fmt.Sprintf("6f1c%04d-0000-4000-8000-000000000000", n), Number: fmt.Sprintf("SO%06d", n),
		Type: []commerce.OrderType{"SO", "CH", "SO", "BO"}[n%4], VendorAccountID: fmt.Sprint(1000101 + vendor),
		Channel:    []commerce.Channel{commerce.ChannelDirect, commerce.ChannelReseller, commerce.ChannelReseller}[vendor],
		Customer:   fmt.Sprintf("Customer %d GmbH (%d)", customer, 1000200+customer),
		CustomerID: fmt.Sprint(1000200 + customer),
		Before:     plan.Snapshot{Status: "PF", Message: fmt.Sprintf(m.text, n), PlacedAt: placed},
		Attribution: failure.Attribution{
			Class: m.class, Verdict: failure.UnknownCause,
			Evidence: []failure.Evidence{{Kind: "reason", Text: "the text matches the pattern of its class"}},
		},
		Total: commerce.Money{Amount: decimal.New(int64(r.IntN(9000)+100), -2), Currency: []string{"USD", "EUR"}[n%5/4]},
	}
	if !placed.Before(at("01:07:00")) && placed.Before(at("04:02:00")) {
		e.Attribution.Verdict, e.Attribution.WindowID = failure.Caused, "CHG-2041"
		e.Attribution.Evidence = append(e.Attribution.Evidence, failure.Evidence{
			Kind: "time", Text: "placed within the maintenance", Ref: "CHG-2041", At: placed,
		})
	}
	switch m.class {
	case failure.Permanent:
		e.Decision = rules.Decision{Action: rules.Quarantine, RuleID: "permanent", Why: "it would fail again"}
	case failure.AlreadyProvisioned:
		e.Decision = rules.Decision{Action: rules.Complete, RuleID: "provisioned", Why: "its service exists"}
	case failure.Unclassified:
		e.Decision = rules.Decision{Action: rules.Hold, RuleID: "unclassified", Why: "the reason is not known"}
	default:
		e.Decision = rules.Decision{Action: rules.Resubmit, RuleID: "transient", Why: "communication had failed"}
		e.Target = "PR"
	}
	e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
	return e
}

// sampleEntries returns the entries of the sample, those of a night with a maintenance.
func sampleEntries() []plan.Entry {
	r := rand.New(rand.NewPCG(14, 1))
	var entries []plan.Entry
	placed := at("00:31:00")
	for n := 1; n <= 94; n++ {
		step := time.Duration(r.IntN(150)+60) * time.Second
		if placed.Before(at("01:07:00")) {
			step *= 3
		}
		placed = placed.Add(step)
		entries = append(entries, sampleEntry(n, placed, r))
	}
	entries = append(entries, plan.Entry{
		OrderID: "undated", Number: "SO000099", Type: "SO", Before: plan.Snapshot{Status: "PF"},
		Fingerprint: plan.Fingerprint("undated", plan.Snapshot{Status: "PF"}),
		Attribution: failure.Attribution{Class: failure.Unclassified, Verdict: failure.UnknownCause},
		Decision:    rules.Decision{Action: rules.Wait, RuleID: rules.IDOrderUnsettled, Why: "it failed very recently"},
		Due:         at("06:00:00"),
	})
	return entries
}

// sampleHeader has a maintenance that lasted longer than announced.
func sampleHeader() plan.Header {
	return plan.Header{
		CreatedAt: at("04:05:00"), System: "ordermanager https://mn.example.net:6308", View: "Failed Orders",
		Filter: "eq(status,PF)", Policy: []byte(`{"settleDelay":"2m"}`),
		Windows: []maintenance.Window{{
			ID: "CHG-2041", Title: "Platform upgrade", Start: at("01:00:00"), End: at("03:00:00"),
			Source: "status page",
		}},
		Journal: plan.Position{Journal: "f00d", Sequence: 4711, Hash: "cafe"},
	}
}

func sampleObserved() []maintenance.Window {
	return []maintenance.Window{{
		ID: "down-1", Start: at("01:07:00"), End: at("04:02:00"), ActualStart: at("01:07:00"), ActualEnd: at("04:02:00"),
		Source: maintenance.SourceObserved,
	}}
}

// sampleReport is a report in which a few orders did not end well.
func sampleReport(p *plan.Plan, good bool) *resubmit.Report {
	r := &resubmit.Report{
		PlanDigest: p.Digest(), StartedAt: at("04:06:00"), FinishedAt: at("04:42:00"), ConnectAsked: true, Plan: p.Counts(),
	}
	n := 0
	for e, err := range p.Entries() {
		if err != nil {
			panic(err)
		}
		if e.Decision.Action != rules.Resubmit {
			continue
		}
		n++
		pushed := at("04:06:00").Add(time.Duration(n) * 25 * time.Second)
		item := resubmit.Item{
			OrderID: e.OrderID, Number: e.Number, Action: e.Decision.Action, Target: "PR", Outcome: protocol.Completed,
			Why: "completed in Commerce, approved in Connect", Attempts: 1, PushedAt: pushed,
			DoneAt:   pushed.Add(time.Duration(60+n*7%300) * time.Second),
			Evidence: []failure.Evidence{{Kind: "push", Text: "Commerce accepted the push", At: pushed}},
		}
		switch {
		case good:
		case n == 20 || n == 21:
			item.Outcome, item.Why = protocol.FailedAgain, "it failed again for another reason"
			item.After.Message, item.AfterClass = fmt.Sprintf("quota exceeded for account %d", n), failure.Permanent
		case n == 30:
			item.Outcome, item.Why = protocol.Progressing, "the vendor must approve the request"
			item.DoneAt = at("04:42:00")
		case n == 31:
			item.Outcome, item.Why, item.BlockedBy = protocol.Blocked, "blocked by SO000032", "SO000032"
			item.Attempts, item.PushedAt, item.Evidence = 0, time.Time{}, nil
			r.Blockers = []resubmit.Blocker{{Number: "SO000032", Orders: 1}}
		}
		countOutcome(&r.Result, item.Outcome)
		r.Items = append(r.Items, item)
	}
	r.Canary = []resubmit.CanaryStatus{{Group: "1000101, SO, transient", Limit: -1, Tried: 5, Good: 5}}
	return r
}

func countOutcome(c *resubmit.OutcomeCounts, o protocol.Outcome) {
	switch o {
	case protocol.Completed:
		c.Completed++
	case protocol.FailedAgain:
		c.FailedAgain++
	case protocol.Progressing:
		c.Progressing++
	case protocol.Blocked:
		c.Blocked++
	case protocol.NotStarted:
		c.NotStarted++
	case protocol.Unknown:
		c.Unknown++
	default:
		panic(o)
	}
}

// sample returns the document of the sample.
func sample(t testing.TB, good bool) *report.Document {
	t.Helper()
	p := planOf(t, sampleHeader(), sampleEntries()...)
	return documentOf(t, report.Input{
		Plan: p, Report: sampleReport(p, good), Observed: sampleObserved(), Location: warsaw(t),
		Command: "aftermaintenance -state /var/lib/recovery", Now: at("04:43:00"),
		Marks: []report.Mark{
			{At: at("04:08:00"), Text: "canary: 1 of 1 orders of 1000101 is verified"},
			{At: at("04:12:00"), Text: "canary: no limit for 1000101"},
			{At: at("04:20:00"), Stopped: true, Text: "circuit breaker: 5 of the last 20 orders failed again"},
		},
	})
}
