package rules_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

var decideNow = at("22 08:00")

func newest(kind connect.RequestType, status connect.RequestStatus, age time.Duration,
	failedInRow int) connect.LatestRequest {
	return connect.LatestRequest{
		Request:     connect.Request{ID: "PR-1", Type: kind, Status: status, Updated: decideNow.Add(-age)},
		FailedInRow: failedInRow,
	}
}

func facts(class failure.Class, requests ...connect.LatestRequest) rules.Facts {
	return rules.Facts{
		Order: &commerce.Order{
			ID: "1", Type: commerce.TypeSales, Status: commerce.StatusProvisioningFailed,
			VendorAccountID: "7", Channel: commerce.ChannelReseller, Failure: failed(textTransient),
		},
		Attribution:     failure.Attribution{Class: class, Verdict: failure.Caused},
		RequestsQueried: true, Requests: requests, Now: decideNow,
	}
}

// The rows are those of resubmit/SAFETY.md#decisions, in their order, and after them what the table
// leaves open.
func TestDecideFollowsTheDecisionTable(t *testing.T) {
	t.Parallel()
	const old, young = 301 * time.Second, 300 * time.Second
	explicit := func(f rules.Facts) rules.Facts { f.Override = true; return f }
	notAsked := func(f rules.Facts) rules.Facts { f.RequestsQueried = false; return f }
	untold := func(f rules.Facts) rules.Facts { f.NoMessages = true; return f }
	unknown := func(f rules.Facts) rules.Facts {
		f.RequestsErr = errors.New("connect: list requests:\nHTTP 403 Forbidden")
		return f
	}
	undated := newest(connect.TypeCancel, connect.StatusFailed, 0, 1)
	undated.Request.Updated = time.Time{}

	tests := []struct {
		name   string
		facts  rules.Facts
		action rules.Action
		rule   string
	}{
		{"none", facts(failure.Transient), rules.Resubmit, "connect-none"},
		{"failed purchase", facts(failure.Transient, newest(connect.TypePurchase, connect.StatusFailed, old, 1)),
			rules.Quarantine, "connect-failed-purchase"},
		{"failed cancel, old", facts(failure.Transient, newest(connect.TypeCancel, connect.StatusFailed, old, 3)),
			rules.Resubmit, "connect-failed-cancel"},
		{"failed resume, old", facts(failure.Transient, newest(connect.TypeResume, connect.StatusFailed, old, 9)),
			rules.Resubmit, "connect-failed-cancel"},
		{"failed cancel, young", facts(failure.Transient, newest(connect.TypeCancel, connect.StatusFailed, young, 1)),
			rules.Wait, "connect-failed-recently"},
		{"failed resume, young", facts(failure.Transient, newest(connect.TypeResume, connect.StatusFailed, young, 1)),
			rules.Wait, "connect-failed-recently"},
		{"failed cancel, of the future", facts(failure.Transient, newest(connect.TypeCancel, connect.StatusFailed, -old, 1)),
			rules.Wait, "connect-failed-recently"},
		{"failed cancel, 4 in a row", facts(failure.Transient, newest(connect.TypeCancel, connect.StatusFailed, old, 4)),
			rules.Quarantine, "connect-failed-cancels"},
		{"failed change", facts(failure.Transient, newest(connect.TypeChange, connect.StatusFailed, old, 1)), rules.Resubmit,
			"connect-failed-change"},
		{"draft", facts(failure.Transient, newest(connect.TypePurchase, connect.StatusDraft, old, 0)), rules.Resubmit,
			"connect-under-way"},
		{"pending", facts(failure.Transient, newest(connect.TypePurchase, connect.StatusPending, old, 0)), rules.Resubmit,
			"connect-under-way"},
		{"inquiring", facts(failure.Transient, newest(connect.TypeCancel, connect.StatusInquiring, old, 0)), rules.Resubmit,
			"connect-under-way"},
		{"tiers_setup", facts(failure.Transient, newest(connect.TypePurchase, connect.StatusTiersSetup, old, 0)),
			rules.Resubmit, "connect-under-way"},
		{"scheduled", facts(failure.Transient, newest(connect.TypeChange, connect.StatusScheduled, old, 0)), rules.Resubmit,
			"connect-under-way"},
		{"approved", facts(failure.Transient, newest(connect.TypePurchase, connect.StatusApproved, old, 0)), rules.Resubmit,
			"connect-approved"},
		{"revoking", facts(failure.Transient, newest(connect.TypePurchase, connect.StatusRevoking, old, 0)), rules.Manual,
			"connect-revoked"},
		{"revoked", facts(failure.Transient, newest(connect.TypePurchase, connect.StatusRevoked, old, 0)), rules.Manual,
			"connect-revoked"},
		{"Connect unreachable or 403", unknown(facts(failure.Transient)), rules.Hold, "connect-unknown"},

		{"permanent", facts(failure.Permanent), rules.Quarantine, "reason-permanent"},
		{"permanent, named by the operator", explicit(facts(failure.Permanent)), rules.Quarantine, "reason-permanent"},
		{"already provisioned", facts(failure.AlreadyProvisioned), rules.Complete, "reason-already-provisioned"},
		{"unclassified", facts(failure.Unclassified), rules.Hold, "reason-unclassified"},
		{"untold", untold(facts(failure.Unclassified)), rules.Hold, "reason-not-reported"},
		{"untold, named by the operator", untold(explicit(facts(failure.Unclassified))), rules.Resubmit, "connect-none"},
		{"untold, named, and Connect not asked", notAsked(untold(explicit(facts(failure.Unclassified)))), rules.Resubmit,
			"connect-not-asked"},
		{"unclassified, named by the operator", explicit(facts(failure.Unclassified)), rules.Resubmit, "connect-none"},
		{"unclassified, named, refused by the vendor", explicit(facts(failure.Unclassified,
			newest(connect.TypePurchase, connect.StatusFailed, old, 1))), rules.Quarantine, "connect-failed-purchase"},

		{"failed suspend", facts(failure.Transient, newest(connect.TypeSuspend, connect.StatusFailed, old, 1)), rules.Manual,
			"connect-failed-suspend"},
		{"failed cancel without a time", facts(failure.Transient, undated), rules.Hold, "connect-failed-undated"},
		{"failed adjustment", facts(failure.Transient, newest(connect.TypeAdjust, connect.StatusFailed, old, 1)), rules.Hold,
			"connect-other"},
		{"unknown status", facts(failure.Transient, newest(connect.TypePurchase, "parked", old, 0)), rules.Hold,
			"connect-other"},
		{"no request in Connect for the type", notAsked(facts(failure.Transient)), rules.Resubmit, "connect-not-asked"},
		{"no request for the type, permanent", notAsked(facts(failure.Permanent)), rules.Quarantine, "reason-permanent"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := rules.Decide(nil, test.facts)
			require.Equal(t, test.action, got.Action)
			require.Equal(t, test.rule, got.RuleID)
			require.NotEmpty(t, got.Why)
			require.NotContains(t, got.Why, "\n")
			require.Equal(t, test.name == "failed change", got.Flagged)
		})
	}
}

