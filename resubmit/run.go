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
	resumed         bool // an earlier run may have started the plan
	started         time.Time

	ctx    context.Context //nolint:containedctx // a run is one call of Apply
	cancel context.CancelCauseFunc

	itemsWanted bool // the report, an event or the log needs the items

	// finished orders are passed over, if they are in none of the lanes that were touched.
	finished *finishedOrders
	touched  *laneSet // lanes of orders that were opened or left out, if any order is finished

	stopEndEvents func()
	later         LaterJournal // stores results of pushes without waiting; nil: all records are waited for

	jobs       sync.WaitGroup // open orders
	workers    sync.WaitGroup
	working    atomic.Int64  // number of workers; changes with the Runner's lock held
	open       chan struct{} // one element for each open order
	ready      chan *job     // as large as open, so that sending never blocks
	begun      chan struct{} // gets an element when few orders are ready
	filled     chan struct{} // closed when as many orders were opened as there can be
	markFilled func()        // closes it
	// pushes limits the orders that are pushed at the same time, reads the reads of verifications.
	// They are the same if the client declares a MaxConcurrency.
	pushes, reads *slots
	batch         batchPoller

	readAccess, pushAccess access

	pushing, verifying atomic.Int64
	left               atomic.Bool // an order was not started

	keeping chan struct{} // the lock of kept
	kept    time.Time     // the end of the pause of a server, as stored in the journal

	mu           sync.Mutex
	room         sync.Cond // fewer orders wait in the lanes
	lanes        *lanes
	result       OutcomeCounts
	canary       *canary
	forLanes     bool // orders were left out because too many wait in lanes
	groups       map[groupKey]*OutcomeCounts
	again        *failure.Grouper // of the orders that failed again
	items        []Item
	commerceOnly int
	unread       int
}

// job is the state of one open order.
type job struct {
	ctx   context.Context //nolint:containedctx // of the run, or of the one call that is about the order
	left  bool            // the run ended before it was finished
	entry *plan.Entry
	item  Item
	rec   Record

	lanes     []string
	before    int      // number of its lanes with an order before it
	blockedBy *barrier // ended one of its lanes; nil for none

	loaded bool // its record was read from the journal
	ended  bool // an earlier run has finished it
	good   bool // it is in progress and was judged as good

	group    string // of the canary
	ramp     *ramp
	recalled bool // an earlier run has pushed it, or may have
	queued   bool // it may have to wait for its group
	released bool // it counts as pushed in its group
	health   health

	// lost is the record of a push without an answer after which the policy allows another push;
	// nil for none. noRetry is why none is allowed any more.
	lost    *Record
	noRetry string

	moved bool // it was read in another status than that of its last record

	sent   sentPush // the last push that was refused, by this run or an earlier one
	unread bool     // the order was not read since then

	refusals  int
	denied    int  // pushes that were answered with 401 or 403
	forbidden bool // the last push got a 403, such as one of a gateway, instead of an answer
	earlier   bool // an earlier run has left a record

	kind  connect.RequestType // of its request in Connect; "": there is none
	tried []commerce.Status   // targets that Commerce refused because the flow lacks them
	free  bool                // the next orders of its lanes may start after it
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
