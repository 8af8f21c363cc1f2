package connecttest

import (
	"cmp"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
)

// PendingRequest is a request that waits for the vendor.
type PendingRequest struct {
	Request connect.Request
	// Earlier counts the earlier requests of the same type and asset.
	Earlier int
	// At is when the request became pending.
	At time.Time
}

// VendorAction is what a vendor does with a pending request.
type VendorAction string

// The actions of vendors. The zero value leaves the request pending.
const (
	VendorWait    VendorAction = ""        // leave it pending until an HTTP call or System.Answer changes it
	VendorApprove VendorAction = "approve" // the request becomes approved
	VendorReject  VendorAction = "reject"  // the request becomes failed
	VendorInquire VendorAction = "inquire" // ask the customer, whose answer is the HTTP call POST …/pend
)

// VendorAnswer is what the vendor does with a request, and how long after it became
// pending. During a maintenance vendors wait for its end.
type VendorAnswer struct {
	Action VendorAction
	After  time.Duration
	Reason string // for VendorReject; "" means "Rejected by the vendor."
}

// Answer gives the vendor's answer to a pending request now, ignoring VendorAnswer.After. It
// returns an error if the request is unknown or in the wrong status, if there is no
// action, and during a maintenance.
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
	m.at = now
	s.move(r, m)
	return nil
}

// move is the transition of an answer, without its time; false if there is none.
func (a VendorAnswer) move() (move, bool) {
	m := move{origin: OriginVendor}
	switch a.Action {
	case VendorApprove:
		m.to = connect.StatusApproved
	case VendorReject:
		m.to, m.reason = connect.StatusFailed, cmp.Or(a.Reason, "Rejected by the vendor.")
	case VendorInquire:
		m.to = connect.StatusInquiring
	default:
		return move{}, false
	}
	return m, true
}

// Step processes the events that are due now and returns how many requests changed.
// Every HTTP call does the same first.
func (s *System) Step() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process(s.now())
}

// NextDue returns when the next event of a vendor or of the clock is due; false if none
// is scheduled, and during a maintenance, whose end is unknown.
func (s *System) NextDue() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	due, ok := s.events.Next()
	if s.maintenance || !ok {
		return time.Time{}, false
	}
	return s.notBeforeUp(due), true
}

// event is a scheduled transition. Another transition in the meantime makes it stale.
type event struct {
	move    move
	request *request
	moves   int // of the request, when the event was scheduled
}

func (e event) stale() bool { return e.moves != e.request.moves }

// schedule adds the next event of a request that has just changed.
func (s *System) schedule(r *request) {
	var m move
	switch r.status {
	case connect.StatusPending:
		earlier := 0
		for _, other := range r.asset.requests {
			if other.kind == r.kind && other.seq < r.seq {
				earlier++
			}
		}
		a := s.cfg.Vendor(PendingRequest{Request: s.model(r), Earlier: earlier, At: r.updated})
		var ok bool
		if m, ok = a.move(); !ok {
			return
		}
		m.at = r.updated.Add(max(a.After, 0))
	case connect.StatusScheduled:
		m = move{to: connect.StatusPending, origin: OriginClock, at: r.planned.UTC()}
	default:
		return
	}
	s.events.Add(m.at, event{move: m, request: r, moves: r.moves})
}

// process performs all events that are due; during a maintenance, none.
func (s *System) process(now time.Time) int {
	n := 0
	for !s.maintenance {
		e, ok := s.events.Take(now)
		if !ok {
			break
		}
		e.move.at = s.notBeforeUp(e.move.at)
		s.move(e.request, e.move)
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
