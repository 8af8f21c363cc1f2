package resubmit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// Journal is the memory of all plans, runs and operators of one Commerce installation: what was
// done to each order, and its outcome. With it, no failure is pushed twice, by whatever plan,
// process or machine. Use one journal for each installation. *MemoryJournal and *journal.File
// implement it; package resubmittest has a test for further implementations.
//
// A Put that fails for another reason than a conflict ends the run. A context that has ended is an
// error that may be returned, but a Put that has begun may complete. Methods are called concurrently.
type Journal interface {
	// Begin returns the position of the journal and, if a plan is given, a lease for its run: the
	// epoch is larger than that of any lease before. It binds a new journal to the system, and
	// rejects another system with ErrJournalSystem and another journal, or an older copy of this
	// one, with ErrJournalMismatch.
	Begin(ctx context.Context, u JournalUse) (Lease, error)
	// Put writes records in one atomic step and returns its sequence number, which is the version
	// of each of them. A record whose key has another version than the record names is rejected
	// with a *ConflictError, and an order whose number is recorded under another id with
	// ErrOrderNumber; then nothing is written. A record with neither Order, Lane, Run nor System
	// removes its key. LeaseEnd of a Run is set by the journal, by its own clock. If the process
	// ends before a Deferred record is durable, it is lost, and all later ones of the same key with it.
	Put(ctx context.Context, d Durability, records ...protocol.Record) (seq uint64, err error)
	// Get returns the last record of a key, also if it is not durable yet; the zero Record if there
	// is none.
	Get(ctx context.Context, k protocol.Key) (protocol.Record, error)
	// Records yields the last record of each key, in any order: a snapshot of one moment. An error
	// ends it, with the zero Record.
	Records(ctx context.Context) iter.Seq2[protocol.Record, error]
	// Flush makes all records durable and returns the position behind them, which the journal
	// recognizes from then on.
	Flush(ctx context.Context) (plan.Position, error)
}

// Durability is when a write must survive a crash.
type Durability int

// The durabilities.
const (
	// Durable: when Put returns.
	Durable Durability = iota
	// Deferred: soon. A crash may lose only records that the next run can recover by reading the
	// order.
	Deferred
)

// JournalUse says for which system and plan, and by whom, a journal is used from now on.
type JournalUse struct {
	// System is the installation. IDSpace distinguishes clients that give the same order different ids.
	System, BaseURL, IDSpace string
	// Plan is the digest of the plan that is to be applied; "" for a reader or a planner, who gets no lease.
	Plan string
	// Owner names the user, host and process, for people.
	Owner string
	// After is a position that the journal must have reached; zero for none.
	After plan.Position
}

// Lease gives one run the right to push orders, until it expires.
type Lease struct {
	// Position is that of the journal when the lease began.
	plan.Position
	// Epoch distinguishes this lease from all others of the journal; 0 without a plan.
	Epoch uint64
	// Duration is how long the lease is valid after it began or was renewed. It is renewed by
	// writing the record of the run. 0 means until the journal is closed.
	Duration time.Duration
	// Poll is how often the run reads what other processes have recorded for it, such as commands. Default: a quarter
	// of Duration.
	Poll time.Duration
	// ForgottenBefore is when the journal lost records: what was done to orders before is not known, and no
	// record that was kept is later, also if the clock was set back since it was written. Zero if
	// nothing was lost.
	ForgottenBefore time.Time
}

var (
	// ErrJournalSystem means that a journal belongs to another installation of Commerce, or to
	// clients with other ids of the same orders.
	ErrJournalSystem = errors.New("the journal belongs to another system")
	// ErrJournalMismatch means that a journal is missing, older or another one than the one with
	// which the plan was made, for example restored from a backup.
	ErrJournalMismatch = errors.New("the journal is not the one that the plan is based on, or an older copy of it")
	// ErrOrderNumber means that the number of an order is recorded under another id.
	ErrOrderNumber = errors.New("the number of the order is recorded under another id")
)

// ConflictError is the error of a Put that names a version that is not the current one.
type ConflictError struct {
	// Current is the current record of the key. If there is none, it has only the key.
	Current protocol.Record
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("the %s %s was changed by somebody else; it has the version %d",
		text.Short(string(e.Current.Kind)), text.Short(e.Current.ID), e.Current.Version)
}

// memoryLease is how long a lease of a MemoryJournal is valid.
const memoryLease = time.Minute

// MemoryJournal is a Journal in memory, for tests and for runs whose loss does no harm: it is gone
// when the process ends. Several Runners of one process may share it; their leases last 60 s. The
// zero value is ready to use. It must not be copied.
type MemoryJournal struct {
	mu       sync.Mutex
	id       string    // "" until the first use
	sequence uint64    // of the last write
	system   [3]string // of JournalUse; empty until the first Begin
	records  map[protocol.Key]protocol.Record
	numbers  map[string]string // ids of orders by their numbers
	lastCall time.Time         // the last one that was reserved
}

var (
	_ Journal    = (*MemoryJournal)(nil)
	_ SharedRate = (*MemoryJournal)(nil)
)

