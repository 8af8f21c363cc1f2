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

// Outcome is what became of an order.
type Outcome string

// The outcomes.
const (
	// OutcomeCompleted: the service is there, in Commerce and, if it was asked, in
	// Connect.
	OutcomeCompleted Outcome = "completed"
	// OutcomeProgressing: pushed, and not at an end yet. Why says who must act.
	OutcomeProgressing Outcome = "progressing"
	// OutcomeFailedAgain: pushed, and ended without the service.
	OutcomeFailedAgain Outcome = "failedAgain"
	// OutcomeFalseSuccess: Commerce says that it is done, Connect does not.
	OutcomeFalseSuccess Outcome = "falseSuccess"
	// OutcomeSkipped: not pushed, or refused for sure.
	OutcomeSkipped Outcome = "skipped"
	// OutcomeUnknown: the answer to the push was lost, and the order's state does
	// not tell whether it was accepted.
	OutcomeUnknown Outcome = "unknown"
)

// Result counts the outcomes. They sum to the number of orders that the plan
// marks for resubmission.
type OutcomeCounts struct {
	Completed    int `json:"completed"`
	Progressing  int `json:"progressing"`
	FailedAgain  int `json:"failedAgain"`
	FalseSuccess int `json:"falseSuccess"`
	Skipped      int `json:"skipped"`
	Unknown      int `json:"unknown"`
}

// Total is the sum.
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

// Item is what became of one order, and why.
type Item struct {
	OrderID       string             `json:"id"`
	Number        string             `json:"number"`
	Type          commerce.OrderType `json:"type"`
	Class         failure.Class      `json:"class"`
	VendorID      string             `json:"vendor,omitempty"`
	Channel       commerce.Channel   `json:"channel,omitempty"`
	Customer      string             `json:"customer,omitempty"`
	Subscriptions []string           `json:"subscriptions,omitempty"`

	// Before is the plan's; After is as the order was last read, zero when it was not.
	Before plan.Snapshot `json:"before"`
	After  plan.Snapshot `json:"after,omitzero"`
	// Action is the plan's, Target the transition that was pushed; "" when none was.
	Action  rules.Action    `json:"action"`
	Target  commerce.Status `json:"target,omitempty"`
	Outcome Outcome         `json:"outcome"`
	// Why is the sentence that says it all; Evidence what it rests on.
	Why      string             `json:"why"`
	Evidence []failure.Evidence `json:"evidence,omitempty"`
	// SameReason says of an order that failed again whether it did for the same
	// reason; AfterClass is the class of the reason now.
	SameReason bool          `json:"sameReason,omitempty"`
	AfterClass failure.Class `json:"afterClass,omitempty"`
	// CommerceOnly says of a completed order that Connect did not confirm it,
	// because it was not asked.
	CommerceOnly bool `json:"commerceOnly,omitempty"`
	// Attempts counts the pushes that were sent or refused.
	Attempts int `json:"attempts"`
	// PushedAt is when the last push was answered; DoneAt when the outcome was known.
	PushedAt time.Time `json:"pushedAt,omitzero"`
	DoneAt   time.Time `json:"doneAt"`
	// CorrelationID is what support asks for, from the last error that had one.
	CorrelationID string `json:"correlationId,omitempty"`
}

// Group counts the outcomes of the orders of one class, vendor and channel.
type Group struct {
	Class   failure.Class    `json:"class"`
	Vendor  string           `json:"vendor,omitempty"`
	Channel commerce.Channel `json:"channel,omitempty"`
	Result  OutcomeCounts    `json:"result"`
}

// Report is what a run did.
type Report struct {
	PlanDigest string    `json:"plan"`
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt"`
	// WindowClosedAt is the end of the last window of the plan; zero when it has none
	// that is over. CloseToVerified is the time from then until every order was
	// verified; 0 when some are not, when none completed, or there is no such window.
	WindowClosedAt  time.Time     `json:"windowClosedAt,omitzero"`
	CloseToVerified time.Duration `json:"closeToVerifiedNs,omitempty"`
	// ConnectAsked says whether the results were looked up in Connect.
	ConnectAsked bool          `json:"connectAsked"`
	Result       OutcomeCounts `json:"result"`
	// CommerceOnly counts the completed orders that only Commerce confirms.
	CommerceOnly int `json:"commerceOnly"`
	// Blocked are the orders that stand in the way of others, those first that block
	// most.
	Blocked []Blocked `json:"blocked,omitempty"`
	// Canary is how far each group of orders was let go, by name; nil without a canary.
	Canary []CanaryStatus `json:"canary,omitempty"`
	// Unread counts the orders that the plan announced and did not yield, because
	// reading it failed. They are counted as skipped, without an item or group.
	Unread int `json:"unread,omitempty"`
	// Mismatched counts the rows that the source listed for the plan although they do not
	// match its query. They are not in the plan.
	Mismatched int `json:"mismatched,omitempty"`
	// Groups are sorted by class, vendor and channel.
	Groups []Group `json:"groups"`
	// FailedAgain groups the reasons of the orders that this run saw failing again; nil
	// when there are none. Those that an earlier run saw are not in it.
	FailedAgain *failure.Groups `json:"failedAgain,omitempty"`
	// EventError is why Config.OnEvent was removed; "" if it was not.
	EventError string `json:"eventError,omitempty"`
	// Err says why the run stopped early; "" when it did not.
	Err string `json:"error,omitempty"`
	// Items are in the order in which they were done; nil with Config.OmitItems.
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
		list = append(list, Group{Class: k.class, Vendor: k.vendor, Channel: k.channel, Result: *r})
	}
	slices.SortFunc(list, func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Vendor, b.Vendor), cmp.Compare(a.Channel, b.Channel))
	})
	return list
}

// WriteJSON writes JSON lines: first the report, then each of its items.
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

// String names the counts that are not zero.
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