func TestDecideIgnoresRequestsOlderThanTheOrder(t *testing.T) {
	t.Parallel()
	const skew = 10 * time.Minute
	placed := decideNow.Add(-time.Hour)
	for name, test := range map[string]struct {
		kind        connect.RequestType
		status      connect.RequestStatus
		failedInRow int
		action      rules.Action
		rule, own   string // own is the rule for the same request within the skew
	}{
		"approved change": {connect.TypeChange, connect.StatusApproved, 0, rules.Resubmit, "connect-older",
			"connect-approved"},
		"failed change": {connect.TypeChange, connect.StatusFailed, 1, rules.Resubmit, "connect-older",
			"connect-failed-change"},
		"revoked change": {connect.TypeChange, connect.StatusRevoked, 0, rules.Resubmit, "connect-older", "connect-revoked"},
		"revoking change": {connect.TypeChange, connect.StatusRevoking, 0, rules.Resubmit, "connect-older",
			"connect-revoked"},
		"failed cancel": {connect.TypeCancel, connect.StatusFailed, 3, rules.Resubmit, "connect-older",
			"connect-failed-cancel"},
		"failed suspend": {connect.TypeSuspend, connect.StatusFailed, 1, rules.Resubmit, "connect-older",
			"connect-failed-suspend"},
		"failed cancels": {connect.TypeCancel, connect.StatusFailed, 4, rules.Quarantine, "connect-failed-cancels",
			"connect-failed-cancels"},
		"failed purchase": {connect.TypePurchase, connect.StatusFailed, 1, rules.Quarantine, "connect-failed-purchase",
			"connect-failed-purchase"},
		"pending change": {connect.TypeChange, connect.StatusPending, 0, rules.Resubmit, "connect-under-way",
			"connect-under-way"},
		"unknown status": {connect.TypeChange, "parked", 0, rules.Hold, "connect-other", "connect-other"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decide := func(touched, placed time.Time) rules.Decision {
				n := newest(test.kind, test.status, decideNow.Sub(touched), test.failedInRow)
				n.Request.Created = touched.Add(-time.Hour)
				f := facts(failure.Transient, n)
				f.Order.PlacedAt = placed
				return rules.Decide(nil, f)
			}
			older := decide(placed.Add(-skew-1), placed)
			require.Equal(t, test.action, older.Action)
			require.Equal(t, test.rule, older.RuleID)
			if test.rule == "connect-older" {
				require.Equal(t, "its own call never reached Connect: the latest request is older than the order, PR-1", older.Why)
				require.False(t, older.Flagged)
			}
			require.Equal(t, test.own, decide(placed.Add(-skew), placed).RuleID)
			require.Equal(t, test.own, decide(placed.Add(-skew-1), time.Time{}).RuleID, "the time of placing is unknown")
		})
	}
}