// Begin implements Journal.
func (m *MemoryJournal) Begin(ctx context.Context, u JournalUse) (Lease, error) {
	if err := ctx.Err(); err != nil {
		return Lease{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init()
	if err := m.recognize(u.After); err != nil {
		return Lease{}, err
	}
	system := [3]string{u.System, u.BaseURL, u.IDSpace}
	if m.system == ([3]string{}) {
		m.system = system
	}
	if m.system != system {
		return Lease{}, fmt.Errorf("memory journal: %w: it belongs to %q, not to %q", ErrJournalSystem, m.system, system)
	}
	l := Lease{Duration: memoryLease}
	if u.Plan != "" {
		m.sequence++
		l.Epoch = m.sequence
	}
	l.Position = m.position(m.sequence)
	return l, nil
}

// init makes a new journal.
func (m *MemoryJournal) init() {
	if m.records != nil {
		return
	}
	m.records = make(map[protocol.Key]protocol.Record)
	m.numbers = make(map[string]string)
	m.id = rand.Text()
}

// recognize returns an error if the journal was never at a position.
func (m *MemoryJournal) recognize(p plan.Position) error {
	if p == (plan.Position{}) || p == m.position(p.Sequence) && p.Sequence <= m.sequence {
		return nil
	}
	return fmt.Errorf("memory journal: %w: it is %s at %d, and was not %s at %d", ErrJournalMismatch,
		m.id, m.sequence, text.Short(p.Journal), p.Sequence)
}

// position returns the position at a sequence number. There is no other copy of the journal, so the hash need not cover
// what was written.
func (m *MemoryJournal) position(sequence uint64) plan.Position {
	return plan.Position{Journal: m.id, Sequence: sequence, Hash: fmt.Sprintf("%s-%d", m.id, sequence)}
}

// Put implements Journal.
func (m *MemoryJournal) Put(ctx context.Context, _ Durability, records ...protocol.Record) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := protocol.CheckRecords(records); err != nil {
		return 0, fmt.Errorf("memory journal: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init()
	if err := m.check(records); err != nil {
		return 0, err
	}
	m.sequence++
	now := time.Now()
	for _, r := range records {
		m.store(r.Clone(), now)
	}
	return m.sequence, nil
}

// check returns an error if a record does not replace the current one, or has the number of another order.
func (m *MemoryJournal) check(records []protocol.Record) error {
	for _, r := range records {
		current, found := m.records[r.Key]
		if current.Version != r.Version {
			if !found {
				current.Key = r.Key
			}
			return &ConflictError{Current: current.Clone()}
		}
		if r.Order == nil {
			continue
		}
		if id, found := m.numbers[r.Order.Number]; found && id != r.ID {
			return fmt.Errorf("memory journal: %w: %s is %s, not %s",
				ErrOrderNumber, text.Short(r.Order.Number), text.Short(id), text.Short(r.ID))
		}
	}
	return nil
}

// store replaces a record.
func (m *MemoryJournal) store(r protocol.Record, now time.Time) {
	if old := m.records[r.Key].Order; old != nil {
		delete(m.numbers, old.Number)
	}
	if r.Removes() {
		delete(m.records, r.Key)
		return
	}
	r.Version = m.sequence
	if r.Order != nil && r.Order.Number != "" {
		m.numbers[r.Order.Number] = r.ID
	}
	if r.Run != nil {
		r.Run.LeaseEnd = now
		if r.Run.Ended.IsZero() {
			r.Run.LeaseEnd = now.Add(memoryLease)
		}
	}
	m.records[r.Key] = r
}

// Get implements Journal.
func (m *MemoryJournal) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	if err := ctx.Err(); err != nil {
		return protocol.Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records[k].Clone(), nil
}

// Records implements Journal.
func (m *MemoryJournal) Records(ctx context.Context) iter.Seq2[protocol.Record, error] {
	return func(yield func(protocol.Record, error) bool) {
		m.mu.Lock()
		all := make([]protocol.Record, 0, len(m.records))
		for _, r := range m.records {
			all = append(all, r)
		}
		m.mu.Unlock()
		for _, r := range all {
			if err := ctx.Err(); err != nil {
				yield(protocol.Record{}, err)
				return
			}
			if !yield(r.Clone(), nil) {
				return
			}
		}
	}
}

// Flush implements Journal.
func (m *MemoryJournal) Flush(ctx context.Context) (plan.Position, error) {
	if err := ctx.Err(); err != nil {
		return plan.Position{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.init()
	return m.position(m.sequence), nil
}

const (
	// farAhead is how far ahead calls are reserved at most, except with a longer lead.
	farAhead = time.Second
	// farthest is further ahead than the last call of any process can be, less a gap.
	farthest = 7 * time.Second
)

// Reserve implements SharedRate.
func (m *MemoryJournal) Reserve(
	ctx context.Context, calls int, first, gap, lead time.Duration,
) (int, time.Time, error) {
	if err := ctx.Err(); err != nil {
		return 0, time.Time{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	last, soonest := m.lastCall, now.Add(lead)
	if most := now.Add(farthest + gap); last.After(most) { // it was reserved at a lower rate
		m.lastCall, last = most, most
	}
	at := last.Add(first)
	if last.IsZero() || at.Before(soonest) {
		at = soonest
	}
	if ahead := max(farAhead, lead); at.Sub(now) > ahead {
		return 0, at.Add(-ahead), nil
	}
	m.lastCall = at.Add(time.Duration(calls-1)*gap + max(0, gap-first))
	return calls, at, nil
}
