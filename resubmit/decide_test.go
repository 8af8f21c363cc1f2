package resubmit_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

var decideNow = at("22 08:00")

func newest(kind connect.RequestType, status connect.RequestStatus, age time.Duration, failedInRow int) connect.LatestRequest {
	return connect.LatestRequest{
		Request:     connect.Request{ID: "PR-1", Type: kind, Status: status, Updated: decideNow.Add(-age)},
		FailedInRow: failedInRow,
	}
}

func facts(class resubmit.Class, requests ...connect.LatestRequest) resubmit.Facts {
	return resubmit.Facts{
		Order: &commerce.Order{
			ID: "1", Type: commerce.TypeSales, Status: commerce.StatusProvisioningFailed,
			VendorID: "7", Channel: commerce.ChannelReseller, Failure: failure(textTransient),
		},
		Attribution: resubmit.Attribution{Class: class, Verdict: resubmit.Caused},
		Asked:       true, Requests: requests, Now: decideNow,
	}
}

// The rows are those of facts/resubmission.md B, in their order, and after them
// what the table leaves open.
func TestTheDefaultsAreTheDecisionTable(t *testing.T) {
	t.Parallel()
	const old, young = 301 * time.Second, 300 * time.Second
	explicit := func(f resubmit.Facts) resubmit.Facts { f.Explicit = true; return f }
	notAsked := func(f resubmit.Facts) resubmit.Facts { f.Asked = false; return f }
	untold := func(f resubmit.Facts) resubmit.Facts { f.Untold = true; return f }
	unknown := func(f resubmit.Facts) resubmit.Facts {
		f.RequestsErr = errors.New("connect: list requests:\nHTTP 403 Forbidden")
		return f
	}
	undated := newest(connect.TypeCancel, connect.StatusFailed, 0, 1)
	undated.Request.Updated = time.Time{}

	tests := []struct {
		name   string
		facts  resubmit.Facts
		action resubmit.Action
		rule   string
	}{
		{"none", facts(resubmit.Transient), resubmit.Resubmit, "connect-none"},
		{"failed purchase", facts(resubmit.Transient, newest(connect.TypePurchase, connect.StatusFailed, old, 1)), resubmit.Quarantine, "connect-failed-purchase"},
		{"failed cancel, old", facts(resubmit.Transient, newest(connect.TypeCancel, connect.StatusFailed, old, 3)), resubmit.Resubmit, "connect-failed-cancel"},
		{"failed resume, old", facts(resubmit.Transient, newest(connect.TypeResume, connect.StatusFailed, old, 9)), resubmit.Resubmit, "connect-failed-cancel"},
		{"failed cancel, young", facts(resubmit.Transient, newest(connect.TypeCancel, connect.StatusFailed, young, 1)), resubmit.Wait, "connect-failed-recently"},
		{"failed resume, young", facts(resubmit.Transient, newest(connect.TypeResume, connect.StatusFailed, young, 1)), resubmit.Wait, "connect-failed-recently"},
		{"failed cancel, of the future", facts(resubmit.Transient, newest(connect.TypeCancel, connect.StatusFailed, -old, 1)), resubmit.Wait, "connect-failed-recently"},
		{"failed cancel, 4 in a row", facts(resubmit.Transient, newest(connect.TypeCancel, connect.StatusFailed, old, 4)), resubmit.Quarantine, "connect-failed-cancels"},
		{"failed change", facts(resubmit.Transient, newest(connect.TypeChange, connect.StatusFailed, old, 1)), resubmit.Resubmit, "connect-failed-change"},
		{"draft", facts(resubmit.Transient, newest(connect.TypePurchase, connect.StatusDraft, old, 0)), resubmit.Resubmit, "connect-under-way"},
		{"pending", facts(resubmit.Transient, newest(connect.TypePurchase, connect.StatusPending, old, 0)), resubmit.Resubmit, "connect-under-way"},
		{"inquiring", facts(resubmit.Transient, newest(connect.TypeCancel, connect.StatusInquiring, old, 0)), resubmit.Resubmit, "connect-under-way"},
		{"tiers_setup", facts(resubmit.Transient, newest(connect.TypePurchase, connect.StatusTiersSetup, old, 0)), resubmit.Resubmit, "connect-under-way"},
		{"scheduled", facts(resubmit.Transient, newest(connect.TypeChange, connect.StatusScheduled, old, 0)), resubmit.Resubmit, "connect-under-way"},
		{"approved", facts(resubmit.Transient, newest(connect.TypePurchase, connect.StatusApproved, old, 0)), resubmit.Resubmit, "connect-approved"},
		{"revoking", facts(resubmit.Transient, newest(connect.TypePurchase, connect.StatusRevoking, old, 0)), resubmit.Manual, "connect-revoked"},
		{"revoked", facts(resubmit.Transient, newest(connect.TypePurchase, connect.StatusRevoked, old, 0)), resubmit.Manual, "connect-revoked"},
		{"Connect unreachable or 403", unknown(facts(resubmit.Transient)), resubmit.Hold, "connect-unknown"},

		{"permanent", facts(resubmit.Permanent), resubmit.Quarantine, "reason-permanent"},
		{"permanent, named by the operator", explicit(facts(resubmit.Permanent)), resubmit.Quarantine, "reason-permanent"},
		{"already provisioned", facts(resubmit.AlreadyProvisioned), resubmit.Complete, "reason-already-provisioned"},
		{"unclassified", facts(resubmit.Unclassified), resubmit.Hold, "reason-unclassified"},
		{"untold", untold(facts(resubmit.Unclassified)), resubmit.Hold, "reason-untold"},
		{"untold, named by the operator", untold(explicit(facts(resubmit.Unclassified))), resubmit.Resubmit, "connect-none"},
		{"untold, named, and Connect not asked", notAsked(untold(explicit(facts(resubmit.Unclassified)))), resubmit.Resubmit, "connect-not-asked"},
		{"unclassified, named by the operator", explicit(facts(resubmit.Unclassified)), resubmit.Resubmit, "connect-none"},
		{"unclassified, named, refused by the vendor", explicit(facts(resubmit.Unclassified, newest(connect.TypePurchase, connect.StatusFailed, old, 1))), resubmit.Quarantine, "connect-failed-purchase"},

		{"failed suspend", facts(resubmit.Transient, newest(connect.TypeSuspend, connect.StatusFailed, old, 1)), resubmit.Manual, "connect-failed-suspend"},
		{"failed cancel without a time", facts(resubmit.Transient, undated), resubmit.Hold, "connect-failed-undated"},
		{"failed adjustment", facts(resubmit.Transient, newest(connect.TypeAdjust, connect.StatusFailed, old, 1)), resubmit.Hold, "connect-other"},
		{"unknown status", facts(resubmit.Transient, newest(connect.TypePurchase, "parked", old, 0)), resubmit.Hold, "connect-other"},
		{"no request in Connect for the type", notAsked(facts(resubmit.Transient)), resubmit.Resubmit, "connect-not-asked"},
		{"no request for the type, permanent", notAsked(facts(resubmit.Permanent)), resubmit.Quarantine, "reason-permanent"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := resubmit.Decide(nil, test.facts)
			require.Equal(t, test.action, got.Action)
			require.Equal(t, test.rule, got.RuleID)
			require.NotEmpty(t, got.Why)
			require.NotContains(t, got.Why, "\n")
			require.Equal(t, test.name == "failed change", got.Flagged)
		})
	}
}

