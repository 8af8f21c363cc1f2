package journal

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// write is what one caller wants written.
type write struct {
	rec       resubmit.Record
	key, body []byte
	bind      string // the plan to bind the journal to, instead of a record

	bound string
	err   error
	done  chan struct{}
}

// write brings a record to disk. Whoever finds the disk free writes for all who
// wait, so that one caller alone never waits for others, and many share a sync.
func (j *Journal) write(w *write) error {
	j.mu.Lock()
	err := j.failed
	if j.closed {
		err = j.errorf("%w", os.ErrClosed)
	}
	if err == nil {
		j.queue = append(j.queue, w)
	}
	j.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-w.done:
	case j.disk <- struct{}{}:
		// Those who were told that the write before is done come back at once: let
		// them join.
		runtime.Gosched()
		j.commit()
		<-j.disk
	}
	return w.err
}

// commit writes what is in the queue. The caller has the disk.
func (j *Journal) commit() {
	j.mu.Lock()
	batch, failed := j.queue, j.failed
	j.queue = nil
	j.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	if failed == nil {
		failed = j.update(batch)
	}
	for _, w := range batch {
		if failed != nil {
			w.err = failed
		}
		close(w.done)
	}
}

// update is one transaction. Its error is that of the disk; what is refused has its
// own.
func (j *Journal) update(batch []*write) error {
	err := guarded(func() error {
		defer j.looked(int64(len(batch)))
		return j.db.Update(func(tx *bbolt.Tx) error { return j.fill(tx, batch) })
	})
	if err == nil || errors.Is(err, errUnchanged) {
		return nil
	}
	err = j.errorf("write: %w; nothing more can be recorded until it is opened again", err)
	j.mu.Lock()
	j.failed = err
	j.mu.Unlock()
	return err
}

func (j *Journal) fill(tx *bbolt.Tx, batch []*write) error {
	t, err := newTable(tx)
	if err != nil {
		return err
	}
	// In the order of the keys, neighbours are looked at once. Those who write the
	// same order have no order among themselves.
	slices.SortStableFunc(batch, func(a, b *write) int { return bytes.Compare(a.key, b.key) })
	for _, w := range batch {
		switch {
		case w.bind != "":
			w.bound, err = t.bind(w.bind)
		default:
			var refused error
			if refused, err = t.put(w); refused != nil {
				w.err = j.errorf("%w", refused)
			}
		}
		if err != nil {
			return err
		}
	}
	return t.finish()
}