func TestDecideSaysWhoMustAct(t *testing.T) {
	t.Parallel()
	for status, who := range map[connect.RequestStatus]string{
		connect.StatusDraft: "its creator has to act", connect.StatusPending: "the vendor has to act",
		connect.StatusInquiring: "the customer has to act", connect.StatusTiersSetup: "a tier account has to act",
		connect.StatusScheduled: "it waits for its date",
	} {
		d := rules.Decide(nil, facts(failure.Transient, newest(connect.TypePurchase, status, 0, 0)))
		require.Contains(t, d.Why, who)
	}
	d := rules.Decide(nil, facts(failure.Transient, newest(connect.TypeCancel, connect.StatusFailed, time.Hour, 4)))
	require.Contains(t, d.Why, "(4 failed)")
}

func TestDecideReturnsTheMostCautiousDecisionOfSeveralAssets(t *testing.T) {
	t.Parallel()
	// One newest request for each action, from the most cautious on.
	ranked := []struct {
		newest connect.LatestRequest
		action rules.Action
	}{
		{newest(connect.TypePurchase, connect.StatusFailed, 0, 1), rules.Quarantine},
		{newest(connect.TypePurchase, connect.StatusRevoked, 0, 0), rules.Manual},
		{newest(connect.TypePurchase, "parked", 0, 0), rules.Hold},
		{newest(connect.TypePurchase, "done", 0, 0), rules.Complete}, // by the user's rule below
		{newest(connect.TypeCancel, connect.StatusFailed, 0, 1), rules.Wait},
		{newest(connect.TypePurchase, connect.StatusApproved, 0, 0), rules.Resubmit},
	}
	rls := []rules.Rule{{ID: "mine", Requests: []connect.RequestStatus{"done"}, Action: rules.Complete, Why: "done"}}
	rapid.Check(t, func(t *rapid.T) {
		picked := rapid.SliceOfN(rapid.IntRange(0, len(ranked)-1), 1, 5).Draw(t, "assets")
		f := facts(failure.Transient)
		first := len(ranked)
		for _, i := range picked {
			f.Requests = append(f.Requests, ranked[i].newest)
			first = min(first, i)
		}
		d := rules.Decide(rls, f)
		require.Equal(t, ranked[first].action, d.Action)
		if len(picked) > 1 {
			require.Contains(t, d.Why, "the most cautious answer of")
		}
		// What is not known of another asset holds the order, unless worse is known.
		f.RequestsErr = errors.New("no answer")
		d = rules.Decide(rls, f)
		require.Equal(t, ranked[min(first, 2)].action, d.Action)
	})
}