func TestARequestThatIsOlderThanTheOrderIsNotItsOwn(t *testing.T) {
	t.Parallel()
	const skew = 10 * time.Minute
	placed := decideNow.Add(-time.Hour)
	for name, test := range map[string]struct {
		kind        connect.RequestType
		status      connect.RequestStatus
		failedInRow int
		action      resubmit.Action
		rule, own   string // own is the rule for the same request within the skew
	}{
		"approved change": {connect.TypeChange, connect.StatusApproved, 0, resubmit.Resubmit, "connect-older", "connect-approved"},
		"failed change":   {connect.TypeChange, connect.StatusFailed, 1, resubmit.Resubmit, "connect-older", "connect-failed-change"},
		"revoked change":  {connect.TypeChange, connect.StatusRevoked, 0, resubmit.Resubmit, "connect-older", "connect-revoked"},
		"revoking change": {connect.TypeChange, connect.StatusRevoking, 0, resubmit.Resubmit, "connect-older", "connect-revoked"},
		"failed cancel":   {connect.TypeCancel, connect.StatusFailed, 3, resubmit.Resubmit, "connect-older", "connect-failed-cancel"},
		"failed suspend":  {connect.TypeSuspend, connect.StatusFailed, 1, resubmit.Resubmit, "connect-older", "connect-failed-suspend"},
		"failed cancels":  {connect.TypeCancel, connect.StatusFailed, 4, resubmit.Quarantine, "connect-failed-cancels", "connect-failed-cancels"},
		"failed purchase": {connect.TypePurchase, connect.StatusFailed, 1, resubmit.Quarantine, "connect-failed-purchase", "connect-failed-purchase"},
		"pending change":  {connect.TypeChange, connect.StatusPending, 0, resubmit.Resubmit, "connect-under-way", "connect-under-way"},
		"unknown status":  {connect.TypeChange, "parked", 0, resubmit.Hold, "connect-other", "connect-other"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decide := func(touched, placed time.Time) resubmit.Decision {
				n := newest(test.kind, test.status, decideNow.Sub(touched), test.failedInRow)
				n.Request.Created = touched.Add(-time.Hour)
				f := facts(resubmit.Transient, n)
				f.Order.PlacedAt = placed
				return resubmit.Decide(nil, f)
			}
			older := decide(placed.Add(-skew-1), placed)
			require.Equal(t, test.action, older.Action)
			require.Equal(t, test.rule, older.RuleID)
			if test.rule == "connect-older" {
				require.Equal(t, "its own call never reached Connect: the newest request is older than the order, PR-1", older.Why)
				require.False(t, older.Flagged)
			}
			require.Equal(t, test.own, decide(placed.Add(-skew), placed).RuleID)
			require.Equal(t, test.own, decide(placed.Add(-skew-1), time.Time{}).RuleID, "the time of placing is not told")
		})
	}
}

