package resubmittest

import (
	"testing"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// Fixture is an adapter under test and what it declares about itself.
type Fixture struct {
	// New makes a system without orders and an adapter for it. It is called for each
	// check; what it starts ends by t.Cleanup. Lists have up to 40 orders: choose a page size well below that.
	New func(t testing.TB) System
	// Missing is a well-formed id that no order has.
	Missing string
	// Target is the status that resubmits a failed order; "" is commerce.StatusPaid.
	Target commerce.Status
	// Capabilities is what the adapter reports of an order besides its status. Fields that
	// it leaves out must never be set.
	Capabilities commerce.Capabilities
	// Given says that the source cannot list by itself: it knows only the orders whose
	// ids it was given. It must then list no others, and report an id that is not there.
	Given bool
	// Accounts are at least two accounts whose orders can be listed apart
	// (commerce.Query.Account). Empty says that the adapter cannot do that: it must
	// refuse such a query.
	Accounts []string
	// VagueRefusals says that a refusal cannot be told from a lost answer. The
	// Delivery of a refused push must then be unknown.
	VagueRefusals bool
	// Faults are those that System.Break can play. A promise that needs another one
	// is not proved.
	Faults []Fault
	// Secrets are the credentials of the adapter. None of them may show in an error.
	Secrets []string
	// Patience is how long a call may take before it counts as hanging; 0 is 10 s.
	Patience time.Duration
}

// System is a Commerce Management System behind an adapter. TestSource needs Put,
// TakeAway and Source; TestReader Put, TakeAway and Reader; TestPusher Put, Ledger and
// Pusher. Break is needed for faults. The functions must be safe for concurrent use.
type System struct {
	// Put adds an order and returns all that the adapter is to tell when it
	// reads this order alone, ID and Number included.
	Put func(t testing.TB, o NewOrder) *commerce.Order
	// TakeAway cancels a failed order, as somebody else may do at any time: it is not
	// a push of the adapter, and no longer PF.
	TakeAway func(t testing.TB, id string)
	// Ledger is what the system has seen of pushes so far.
	Ledger func() Ledger
	// Break makes calls of one kind go wrong until mend is called; nil where
	// Fixture.Faults is empty.
	Break func(t testing.TB, f Fault, on Calls) (mend func())

	// Source makes the source. The ids are for one that is Given.
	Source func(t testing.TB, ids []string) resubmit.OrderLister
	Reader resubmit.OrderReader
	Pusher resubmit.Pusher
}

// NewOrder is an order to put into a system.
type NewOrder struct {
	// ID is the id that the order should have: one with odd characters, and mostly ""
	// for any id. A system that makes its own ignores it.
	ID string
	// Type is SO or CH.
	Type commerce.OrderType
	// Status is PF or CP.
	Status commerce.Status
	// Failure is part of the text that an order with the status PF failed with.
	Failure string
	// PlacedAt is in whole seconds, and not always later than that of the order before.
	PlacedAt time.Time
	// Total may be left out of what Put returns by an adapter that cannot tell it.
	Total commerce.Money
	// Account is one of Fixture.Accounts; "" is any other account.
	Account string
}

// Ledger is what a system saw of pushes.
type Ledger struct {
	// Sent counts the pushes that came in, those that were refused, or spoilt by a
	// fault, included.
	Sent int
	// Moved are the pushes that the system accepted.
	Moved []Pushed
}

// Pushed is a push that a system accepted.
type Pushed struct {
	ID string // of the order, as the adapter knows it
	To commerce.Status
}

// Calls are the calls that a fault hits.
type Calls string

// The calls.
const (
	Reads  Calls = "reads"  // of one order or of many
	Pushes Calls = "pushes" // not the reads that a push may need before
)

// Fault is a way in which a system misbehaves. In HTTP terms:
type Fault string

// The faults.
const (
	// Unavailable: 503, and nothing is done.
	Unavailable Fault = "unavailable"
	// Denied: 401, and nothing is done. A good test system repeats in its answer the
	// credentials that it got.
	Denied Fault = "denied"
	// Busy: 429 with Retry-After: 7, and nothing is done. It hits pushes only.
	Busy Fault = "busy"
	// Page: 200 with a page of HTML, as a gateway shows in a maintenance, and nothing is done.
	Page Fault = "page"
	// AnswerLost: the call is done, and the connection ends without an answer.
	AnswerLost Fault = "answer lost"
	// AnswerReplaced: the call is done, and something on the way answers 502.
	AnswerReplaced Fault = "answer replaced"
	// AnswerHalf: the call is done, and half of the answer arrives.
	AnswerHalf Fault = "answer half"
	// Slow: the call is done, and there is no answer until the caller gives up.
	Slow Fault = "slow"
	// Another: a read of one order is answered with another order that is there. It hits such
	// reads only, those that a push begins with included.
	Another Fault = "another order"
)

// busyFor is the Retry-After of Busy.
const busyFor = 7 * time.Second

// AllFaults are all that there are, for Fixture.Faults.
func AllFaults() []Fault {
	return []Fault{Unavailable, Denied, Busy, Page, AnswerLost, AnswerReplaced, AnswerHalf, Slow, Another}
}
