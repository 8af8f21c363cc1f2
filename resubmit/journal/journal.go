package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// ErrDamaged says that the file of a journal is not as it was written. Nothing in
// it is to be trusted: bring back a copy, or make a new plan, which reads how the
// orders are now.
var ErrDamaged = errors.New("the journal is damaged")

// Journal is a journal in a file. Make it with [Open], and close it.
//
// What is put goes to the log of the file and is kept in memory, the last record of
// each order. When the log is full these are merged into the table, where neighbours
// are written together.
type Journal struct {
	path     string
	readOnly bool
	db       *bbolt.DB
	file     *os.File // of db
	format   format

	// disk holds one element while the file is being written.
	disk    chan struct{}
	log     log
	frame   []byte // that is being written
	company company

	mu      sync.Mutex
	batch   *batch   // that is not being written yet; nil for none
	recent  *overlay // what is not in the table
	merging *overlay // what is on its way there; nil for nothing
	spare   *overlay // to be the next one; nil while one is merged
	merges  uint64
	closed  bool
	failed  error // of the first write that failed: what is on disk is not sure after it
	untold  bool  // that nobody was told yet
	plan    string
	// patience is what a server asked for.
	patience resubmit.Patience

	// reading keeps the table as it is for those who read it.
	reading  sync.RWMutex
	pages    pages
	buckets  buckets
	snapshot uint64    // counts the states of the table
	cursors  sync.Pool // of the records
}

var _ resubmit.LaterJournal = (*Journal)(nil)

// Begin binds a new journal to the plan, or opens the one of that plan again. A
// journal of another plan is refused with [resubmit.ErrOtherPlan].
func (j *Journal) Begin(planDigest string) error {
	if planDigest == "" {
		return j.errorf("Begin was given no plan digest")
	}
	j.mu.Lock()
	plan := j.plan
	j.mu.Unlock()
	if plan == "" && j.readOnly {
		return j.errorf("it was not begun with a plan, and is open for reading only")
	}
	if plan == "" {
		var err error
		if plan, err = j.bind(planDigest); err != nil {
			return err
		}
	}
	if plan != planDigest {
		return j.errorf("%w: it is for %s, not for %s; use the plan it was made for, or a new journal",
			resubmit.ErrOtherPlan, plan, planDigest)
	}
	return nil
}

// bind binds a new journal to a plan, and returns the one that it is bound to.
func (j *Journal) bind(plan string) (bound string, err error) {
	err = j.rewrite(func() func(*table) error {
		if bound = j.plan; bound != "" {
			return nil
		}
		return func(t *table) error { return t.putSaid(keyPlan, []byte(plan)) }
	}, func() { j.plan, bound = plan, plan })
	return bound, err
}

// Put replaces the record of an order. When it returns nil the record is on disk.
// After an error of the disk all that is put or got later fails too, until the journal
// is opened again: what is on disk is not known any more.
func (j *Journal) Put(r resubmit.Record) error {
	if err := j.checkPut(&r); err != nil {
		return err
	}
	b, lead, err := j.join(&r, slotQueued)
	if err != nil {
		return err
	}
	if lead {
		j.commitBatch()
	}
	<-b.done
	return b.err
}

// PutLater is Put without the waiting: the record is on disk a twentieth of a second
// later, and before every later one of its order. That it could not be written is told
// by the next Put, PutLater or Sync. An intent, RecordSending, is put as by Put.
func (j *Journal) PutLater(r resubmit.Record) error {
	if r.State == resubmit.RecordSending {
		return j.Put(r)
	}
	if err := j.checkPut(&r); err != nil {
		return err
	}
	_, much, err := j.join(&r, slotLate)
	if much { // more than the disk takes
		j.commitNow(waitedFor)
	}
	return err
}

func (j *Journal) checkPut(r *resubmit.Record) error {
	if err := checkID(r.OrderID); err != nil {
		return j.errorf("%w", err)
	}
	if j.readOnly {
		return j.errorf("it is open for reading only")
	}
	return nil
}

// Get returns the last record of an order, and whether there is one. That there is
// none is proved by the record before it, which names its successor.
func (j *Journal) Get(orderID string) (resubmit.Record, bool, error) {
	if err := checkID(orderID); err != nil {
		return resubmit.Record{}, false, j.errorf("%w", err)
	}
	body, err := j.last(orderID)
	if err != nil || body == nil {
		return resubmit.Record{}, false, err
	}
	rec, err := decode(orderID, body)
	if err != nil {
		return resubmit.Record{}, false, j.errorf("%w", err)
	}
	return rec, true, nil
}

// last is the last record of an order as it is kept, nil for none.
func (j *Journal) last(orderID string) ([]byte, error) {
	j.mu.Lock()
	err := j.usable()
	body, known := j.known(orderID)
	body = bytes.Clone(body)
	merges, remember := j.merges, !j.readOnly && len(j.recent.slots) < absentMost
	j.mu.Unlock()
	if known || err != nil {
		return body, err
	}
	body, err = j.stored(orderID)
	if err == nil && body == nil && remember {
		j.learn(orderID, nil, merges) // it will be put next
	}
	return body, err
}

// stored is the record of an order in the table, nil for none.
func (j *Journal) stored(orderID string) ([]byte, error) {
	j.reading.RLock()
	defer j.reading.RUnlock()
	c, ok := j.cursors.Get().(*cursor)
	if !ok || c.snapshot != j.snapshot {
		c = newCursor(j.buckets.records)
		c.snapshot = j.snapshot
	}
	_, body, err := find(c, recordKey(orderID))
	if err != nil {
		return nil, j.errorf("%w", err)
	}
	body = bytes.Clone(body)
	j.cursors.Put(c)
	return body, nil
}

// Sync returns when all that was put is on disk.
func (j *Journal) Sync() error {
	j.commitNow(allRecords)
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.tell()
}

// Plan returns the digest of the plan that the journal belongs to; "" before Begin.
func (j *Journal) Plan() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.plan
}

// Path is where the journal is.
func (j *Journal) Path() string { return j.path }

// Close writes what was put and lets go of the file. Closing twice does nothing.
func (j *Journal) Close() error {
	j.mu.Lock()
	was := j.closed
	j.closed = true
	j.mu.Unlock()
	if was {
		return nil
	}
	j.disk <- struct{}{}
	defer func() { <-j.disk }()
	if !j.readOnly {
		j.commit(intoTable)
		// Before the lock goes: the next holder writes its own. One that is left
		// behind does no harm.
		_ = os.Remove(holderPath(j.path))
	}
	j.mu.Lock()
	failed, untold := j.failed, j.untold
	j.mu.Unlock()
	var err error
	if errors.Is(failed, ErrDamaged) {
		// bbolt panicked and may hold its own locks, which its Close would wait for.
		// The lock on the file stays as long as the process.
		if err = j.file.Close(); errors.Is(err, os.ErrClosed) {
			err = nil
		}
	} else {
		err = guarded(j.db.Close)
	}
	if untold {
		return failed
	}
	if err != nil {
		return j.errorf("close: %w", err)
	}
	return nil
}

// guarded makes an error of what a damaged file does to a mapping: bbolt panics on
// pages that make no sense, and reading past the end of a file that was cut off is
// a fault that would end the program.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return f()
}

func (j *Journal) errorf(format string, args ...any) error {
	return fmt.Errorf("resubmit/journal: %s: %w", j.path, fmt.Errorf(format, args...))
}
