package journal

import (
	"os"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

const (
	// lateDelay is how long a record of PutLater waits for others, and for the next record
	// of its order.
	lateDelay = 50 * time.Millisecond
	// lateMost is the number of such records that are written together with a batch.
	lateMost = 1000
	// arenaMost is the number of bytes in memory that starts a merge.
	arenaMost = 2 << 20
	// absentMost limits the orders cached as having no record.
	absentMost = 8192
)

// batch is a set of records written together. The first caller writes it for all.
type batch struct {
	ids  []string // of the orders with a slot in the state slotQueued
	done chan struct{}
	err  error // once it is done
}

// size returns the number of records.
func (b *batch) size() int {
	if b == nil {
		return 0
	}
	return len(b.ids)
}

// join adds a record to the next batch, or to the records of PutLater, for which it returns
// a nil batch. lead is whether the caller must write the batch.
func (j *Journal) join(r *resubmit.Record, state slotState) (b *batch, lead bool, err error) {
	if err := j.lockFor(r); err != nil {
		return nil, false, err
	}
	defer j.mu.Unlock()
	o := j.recent
	o.grow()
	from := len(o.arena)
	arena, err := appendRecord(append(o.arena, make([]byte, sealSize)...), r)
	if err != nil {
		return nil, false, j.errorf("%w", err)
	}
	o.arena = arena
	was := o.slots[r.OrderID].state
	if was == slotQueued {
		state = slotQueued // the caller of the previous record waits for this one too
	}
	o.set(r.OrderID, from, state)
	if state == slotLate {
		if was != slotLate {
			o.late = append(o.late, r.OrderID)
		}
		if len(o.late) == 1 && was != slotLate {
			time.AfterFunc(lateDelay, func() { j.commitNow(allRecords) })
		}
		return nil, len(o.arena) > 2*arenaMost, nil
	}
	if j.batch == nil {
		j.batch, lead = &batch{done: make(chan struct{})}, true
	}
	if was != slotQueued {
		j.batch.ids = append(j.batch.ids, r.OrderID)
		j.batcher.added(len(j.batch.ids))
	}
	return j.batch, lead, nil
}

// lockFor locks mu if a record may be put, or returns an error.
func (j *Journal) lockFor(r *resubmit.Record) error {
	for {
		j.mu.Lock()
		err := j.usable()
		if err == nil && j.plan == "" {
			err = j.errorf("the journal has no plan; call Begin before Put")
		}
		known := true
		if err == nil && r.State == resubmit.RecordSending { // other states may follow any
			var body []byte
			if body, known = j.known(r.OrderID); known {
				err = j.follows(body, r)
			}
		}
		if err == nil && known {
			return nil
		}
		merges := j.merges
		j.mu.Unlock()
		if err != nil {
			return err
		}
		body, err := j.stored(r.OrderID)
		if err != nil {
			return err
		}
		if err := j.follows(body, r); err != nil {
			return err // and nothing is cached
		}
		j.cache(r.OrderID, body, merges)
	}
}

// follows returns an error if an intent may not replace a record; nil is none.
func (j *Journal) follows(body []byte, intent *resubmit.Record) error {
	var was resubmit.Record
	if body != nil {
		var err error
		if was, err = decode(intent.OrderID, body); err != nil {
			return j.errorf("%w", err)
		}
	}
	if err := was.CheckNext(*intent); err != nil {
		return j.errorf("%w", err)
	}
	return nil
}

// usable returns an error if the journal is closed or failed. The caller holds mu.
func (j *Journal) usable() error {
	if j.closed {
		return j.errorf("%w", os.ErrClosed)
	}
	return j.failure()
}

// failure returns the first write error. The caller holds mu.
func (j *Journal) failure() error {
	j.unreported = false
	return j.failed
}

// known returns the record of an order, nil for none, if it is in memory. The caller holds
// mu; the record is valid until it is released.
func (j *Journal) known(orderID string) (body []byte, known bool) {
	for _, o := range []*overlay{j.recent, j.merging} {
		if o == nil {
			continue
		}
		if s, ok := o.slots[orderID]; ok {
			return o.body(s), true
		}
	}
	return nil, false
}

// cache caches the record of an order in the table, nil for none, unless a merge has
// happened since it was read.
func (j *Journal) cache(orderID string, body []byte, merges uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, known := j.known(orderID); known || merges != j.merges {
		return
	}
	if body == nil {
		j.recent.slots[orderID] = slot{}
	} else {
		j.recent.keep(orderID, body)
	}
}

// extent is what a commit writes.
type extent uint8

const (
	waitedFor  extent = iota // the batch, and the records of PutLater if they are many
	allRecords               // the batch and all records of PutLater
	intoTable                // all, and the log is merged into the table
)

// commitNow commits without waiting for more callers.
func (j *Journal) commitNow(what extent) {
	j.disk <- struct{}{}
	j.commit(what)
	<-j.disk
}

// commitBatch commits the batch that the caller leads, unless another commit did.
func (j *Journal) commitBatch() {
	j.disk <- struct{}{}
	j.mu.Lock()
	n := j.batch.size()
	j.mu.Unlock()
	j.batcher.wait(n)
	j.commit(waitedFor)
	<-j.disk
}

// commit writes new records. The caller holds the disk.
func (j *Journal) commit(what extent) {
	j.mu.Lock()
	b, err := j.batch, j.failed
	j.batch = nil
	var merge bool
	if err == nil {
		merge = j.collect(b, what)
	}
	j.mu.Unlock()
	switch {
	case err != nil:
	case merge:
		err = j.merge(nil)
	case len(j.frame) > frameHeader:
		if err = j.checkSize(); err == nil {
			began := time.Now()
			err = j.log.write(j.frame)
			j.batcher.wrote(b.size(), began)
		}
	}
	j.finishBatch(b, err)
}

// checkSize returns an error if the file was truncated: a write would extend it again.
func (j *Journal) checkSize() error {
	info, err := j.file.Stat()
	if err == nil && uint64(info.Size()) < j.pages.count*j.pages.size { //nolint:gosec // a size is not negative
		err = errCutOff
	}
	return err
}

// collect builds the next frame, or reports that a merge is needed. The caller holds the
// disk and mu.
func (j *Journal) collect(b *batch, what extent) (merge bool) {
	o := j.recent
	frame := appendFrame(j.frame[:0])
	if b != nil {
		frame = o.appendTo(frame, b.ids, slotQueued)
	}
	if what != waitedFor || len(o.late) >= lateMost {
		frame = o.appendTo(frame, o.late, slotLate)
		o.late = o.late[:0]
	}
	j.frame = frame
	news := len(frame) > frameHeader
	if what == intoTable && (news || !j.log.empty()) || news && !j.log.fits(frame) || len(o.arena) > arenaMost {
		j.rotate()
		return true
	}
	return false
}

// finishBatch releases the callers of a batch and stores a write error.
func (j *Journal) finishBatch(b *batch, err error) {
	j.mu.Lock()
	if err != nil && j.failed == nil {
		j.failed = j.errorf("write: %w; open the journal again to continue", err)
		j.unreported = b == nil
	}
	err = j.failed
	j.mu.Unlock()
	if b != nil {
		b.err = err
		close(b.done)
	}
}