func TestTheDecisionSaysWhoMustAct(t *testing.T) {
	t.Parallel()
	for status, who := range map[connect.RequestStatus]string{
		connect.StatusDraft: "its creator has to act", connect.StatusPending: "the vendor has to act",
		connect.StatusInquiring: "the customer has to act", connect.StatusTiersSetup: "a tier account has to act",
		connect.StatusScheduled: "it waits for its date",
	} {
		d := resubmit.Decide(nil, facts(resubmit.Transient, newest(connect.TypePurchase, status, 0, 0)))
		require.Contains(t, d.Why, who)
	}
	d := resubmit.Decide(nil, facts(resubmit.Transient, newest(connect.TypeCancel, connect.StatusFailed, time.Hour, 4)))
	require.Contains(t, d.Why, "(4 failed)")
}

func TestOfSeveralAssetsTheMostCautiousAnswerCounts(t *testing.T) {
	t.Parallel()
	// One newest request for each action, from the most cautious on.
	ranked := []struct {
		newest connect.LatestRequest
		action resubmit.Action
	}{
		{newest(connect.TypePurchase, connect.StatusFailed, 0, 1), resubmit.Quarantine},
		{newest(connect.TypePurchase, connect.StatusRevoked, 0, 0), resubmit.Manual},
		{newest(connect.TypePurchase, "parked", 0, 0), resubmit.Hold},
		{newest(connect.TypePurchase, "done", 0, 0), resubmit.Complete}, // by the user's rule below
		{newest(connect.TypeCancel, connect.StatusFailed, 0, 1), resubmit.Wait},
		{newest(connect.TypePurchase, connect.StatusApproved, 0, 0), resubmit.Resubmit},
	}
	rules := []resubmit.Rule{{ID: "mine", Requests: []connect.RequestStatus{"done"}, Action: resubmit.Complete, Why: "done"}}
	rapid.Check(t, func(t *rapid.T) {
		picked := rapid.SliceOfN(rapid.IntRange(0, len(ranked)-1), 1, 5).Draw(t, "assets")
		f := facts(resubmit.Transient)
		first := len(ranked)
		for _, i := range picked {
			f.Requests = append(f.Requests, ranked[i].newest)
			first = min(first, i)
		}
		d := resubmit.Decide(rules, f)
		require.Equal(t, ranked[first].action, d.Action)
		if len(picked) > 1 {
			require.Contains(t, d.Why, "the most cautious answer of")
		}
		// What is not known of another asset holds the order, unless worse is known.
		f.RequestsErr = errors.New("no answer")
		d = resubmit.Decide(rules, f)
		require.Equal(t, ranked[min(first, 2)].action, d.Action)
	})
}

