package resubmit

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// ErrOtherPlan means that a journal belongs to another plan.
var ErrOtherPlan = errors.New("the journal belongs to another plan")

// Journal records the run of one plan: what was about to be done to each order, and the result.
// With it a run can be resumed without sending anything twice. Methods are called concurrently.
//
// A journal may also be a [LaterJournal], [BulkJournal] or [PatientJournal]. If it wraps another
// one and has a method Unwrap() Journal, the additional methods of the inner one are used.
// Intents are always put through the outer one.
type Journal interface {
	// Begin binds a new journal to the plan, or opens the journal of that plan again.
	// For a journal of another plan it returns an error that matches ErrOtherPlan and
	// names both digests.
	Begin(planDigest string) error
	// Put replaces the record of an order. When it returns nil, the record is as durable as
	// the journal promises. After an error before a push nothing is pushed; after an error
	// after a push the run stops. It calls [Record.CheckNext] in the same step that writes,
	// so that of two runs with the same journal only one gets an order.
	Put(Record) error
	// Get returns the last record of an order, and whether there is one.
	Get(orderID string) (Record, bool, error)
}

// journalAs returns the first of a journal and the journals that it wraps that implements T.
func journalAs[T any](j Journal) (can T, ok bool) {
	for j != nil {
		if can, ok = j.(T); ok {
			return can, true
		}
		outer, ok := j.(interface{ Unwrap() Journal })
		if !ok {
			break
		}
		j = outer.Unwrap()
	}
	return can, false
}

// LaterJournal is a Journal that can take the result of a push without waiting for the disk. A
// run waits only for its intents, and at its end for all records. A crash may lose only records
// whose loss is as if the program had ended right after the push.
type LaterJournal interface {
	Journal
	// PutLater is Put, but may return before the record is durable. The record becomes
	// durable soon, and before any later record of the same order; those of other orders
	// may be durable before it. Get returns it at once. If writing fails after PutLater
	// returned, all further calls of Put, PutLater and Sync fail.
	PutLater(Record) error
	// Sync returns when all records are durable.
	Sync() error
}

// BulkJournal is a Journal that can list all its records, faster than one call of Get for each
// order. A resumed run uses it to pass over the orders that are done.
type BulkJournal interface {
	Journal
	// Heads yields the head of the last record of each order, in any order. An error ends it,
	// with the zero RecordHead. Do not call Put while iterating.
	Heads() iter.Seq2[RecordHead, error]
}

// RecordState is how far an order got.
type RecordState string

// The states of a record.
const (
	// RecordSending is the intent: a push may have been sent. As the last record it means
	// the same as RecordUnknown.
	RecordSending RecordState = "sending"
	// RecordRefused: nothing was pushed, or every push was refused. The order may be tried
	// again. If a push was refused (Attempt is not 0) and the order is then found moved, the
	// push counts as accepted.
	RecordRefused RecordState = "refused"
	// RecordUnknown: a push was sent and got no answer. The order is only read, unless
	// Config.Retry allows another attempt.
	RecordUnknown RecordState = "unknown"
	// RecordPushed: a push was accepted. The order is verified, never pushed.
	RecordPushed RecordState = "pushed"
	// RecordProgressing: pushed, and not ended within VerifyConfig.Timeout.
	RecordProgressing RecordState = "progressing"
	// RecordCompleted: the service is provisioned, see OutcomeCompleted. Final.
	RecordCompleted RecordState = "completed"
	// RecordFailedAgain: the order was pushed and ended without the service. Final.
	RecordFailedAgain RecordState = "failedAgain"
	// RecordFalseSuccess: the order is done in Commerce, but not in Connect. Final.
	RecordFalseSuccess RecordState = "falseSuccess"
	// RecordSkipped: the order ended without a push that was accepted. Final.
	RecordSkipped RecordState = "skipped"
)