func TestDecideTriesUserRulesFirst(t *testing.T) {
	t.Parallel()
	failed := newest(connect.TypePurchase, connect.StatusFailed, time.Hour, 1)
	rule := func(change func(*rules.Rule)) rules.Rule {
		r := rules.Rule{ID: "mine", Action: rules.Manual, Why: "because"}
		change(&r)
		return r
	}
	tests := map[string]struct {
		rule  rules.Rule
		facts rules.Facts
		want  string
	}{
		"type": {rule(func(r *rules.Rule) { r.Types = []commerce.OrderType{"CH", "SO"} }), facts(failure.Transient),
			"mine"},
		"other type": {rule(func(r *rules.Rule) { r.Types = []commerce.OrderType{"CH"} }), facts(failure.Transient),
			"connect-none"},
		"class": {rule(func(r *rules.Rule) { r.Classes = []failure.Class{failure.Permanent} }),
			facts(failure.Permanent), "mine"},
		"other class": {rule(func(r *rules.Rule) { r.Classes = []failure.Class{failure.Transient} }),
			facts(failure.Permanent), "reason-permanent"},
		"verdict": {rule(func(r *rules.Rule) { r.Verdicts = []failure.Verdict{failure.Caused} }),
			facts(failure.Transient), "mine"},
		"other verdict": {rule(func(r *rules.Rule) { r.Verdicts = []failure.Verdict{failure.Likely} }),
			facts(failure.Transient), "connect-none"},
		"request": {rule(func(r *rules.Rule) { r.Requests = []connect.RequestStatus{connect.StatusFailed} }),
			facts(failure.Transient, failed), "mine"},
		"other request": {rule(func(r *rules.Rule) { r.Requests = []connect.RequestStatus{connect.StatusApproved} }),
			facts(failure.Transient, failed), "connect-failed-purchase"},
		"no request": {rule(func(r *rules.Rule) { r.Requests = []connect.RequestStatus{rules.NoRequest} }),
			facts(failure.Transient), "mine"},
		"some request": {rule(func(r *rules.Rule) { r.Requests = []connect.RequestStatus{rules.NoRequest} }),
			facts(failure.Transient, failed), "connect-failed-purchase"},
		"vendor": {rule(func(r *rules.Rule) { r.VendorAccounts = []string{"7"} }), facts(failure.Transient), "mine"},
		"other vendor": {rule(func(r *rules.Rule) { r.VendorAccounts = []string{"8"} }), facts(failure.Transient),
			"connect-none"},
		"channel": {rule(func(r *rules.Rule) { r.Channels = []commerce.Channel{commerce.ChannelReseller} }),
			facts(failure.Transient), "mine"},
		"other channel": {rule(func(r *rules.Rule) { r.Channels = []commerce.Channel{commerce.ChannelDirect} }),
			facts(failure.Transient), "connect-none"},
		"reason": {rule(func(r *rules.Rule) { r.Message = "*internal SERVER error*" }), facts(failure.Transient),
			"mine"},
		"other reason": {rule(func(r *rules.Rule) { r.Message = "internal server error" }), facts(failure.Transient),
			"connect-none"},
		"all conditions": {rule(
			func(r *rules.Rule) { r.VendorAccounts = []string{"7"}; r.Types = []commerce.OrderType{"CH"} }),
			facts(failure.Transient), "connect-none"},
		"a reason worth another try": {
			rule(func(r *rules.Rule) { r.Message = "*"; r.Action = rules.Resubmit }), facts(failure.Unclassified), "mine",
		},
		"a reason worth another try, refused by the vendor": {
			rule(func(r *rules.Rule) { r.Message = "*"; r.Action = rules.Resubmit }), facts(failure.Unclassified, failed),
			"connect-failed-purchase",
		},
		"a request worth another try": {
			rule(func(r *rules.Rule) {
				r.Requests = []connect.RequestStatus{connect.StatusFailed}
				r.Action = rules.Resubmit
			}), facts(failure.Transient, failed), "mine",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			second := rules.Rule{ID: "second", Types: []commerce.OrderType{"none"}, Action: rules.Wait, Why: "never"}
			got := rules.Decide([]rules.Rule{second, test.rule,
				{ID: "third", Message: "*", Requests: []connect.RequestStatus{"never"}, Action: rules.Wait, Why: "x"}}, test.facts)
			require.Equal(t, test.want, got.RuleID)
			if test.want == "mine" {
				require.Equal(t, rules.Decision{Action: test.rule.Action, RuleID: "mine", Why: "because"}, got)
			}
		})
	}
	unreachable := facts(failure.Transient)
	unreachable.RequestsErr = errors.New("no answer")
	risk := rules.Rule{ID: "risk", Requests: []connect.RequestStatus{rules.RequestsUnavailable}, Action: rules.Resubmit,
		Why: "we dare"}
	require.Equal(t, "risk", rules.Decide([]rules.Rule{risk}, unreachable).RuleID)
	require.Equal(t, "connect-none", rules.Decide([]rules.Rule{risk}, facts(failure.Transient)).RuleID)
}

