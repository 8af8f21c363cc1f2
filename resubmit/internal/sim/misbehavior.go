package sim

import (
	"fmt"
	"net/http"
	"time"
)

// misbehavior is what the systems and the callbacks of the program do wrong besides calls that fail. Each field is one
// kind.
type misbehavior struct {
	ties         bool // both systems return rows with equal sort keys in a new order each time
	tiesPage     int  // most rows in an answer of Connect; 0: as many as requested
	malformed    []malformedSpec
	unattributed []unattributedSpec
	denials      []denialSpec
	panics       []panicSpec
}

// malformedKind is what is wrong with the row of an order.
type malformedKind string

const (
	malformedDateNumber    malformedKind = "its date is a number"
	malformedDateText      malformedKind = "its date is in RFC 1123"
	malformedDateShort     malformedKind = "its date has no seconds"
	malformedDateFar       malformedKind = "its date is after the year 9999"
	malformedAmountPower   malformedKind = "its amount has the exponent 70"
	malformedAmountDigits  malformedKind = "its amount has 100 digits"
	malformedReasonList    malformedKind = "its reason is an empty list"
	malformedReasonLong    malformedKind = "its reason is very long"
	malformedIDBlank       malformedKind = "its id is blank"
	malformedStatusMissing malformedKind = "its status is missing"
	malformedRowNull       malformedKind = "its row is null"
)

// unreadable reports whether an order with such a row must not be sent.
func (k malformedKind) unreadable() bool {
	return k != malformedDateText && k != malformedReasonList && k != malformedReasonLong
}

// nameless reports whether such a row does not identify its order.
func (k malformedKind) nameless() bool { return k == malformedIDBlank || k == malformedRowNull }

// malformedSpec is an order whose row is malformed in every answer.
type malformedSpec struct {
	order int
	kind  malformedKind
	from  time.Duration // since the program was first started
}

func (o malformedSpec) String() string {
	return fmt.Sprintf("the row of order %d is malformed from %v: %s", o.order, o.from, o.kind)
}

// unattributedKind is why a request in Connect cannot be attributed to its order.
type unattributedKind string

const (
	unattributedAsset  unattributedKind = "without an asset"
	unattributedType   unattributedKind = "without a type"
	unattributedStatus unattributedKind = "with an unknown status"
	unattributedRow    unattributedKind = "as null"
)

// unattributedSpec is an order whose requests cannot be attributed to it.
type unattributedSpec struct {
	order int
	kind  unattributedKind
	from  time.Duration // since the program was first started
}

func (h unattributedSpec) String() string {
	return fmt.Sprintf("Connect shows the requests of order %d %s from %v", h.order, h.kind, h.from)
}

// denialSpec is a period in which a system refuses all credentials.
type denialSpec struct {
	connect bool
	status  int
	call    int           // the first call to the system that is refused, over all processes
	lasts   time.Duration // 0: until the next process, which has better credentials
}

func (r denialSpec) name() string {
	system := "Commerce"
	if r.connect {
		system = "Connect"
	}
	return fmt.Sprintf("credentials refused by %s with %d", system, r.status)
}

func (r denialSpec) String() string {
	until := "until the next process"
	if r.lasts > 0 {
		until = "for " + r.lasts.String()
	}
	return fmt.Sprintf("%s from call %d %s", r.name(), r.call, until)
}

// startedIn is when and in which process something began.
type startedIn struct {
	ever    bool
	process int
	at      time.Time
}

// callEvent is a call of Config.OnEvent.
const callEvent callKind = "event"

// panicSpec makes a callback of the program panic.
type panicSpec struct {
	call  callKind // callList, callRead, callPush, callLookUp or callEvent
	order int      // -1: the call is not about one order
	n     int      // from 0
	after bool     // it panics after its work
}

func (p panicSpec) name() string {
	when := "before"
	if p.after {
		when = "after"
	}
	return fmt.Sprintf("panic %s the call (%s)", when, p.call)
}

func (p panicSpec) String() string { return fmt.Sprintf("%s %d of order %d", p.name(), p.n, p.order) }

// retryAfter is the Retry-After of a gateway.
func (f faultSpec) retryAfter() time.Duration {
	if f.status == http.StatusTooManyRequests || f.status == http.StatusServiceUnavailable {
		return f.wait
	}
	return 0
}
