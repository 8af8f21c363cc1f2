package rules

import (
	"fmt"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

const (
	// CancelRetryAge is how old a failed cancel or resume request must be before Commerce sends a new one.
	// Inferred from the connector's code (resubmit/SAFETY.md#f6).
	CancelRetryAge = 300 * time.Second
	// CancelLimit is the number of failed cancel requests in a row from which an order is no longer resubmitted. Inferred
	// from the connector's code: after five it reports success although the vendor still bills (resubmit/SAFETY.md#f6).
	CancelLimit = 4
)

// status returns the status of the latest request, NoRequest, RequestsUnavailable, or "" if Connect was not queried.
func (c *input) status() connect.RequestStatus {
	switch {
	case c.latest != nil:
		return c.latest.Request.Status
	case !c.RequestsQueried:
		return ""
	case c.RequestsErr != nil:
		return RequestsUnavailable
	default:
		return NoRequest
	}
}

// failed reports whether the latest request has failed and has one of the types.
func (c *input) failed(types ...connect.RequestType) bool {
	return c.status() == connect.StatusFailed && slices.Contains(types, c.latest.Request.Type)
}

// age returns the time since the latest request changed, or -1 if unknown.
func (c *input) age() time.Duration {
	at := failure.RequestChangedAt(&c.latest.Request)
	if at.IsZero() {
		return -1
	}
	return max(0, c.Now.Sub(at))
}

func (c *input) unclassified() bool { return c.Attribution.Class != failure.Transient && !c.Override }

func (c *input) whyAgain() string {
	if c.Attribution.Class != failure.Transient && c.Override {
		return "the operator named the order"
	}
	return "the reason allows another attempt"
}

// byReason returns the decision by the failure text, or the zero Decision.
func (c *input) byReason() Decision {
	d, _ := c.first(reasonRules)
	return d
}

// byRequest returns the decision by the latest request in Connect, and whether it is a limit of Connect.
func (c *input) byRequest() (d Decision, limit bool) { return c.first(requestRules) }

// first returns the decision of the first rule that applies, or the zero Decision.
func (c *input) first(rules []defaultRule) (d Decision, limit bool) {
	for i := range rules {
		r := &rules[i]
		if !r.applies(c) {
			continue
		}
		d := Decision{Action: r.action, RuleID: r.id, Why: r.why, Flagged: r.flagged}
		if r.detail != nil {
			d.Why += r.detail(c)
		}
		return d, r.limit
	}
	return Decision{}, false
}

// idFailedRecently waits until a failed cancel or resume request is old enough.
const idFailedRecently = "connect-failed-recently"

// defaultRule is one row of the table in resubmit/SAFETY.md#decisions.
type defaultRule struct {
	id      string
	limit   bool // a limit of Connect, which no user's rule lifts
	applies func(*input) bool
	action  Action
	why     string
	flagged bool
	detail  func(*input) string // appended to why; optional
}

func isDefaultRule(id string) bool {
	hasID := func(r defaultRule) bool { return r.id == id }
	return slices.ContainsFunc(reasonRules, hasID) || slices.ContainsFunc(requestRules, hasID) ||
		slices.Contains([]string{
			IDReadFailed, IDFieldUnreadable, IDOrderNotFailed, IDOrderUnsettled, IDOrderNoTransition, IDOlderOrderFirst,
			IDLaneBusy, IDNewerOrderSent, IDOrderInProgress, IDHistory,
		}, id)
}

// reasonRules decide by the failure text.
var reasonRules = []defaultRule{
	{
		id: "reason-permanent", action: Quarantine,
		why:     "the reason is permanent, so a resubmitted order fails again; it needs a new order or support",
		applies: func(c *input) bool { return c.Attribution.Class == failure.Permanent },
	},
	{
		id: "reason-already-provisioned", action: Complete,
		why:     "the service exists already, so a resubmitted order fails again; complete the order by hand",
		applies: func(c *input) bool { return c.Attribution.Class == failure.AlreadyProvisioned },
	},
	{
		id: "reason-not-reported", action: Hold,
		why:     "this Commerce client does not report why orders failed: check the panel and name the order, or add a rule",
		applies: func(c *input) bool { return c.NoMessages && c.unclassified() },
	},
	{
		id: "reason-unclassified", action: Hold,
		why:     "it is unknown whether resubmitting helps with this reason: name the order, or add a rule for the reason",
		applies: (*input).unclassified,
	},
}

// requestRules decide by the latest request in Connect. The last one always applies.
var requestRules = []defaultRule{
	{
		id: "connect-not-asked", action: Resubmit,
		why:     "Connect was not asked, and ",
		detail:  (*input).whyAgain,
		applies: func(c *input) bool { return !c.RequestsQueried },
	},
	{
		id: "connect-unknown", action: Hold,
		why:     "the order's requests in Connect are unknown: ",
		detail:  func(c *input) string { return text.Short(c.RequestsErr.Error()) },
		applies: func(c *input) bool { return c.status() == RequestsUnavailable },
	},
	{
		id: "connect-none", action: Resubmit,
		why:     "the call never reached Connect",
		applies: func(c *input) bool { return c.status() == NoRequest },
	},
	{
		id: "connect-failed-purchase", action: Quarantine,
		why:     "the vendor refused the purchase, so a resubmitted order fails again; it needs a new order or support",
		applies: func(c *input) bool { return c.failed(connect.TypePurchase) },
	},
	{
		id: "connect-failed-cancels", limit: true, action: Quarantine,
		why: "too many cancel requests failed in a row: the next ones would be reported as success although the vendor " +
			"still bills; reconcile with the vendor",
		detail:  func(c *input) string { return fmt.Sprintf(" (%d failed)", c.latest.FailedInRow) },
		applies: func(c *input) bool { return c.failed(connect.TypeCancel) && c.latest.FailedInRow >= CancelLimit },
	},
	{
		// The rules above apply to requests of any age. Unfinished requests are left to the rules below.
		id: "connect-older", action: Resubmit,
		why:    "its own call never reached Connect: the latest request is older than the order, ",
		detail: func(c *input) string { return text.Short(c.latest.Request.ID) },
		applies: func(c *input) bool {
			return c.latest != nil && failure.RequestPredatesOrder(&c.latest.Request, c.Order.PlacedAt) &&
				(c.status().Final() || c.status() == connect.StatusRevoking)
		},
	},
	{
		id: "connect-failed-undated", limit: true, action: Hold,
		why:     "the failed request has no time, and the connector creates a new one only after 5 minutes",
		applies: func(c *input) bool { return c.failed(connect.TypeCancel, connect.TypeResume) && c.age() < 0 },
	},
	{
		id: idFailedRecently, limit: true, action: Wait,
		why: "the connector creates a new request only once the failed one is older than 5 minutes",
		applies: func(c *input) bool {
			return c.failed(connect.TypeCancel, connect.TypeResume) && c.age() <= CancelRetryAge
		},
	},
	{
		id: "connect-failed-cancel", action: Resubmit,
		why:     "the connector creates a new request, because the failed one is older than 5 minutes",
		applies: func(c *input) bool { return c.failed(connect.TypeCancel, connect.TypeResume) },
	},
	{
		id: "connect-failed-change", action: Resubmit, flagged: true,
		why:     "the connector creates a new request if the items differ; check whether they do",
		applies: func(c *input) bool { return c.failed(connect.TypeChange) },
	},
	{
		// F7: a failed suspension is always reported to Commerce as done, so a resubmitted order would complete with the
		// service still running.
		id: "connect-failed-suspend", action: Manual,
		why: "the vendor did not suspend the service, and a resubmitted order would be reported as done anyway; " +
			"settle it with the vendor",
		applies: func(c *input) bool { return c.failed(connect.TypeSuspend) },
	},
	{
		id: "connect-under-way", action: Resubmit,
		why:     "the request is in progress and the order will use it again",
		detail:  func(c *input) string { return actsNext[c.latest.Request.Status] },
		applies: func(c *input) bool { return actsNext[c.status()] != "" },
	},
	{
		id: "connect-approved", action: Resubmit,
		why:     "the vendor has delivered and Commerce lost the answer; a resubmitted order gets it",
		applies: func(c *input) bool { return c.status() == connect.StatusApproved },
	},
	{
		id: "connect-revoked", action: Manual,
		why: "the request was withdrawn",
		applies: func(c *input) bool {
			return c.status() == connect.StatusRevoking || c.status() == connect.StatusRevoked
		},
	},
	{
		id: "connect-other", action: Hold,
		why: "there is no rule for such a request in Connect: ",
		detail: func(c *input) string {
			return text.Short(fmt.Sprintf("%s %s is %s", c.latest.Request.Type, c.latest.Request.ID, c.latest.Request.Status))
		},
		applies: func(*input) bool { return true },
	},
}

// actsNext says who must act on an unfinished request.
var actsNext = map[connect.RequestStatus]string{
	connect.StatusDraft:      "; its creator has to act",
	connect.StatusTiersSetup: "; a tier account has to act",
	connect.StatusPending:    "; the vendor has to act",
	connect.StatusInquiring:  "; the customer has to act",
	connect.StatusScheduled:  "; it waits for its date",
}
