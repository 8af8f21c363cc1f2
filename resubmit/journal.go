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

// ErrOtherPlan says that a journal belongs to another plan.
var ErrOtherPlan = errors.New("the journal belongs to another plan")

// Journal is the memory of one plan's run: what was about to be done to each
// order, and what came of it. It is what lets a run be continued without sending
// anything twice. Methods are called concurrently.
//
// A journal may be able to do more: see [LaterJournal], [BulkJournal] and
// [PatientJournal]. One that stands around another, and has a method Unwrap() Journal
// that tells it, is gone past for what only the inner one can: every intent is put
// through it all the same.
type Journal interface {
	// Begin binds a new journal to the plan, or opens the one of that plan again.
	// A journal of another plan is refused with an error that matches
	// ErrOtherPlan and names both digests.
	Begin(planDigest string) error
	// Put replaces the record of an order. When it returns nil the record is
	// durable, as far as the journal promises at all. After an error before a
	// push nothing is pushed; after an error behind a push the run stops.
	// It asks [Record.CheckNext] in the same step that writes, so that of two runs
	// which have the journal at once only one gets an order.
	Put(Record) error
	// Get returns the last record of an order, and whether there is one.
	Get(orderID string) (Record, bool, error)
}

// journalAs is the first of a journal and those inside it that can do what T asks for.
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

// LaterJournal is a Journal that can be given what came of a push without waiting for
// the disk. A run through such a journal waits for its intents alone, and at its end
// for all. Only records may be lost by a crash whose loss is as if the program had
// ended right after the push.
type LaterJournal interface {
	Journal
	// PutLater is Put, but may return before the record is durable, which it is soon,
	// and before any later record of the same order; those of other orders may be
	// durable before it. Get returns it at once. Should it fail after it returned, then
	// Put, PutLater and Sync fail from then on.
	PutLater(Record) error
	// Sync returns when all that was put is durable.
	Sync() error
}

// BulkJournal is a Journal that can tell all that it holds at once, faster than by
// asking for one order after the other. A run that goes on with it passes over what
// came to an end without asking again.
type BulkJournal interface {
	Journal
	// Heads yields the head of the last record of each order, in any order. An error ends
	// it, with the zero RecordHead. Nothing is to be put while it is ranged over.
	Heads() iter.Seq2[RecordHead, error]
}

// RecordState is how far an order got.
type RecordState string

// The states of a record.
const (
	// RecordSending is the intent: a push may have happened. As the last record it
	// means the same as RecordUnknown.
	RecordSending RecordState = "sending"
	// RecordRefused: nothing was pushed, or every push was refused. The order may be tried
	// again. If a push was refused (Attempt is not 0) and the order is then found moved, the
	// push counts as accepted.
	RecordRefused RecordState = "refused"
	// RecordUnknown: a push was sent, its answer lost. The order is only read, unless
	// Config.Retry allows another attempt.
	RecordUnknown RecordState = "unknown"
	// RecordPushed: a push was accepted. The order is verified, never pushed.
	RecordPushed RecordState = "pushed"
	// RecordProgressing: pushed, and not at an end when the time was up.
	RecordProgressing RecordState = "progressing"
	// The others are ends.
	RecordCompleted    RecordState = "completed"
	RecordFailedAgain  RecordState = "failedAgain"
	RecordFalseSuccess RecordState = "falseSuccess"
	RecordSkipped      RecordState = "skipped"
)

// Record is the last thing known about one order of a plan.
type Record struct {
	OrderID     string      `json:"id"`
	Fingerprint string      `json:"fingerprint"`
	State       RecordState `json:"state"`
	// Attempt counts the pushes, the intended one included, from 1.
	Attempt int `json:"attempt"`
	// Lost counts those before the last that got no answer and behind which
	// Config.Retry allowed another.
	Lost int `json:"lost,omitempty"`
	// Target is where the order was or will be pushed to; the plan's choice until
	// the order was read again.
	Target commerce.Status `json:"target,omitempty"`
	// Seen is the status that the order was last seen in; "" when it was not read.
	Seen commerce.Status `json:"seen,omitempty"`
	// At is when State was entered; of RecordProgressing, when Seen was first seen with
	// it.
	At time.Time `json:"at"`
	// SentAt is when the last push ended: when it was accepted, was given up without an
	// answer or, in a RecordRefused, was refused. It is the latest possible time if the exact
	// one is not known. Zero if there was no push, or nothing is known.
	SentAt time.Time `json:"sentAt,omitzero"`
	// Why is a sentence.
	Why string `json:"why,omitempty"`
}

// RecordHead is what a run that goes on has to know of each order, see [Record].
type RecordHead struct {
	OrderID, Fingerprint string
	State                RecordState
	Attempt              int
	Seen                 commerce.Status
}

// Head is a part of the record.
func (r Record) Head() RecordHead {
	return RecordHead{OrderID: r.OrderID, Fingerprint: r.Fingerprint, State: r.State, Attempt: r.Attempt, Seen: r.Seen}
}

// CheckNext says why next may not take the place of r; the zero Record stands for
// none. It is the one rule of what may follow what, for every [Journal]: an intent
// to push follows nothing, a RecordRefused, or a RecordUnknown of which it says that
// the policy allows the next attempt: both Attempt and Lost are one more. Over any
// other record another run has the order, or has pushed it.
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

// sent is when the order was pushed, as far as that is known.
func (r *Record) sent() time.Time {
	if r.SentAt.IsZero() {
		return r.At
	}
	return r.SentAt
}

// MemoryJournal keeps the records of one plan in memory, a few hundred bytes an
// order. It lets the same process continue a run; it does not survive the
// process. The zero value is ready. Safe for concurrent use.
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

// PutPatience remembers what a server asked for. Begin must have been called.
func (m *MemoryJournal) PutPatience(p Patience) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records == nil {
		return errors.New("resubmit: the journal was not begun with a plan")
	}
	m.patience = p
	return nil
}

// Patience returns what was put last.
func (m *MemoryJournal) Patience() (Patience, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.patience, nil
}
