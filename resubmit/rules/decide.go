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

const (
	// CancelSpacing is how old a failed cancel or resume request must be before
	// the connector makes a new one, by its code (resubmit/SAFETY.md#f6).
	CancelSpacing = 300 * time.Second
	// CancelLimit is how many cancel requests in a row may have failed for the
	// next one to be sent: after five the connector's code reports success although
	// the vendor still bills (resubmit/SAFETY.md#f6).
	CancelLimit = 4
)

// RequestType is the type of the Connect request that an order of a type leads
// to; false for the types that lead to none. Sales orders lead to purchases,
// changes of any kind to changes, both kinds of cancellation to cancels. The
// letters of the order types are inferred (connect/WIRE.md#8): [resubmit.PlanConfig] can replace
// the mapping.
func RequestType(t commerce.OrderType) (connect.RequestType, bool) {
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

// Decide says what to do with a failed order. It is pure: equal facts lead to
// equal decisions.
//
// The user's rules come first, in their order (see [Rule]). Then the defaults,
// which are inferred from the connector's code (resubmit/SAFETY.md#decisions): a plain reason
// decides; a transient one, or one that the operator answers for, goes by the newest request in
// Connect. A request that is over and was last touched before the order was placed is an older
// order's, and the order's own call never reached Connect; but a refused purchase and too many
// failed cancels count whatever their age. Where an order has several assets in Connect, each is
// judged and the most cautious answer counts: quarantine, manual, hold, complete, wait, resubmit.
//
// Decide does not know the failure view nor the windows: that an order is no
// longer failed, or failed just now, is for the planner to see.
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
	if f.RequestsErr != nil { // some assets are known, others not
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

// Resubmits reports whether a transition to a status can resubmit an order: "", CL (cancelled) and FR (fraud) never do.
func Resubmits(to commerce.Status) bool {
	return to != "" && to != commerce.StatusCancelled && to != commerce.StatusFraud
}

// caution ranks the actions: the higher, the less happens.
func caution(a Action) int {
	return slices.Index([]Action{Resubmit, Wait, Complete, Hold, Manual, Quarantine}, a)
}

// decideOne decides for one asset; without a newest request for no asset, or for
// what is not known.
func decideOne(rules []Rule, f *Facts, newest *connect.LatestRequest) Decision {
	c := ruling{Facts: f, newest: newest}
	for i := range rules {
		r := &rules[i]
		if !r.holds(f) || !among(r.Requests, c.status()) {
			continue
		}
		d := Decision{Action: r.Action, RuleID: r.ID, Why: r.Why}
		if r.Action == Resubmit && len(r.Requests) == 0 {
			if byRequest := c.first(requestRules); caution(byRequest.Action) > caution(Resubmit) || byRequest.Flagged {
				return byRequest
			}
		}
		return d
	}
	if d := c.first(reasonRules); d.Action != "" {
		return d
	}
	return c.first(requestRules)
}

// holds reports whether all conditions hold but the one on the request.
func (r *Rule) holds(f *Facts) bool {
	o := f.Order
	return among(r.Types, o.Type) && among(r.Classes, f.Attribution.Class) && among(r.Verdicts, f.Attribution.Verdict) &&
		among(r.Vendors, o.VendorID) && among(r.Channels, o.Channel) &&
		(r.Reason == "" || rql.ILike(r.Reason, o.Failure.Message()))
}

func among[T comparable](wanted []T, v T) bool { return len(wanted) == 0 || slices.Contains(wanted, v) }

// ruling is what a default rule looks at.
type ruling struct {
	*Facts
	newest *connect.LatestRequest // nil: none, or not known
}

// status of the newest request, with the two that Connect does not have; "" where
// it was not asked for.
func (c *ruling) status() connect.RequestStatus {
	switch {
	case c.newest != nil:
		return c.newest.Request.Status
	case !c.RequestsQueried:
		return ""
	case c.RequestsErr != nil:
		return UnknownRequest
	default:
		return NoRequest
	}
}

// failed reports whether the newest request has failed and is of one of the types.
func (c *ruling) failed(types ...connect.RequestType) bool {
	return c.status() == connect.StatusFailed && slices.Contains(types, c.newest.Request.Type)
}

// age is how long ago the newest request changed last; negative when it does not
// tell.
func (c *ruling) age() time.Duration {
	at := failure.RequestChangedAt(&c.newest.Request)
	if at.IsZero() {
		return -1
	}
	return max(0, c.Now.Sub(at))
}

// unclassified reports whether neither the reason nor the operator speaks for another try.
func (c *ruling) unclassified() bool { return c.Attribution.Class != failure.Transient && !c.Override }

// vouched says who speaks for another try.
func (c *ruling) vouched() string {
	if c.Attribution.Class != failure.Transient && c.Override {
		return "the operator named the order"
	}
	return "the reason allows another try"
}

// older reports whether the newest request is of an older order.
func (c *ruling) older() bool {
	return c.newest != nil && failure.PredatesOrder(&c.newest.Request, c.Order.PlacedAt)
}

func (c *ruling) first(rules []defaultRule) Decision {
	for i := range rules {
		r := &rules[i]
		if !r.holds(c) {
			continue
		}
		d := Decision{Action: r.action, RuleID: r.id, Why: r.why, Flagged: r.flagged}
		if r.detail != nil {
			d.Why += r.detail(c)
		}
		return d
	}
	return Decision{}
}

// defaultRule is one row of the table of resubmit/SAFETY.md#decisions.
type defaultRule struct {
	id      string
	holds   func(*ruling) bool
	action  Action
	why     string
	flagged bool
	detail  func(*ruling) string // appended to why; may be nil
}

func isDefaultRule(id string) bool {
	named := func(r defaultRule) bool { return r.id == id }
	return slices.ContainsFunc(reasonRules, named) || slices.ContainsFunc(requestRules, named) || slices.Contains(plannerRules, id)
}

// reasonRules decide by the text of the failure where that is plain.
var reasonRules = []defaultRule{
	{
		id: "reason-permanent", action: Quarantine,
		why:   "the reason is permanent: sent again, the order fails again; it needs a new order or support",
		holds: func(c *ruling) bool { return c.Attribution.Class == failure.Permanent },
	},
	{
		id: "reason-already-provisioned", action: Complete,
		why:   "the service exists already: a person should complete the order by hand; sent again, it fails again",
		holds: func(c *ruling) bool { return c.Attribution.Class == failure.AlreadyProvisioned },
	},
	{
		id: "reason-untold", action: Hold,
		why:   "this way into Commerce does not tell why orders failed: look in the panel and name the order, or add a rule",
		holds: func(c *ruling) bool { return c.NoReasons && c.unclassified() },
	},
	{
		id: "reason-unclassified", action: Hold,
		why:   "the reason is not known to help or not: name the order, or add a rule for its reason",
		holds: (*ruling).unclassified,
	},
}

// requestRules decide by the newest request in Connect. The last one always holds.
var requestRules = []defaultRule{
	{
		id: "connect-not-asked", action: Resubmit,
		why:    "Connect was not asked, and ",
		detail: (*ruling).vouched,
		holds:  func(c *ruling) bool { return !c.RequestsQueried },
	},
	{
		id: "connect-unknown", action: Hold,
		why:    "what Connect knows of the order is not known: ",
		detail: func(c *ruling) string { return text.Short(c.RequestsErr.Error()) },
		holds:  func(c *ruling) bool { return c.status() == UnknownRequest },
	},
	{
		id: "connect-none", action: Resubmit,
		why:   "the call never reached Connect",
		holds: func(c *ruling) bool { return c.status() == NoRequest },
	},
	{
		id: "connect-failed-purchase", action: Quarantine,
		why:   "the vendor refused the purchase: sent again, it fails again; it needs a new order or support",
		holds: func(c *ruling) bool { return c.failed(connect.TypePurchase) },
	},
	{
		id: "connect-failed-cancels", action: Quarantine,
		why:    "too many cancel requests failed in a row: the next ones would be reported as success although the vendor still bills; reconcile with the vendor",
		detail: func(c *ruling) string { return fmt.Sprintf(" (%d failed)", c.newest.FailedInRow) },
		holds:  func(c *ruling) bool { return c.failed(connect.TypeCancel) && c.newest.FailedInRow >= CancelLimit },
	},
	{
		// What the vendor refused or counted against the limit has been dealt with
		// above, of whatever age; what is under way goes on below.
		id: "connect-older", action: Resubmit,
		why:    "its own call never reached Connect: the newest request is older than the order, ",
		detail: func(c *ruling) string { return text.Short(c.newest.Request.ID) },
		holds: func(c *ruling) bool {
			return c.older() && (c.status().Final() || c.status() == connect.StatusRevoking)
		},
	},
	{
		id: "connect-failed-undated", action: Hold,
		why:   "the failed request does not tell when it failed, and the connector makes a new one only after 5 minutes",
		holds: func(c *ruling) bool { return c.failed(connect.TypeCancel, connect.TypeResume) && c.age() < 0 },
	},
	{
		id: "connect-failed-recently", action: Wait,
		why: "the connector makes a new request only once the failed one is older than 5 minutes",
		holds: func(c *ruling) bool {
			return c.failed(connect.TypeCancel, connect.TypeResume) && c.age() <= CancelSpacing
		},
	},
	{
		id: "connect-failed-cancel", action: Resubmit,
		why:   "the connector makes a new request, as the failed one is older than 5 minutes",
		holds: func(c *ruling) bool { return c.failed(connect.TypeCancel, connect.TypeResume) },
	},
	{
		id: "connect-failed-change", action: Resubmit, flagged: true,
		why:   "the connector makes a new request if the items differ; look whether they do",
		holds: func(c *ruling) bool { return c.failed(connect.TypeChange) },
	},
	{
		// F7: a failed suspension is always reported to Commerce as done, so that
		// sending the order again would complete it with the service still running.
		id: "connect-failed-suspend", action: Manual,
		why:   "the vendor did not suspend, and sent again the order would be reported as done all the same; settle it with the vendor",
		holds: func(c *ruling) bool { return c.failed(connect.TypeSuspend) },
	},
	{
		id: "connect-under-way", action: Resubmit,
		why:    "the request is under way and the order re-attaches to it",
		detail: func(c *ruling) string { return actsNext[c.newest.Request.Status] },
		holds:  func(c *ruling) bool { return actsNext[c.status()] != "" },
	},
	{
		id: "connect-approved", action: Resubmit,
		why:   "the vendor has delivered and Commerce lost the answer: sent again, the order gets it",
		holds: func(c *ruling) bool { return c.status() == connect.StatusApproved },
	},
	{
		id: "connect-revoked", action: Manual,
		why: "the request was withdrawn",
		holds: func(c *ruling) bool {
			return c.status() == connect.StatusRevoking || c.status() == connect.StatusRevoked
		},
	},
	{
		id: "connect-other", action: Hold,
		why: "no rule is known for a Connect request like the newest: ",
		detail: func(c *ruling) string {
			return text.Short(fmt.Sprintf("%s %s is %s", c.newest.Request.Type, c.newest.Request.ID, c.newest.Request.Status))
		},
		holds: func(*ruling) bool { return true },
	},
}

// actsNext says for a request that is under way who has to act.
var actsNext = map[connect.RequestStatus]string{
	connect.StatusDraft:      "; its creator has to act",
	connect.StatusTiersSetup: "; a tier account has to act",
	connect.StatusPending:    "; the vendor has to act",
	connect.StatusInquiring:  "; the customer has to act",
	connect.StatusScheduled:  "; it waits for its date",
}

// plannerRules are the ids of what the planner decides itself.
var plannerRules = []string{IDOrderUnread, IDUnreadableRow, IDOrderNotFailed, IDOrderUnsettled, IDOrderNoTransition, IDOlderOrderFirst}

const (
	IDOrderUnread       = "order-unread"
	IDUnreadableRow     = "unreadable-row"
	IDOrderNotFailed    = "order-not-failed"
	IDOrderUnsettled    = "order-unsettled"
	IDOrderNoTransition = "order-no-transition"
	IDOlderOrderFirst   = "older-order-first"
)

// NeedsRequests reports whether the decision for an order depends on its newest requests in Connect,
// so that Connect has to be asked.
func NeedsRequests(rules []Rule, f *Facts) bool {
	for i := range rules {
		if rules[i].holds(f) {
			return len(rules[i].Requests) > 0 || rules[i].Action == Resubmit
		}
	}
	c := ruling{Facts: f}
	return c.first(reasonRules).Action == ""
}
