package journal

import (
	"cmp"
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
type Journal struct {
	path     string
	readOnly bool
	db       *bbolt.DB
	file     *os.File // of db
	format   format

	// disk holds one element while the file is being written.
	disk  chan struct{}
	looks int // at records by who has the disk, see looked

	mu     sync.Mutex
	batch  *batch            // that is not being written yet; nil for none
	later  map[string]*batch // what orders have in it, or in the one before, that nobody waits for
	closed bool
	failed error // of the first write that failed: what is on disk is not sure after it
	plan   string
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
		b, err := j.write(func(b *batch) error {
			b.bind = cmp.Or(b.bind, planDigest)
			return nil
		})
		if err != nil {
			return err
		}
		plan = b.bound
		j.mu.Lock()
		j.plan = plan
		j.mu.Unlock()
	}
	if plan != planDigest {
		return j.errorf("%w: it is for %s, not for %s; use the plan it was made for, or a new journal",
			resubmit.ErrOtherPlan, plan, planDigest)
	}
	return nil
}

// Put replaces the record of an order. When it returns nil the record is on disk.
// After an error of the disk every later Put fails too, until the journal is
// opened again: what is on disk is not known any more.
func (j *Journal) Put(r resubmit.Record) error {
	add, err := j.adder(&r)
	if err != nil {
		return err
	}
	_, err = j.write(add)
	return err
}

// PutLater is Put without the waiting: the record is on disk a few milliseconds later,
// and before every record that is put after it. That it could not be written is told
// by the next Put, PutLater or Sync. An intent, RecordSending, is put as by Put.
func (j *Journal) PutLater(r resubmit.Record) error {
	if r.State == resubmit.RecordSending {
		return j.Put(r)
	}
	add, err := j.adder(&r)
	if err != nil {
		return err
	}
	_, _, _, err = j.join(r.OrderID, add)
	return err
}

// adder checks a record and returns what puts it into a batch.
func (j *Journal) adder(r *resubmit.Record) (func(*batch) error, error) {
	key, err := recordKey(r.OrderID)
	switch {
	case err != nil:
		return nil, j.errorf("%w", err)
	case j.readOnly:
		return nil, j.errorf("it is open for reading only")
	}
	return func(b *batch) error {
		if j.plan == "" {
			return errors.New("it was not begun with a plan; call Begin before Put")
		}
		from := len(b.arena)
		arena, err := appendRecord(append(b.arena, make([]byte, checksumSize+linkSize)...), r)
		if err != nil {
			return err
		}
		w := write{id: r.OrderID, key: key, value: [2]int{from, len(arena)}, place: len(b.writes)}
		if r.State == resubmit.RecordSending {
			w.intent = r
		}
		b.arena, b.writes = arena, append(b.writes, w)
		return nil
	}, nil
}

// Get returns the last record of an order, and whether there is one. That there is
// none is proved by the record before it, which names its successor.
func (j *Journal) Get(orderID string) (resubmit.Record, bool, error) {
	key, err := recordKey(orderID)
	if err != nil {
		return resubmit.Record{}, false, j.errorf("%w", err)
	}
	j.settle(orderID)
	var (
		rec   resubmit.Record
		found bool
	)
	err = j.view(func(p pages) error {
		_, records, err := p.buckets()
		if err != nil {
			return err
		}
		body, err := find(newCursor(records), key)
		if err != nil || body == nil {
			return err
		}
		found = true
		rec, err = decode(orderID, body)
		return err
	})
	return rec, found && err == nil, err
}

// Plan returns the digest of the plan that the journal belongs to; "" before Begin.
func (j *Journal) Plan() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.plan
}

// Path is where the journal is.
func (j *Journal) Path() string { return j.path }

// Close waits for the writes that were begun and lets go of the file. Closing
// twice does nothing.
func (j *Journal) Close() error {
	j.mu.Lock()
	was := j.closed
	j.closed = true
	b := j.batch
	j.mu.Unlock()
	if was {
		return nil
	}
	j.disk <- struct{}{}
	defer func() { <-j.disk }()
	if b != nil {
		j.commit(b)
	}
	if !j.readOnly {
		// Before the lock goes: the next holder writes its own. One that is left
		// behind does no harm.
		_ = os.Remove(holderPath(j.path))
	}
	j.mu.Lock()
	failed := j.failed
	j.mu.Unlock()
	if errors.Is(failed, ErrDamaged) {
		// bbolt panicked and may hold its own locks, which its Close would wait for.
		// The lock on the file stays as long as the process.
		if err := j.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			return j.errorf("close: %w", err)
		}
		return nil
	}
	if err := guarded(j.db.Close); err != nil {
		return j.errorf("close: %w", err)
	}
	return nil
}

// view reads the pages of one moment.
func (j *Journal) view(f func(pages) error) error {
	j.mu.Lock()
	closed, failed := j.closed, j.failed
	j.mu.Unlock()
	if closed {
		return j.errorf("%w", os.ErrClosed)
	}
	if errors.Is(failed, ErrDamaged) {
		return failed
	}
	// The transaction keeps the pages from being overwritten.
	err := guarded(func() error {
		return j.db.View(func(tx *bbolt.Tx) error { return f(pagesOf(tx, j.file)) })
	})
	if err != nil {
		return j.errorf("%w", err)
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