func TestTheUsersRulesComeFirstInTheirOrder(t *testing.T) {
	t.Parallel()
	failed := newest(connect.TypePurchase, connect.StatusFailed, time.Hour, 1)
	rule := func(change func(*resubmit.Rule)) resubmit.Rule {
		r := resubmit.Rule{ID: "mine", Action: resubmit.Manual, Why: "because"}
		change(&r)
		return r
	}
	tests := map[string]struct {
		rule  resubmit.Rule
		facts resubmit.Facts
		want  string
	}{
		"type":           {rule(func(r *resubmit.Rule) { r.Types = []commerce.OrderType{"CH", "SO"} }), facts(resubmit.Transient), "mine"},
		"other type":     {rule(func(r *resubmit.Rule) { r.Types = []commerce.OrderType{"CH"} }), facts(resubmit.Transient), "connect-none"},
		"class":          {rule(func(r *resubmit.Rule) { r.Classes = []resubmit.Class{resubmit.Permanent} }), facts(resubmit.Permanent), "mine"},
		"other class":    {rule(func(r *resubmit.Rule) { r.Classes = []resubmit.Class{resubmit.Transient} }), facts(resubmit.Permanent), "reason-permanent"},
		"verdict":        {rule(func(r *resubmit.Rule) { r.Verdicts = []resubmit.Verdict{resubmit.Caused} }), facts(resubmit.Transient), "mine"},
		"other verdict":  {rule(func(r *resubmit.Rule) { r.Verdicts = []resubmit.Verdict{resubmit.Likely} }), facts(resubmit.Transient), "connect-none"},
		"request":        {rule(func(r *resubmit.Rule) { r.Requests = []connect.RequestStatus{connect.StatusFailed} }), facts(resubmit.Transient, failed), "mine"},
		"other request":  {rule(func(r *resubmit.Rule) { r.Requests = []connect.RequestStatus{connect.StatusApproved} }), facts(resubmit.Transient, failed), "connect-failed-purchase"},
		"no request":     {rule(func(r *resubmit.Rule) { r.Requests = []connect.RequestStatus{resubmit.NoRequest} }), facts(resubmit.Transient), "mine"},
		"some request":   {rule(func(r *resubmit.Rule) { r.Requests = []connect.RequestStatus{resubmit.NoRequest} }), facts(resubmit.Transient, failed), "connect-failed-purchase"},
		"vendor":         {rule(func(r *resubmit.Rule) { r.Vendors = []string{"7"} }), facts(resubmit.Transient), "mine"},
		"other vendor":   {rule(func(r *resubmit.Rule) { r.Vendors = []string{"8"} }), facts(resubmit.Transient), "connect-none"},
		"channel":        {rule(func(r *resubmit.Rule) { r.Channels = []commerce.Channel{commerce.ChannelReseller} }), facts(resubmit.Transient), "mine"},
		"other channel":  {rule(func(r *resubmit.Rule) { r.Channels = []commerce.Channel{commerce.ChannelDirect} }), facts(resubmit.Transient), "connect-none"},
		"reason":         {rule(func(r *resubmit.Rule) { r.Reason = "*internal SERVER error*" }), facts(resubmit.Transient), "mine"},
		"other reason":   {rule(func(r *resubmit.Rule) { r.Reason = "internal server error" }), facts(resubmit.Transient), "connect-none"},
		"all conditions": {rule(func(r *resubmit.Rule) { r.Vendors = []string{"7"}; r.Types = []commerce.OrderType{"CH"} }), facts(resubmit.Transient), "connect-none"},
		"a reason worth another try": {
			rule(func(r *resubmit.Rule) { r.Reason = "*"; r.Action = resubmit.Resubmit }), facts(resubmit.Unclassified), "mine",
		},
		"a reason worth another try, refused by the vendor": {
			rule(func(r *resubmit.Rule) { r.Reason = "*"; r.Action = resubmit.Resubmit }), facts(resubmit.Unclassified, failed), "connect-failed-purchase",
		},
		"a request worth another try": {
			rule(func(r *resubmit.Rule) {
				r.Requests = []connect.RequestStatus{connect.StatusFailed}
				r.Action = resubmit.Resubmit
			}), facts(resubmit.Transient, failed), "mine",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			second := resubmit.Rule{ID: "second", Types: []commerce.OrderType{"none"}, Action: resubmit.Wait, Why: "never"}
			got := resubmit.Decide([]resubmit.Rule{second, test.rule, {ID: "third", Reason: "*", Requests: []connect.RequestStatus{"never"}, Action: resubmit.Wait, Why: "x"}}, test.facts)
			require.Equal(t, test.want, got.RuleID)
			if test.want == "mine" {
				require.Equal(t, resubmit.Decision{Action: test.rule.Action, RuleID: "mine", Why: "because"}, got)
			}
		})
	}
	unreachable := facts(resubmit.Transient)
	unreachable.RequestsErr = errors.New("no answer")
	risk := resubmit.Rule{ID: "risk", Requests: []connect.RequestStatus{resubmit.UnknownRequest}, Action: resubmit.Resubmit, Why: "we dare"}
	require.Equal(t, "risk", resubmit.Decide([]resubmit.Rule{risk}, unreachable).RuleID)
	require.Equal(t, "connect-none", resubmit.Decide([]resubmit.Rule{risk}, facts(resubmit.Transient)).RuleID)
}

func TestEveryOrderTypeHasTheRequestTypeOfTheConnector(t *testing.T) {
	t.Parallel()
	for order, want := range map[commerce.OrderType]connect.RequestType{
		"SO": connect.TypePurchase, "CH": connect.TypeChange, "UG": connect.TypeChange, "DG": connect.TypeChange,
		"CL": connect.TypeCancel, "CF": connect.TypeCancel, "RN": "", "BO": "", "PO": "", "TA": "", "XX": "",
	} {
		got, ok := resubmit.RequestType(order)
		require.Equal(t, want, got, order)
		require.Equal(t, want != "", ok, order)
	}
}
