package testkit

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Origin is who caused an entry in a ledger: an API, a person, a vendor or the clock.
type Origin string

// Rule identifies an invariant that a test system checks.
type Rule string

// Violation is a broken invariant, as the server observed it.
type Violation struct {
	Rule Rule      `json:"rule"`
	ID   string    `json:"id"` // of the order (its number) or the request
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

// String formats the violation as one line.
func (v Violation) String() string { return fmt.Sprintf("%s: %s: %s", v.Rule, v.ID, v.Text) }

// Ledger records what clients did to a test system, and the invariants they violated.
// The zero value is empty and ready for use; do not copy it. Safe for concurrent use.
type Ledger[Call any] struct {
	mu         sync.Mutex
	calls      []Call
	violations []Violation
}

// Record appends the call that makeCall returns for the next sequence number, from 1.
func (l *Ledger[Call]) Record(makeCall func(seq int) Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, makeCall(len(l.calls)+1))
}

// Violate appends a violation.
func (l *Ledger[Call]) Violate(rule Rule, id string, at time.Time, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.violations = append(l.violations, Violation{Rule: rule, ID: id, Text: fmt.Sprintf(format, args...), At: at})
}

// Calls returns a copy of the recorded calls, in order.
func (l *Ledger[Call]) Calls() []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.calls)
}

// Violations returns a copy of the violations, in order.
func (l *Ledger[Call]) Violations() []Violation {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.violations)
}
