package resubmit

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// Outcome is the result of an order in a run.
type Outcome string

// The outcomes.
const (
	// OutcomeCompleted: the service is provisioned, in Commerce and, if it was queried, in
	// Connect.
	OutcomeCompleted Outcome = "completed"
	// OutcomeProgressing: pushed, and not ended yet. Why says who must act.
	OutcomeProgressing Outcome = "progressing"
	// OutcomeFailedAgain: pushed, and ended without the service.
	OutcomeFailedAgain Outcome = "failedAgain"
	// OutcomeFalseSuccess: done in Commerce, but not in Connect.
	OutcomeFalseSuccess Outcome = "falseSuccess"
	// OutcomeSkipped: not pushed, or certainly refused.
	OutcomeSkipped Outcome = "skipped"
	// OutcomeUnknown: the push got no answer, and the status of the order does not show
	// whether it was accepted.
	OutcomeUnknown Outcome = "unknown"
)

// OutcomeCounts counts orders by outcome. The counts of a report sum to the number of orders that
// the plan marks for resubmission.
type OutcomeCounts struct {
	Completed    int `json:"completed"`
	Progressing  int `json:"progressing"`
	FailedAgain  int `json:"failedAgain"`
	FalseSuccess int `json:"falseSuccess"`
	Skipped      int `json:"skipped"`
	Unknown      int `json:"unknown"`
}

// Total returns the sum of the counts.
func (r OutcomeCounts) Total() int {
	return r.Completed + r.Progressing + r.FailedAgain + r.FalseSuccess + r.Skipped + r.Unknown
}

func (r *OutcomeCounts) add(o Outcome) {
	switch o {
	case OutcomeCompleted:
		r.Completed++
	case OutcomeProgressing:
		r.Progressing++
	case OutcomeFailedAgain:
		r.FailedAgain++
	case OutcomeFalseSuccess:
		r.FalseSuccess++
	case OutcomeUnknown:
		r.Unknown++
	case OutcomeSkipped:
		r.Skipped++
	}
}

// Item is the result of one order.
type Item struct {
	OrderID         string             `json:"id"`
	Number          string             `json:"number"`
	Type            commerce.OrderType `json:"type"`
	Class           failure.Class      `json:"class"`
	VendorAccountID string             `json:"vendor,omitempty"`
	Channel         commerce.Channel   `json:"channel,omitempty"`
	Customer        string             `json:"customer,omitempty"`
	Subscriptions   []string           `json:"subscriptions,omitempty"`

	// Before is the order as in the plan; After as it was last read, zero if it was not.
	Before plan.Snapshot `json:"before"`
	After  plan.Snapshot `json:"after,omitzero"`
	// Action is that of the plan. Target is the transition that was pushed; "" if none was.
	Action  rules.Action    `json:"action"`
	Target  commerce.Status `json:"target,omitempty"`
	Outcome Outcome         `json:"outcome"`
	// Why is the reason for the outcome, in a sentence; Evidence is what it is based on.
	Why      string             `json:"why"`
	Evidence []failure.Evidence `json:"evidence,omitempty"`
	// SameReason reports whether an order that failed again did so for the same reason;
	// AfterClass is the class of the new reason.
	SameReason bool          `json:"sameReason,omitempty"`
	AfterClass failure.Class `json:"afterClass,omitempty"`
	// CommerceOnly reports that a completed order was not confirmed by Connect, because
	// Connect was not queried.
	CommerceOnly bool `json:"commerceOnly,omitempty"`
	// Attempts counts the pushes that were sent or refused.
	Attempts int `json:"attempts"`
	// PushedAt is when the last push was answered, DoneAt when the outcome was known.
	PushedAt time.Time `json:"pushedAt,omitzero"`
	DoneAt   time.Time `json:"doneAt"`
	// CorrelationID is that of the last error that had one, for support.
	CorrelationID string `json:"correlationId,omitempty"`
}

// Group counts the outcomes of the orders of one class, vendor and channel.
type Group struct {
	Class           failure.Class    `json:"class"`
	VendorAccountID string           `json:"vendor,omitempty"`
	Channel         commerce.Channel `json:"channel,omitempty"`
	Result          OutcomeCounts    `json:"result"`
}

// Report is the result of a run.
type Report struct {
	PlanDigest string    `json:"plan"`
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt"`
	// WindowClosedAt is the end of the last window of the plan that is over; zero if there
	// is none. CloseToVerified is the time from then until every order was verified; 0 if
	// some are not, if none completed, or if there is no such window.
	WindowClosedAt  time.Time     `json:"windowClosedAt,omitzero"`
	CloseToVerified time.Duration `json:"closeToVerifiedNs,omitempty"`
	// ConnectAsked reports whether the results were looked up in Connect.
	ConnectAsked bool          `json:"connectAsked"`
	Result       OutcomeCounts `json:"result"`
	// CommerceOnly counts the completed orders that only Commerce confirms.
	CommerceOnly int `json:"commerceOnly"`
	// Blockers are the orders that block others, those that block the most first.
	Blockers []Blocker `json:"blocked,omitempty"`
	// Canary is the progress of each group of orders, by name; nil without a canary.
	Canary []CanaryStatus `json:"canary,omitempty"`
	// Unread counts the orders that are missing because reading the plan failed. They are
	// counted as skipped, without an item or group.
	Unread int `json:"unread,omitempty"`
	// Mismatched counts the rows that were listed for the plan although they do not match its
	// query. They are not in the plan.
	Mismatched int `json:"mismatched,omitempty"`
	// Groups are sorted by class, vendor and channel.
	Groups []Group `json:"groups"`
	// FailedAgain groups the reasons of the orders that failed again in this run, without
	// those of earlier runs; nil if there are none.
	FailedAgain *failure.Grouping `json:"failedAgain,omitempty"`
	// EventError is why Config.OnEvent was removed; "" if it was not.
	EventError string `json:"eventError,omitempty"`
	// Err is why the run stopped early; "" if it did not.
	Err string `json:"error,omitempty"`
	// Items are in the order in which they ended; nil with Config.OmitItems.
	Items []Item `json:"-"`
}

type groupKey struct {
	class   failure.Class
	vendor  string
	channel commerce.Channel
}

func groupList(groups map[groupKey]*OutcomeCounts) []Group {
	list := make([]Group, 0, len(groups))
	for k, r := range groups {
		list = append(list, Group{Class: k.class, VendorAccountID: k.vendor, Channel: k.channel, Result: *r})
	}
	slices.SortFunc(list, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.VendorAccountID, b.VendorAccountID),
			cmp.Compare(a.Channel, b.Channel))
	})
	return list
}

// WriteJSON writes the report as JSON lines: first the report, then each of its items.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := text.JSONEncoder(w)
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("resubmit: write report: %w", err)
	}
	for i := range r.Items {
		if err := enc.Encode(&r.Items[i]); err != nil {
			return fmt.Errorf("resubmit: write report: order %s: %w", text.Short(r.Items[i].Number), err)
		}
	}
	return nil
}

// String returns the counts that are not zero, such as "12 completed, 1 failed again".
func (r OutcomeCounts) String() string {
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{
		{r.Completed, "completed"}, {r.Progressing, "progressing"}, {r.FailedAgain, "failed again"},
		{r.FalseSuccess, "false success"}, {r.Skipped, "skipped"}, {r.Unknown, "unknown"},
	} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if parts == nil {
		return "nothing to do"
	}
	return strings.Join(parts, ", ")
}
