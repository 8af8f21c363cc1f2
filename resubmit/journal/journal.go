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

// ErrDamaged is returned if the file of a journal was changed or damaged. Do not trust its
// content: restore a copy, or make a new plan, which reads the current orders.
var ErrDamaged = errors.New("the journal is damaged")

// Journal is a journal in a file. Open it with [Open].
//
// New records are appended to the log of the file, and the last one of each order stays in
// memory. When the log is full, these are merged into the table.
type Journal struct {
	path     string
	readOnly bool
	db       *bbolt.DB
	file     *os.File // of db
	format   format

	// disk is the lock of the file: it holds one element during a write.
	disk    chan struct{}
	log     log
	frame   []byte // being written
	batcher batcher

	mu         sync.Mutex
	batch      *batch   // the next batch; nil if empty
	recent     *overlay // records that are not in the table
	merging    *overlay // records that are being merged; nil if none
	spare      *overlay // the next overlay; nil during a merge
	merges     uint64
	closed     bool
	failed     error // the first write error: the state of the disk is unknown after it
	unreported bool  // failed was not returned to a caller yet
	plan       string
	// patience is the stored Retry-After.
	patience resubmit.Patience

	// reading is held for reading while the table is read.
	reading  sync.RWMutex
	pages    pages
	buckets  buckets
	snapshot uint64    // version of the table
	cursors  sync.Pool // of the records bucket
}

var _ resubmit.LaterJournal = (*Journal)(nil)

// Begin binds a new journal to a plan. A journal of another plan is an error that matches
// [resubmit.ErrOtherPlan].
func (j *Journal) Begin(planDigest string) error {
	if planDigest == "" {
		return j.errorf("Begin: the plan digest is empty")
	}
	j.mu.Lock()
	plan := j.plan
	j.mu.Unlock()
	if plan == "" && j.readOnly {
		return j.errorf("the journal has no plan and is open for reading only")
	}
	if plan == "" {
		var err error
		if plan, err = j.bind(planDigest); err != nil {
			return err
		}
	}
	if plan != planDigest {
		return j.errorf("%w: the journal is for %s, not for %s; use its plan, or a new journal",
			resubmit.ErrOtherPlan, plan, planDigest)
	}
	return nil
}

// bind binds a new journal to a plan, and returns the plan of the journal.
func (j *Journal) bind(plan string) (bound string, err error) {
	err = j.rewrite(func() func(*table) error {
		if bound = j.plan; bound != "" {
			return nil
		}
		return func(t *table) error { return t.putMetadata(keyPlan, []byte(plan)) }
	}, func() { j.plan, bound = plan, plan })
	return bound, err
}

// Put replaces the record of an order. The record is on disk when Put returns nil. After a
// write error all later calls fail until the journal is opened again, because the state of
// the disk is unknown.
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

// PutLater is Put without waiting: the record is on disk within about 50 ms, and before any
// later record of its order. The next Put, PutLater or Sync returns a write error. An
// intent (RecordSending) is written as by Put.
func (j *Journal) PutLater(r resubmit.Record) error {
	if r.State == resubmit.RecordSending {
		return j.Put(r)
	}
	if err := j.checkPut(&r); err != nil {
		return err
	}
	_, much, err := j.join(&r, slotLate)
	if much { // more than the disk can write
		j.commitNow(waitedFor)
	}
	return err
}

func (j *Journal) checkPut(r *resubmit.Record) error {
	if err := checkID(r.OrderID); err != nil {
		return j.errorf("%w", err)
	}
	if j.readOnly {
		return j.errorf("the journal is open for reading only")
	}
	return nil
}

// Get returns the last record of an order, and whether there is one. The link of the
// previous record proves that none is missing.
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

// last returns the encoded last record of an order, nil if there is none.
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
		j.cache(orderID, nil, merges) // a Put usually follows
	}
	return body, err
}

// stored returns the record of an order in the table, nil if there is none.
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

// Sync writes all records to disk.
func (j *Journal) Sync() error {
	j.commitNow(allRecords)
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failure()
}

// Plan returns the digest of the plan that the journal belongs to; "" before Begin.
func (j *Journal) Plan() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.plan
}

// Path returns the path of the journal.
func (j *Journal) Path() string { return j.path }

// Close writes all records and closes the file. Closing it again does nothing.
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
		// Before the lock is released, because the next holder writes its own. A file left
		// behind is harmless.
		_ = os.Remove(holderPath(j.path))
	}
	j.mu.Lock()
	failed, unreported := j.failed, j.unreported
	j.mu.Unlock()
	var err error
	if errors.Is(failed, ErrDamaged) {
		// bbolt panicked and may hold its own locks, which its Close would wait for. The lock
		// on the file is released when the process ends.
		if err = j.file.Close(); errors.Is(err, os.ErrClosed) {
			err = nil
		}
	} else {
		err = guarded(j.db.Close)
	}
	if unreported {
		return failed
	}
	if err != nil {
		return j.errorf("close: %w", err)
	}
	return nil
}

// guarded converts panics of f to [ErrDamaged]: bbolt panics on invalid pages, and reading
// beyond the end of a truncated file is a fault that would end the program.
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
