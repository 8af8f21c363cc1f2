package resubmittest

import (
	"testing"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// Fixture describes the adapter under test to TestLister, TestReader and TestPusher.
type Fixture struct {
	// New makes a system without orders and an adapter for it, and stops them with t.Cleanup. It is called for each
	// check. Lists have up to 40 orders: choose a page size well below that.
	New func(t testing.TB) System
	// MissingID is a well-formed id that no order has.
	MissingID string
	// Target is the status that resubmits a failed order. Default: commerce.StatusPaid.
	Target commerce.Status
	// Capabilities are the fields that the adapter reports of an order besides its status. Other optional fields must
	// never be set.
	Capabilities commerce.Capabilities
	// ListsByID means that the lister can only list orders whose ids it was given. It must list no others, and report
	// ids that do not exist.
	ListsByID bool
	// Accounts are at least two accounts whose orders can be listed separately (commerce.Query.Account). If it is
	// empty, the lister must reject such queries.
	Accounts []string
	// AmbiguousRefusals means that a refused push cannot be told from one with a lost response. Its Delivery must then
	// be unknown.
	AmbiguousRefusals bool
	// Faults are the faults that System.Inject can inject. Promises that need another one are not checked, which the
	// test log says.
	Faults []Fault
	// Secrets are the credentials of the adapter, which no error may contain.
	Secrets []string
	// CallTimeout is how long a call may take before it counts as hanging. Default 10 s.
	CallTimeout time.Duration
}

// System is a Commerce Management System with an adapter. TestLister needs AddOrder, CancelOrder and Lister; TestReader
// AddOrder, CancelOrder and Reader; TestPusher AddOrder, Ledger and Pusher. The functions must be safe for concurrent
// use.
type System struct {
	// AddOrder adds an order and returns it as the adapter must read it, with ID and Number.
	AddOrder func(t testing.TB, o OrderSpec) *commerce.Order
	// CancelOrder cancels a failed order, as another operator could at any time. It is not a push of the adapter.
	CancelOrder func(t testing.TB, id string)
	// Ledger returns the pushes that the system has received so far.
	Ledger func() Ledger
	// Inject makes calls of one kind fail until stop is called. It must be nil if Fixture.Faults is empty.
	Inject func(t testing.TB, f Fault, on CallKind) (stop func())

	// Lister makes the lister. The ids are for Fixture.ListsByID.
	Lister func(t testing.TB, ids []string) resubmit.OrderLister
	Reader resubmit.OrderReader
	Pusher resubmit.Pusher
}

// OrderSpec is an order to add to a system.
type OrderSpec struct {
	// ID is the id to use, which may have special characters; "" lets the system choose. A system that assigns ids
	// itself ignores it.
	ID string
	// Type is SO or CH.
	Type commerce.OrderType
	// Status is PF or CP.
	Status commerce.Status
	// Failure is part of the failure text of an order with the status PF.
	Failure string
	// PlacedAt is in whole seconds. Orders are not always added in the order of placing.
	PlacedAt time.Time
	// Total is zero in the result of AddOrder if the adapter does not report it.
	Total commerce.Money
	// Account is one of Fixture.Accounts, or "" for any other account.
	Account string
}

// Ledger is the pushes that a system received.
type Ledger struct {
	// Received is the number of pushes, including refused ones and those with faults.
	Received int
	// Accepted are the pushes that moved an order, the oldest first.
	Accepted []Push
}

// Push is a push that a system accepted.
type Push struct {
	ID string // of the order, as the adapter reports it
	To commerce.Status
}

// CallKind selects the calls that a fault affects.
type CallKind string

// The kinds of calls.
const (
	Reads  CallKind = "reads"  // reads of one order, and lists
	Pushes CallKind = "pushes" // only the push itself, not reads before it
)

// Fault is a way in which a system fails, described here in terms of HTTP.
type Fault string

// The faults.
const (
	// FaultUnavailable: 503; nothing is done.
	FaultUnavailable Fault = "unavailable"
	// FaultUnauthorized: 401; nothing is done. The response should contain the credentials of the request.
	FaultUnauthorized Fault = "unauthorized"
	// FaultRateLimited: 429 with Retry-After: 7; nothing is done. It affects pushes only.
	FaultRateLimited Fault = "rate limited"
	// FaultHTMLPage: 200 with an HTML page, as a gateway shows in a maintenance; nothing is done.
	FaultHTMLPage Fault = "HTML page"
	// FaultResponseLost: the call is done, and the connection ends without a response.
	FaultResponseLost Fault = "response lost"
	// FaultResponseReplaced: the call is done, and a gateway responds with 502.
	FaultResponseReplaced Fault = "response replaced"
	// FaultResponseTruncated: the call is done, and half of the response arrives.
	FaultResponseTruncated Fault = "response truncated"
	// FaultResponseDelayed: the call is done, and no response arrives until the caller gives up.
	FaultResponseDelayed Fault = "response delayed"
	// FaultWrongOrder: a read of one order returns another existing order. It affects reads of single orders only,
	// including those before a push.
	FaultWrongOrder Fault = "wrong order"
)

// retryAfter is the Retry-After of FaultRateLimited.
const retryAfter = 7 * time.Second

// AllFaults returns all faults, for Fixture.Faults.
func AllFaults() []Fault {
	return []Fault{
		FaultUnavailable, FaultUnauthorized, FaultRateLimited, FaultHTMLPage, FaultResponseLost, FaultResponseReplaced,
		FaultResponseTruncated,
		FaultResponseDelayed, FaultWrongOrder,
	}
}