// Record is the last thing known about one order of a plan.
type Record struct {
	OrderID     string      `json:"id"`
	Fingerprint string      `json:"fingerprint"`
	State       RecordState `json:"state"`
	// Attempt counts the pushes, including the intended one, from 1.
	Attempt int `json:"attempt"`
	// Lost counts the pushes that got no answer and after which Config.Retry allowed
	// another one.
	Lost int `json:"lost,omitempty"`
	// Target is the status that the order was or will be pushed to: that of the plan until
	// the order is read again.
	Target commerce.Status `json:"target,omitempty"`
	// Seen is the status in which the order was last read; "" if it was not read.
	Seen commerce.Status `json:"seen,omitempty"`
	// At is when State was entered; for RecordProgressing, when Seen was first read in it.
	At time.Time `json:"at"`
	// SentAt is when the last push ended: when it was accepted, was given up without an
	// answer or, in a RecordRefused, was refused. It is the latest possible time if the exact
	// one is not known. Zero if there was no push, or nothing is known.
	SentAt time.Time `json:"sentAt,omitzero"`
	// Why is the reason, in a sentence.
	Why string `json:"why,omitempty"`
}

// RecordHead is the part of a [Record] that a resumed run needs of each order.
type RecordHead struct {
	OrderID, Fingerprint string
	State                RecordState
	Attempt              int
	Seen                 commerce.Status
}

// Head returns the head of the record.
func (r Record) Head() RecordHead {
	return RecordHead{OrderID: r.OrderID, Fingerprint: r.Fingerprint, State: r.State, Attempt: r.Attempt, Seen: r.Seen}
}

// CheckNext returns an error if next must not replace r; the zero Record means that there is none.
// Every [Journal] must call it. An intent to push may follow no record, a RecordRefused, or a
// RecordUnknown if both Attempt and Lost are one more, which means that Config.Retry allows the
// attempt. After any other record, another run has the order or has pushed it.
func (r Record) CheckNext(next Record) error {
	if next.State != RecordSending || r.State == "" || r.State == RecordRefused {
		return nil
	}
	if r.State == RecordUnknown && next.Attempt == r.Attempt+1 && next.Lost == r.Lost+1 {
		return nil
	}
	return fmt.Errorf("resubmit: order %s is %s by another run with this journal; let one run end before the next",
		text.Short(next.OrderID), r.State)
}

// sent returns when the order was pushed, as far as that is known.
func (r *Record) sent() time.Time {
	if r.SentAt.IsZero() {
		return r.At
	}
	return r.SentAt
}

// MemoryJournal keeps the records of one plan in memory, a few hundred bytes per order. With it
// the same process can resume a run; another process cannot. The zero value is ready to use. It
// is safe for concurrent use.
type MemoryJournal struct {
	mu       sync.Mutex
	digest   string
	records  map[string]Record
	patience Patience
}

var (
	_ BulkJournal    = (*MemoryJournal)(nil)
	_ PatientJournal = (*MemoryJournal)(nil)
)

// Begin binds the journal to a plan.
func (m *MemoryJournal) Begin(planDigest string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records == nil {
		m.digest, m.records = planDigest, make(map[string]Record)
	}
	if m.digest != planDigest {
		return fmt.Errorf("%w: it is for %s, not for %s; use the plan it was made for, or a new journal",
			ErrOtherPlan, m.digest, planDigest)
	}
	return nil
}

// Plan returns the digest of the plan that the journal belongs to; "" before Begin.
func (m *MemoryJournal) Plan() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.digest
}

// Put replaces the record of an order. Begin must have been called.
func (m *MemoryJournal) Put(r Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records == nil {
		return errors.New("resubmit: the journal was not begun with a plan")
	}
	if err := m.records[r.OrderID].CheckNext(r); err != nil {
		return err
	}
	m.records[r.OrderID] = r
	return nil
}

// Get returns the last record of an order.
func (m *MemoryJournal) Get(orderID string) (Record, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[orderID]
	return r, ok, nil
}

// Heads yields the head of the last record of each order.
func (m *MemoryJournal) Heads() iter.Seq2[RecordHead, error] {
	return func(yield func(RecordHead, error) bool) {
		m.mu.Lock()
		all := slices.Collect(maps.Values(m.records))
		m.mu.Unlock()
		for _, r := range all {
			if !yield(r.Head(), nil) {
				return
			}
		}
	}
}

// PutPatience stores the pause that a server asked for. Begin must have been called.
func (m *MemoryJournal) PutPatience(p Patience) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records == nil {
		return errors.New("resubmit: the journal was not begun with a plan")
	}
	m.patience = p
	return nil
}

// Patience returns the pause that was stored last.
func (m *MemoryJournal) Patience() (Patience, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.patience, nil
}
