package explore

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// Config says what is explored. The zero value explores one order and one process with the default policy.
type Config struct {
	// Policy is the policy to check. Zero fields have their defaults.
	Policy protocol.Policy
	// OrderType is the type of the orders. Default: sales orders.
	OrderType commerce.OrderType
	// Orders is how many orders of one lane there are, 1 or 2, and Processes how many processes, 1 or 2. Default 1.
	Orders, Processes int
	// Filters says which orders the filter of each process selects, as a bit mask. Default: all.
	Filters [2]uint8
	// SamePlan lets both processes apply one plan.
	SamePlan bool
	// Leases means that the processes share a journal with leases, such as a database. Otherwise one process at a time
	// has the journal, and a crash may lose what it deferred. Lease is their duration, default 60 s.
	Leases bool
	Lease  time.Duration
	// Sleep lets processes with a lease be suspended.
	Sleep bool
	// Texts are the failures with which orders may fail again: 0 is the first one, 1 another one, 2 differs from the
	// first one in a number only. Default: 0 and 1.
	Texts []int8
	// Faults limits what may go wrong.
	Faults Faults
	// MaxDepth and MaxStates end the exploration. Default: no end.
	MaxDepth, MaxStates int
	// Ends checks, if all states were explored, that each leads to an end once nothing fails any more.
	Ends bool

	without rule // a rule that is not kept
	most    int  // attempts
	// maxWorlds is how many states of a level are kept in memory. Others are found again from the events before them.
	maxWorlds int
	spacing   time.Duration
	machines  protocol.Policy // the policy of the machines
	oldest    time.Duration   // from which age does not matter
	unit      time.Duration   // of which the times of the policy are multiples
}

// Faults is how often something may happen. Pushes may always be lost, and orders may always fail again.
type Faults struct {
	Crashes    int // a process is killed
	Stops      int // a run ends because its circuit is open
	Panel      int // a person resubmits, completes or cancels an order
	Outages    int // an outage ends
	Named      int // the operator names an order
	Refusals   int // Commerce refuses a push
	Resolves   int // the operator settles an order with an unanswered push by hand
	Gateway    int // a gateway answers a push
	NotSent    int // a push is certainly not sent
	Releases   int // the gate closes right before a push
	ReadErrors int // a read fails, or Connect was down
	Restores   int // the journal is replaced by an older copy
}

func (f *Faults) counts() [12]*int {
	return [...]*int{
		&f.Crashes, &f.Stops, &f.Panel, &f.Outages, &f.Named, &f.Refusals, &f.Resolves, &f.Gateway, &f.NotSent,
		&f.Releases, &f.ReadErrors, &f.Restores,
	}
}

// rule is a rule that a test removes, to show that the exploration notices.
type rule int

const (
	_                 rule = iota
	ruleOwnVersion         // after a release, the version of another run is not adopted
	ruleBlockers           // planners read the blockers of their lanes again
	ruleOlderOrders        // planners look for older failed orders of their lanes
	ruleNewest             // lanes keep the newest order that was pushed
	ruleReadAge            // the read before a push began at most five seconds ago
	ruleBothClocks         // ages count on the wall clock too
	ruleRelease            // a release restores the record
	ruleGatewayEnd         // a push ends with its deadline, not with the answer of a gateway
	ruleSettle             // a push without an answer is read a settle delay after its end
	ruleLimit              // the limit over all plans holds for each claim
	ruleCountClaims        // each claim that may have been sent counts
	ruleSecondProcess      // a second process of a plan waits for the lease of the first one
	ruleChainHash          // versions and positions carry a chain hash, and claims check the lease
	ruleAnchorEarly        // the anchor is written before the first push, and each second
	ruleSharedAnchor       // a shared journal has a shared anchor
	ruleForgotten          // after a loss of records orders are held
	ruleApproved           // only orders of the plan are pushed
	ruleIdentity           // reads recognize another order with the same id
	ruleLanes              // after a restart the lanes of an order are read
	ruleHold               // what failed again with the same text is held
	ruleResolve            // an order is settled by hand only when its push cannot act any more
	ruleSettled            // what was settled as completed by hand is held
)

// prepare checks the configuration and sets the defaults.
func (c *Config) prepare() error {
	if errs := c.Policy.Validate(); len(errs) > 0 {
		return fmt.Errorf("explore: policy: %w", errors.Join(errs...))
	}
	c.Policy = c.Policy.WithDefaults()
	for _, n := range []*int{&c.Orders, &c.Processes} {
		if *n = cmp.Or(*n, 1); *n < 1 || *n > 2 {
			return fmt.Errorf("explore: %d orders or processes; give 1 or 2", *n)
		}
	}
	for i := range c.Filters {
		if c.Filters[i] == 0 {
			c.Filters[i] = 1<<c.Orders - 1
		}
	}
	c.Lease = cmp.Or(c.Lease, time.Minute)
	if c.Texts == nil {
		c.Texts = []int8{0, 1}
	}
	c.MaxDepth = cmp.Or(c.MaxDepth, -1)
	c.MaxStates = cmp.Or(c.MaxStates, 1<<30)
	c.maxWorlds = cmp.Or(c.maxWorlds, 250_000)
	c.setTimes()
	c.machines = c.Policy
	switch c.without {
	case ruleGatewayEnd:
		c.machines.PushTimeout = 0
	case ruleSettle:
		c.machines.SettleDelay = 0
	case ruleLimit:
		c.machines.MaxResubmissions = 100
	default:
	}
	return nil
}

// setTimes sets the limits of the order type, as the policy documents them, and the times that matter.
func (c *Config) setTimes() {
	c.OrderType = cmp.Or(c.OrderType, commerce.TypeSales)
	p := &c.Policy
	own := p.Retry.ByType[c.OrderType]
	c.most = cmp.Or(own.MaxAttempts, p.Retry.MaxAttempts)
	if c.spacing = cmp.Or(own.Spacing, p.Retry.Spacing); c.spacing < 0 {
		c.spacing = 2 * p.SettleDelay
	}
	switch request, _ := p.RequestType(c.OrderType); request {
	case connect.TypeCancel:
		c.most, c.spacing = min(c.most, rules.CancelLimit), max(c.spacing, rules.CancelRetryAge)
	case connect.TypeResume:
		c.spacing = max(c.spacing, rules.CancelRetryAge)
	default:
	}
	c.oldest = max(c.spacing, p.SettleDelay) + p.PushTimeout + p.MaxClaimAge
	for _, d := range []time.Duration{
		p.SettleDelay, p.PushTimeout, p.MaxClaimAge, max(0, p.Retry.Spacing), c.spacing, c.Lease, rules.CancelRetryAge,
	} {
		c.unit = gcd(d, c.unit)
	}
}

func gcd(a, b time.Duration) time.Duration {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
