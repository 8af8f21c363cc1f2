package connecttest

import (
	"container/heap"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
)

// VendorCall is a request that has become pending: the vendor acts next.
type VendorCall struct {
	Request connect.Request
	// Earlier counts the requests of the same type and asset before this one.
	Earlier int
	// At is when it became pending.
	At time.Time
}

// VendorAction is what a vendor does with a pending request.
type VendorAction string

// What vendors do. The zero value leaves the request alone.
const (
	Leave   VendorAction = "" // until a call or [System.Answer] moves it
	Approve VendorAction = "approve"
	Reject  VendorAction = "reject"
	Inquire VendorAction = "inquire" // asks the customer, who answers with the call pend
)

// VendorAnswer is what the vendor does, and how long after the request became
// pending. In a maintenance vendors wait for its end.
type VendorAnswer struct {
	Action VendorAction
	After  time.Duration
	Reason string // for Reject; default "Rejected by the vendor."
}

// Answer makes the vendor act on a pending request now; After is not waited for.
func (s *System) Answer(id string, a VendorAnswer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.maintenance {
		return fmt.Errorf("connecttest: request %s: a vendor cannot act in a maintenance", id)
	}
	s.process(now)
	r, ok := s.store.requests[id]
	if !ok {
		return fmt.Errorf("connecttest: no request %q", id)
	}
	m, ok := a.move()
	if !ok {
		return fmt.Errorf("connecttest: request %s: action %q is none of approve, reject, inquire", id, a.Action)
	}
	if !r.mayBecome(m.to) {
		return fmt.Errorf("connecttest: request %s cannot become %s: it is %s", id, m.to, r.status)
	}
	m.at, m.by = now, ByVendor
	s.move(r, m)
	return nil
}

// move is the step that an answer stands for, without its time.
func (a VendorAnswer) move() (move, bool) {
	switch a.Action {
	case Approve:
		return move{to: connect.StatusApproved, by: ByVendor}, true
	case Reject:
		reason := a.Reason
		if reason == "" {
			reason = "Rejected by the vendor."
		}
		return move{to: connect.StatusFailed, reason: reason, by: ByVendor}, true
	case Inquire:
		return move{to: connect.StatusInquiring, by: ByVendor}, true
	default:
		return move{}, false
	}
}

// Step does what vendors and the clock have due by now, and returns how many
// requests moved. Every call by HTTP does so first, too.
func (s *System) Step() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process(s.now())
}

// NextDue tells when a vendor or the clock moves a request next; false when
// nothing is due, or a maintenance is on and it is not known when.
func (s *System) NextDue() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agenda.dropStale()
	if s.maintenance || len(s.agenda) == 0 {
		return time.Time{}, false
	}
	return s.notBeforeUp(s.agenda[0].move.at), true
}

// plan puts on the agenda what a request that has just moved waits for.
func (s *System) plan(r *request) {
	switch r.status {
	case connect.StatusPending:
		earlier := 0
		for _, other := range r.asset.requests {
			if other.kind == r.kind && other.seq < r.seq {
				earlier++
			}
		}
		a := s.cfg.Vendor(VendorCall{Request: s.model(r), Earlier: earlier, At: r.updated})
		if m, ok := a.move(); ok {
			m.at = r.updated.Add(max(a.After, 0))
			heap.Push(&s.agenda, due{move: m, request: r, moves: r.moves})
		}
	case connect.StatusScheduled:
		m := move{to: connect.StatusPending, by: ByClock, at: r.planned.UTC()}
		heap.Push(&s.agenda, due{move: m, request: r, moves: r.moves})
	}
}

// process does all that is due. Nothing moves in a maintenance.
func (s *System) process(now time.Time) int {
	if s.maintenance {
		return 0
	}
	n := 0
	for s.agenda.dropStale(); len(s.agenda) > 0 && !s.agenda[0].move.at.After(now); s.agenda.dropStale() {
		d := s.agenda[0]
		heap.Pop(&s.agenda)
		d.move.at = s.notBeforeUp(d.move.at)
		s.move(d.request, d.move)
		n++
	}
	return n
}

// notBeforeUp is t, or the end of the last maintenance if that was later.
func (s *System) notBeforeUp(t time.Time) time.Time {
	if t.Before(s.upSince) {
		return s.upSince
	}
	return t
}

// due is a move that time brings.
type due struct {
	move    move
	request *request
	moves   int // the request's, when this was planned: a later one makes it stale
}

// agenda is a heap of what is due, soonest first.
type agenda []due

func (a agenda) Len() int      { return len(a) }
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a agenda) Less(i, j int) bool {
	if !a[i].move.at.Equal(a[j].move.at) {
		return a[i].move.at.Before(a[j].move.at)
	}
	return a[i].request.seq < a[j].request.seq
}

// Push implements heap.Interface.
func (a *agenda) Push(x any) {
	if d, ok := x.(due); ok {
		*a = append(*a, d)
	}
}

// Pop implements heap.Interface.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	d := (*a)[last]
	*a = (*a)[:last]
	return d
}

// dropStale removes from the top what another move has overtaken.
func (a *agenda) dropStale() {
	for len(*a) > 0 && (*a)[0].moves != (*a)[0].request.moves {
		heap.Pop(a)
	}
}
