package rules

import (
	"fmt"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/rql"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// RequestTypeFor returns the type of the Connect request that an order of type t creates, or false if it creates none.
// Sales orders create purchases, all kinds of changes create changes, and both kinds of cancellation create cancels.
// The letters of the order types are inferred (connect/WIRE.md#8); [resubmit.Policy] can replace the mapping.
func RequestTypeFor(t commerce.OrderType) (connect.RequestType, bool) {
	switch t {
	case commerce.TypeSales:
		return connect.TypePurchase, true
	case commerce.TypeChange, commerce.TypeUpgrade, commerce.TypeDowngrade:
		return connect.TypeChange, true
	case commerce.TypeCancellation, commerce.TypeCancellationCharge:
		return connect.TypeCancel, true
	default:
		return "", false
	}
}

// Decide decides what to do with a failed order.
//
// The user's rules are tried first (see [Rule]), then the default rules, which are inferred from the connector's code
// (resubmit/SAFETY.md#decisions). A permanent or already provisioned reason decides. For a transient reason, or an
// order that the operator named, the latest request in Connect decides. A finished request that last changed before
// the order was placed belongs to an older order, so the order's own call never reached Connect; only a refused
// purchase and too many failed cancels count at any age. For an order with several assets the most cautious decision
// is returned: quarantine, manual, hold, complete, wait, resubmit.
//
// Decide considers neither the failure view nor the maintenance windows. Check separately whether an order is still
// failed and whether a window is open.
func Decide(rules []Rule, f Facts) Decision {
	if !f.RequestsQueried || len(f.Requests) == 0 {
		return decideOne(rules, &f, nil)
	}
	var worst Decision
	var of *connect.LatestRequest
	for i := range f.Requests {
		d := decideOne(rules, &f, &f.Requests[i])
		if of == nil || caution(d.Action) > caution(worst.Action) {
			worst, of = d, &f.Requests[i]
		}
	}
	if f.RequestsErr != nil { // the requests of some assets are unknown
		if d := decideOne(rules, &f, nil); caution(d.Action) > caution(worst.Action) {
			return d
		}
	}
	if len(f.Requests) > 1 {
		worst.Why = fmt.Sprintf("%s (%s, the most cautious answer of %d assets)", worst.Why, text.Short(of.Request.ID),
			len(f.Requests))
	}
	return worst
}

// Due returns when the Wait of a default rule is over: when a failed request is old enough. Zero if that is not known.
func Due(d Decision, f *Facts) (due time.Time) {
	if d.RuleID != idFailedRecently {
		return time.Time{}
	}
	for i := range f.Requests {
		c := input{Facts: f, latest: &f.Requests[i]}
		if changed := failure.RequestChangedAt(&c.latest.Request); c.failed(connect.TypeCancel, connect.TypeResume) &&
			changed.Add(CancelRetryAge).After(due) {
			due = changed.Add(CancelRetryAge + time.Second) // one that is 300 s old is too young
		}
	}
	return due
}

// NeedsRequests reports whether the decision for an order depends on its requests in Connect. Only
// Facts.Requests and Facts.RequestsErr may still be missing.
func NeedsRequests(rules []Rule, f *Facts) bool {
	for i := range rules {
		if rules[i].appliesTo(f) {
			return len(rules[i].Requests) > 0 || rules[i].Action == Resubmit
		}
	}
	c := input{Facts: f}
	return c.byReason().Action == ""
}

// caution ranks the actions: the higher, the less is done.
func caution(a Action) int {
	return slices.Index([]Action{Resubmit, Wait, Complete, Hold, Manual, Quarantine}, a)
}

// decideOne decides for one asset. latest is nil if there is no request or the requests are unknown.
func decideOne(rules []Rule, f *Facts, latest *connect.LatestRequest) Decision {
	c := input{Facts: f, latest: latest}
	for i := range rules {
		r := &rules[i]
		if !r.appliesTo(f) || !matches(r.Requests, c.status()) {
			continue
		}
		if r.Action == Resubmit {
			d, limit := c.byRequest()
			if limit || len(r.Requests) == 0 && (caution(d.Action) > caution(Resubmit) || d.Flagged) {
				return d
			}
		}
		return Decision{Action: r.Action, RuleID: r.ID, Why: r.Why}
	}
	if d := c.byReason(); d.Action != "" {
		return d
	}
	d, _ := c.byRequest()
	return d
}

// appliesTo reports whether all conditions hold, except for Requests.
func (r *Rule) appliesTo(f *Facts) bool {
	o := f.Order
	return matches(r.Types, o.Type) && matches(r.Classes, f.Attribution.Class) &&
		matches(r.Verdicts, f.Attribution.Verdict) && matches(r.VendorAccounts, o.VendorAccountID) &&
		matches(r.Channels, o.Channel) &&
		(r.Message == "" || rql.ILike(r.Message, o.Failure.Message()))
}

func matches[T comparable](values []T, v T) bool {
	return len(values) == 0 || slices.Contains(values, v)
}

// input is what the default rules decide on.
type input struct {
	*Facts
	latest *connect.LatestRequest
}
