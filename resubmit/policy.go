package resubmit

import (
	"cmp"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// Policy has the settings on which the planner and the Runner must agree: give the same value
// to PlanConfig and Config. The zero value has the defaults.
type Policy struct {
	// Targets are the transitions that resubmit an order, the best first. Default
	// PD, PR, I4, RB, which is inferred from practice (commerce/WIRE.md#5.4). CL and FR are
	// rejected. An order without reported transitions (Billing and Simple API have none) is
	// pushed to the plan's target and then to each of these until Commerce accepts one: the
	// next is tried only after Commerce certainly refused the one before, and after the order
	// was read again. There is no default for such orders, since the meaning of a status
	// depends on the flow: a Runner without Capabilities.Transitions needs targets.
	Targets []commerce.Status
	// RequestType returns the type of the Connect request that an order leads to, and whether
	// it leads to one. Nil: [rules.RequestTypeFor].
	RequestType func(commerce.OrderType) (connect.RequestType, bool)
	// Classifier classifies the reasons of failures. Nil: [failure.DefaultClassifier].
	Classifier *failure.Classifier
	// SettleDelay is the time in which orders are not touched after a window and after they
	// failed or were pushed, because Commerce retries waiting orders every 60 to 119 s (the connector's
	// code, resubmit/SAFETY.md#f13), and a resubmission that races it leaves a completed
	// order with a failed item (documented, resubmit/SAFETY.md#f9). Until it is over, the same
	// failure does not count as a new one, and a push without an answer is still open.
	// Default 240 s; -1 none.
	SettleDelay time.Duration
}

// DefaultTargets returns the statuses to which failed orders are pushed by default, the best
// first, see Policy.Targets.
func DefaultTargets() []commerce.Status {
	return []commerce.Status{
		commerce.StatusPaid, commerce.StatusProvisioning,
		commerce.StatusProvisioningRequired, commerce.StatusCheckingConditions,
	}
}

// completePolicy returns a policy with the defaults in the fields that are zero.
func completePolicy(p Policy) Policy {
	p.SettleDelay = cmp.Or(p.SettleDelay, 240*time.Second)
	if p.Classifier == nil {
		p.Classifier = failure.DefaultClassifier()
	}
	if p.Targets == nil {
		p.Targets = DefaultTargets()
	}
	if p.RequestType == nil {
		p.RequestType = rules.RequestTypeFor
	}
	return p
}

// validate checks the policy; config is the name of the configuration in errors.
func (p *Policy) validate(config string) error {
	if p.SettleDelay < -1 {
		return fmt.Errorf("%s.SettleDelay is %v; give a duration, 0 for the default or -1 for none", config, p.SettleDelay)
	}
	if p.Targets != nil && len(p.Targets) == 0 {
		return fmt.Errorf("%s.Targets is empty; leave it nil for the default", config)
	}
	for _, t := range p.Targets {
		if !rules.CanResubmit(t) {
			return fmt.Errorf("%s.Targets has %q, which does not resubmit an order; leave it out", config, t)
		}
	}
	return nil
}
