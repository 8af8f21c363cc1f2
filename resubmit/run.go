package resubmit

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// run is one call of Apply.
type run struct {
	cfg             Config
	pace            *pacer
	fallbackTargets []commerce.Status
	planned         *maintenance.Calendar // the plan's
	gate            *gate
	events          *events
	digest          string
	total           int
	mismatched      int  // rows that the plan left out
	resumed         bool // an earlier run may have begun the plan
	started         time.Time

	ctx    context.Context //nolint:containedctx // a run is one call of Apply
	cancel context.CancelCauseFunc

	itemsWanted bool // somebody gets the items

	// ended are passed over, if they stand in none of the lanes that were touched.
	finished *finishedOrders
	touched  *laneSet // lanes of orders that were taken in hand or left out, if any has ended

	stopEndEvents func()
	later         LaterJournal // what came of pushes is put there without waiting; nil: it is waited for

	jobs       sync.WaitGroup // orders in hand
	workers    sync.WaitGroup
	working    atomic.Int64  // how many there are; they change with the Runner's lock held
	open       chan struct{} // one element for each order in hand
	ready      chan *job     // as large as hand, so that sending never blocks
	begun      chan struct{} // filled when few orders are ready that no worker has begun
	filled     chan struct{} // closed when as much of the plan was read as can be in hand
	markFilled func()        // closes it
	// pushes are taken by orders that are being pushed, looks by the reads of
	// verifications. They are the same where the way in bears only so many calls.
	pushes, reads *slots
	batch         batchPoller

	readAccess, pushAccess access

	pushing, verifying atomic.Int64
	left               atomic.Bool // an order was not started

	keeping chan struct{} // holds one element while somebody uses kept
	kept    time.Time     // until when a server is to be left alone, as the journal knows

	mu           sync.Mutex
	room         sync.Cond // fewer orders wait in the lanes
	lanes        *lanes
	result       OutcomeCounts
	canary       *canary
	forLanes     bool // orders were left out because too many wait in the lanes
	groups       map[groupKey]*OutcomeCounts
	again        *failure.Grouper // of the orders that failed again
	items        []Item
	commerceOnly int
	unread       int
}

// job is one order on its way.
type job struct {
	ctx   context.Context //nolint:containedctx // of the run, or of the one call that is about the order
	left  bool            // the end of the run left it where it was
	entry *plan.Entry
	item  Item
	rec   Record

	lanes     []string
	before    int      // how many of its lanes have an order before it
	blockedBy *barrier // stopped one of its lanes; nil

	looked bool // in the journal
	ended  bool // an earlier run knew what came of it
	good   bool // it is under way, and that is good enough

	group    string // of the canary
	ramp     *ramp
	recalled bool // an earlier run has pushed it, or may have
	queued   bool // it may have to wait for its group
	released bool // it counts as pushed in its group
	health   health

	// lost is the record of a push without an answer behind which the policy allows
	// another; nil for none. barred says why none is allowed any more.
	lost    *Record
	noRetry string

	moved bool // it was read in another status than the last record tells

	sent   sentPush // the last push that was refused, by this run or an earlier one
	unread bool     // the order was not read since then

	refusals  int
	denied    int  // pushes that were answered with 401 or 403
	forbidden bool // the answer to the last push was lost behind a 403, such as one of a gateway
	earlier   bool // an earlier run has left a record

	kind  connect.RequestType // of its request in Connect; "": there is none
	tried []commerce.Status   // targets that Commerce refused, since the flow lacks them
	// free says that the order is at rest, so that the next of its lanes may go.
	free bool
}

func newJob(e *plan.Entry) *job {
	number := e.Number
	if number == "" {
		number = e.OrderID
	}
	return &job{
		entry: e,
		lanes: laneKeys(e),
		rec:   Record{OrderID: e.OrderID, Fingerprint: e.Fingerprint, Target: e.Target},
		item: Item{
			OrderID: e.OrderID, Number: number, Type: e.Type, Class: e.Attribution.Class,
			VendorAccountID: e.VendorAccountID, Channel: e.Channel, Customer: e.Customer, Subscriptions: e.Subscriptions,
			Before: e.Before, Action: e.Decision.Action,
		},
	}
}
