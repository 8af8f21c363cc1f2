package protocol

import (
	"cmp"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// Policy says to which statuses failed orders are pushed, how soon and how often. The planner and the Runner must have
// the same: the plan records it. The zero value has the defaults.
type Policy struct {
	// Targets are the transitions that resubmit an order, the best first. Default
	// PD, PR, I4, RB, which is inferred from practice (commerce/WIRE.md#5.4). CL and FR are
	// rejected. An order without reported transitions (Billing and Simple API have none) is
	// pushed to the plan's target and then to each of these until Commerce accepts one: the
	// next is tried only after Commerce certainly refused the one before, and after the order
	// was read again. There is no default for such orders, since the meaning of a status
	// depends on the flow: a Runner without Capabilities.Transitions needs targets.
	Targets []commerce.Status `json:"targets,omitempty"`
	// RequestTypes are the types of the Connect requests that orders lead to, for the order types
	// that differ from [rules.RequestTypeFor]; "" means that an order leads to none.
	RequestTypes map[commerce.OrderType]connect.RequestType `json:"requestTypes,omitempty"`
	// Classifier classifies the reasons of failures. Nil: [failure.DefaultClassifier].
	Classifier *failure.Classifier `json:"-"`
	// SettleDelay is the time in which orders are not touched after a window and after they
	// failed or were pushed, because Commerce retries waiting orders every 60 to 119 s (the connector's
	// code, resubmit/SAFETY.md#f13), and a resubmission that races it leaves a completed
	// order with a failed item (documented, resubmit/SAFETY.md#f9). Until it is over, the same
	// failure does not count as a new one, and a push without an answer is still open. It must be
	// longer than PushTimeout and MaxClaimAge together, and than a gateway or Commerce can hold a
	// request. Default 240 s.
	SettleDelay time.Duration `json:"settleDelay"`
	// PushTimeout is how long a push may take. Default two minutes, or half of a shorter SettleDelay.
	PushTimeout time.Duration `json:"pushTimeout"`
	// MaxClaimAge is how old a claim may be when its push is sent, so that a process that was
	// suspended does not send late. Default 10 s, or a quarter of a shorter SettleDelay.
	MaxClaimAge time.Duration `json:"maxClaimAge"`
	// Retry says whether an order is pushed again after a push without an answer.
	Retry RetryPolicy `json:"retry"`
	// MaxResubmissions is how often an order is pushed over all plans, unless the operator names
	// it. Every push that may have been sent counts. Default 3.
	MaxResubmissions int `json:"maxResubmissions"`
}

// RetryPolicy says how often an order is pushed after pushes without an answer. There is another
// push only if the order is proven unchanged, see [Order].
type RetryPolicy struct {
	// MaxAttempts is how many pushes of one failure may be sent. At most 4 for cancellations
	// (inferred from the connector's code, resubmit/SAFETY.md#f6). Default 2.
	MaxAttempts int `json:"maxAttempts,omitempty"`
	// Spacing is the least time between two pushes of an order. Default 300 s; -1 means twice
	// the settle delay. At least 300 s if the request in Connect is a cancel or a resume, since the
	// connector makes no new one before, by its code (resubmit/SAFETY.md#f6).
	Spacing time.Duration `json:"spacing,omitempty"`
	// ByType has the policies of order types that differ. Zero fields have the values above. ByType
	// must be nil in them.
	ByType map[commerce.OrderType]RetryPolicy `json:"byType,omitempty"`
}

// WithDefaults returns the policy with the defaults in the fields that are zero.
func (p Policy) WithDefaults() Policy {
	p.SettleDelay = cmp.Or(p.SettleDelay, 240*time.Second)
	p.PushTimeout = cmp.Or(p.PushTimeout, min(2*time.Minute, p.SettleDelay/2))
	p.MaxClaimAge = cmp.Or(p.MaxClaimAge, min(10*time.Second, p.SettleDelay/4))
	p.Retry.MaxAttempts = cmp.Or(p.Retry.MaxAttempts, 2)
	p.Retry.Spacing = cmp.Or(p.Retry.Spacing, rules.CancelRetryAge)
	p.MaxResubmissions = cmp.Or(p.MaxResubmissions, 3)
	if p.Classifier == nil {
		p.Classifier = failure.DefaultClassifier()
	}
	if p.Targets == nil {
		p.Targets = DefaultTargets()
	}
	return p
}

// DefaultTargets returns the statuses to which failed orders are pushed by default, the best
// first, see Policy.Targets.
func DefaultTargets() []commerce.Status {
	return []commerce.Status{
		commerce.StatusPaid, commerce.StatusProvisioning,
		commerce.StatusProvisioningRequired, commerce.StatusCheckingConditions,
	}
}

// RequestType returns the type of the Connect request that an order type leads to, and whether it leads to one.
func (p *Policy) RequestType(t commerce.OrderType) (connect.RequestType, bool) {
	if own, ok := p.RequestTypes[t]; ok {
		return own, own != ""
	}
	return rules.RequestTypeFor(t)
}

// attempts returns how many pushes an order of a type may have, and the least time between two.
func (p *Policy) attempts(t commerce.OrderType, request connect.RequestType) (most int, spacing time.Duration) {
	own := p.Retry.ByType[t]
	most = cmp.Or(own.MaxAttempts, p.Retry.MaxAttempts)
	if spacing = cmp.Or(own.Spacing, p.Retry.Spacing); spacing < 0 {
		spacing = 2 * p.SettleDelay
	}
	if request == connect.TypeCancel {
		most = min(most, rules.CancelLimit)
	}
	if request == connect.TypeCancel || request == connect.TypeResume {
		spacing = max(spacing, rules.CancelRetryAge)
	}
	return most, spacing
}

// longestSpacing returns a time after which any order may be pushed again, whatever its type.
func (p *Policy) longestSpacing() time.Duration {
	longest := max(2*p.SettleDelay, rules.CancelRetryAge, p.Retry.Spacing)
	for _, own := range p.Retry.ByType {
		longest = max(longest, own.Spacing)
	}
	return longest
}

// The limits of what is taken for a setting, and not for a mistake such as a number without a unit.
const (
	leastTime = time.Millisecond
	mostTime  = 366 * 24 * time.Hour
)

func plausible(d time.Duration) bool { return d == 0 || d >= leastTime && d <= mostTime }

// Validate returns an error for each setting that is out of range. Zero fields are valid.
func (p *Policy) Validate() []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if p.Targets != nil && len(p.Targets) == 0 {
		bad("Targets is empty; leave it nil for the default")
	}
	for _, t := range p.Targets {
		if !rules.CanResubmit(t) {
			bad("Targets has %q, which does not resubmit an order; leave it out", t)
		}
	}
	full := p.WithDefaults()
	for _, d := range []struct {
		field string
		given time.Duration
	}{{"SettleDelay", p.SettleDelay}, {"PushTimeout", p.PushTimeout}, {"MaxClaimAge", p.MaxClaimAge}} {
		if !plausible(d.given) {
			bad("%s is %v; give %v to %v, or 0 for the default", d.field, d.given, leastTime, mostTime)
		}
	}
	if full.SettleDelay > 0 && full.SettleDelay <= full.PushTimeout+full.MaxClaimAge {
		bad("SettleDelay is %v; it must be longer than PushTimeout (%v) and MaxClaimAge (%v) together, the end of a push",
			full.SettleDelay, full.PushTimeout, full.MaxClaimAge)
	}
	if p.MaxResubmissions < 0 {
		bad("MaxResubmissions is %d; give a count, or 0 for the default", p.MaxResubmissions)
	}
	p.Retry.validate("Retry", bad)
	for t, own := range p.Retry.ByType {
		where := fmt.Sprintf("Retry.ByType[%q]", t)
		own.validate(where, bad)
		if own.ByType != nil {
			bad("%s has a ByType of its own; leave it out", where)
		}
	}
	return errs
}

func (p *RetryPolicy) validate(where string, bad func(string, ...any)) {
	if p.MaxAttempts < 0 {
		bad("%s.MaxAttempts is %d; give a count, or 0 for the default", where, p.MaxAttempts)
	}
	if p.Spacing != -1 && !plausible(p.Spacing) {
		bad("%s.Spacing is %v; give %v to %v, 0 for the default or -1 for twice the settle delay", where, p.Spacing,
			leastTime, mostTime)
	}
}