func TestRequestType(t *testing.T) {
	t.Parallel()
	for order, want := range map[commerce.OrderType]connect.RequestType{
		"SO": connect.TypePurchase, "CH": connect.TypeChange, "UG": connect.TypeChange, "DG": connect.TypeChange,
		"CL": connect.TypeCancel, "CF": connect.TypeCancel, "RN": "", "BO": "", "PO": "", "TA": "", "XX": "",
	} {
		got, ok := rules.RequestTypeFor(order)
		require.Equal(t, want, got, order)
		require.Equal(t, want != "", ok, order)
	}
}

func TestCanResubmit(t *testing.T) {
	t.Parallel()
	for _, to := range []commerce.Status{"", commerce.StatusCancelled, commerce.StatusFraud} {
		require.False(t, rules.CanResubmit(to), to)
	}
	for _, to := range []commerce.Status{commerce.StatusPaid, commerce.StatusProvisioning, "ZZ"} {
		require.True(t, rules.CanResubmit(to), to)
	}
}

func TestDecideOfNamedOrders(t *testing.T) {
	t.Parallel()
	const old, young = 301 * time.Second, 299 * time.Second
	undated := newest(connect.TypeResume, connect.StatusFailed, 0, 1)
	undated.Request.Updated = time.Time{}
	unreported := facts("")
	unreported.NoMessages = true
	for name, test := range map[string]struct {
		facts rules.Facts
		rule  string
	}{
		"an unclassified reason":   {facts(failure.Unclassified), "connect-none"},
		"a reason not reported":    {unreported, "connect-none"},
		"a permanent reason":       {facts(failure.Permanent), "reason-permanent"},
		"already provisioned":      {facts(failure.AlreadyProvisioned), "reason-already-provisioned"},
		"a refused purchase":       {facts("", newest(connect.TypePurchase, connect.StatusFailed, old, 1)), "connect-failed-purchase"},
		"the limit of cancels":     {facts("", newest(connect.TypeCancel, connect.StatusFailed, old, 4)), "connect-failed-cancels"},
		"a cancel failed just now": {facts("", newest(connect.TypeCancel, connect.StatusFailed, young, 1)), "connect-failed-recently"},
		"an undated resume":        {facts("", undated), "connect-failed-undated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.facts.Override = true
			require.Equal(t, test.rule, rules.Decide(nil, test.facts).RuleID)
		})
	}
}

func TestDecideLimitsOfConnectAreNotLifted(t *testing.T) {
	t.Parallel()
	retry := []rules.Rule{{
		ID: "retry", Requests: []connect.RequestStatus{connect.StatusFailed}, Action: rules.Resubmit, Why: "we dare",
	}}
	undated := newest(connect.TypeCancel, connect.StatusFailed, 0, 1)
	undated.Request.Updated = time.Time{}
	for want, request := range map[string]connect.LatestRequest{
		"connect-failed-cancels":  newest(connect.TypeCancel, connect.StatusFailed, time.Hour, 4),
		"connect-failed-recently": newest(connect.TypeCancel, connect.StatusFailed, 300*time.Second, 3),
		"connect-failed-undated":  undated,
		"retry":                   newest(connect.TypeCancel, connect.StatusFailed, 301*time.Second, 3),
	} {
		require.Equal(t, want, rules.Decide(retry, facts(failure.Transient, request)).RuleID)
	}
	stop := []rules.Rule{{
		ID: "stop", Requests: []connect.RequestStatus{connect.StatusFailed}, Action: rules.Quarantine, Why: "never again",
	}}
	require.Equal(t, "stop", rules.Decide(stop, facts(failure.Transient, undated)).RuleID)
}

func TestDue(t *testing.T) {
	t.Parallel()
	f := facts(failure.Transient, newest(connect.TypeCancel, connect.StatusFailed, 100*time.Second, 1),
		newest(connect.TypeResume, connect.StatusFailed, 40*time.Second, 1),
		newest(connect.TypeChange, connect.StatusFailed, time.Second, 1))
	d := rules.Decide(nil, f)
	require.Equal(t, rules.Wait, d.Action)
	due := rules.Due(d, &f)
	require.Equal(t, decideNow.Add(261*time.Second), due)
	f.Now = due
	require.Equal(t, rules.Resubmit, rules.Decide(nil, f).Action)
	require.Zero(t, rules.Due(rules.Decision{Action: rules.Wait, RuleID: "mine"}, &f))
}
