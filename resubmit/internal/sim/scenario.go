package sim

import (
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// scenario is a world as data: all that is there and all that goes wrong. It
// follows from its seed; parts can be left out to find the shortest history.
type scenario struct {
	seed   uint64
	limits resubmit.Config // of the operator; its other fields are empty
	probe  bool            // the breaker probes Connect
	// twin means that only crashes or one kind of misbehavior happen, so that the end can be compared with that of the
	// same world without them (I10).
	twin bool
	// programs are one or two. They share the journal.
	programs []programSpec
	locked   bool          // one process at a time uses the journal, as a file
	slowPuts time.Duration // how long a journal write may take; 0: some milliseconds
	signed   bool          // plans must be signed

	api          commerceAPI
	asyncHeals   bool          // commercetest.Config.WaitingOrdersSurvive
	staleReads   time.Duration // commercetest.Config.StaleReads
	poll         time.Duration // commercetest.Config.PollInterval
	listPage     int           // commercetest.Config.MaxPageSize
	maxTries     int           // of a read, by the clients
	commerceSkew time.Duration // of the clock of Commerce
	connectSkew  time.Duration // of the clock of Connect
	wholeSeconds bool          // of the clock of Connect, so that requests have the same time
	connectDate  bool          // the answers of Connect show its clock

	orders      []orderSpec
	windows     []windowSpec
	crashes     []crashSpec
	suspensions []suspendSpec
	faults      []faultSpec
	storms      []stormSpec
	actions     []actionSpec
	rules       []rules.Rule

	misbehavior
}

// programSpec is a program that makes plans and applies them, such as a command line or a watcher.
type programSpec struct {
	start time.Duration // since the world's programs start
	// filter, if not nil, is the filter of its plans, which is compared with a full scan (I11).
	filter filter.Filter
	shares bool          // it makes no plan and applies that of the first program too
	plans  int           // how many plans it applies, one after the other
	pause  time.Duration // between two of them
	named  []int         // orders that the operator names in the plans after the first one
	swap   *swapSpec
	loss   *lossSpec
}

func (g programSpec) String() string {
	s := fmt.Sprintf("a program starts at %v and applies %d plans, with pauses of %v", g.start, g.plans, g.pause)
	if g.shares {
		s = fmt.Sprintf("a program starts at %v and applies the plan of the first one too", g.start)
	}
	if g.filter != nil {
		s += ", filter: " + g.filter.String()
	}
	if len(g.named) > 0 {
		s += fmt.Sprintf(", later plans name the orders %v", g.named)
	}
	if g.swap != nil {
		s += fmt.Sprintf(", plan %d is replaced: %s (%v)", g.swap.plan, g.swap.kind, g.swap.after)
	}
	if g.loss != nil {
		s += ", " + g.loss.String()
	}
	return s
}

// swapKind is how somebody replaces a plan file after its approval.
type swapKind string

const (
	swapEdited   swapKind = "a byte is changed"
	swapUnsigned swapKind = "by an unsigned plan"
	swapForged   swapKind = "by another plan with the same signature"
	swapLate     swapKind = "while it is applied"
)

// swapSpec replaces a plan file before it is applied.
type swapSpec struct {
	plan  int // of the program, from 0
	kind  swapKind
	after time.Duration // of swapLate
}

// lossSpec loses the journal after a process has ended, when no other one runs.
type lossSpec struct {
	after    int     // the process
	replaced bool    // by an empty one; else an older copy is restored
	share    float64 // how old the copy is: 0 is the oldest
}

func (l *lossSpec) String() string {
	if l.replaced {
		return fmt.Sprintf("after process %d the journal is replaced by an empty one", l.after)
	}
	return fmt.Sprintf("after process %d an older copy of the journal is restored (%.2f)", l.after, l.share)
}

// suspendSpec suspends a process at its n-th step, from 1.
type suspendSpec struct {
	program, process, step int
	d                      time.Duration
}

func (s suspendSpec) String() string {
	return fmt.Sprintf("process %d of program %d is suspended at its step %d for %v", s.process, s.program, s.step, s.d)
}

// commerceAPI is the API of Commerce that the program uses.
type commerceAPI string

const (
	apiOrderManager commerceAPI = "Order Management"
	apiBilling      commerceAPI = "Billing"
	apiSimple       commerceAPI = "Simple API"
)

// cause is why an order has failed when the program starts.
type cause string

const (
	causeWindow   cause = "placed during the maintenance"
	causeOutage   cause = "placed during an unannounced outage"
	causeReached  cause = "waiting for its vendor when the maintenance began"
	causeRejected cause = "rejected by its vendor"
	causeTrouble  cause = "failed before it reached Connect"
	causeMarked   cause = "marked as failed by a person"
	causeHealthy  cause = "not failed"
)

// orderSpec is an order.
type orderSpec struct {
	index          int // identifies it in faults and actions
	kind           commerce.OrderType
	request        connect.RequestType // "": the usual type for kind
	vendor         string
	product        string
	subscription   int
	tenant         int  // several subscriptions may have the same one
	existing       bool // the subscription existed before its orders
	cause          cause
	text           string        // of causeTrouble and causeMarked
	placedAfter    time.Duration // since the period of its cause began
	failedCancels  int           // earlier cancel requests that failed
	reply          vendorReply
	repeatFailures int // how often it fails again for the same reason
}

func (o orderSpec) String() string {
	more := ""
	if o.repeatFailures > 0 {
		more = fmt.Sprintf(", fails again %d times for the same reason", o.repeatFailures)
	}
	if o.failedCancels > 0 {
		more += fmt.Sprintf(", %d earlier cancel requests failed", o.failedCancels)
	}
	return fmt.Sprintf("order %d: %s of subscription %d, tenant %d, %s; vendor: %s %v%s", o.index, o.kind, o.subscription,
		o.tenant, o.cause, o.reply.action, o.reply.after, more)
}

// vendorReply is how a vendor handles the request of an order.
type vendorReply struct {
	action connecttest.VendorAction
	after  time.Duration
}

// windowSpec is a maintenance after the start of the program. Times are relative to that start.
type windowSpec struct {
	announced   time.Duration // when it is added to the calendar; 0: from the start
	start, end  time.Duration
	movedAt     time.Duration // 0: it is not moved
	movedBy     time.Duration
	overrun     time.Duration // how much later it ends than announced
	unannounced bool          // it is never in the calendar
}

func (w windowSpec) String() string {
	s := fmt.Sprintf("maintenance from %v to %v, announced at %v", w.start, w.end, w.announced)
	if w.unannounced {
		s = fmt.Sprintf("outage from %v to %v, never announced", w.start, w.end)
	}
	if w.movedAt > 0 {
		s += fmt.Sprintf(", moved by %v at %v", w.movedBy, w.movedAt)
	}
	if w.overrun > 0 {
		s += fmt.Sprintf(", ends %v late", w.overrun)
	}
	return s
}

// crashSpec kills a process at its n-th step, during its n-th push, or after a time.
type crashSpec struct {
	program    int
	process    int
	step       int           // from 1, over all points at which it can be killed; 0: unused
	push       int           // from 1; 0: unused
	after      time.Duration // since the process started, if step and push are 0
	tear       float64       // a journal write arrives if it is killed in one and this is below 0.5
	downtime   time.Duration // until the next process starts
	clockAhead time.Duration // by how much the clock jumps back at the restart
}

func (c crashSpec) String() string {
	s := fmt.Sprintf("process %d of program %d is killed ", c.process, c.program)
	switch {
	case c.push > 0:
		s += fmt.Sprintf("during its push %d", c.push)
	case c.step == 0:
		s += fmt.Sprintf("after %v", c.after)
	default:
		s += fmt.Sprintf("at its step %d", c.step)
	}
	if c.clockAhead > 0 {
		s += fmt.Sprintf(", its clock was %v ahead", c.clockAhead)
	}
	return s
}

// callKind is the purpose of a call.
type callKind string

const (
	callList    callKind = "list"
	callRead    callKind = "read"
	callPush    callKind = "push"
	callLookUp  callKind = "look-up in Connect"
	callJournal callKind = "journal" // a write
	callSignIn  callKind = "sign-in"
	callProbe   callKind = "probe of Connect"
)

// faultSpec makes one call fail: the n-th of a kind for an order, over all processes.
type faultSpec struct {
	call  callKind
	order int // -1: the call is not about one order
	n     int // from 0
	kind  faultKind
	wait  time.Duration // Retry-After, or how slow
	date  bool          // Retry-After is a date; a lost push arrives later
	// status is the status of a faultStatus or faultStatusAfter.
	status int
}

func (f faultSpec) String() string {
	return fmt.Sprintf("%s %d of order %d: %s (%v)", f.call, f.n, f.order, f.name(), f.wait)
}

// name describes the fault without its call.
func (f faultSpec) name() string {
	if f.status != 0 {
		return fmt.Sprintf("%d %s", f.status, f.kind)
	}
	return string(f.kind)
}

// faultKind is how a call fails.
type faultKind string

const (
	faultRefused      faultKind = "connection refused"
	faultLost         faultKind = "lost before the server"
	faultLostAfter    faultKind = "answer lost after the server acted"
	faultGateway      faultKind = "502 before the server"
	faultGatewayAfter faultKind = "502 after the server acted"
	faultRateLimited  faultKind = "429"
	faultUnavailable  faultKind = "503"
	faultUnauthorized faultKind = "401"
	faultTruncated    faultKind = "answer truncated"
	faultSlow         faultKind = "slow answer"
	faultPage         faultKind = "HTML page with 200 after the server acted"
	faultDuplicate    faultKind = "delivered twice"
	faultStaleAnswer  faultKind = "answered with the previous answer"
	faultDiskFull     faultKind = "disk full"
	// faultStatus and faultStatusAfter are answers of a gateway.
	faultStatus      faultKind = "from a gateway before the server"
	faultStatusAfter faultKind = "from a gateway after the server acted"
)

// stormSpec is a period in which a system refuses all calls.
type stormSpec struct {
	connect  bool
	from, to time.Duration
	status   int
	wait     time.Duration // Retry-After
	date     bool          // Retry-After is a date
}

func (s stormSpec) String() string {
	return fmt.Sprintf("storm of %d from %v to %v, Retry-After %v", s.status, s.from, s.to, s.wait)
}

// actionKind is what the operator, or somebody else, does.
type actionKind string

const (
	actionPush   actionKind = "a person resubmits it in the panel"
	actionCancel actionKind = "another operator cancels it"
	actionFail   actionKind = "another operator marks it as failed"
	actionPause  actionKind = "the operator pauses"
	actionStop   actionKind = "the operator stops the program"
	actionDrain  actionKind = "the operator drains the program"
	actionClock  actionKind = "the clock of Commerce jumps"
	actionPlace  actionKind = "a customer places an order"
	actionWindow actionKind = "a maintenance begins without an announcement"
)

// actionSpec is an action of somebody.
type actionSpec struct {
	at      time.Duration // since the start of the programs, if read is 0
	read    int           // else after this read of the order by a run, from 1, before its answer arrives
	kind    actionKind
	program int
	order   int
	d       time.Duration // how long a pause or a maintenance lasts, or how far a clock jumps
}

func (a actionSpec) String() string {
	if a.read > 0 {
		return fmt.Sprintf("during read %d of order %d %s (program %d, %v)", a.read, a.order, a.kind, a.program, a.d)
	}
	return fmt.Sprintf("at %v %s (program %d, order %d, %v)", a.at, a.kind, a.program, a.order, a.d)
}

// withoutFaults is the scenario without crashes, faults and misbehavior.
func (s *scenario) withoutFaults() *scenario {
	c := *s
	c.crashes, c.suspensions, c.faults, c.misbehavior = nil, nil, nil, misbehavior{}
	return &c
}

// requestKey is the tenant and type with which the program looks up an order in Connect.
func (o *orderSpec) requestKey() (string, connect.RequestType) {
	kind, _ := rules.RequestTypeFor(o.kind) // "": the type leads to no request
	return tenant(o.subscription), kind
}

// What happens before the program starts, which it does at beforeStart. Times are since the world began.
const (
	outageAt    = 5 * time.Minute
	outageEnd   = 6 * time.Minute
	rejectedAt  = 8 * time.Minute
	reachedAt   = 14 * time.Minute
	windowAt    = 17 * time.Minute
	windowEnd   = 21 * time.Minute
	markedAt    = 22 * time.Minute
	beforeStart = 40 * time.Minute
)

// bubbleStart is the time at which a testing/synctest bubble begins.
var bubbleStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

var resellers = []string{"", "1000101", "1000102"}

const strictProduct, quickProduct = "PRD-100-200-302", commercetest.DefaultProduct
