package temporal

import (
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// The names that histories have. They never change.
const (
	planWorkflow    = "ResubmitPlan"
	chainWorkflow   = "ResubmitChain"
	readyActivity   = "ResubmitReady"
	attemptActivity = "ResubmitAttempt"
	verifyActivity  = "ResubmitVerify"
	controlSignal   = "control"
	reportSignal    = "report"
	statusQuery     = "status"
	outcomesQuery   = "outcomes"
	endedType       = "ended"     // of an error that ends the plan
	commandedType   = "commanded" // of one that ends it because an operator drained or cancelled it
	stoppedType     = "stopped"   // of an error that ends a chain whose plan has ended
)

// The search attributes.
var (
	systemAttribute  = temporal.NewSearchAttributeKeyKeyword("ResubmitSystem")
	planAttribute    = temporal.NewSearchAttributeKeyKeyword("ResubmitPlan")
	vendorAttribute  = temporal.NewSearchAttributeKeyKeyword("ResubmitVendor")
	outcomeAttribute = temporal.NewSearchAttributeKeyKeyword("ResubmitOutcome")
)

// SearchAttributes lists the search attributes that workflows have, all of the type Keyword. They must be registered
// for the namespace.
func SearchAttributes() []string {
	return []string{
		systemAttribute.GetName(), planAttribute.GetName(), vendorAttribute.GetName(), outcomeAttribute.GetName(),
	}
}

// control is what operators may change.
type control struct {
	State resubmit.RunState `json:"state,omitempty"`
	Rate  float64           `json:"rate,omitempty"` // calls per second; 0 is that of the workers
	// Version orders the controls that a plan sends to its chains: signals of one workflow to another may overtake each
	// other. It is the time, so that it also grows from one run of a plan to the next. Zero: of an operator.
	Version int64 `json:"version,omitempty"`
}

// change returns the control after a signal, whose zero fields change nothing. A cancelled plan stays cancelled, and
// one that is drained is not resumed.
func (c control) change(by control) control {
	if by.Version != 0 && by.Version < c.Version {
		return c
	}
	c.Version = max(c.Version, by.Version)
	if by.Rate != 0 {
		c.Rate = by.Rate
	}
	if by.State == "" || rank(c.State) > 1 && rank(by.State) < rank(c.State) {
		return c
	}
	c.State = by.State
	return c
}

func rank(s resubmit.RunState) int {
	switch s {
	case resubmit.StateCancelled:
		return 3
	case resubmit.StateDraining:
		return 2
	case resubmit.StatePaused:
		return 1
	default:
		return 0
	}
}

// setup is what all workflows of a plan share.
type setup struct {
	Digest      string        `json:"digest"`
	System      string        `json:"system"`
	PushTimeout time.Duration `json:"pushTimeout"`
	SettleDelay time.Duration `json:"settleDelay"`
	Attributes  bool          `json:"attributes,omitempty"` // set search attributes
	Queue       string        `json:"queue"`                // of everything but attempts
}

// planID is the id of the workflow of a plan.
func planID(digest string) string { return "resubmit-plan-" + strings.TrimPrefix(digest, "sha256:") }

// chainID is the id of the workflow of a chain that begins with an order.
func (s *setup) chainID(place int) string {
	return "resubmit-chain-" + strings.TrimPrefix(s.Digest, "sha256:")[:32] + "-" + strconv.Itoa(place)
}

func pushQueue(queue string) string { return queue + "-push" }

// chainInput is the input of the workflow of a chain, and what it hands to its next run.
type chainInput struct {
	Setup   setup              `json:"setup"`
	Chain   resubmit.NextChain `json:"chain"`
	Judge   bool               `json:"judge,omitempty"`
	Control control            `json:"control"`
	At      int                `json:"at,omitempty"` // which order is next
	Order   progress           `json:"order"`        // of that one
}

// progress is what a chain knows of the order that it handles.
type progress struct {
	Look   bool             `json:"look,omitempty"` // it was or may have been pushed, so it is only looked at
	Lost   int              `json:"lost,omitempty"` // how often to look what an attempt without a result has done
	Sent   bool             `json:"sent,omitempty"` // that it does not wait for its push was reported
	Health resubmit.Health  `json:"health,omitempty"`
	Last   protocol.Outcome `json:"last,omitempty"`
}

// report is what a chain reports to its plan.
type report struct {
	Chain   int              `json:"chain"` // its first place
	Place   int              `json:"place"`
	Outcome protocol.Outcome `json:"outcome,omitempty"` // if the order is done
	Stopped bool             `json:"stopped,omitempty"` // it is done because the plan ends
	Health  resubmit.Health  `json:"health,omitempty"`
	Sent    bool             `json:"sent,omitempty"`    // it does not wait for its push any more
	Ended   bool             `json:"ended,omitempty"`   // the chain has ended
	Fatal   string           `json:"fatal,omitempty"`   // why the plan must end
	Command bool             `json:"command,omitempty"` // that is a command of an operator
	Problem string           `json:"problem,omitempty"` // why orders are not attempted
}

// stepInput is the input of an activity about an order.
type stepInput struct {
	Digest  string  `json:"digest"`
	OrderID string  `json:"id"`
	Judge   bool    `json:"judge,omitempty"`
	Brief   bool    `json:"brief,omitempty"` // a look that must not take long
	Rate    float64 `json:"rate,omitempty"`
}

// stepOutput is the result of an activity about an order.
type stepOutput struct {
	Outcome protocol.Outcome `json:"outcome"`
	Done    bool             `json:"done,omitempty"`
	Push    bool             `json:"push,omitempty"`
	Again   time.Time        `json:"again,omitzero"`
	Why     string           `json:"why,omitempty"`
	Health  resubmit.Health  `json:"health,omitempty"`
}

// readyInput is the input of the activity that finds what may begin.
type readyInput struct {
	Digest string                                 `json:"digest"`
	Run    string                                 `json:"run"` // of the workflow, of which the journal is read once
	Done   map[protocol.Outcome]resubmit.OrderSet `json:"done,omitempty"`
	Tried  map[int]resubmit.Health                `json:"tried,omitempty"`
	Most   int                                    `json:"most"`
	Rate   float64                                `json:"rate,omitempty"`
}
