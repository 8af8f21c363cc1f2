package journal

import (
	"os"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

const (
	// lateDelay is how long a record that nobody waits for waits itself, for others
	// to be written with and for the one that takes its place.
	lateDelay = 50 * time.Millisecond
	// lateMost is how many of them are written with what others wait for.
	lateMost = 1000
	// arenaMost is how many bytes are kept in memory before they are merged.
	arenaMost = 2 << 20
	// absentMost bounds how many orders are remembered to have no record.
	absentMost = 8192
)

// batch is what is written at once. Who comes first writes it, for all who wait.
type batch struct {
	ids  []string // of the orders with a slot in the state slotQueued
	done chan struct{}
	err  error // once it is done
}

// size is how many wait for it.
func (b *batch) size() int {
	if b == nil {
		return 0
	}
	return len(b.ids)
}

// join puts a record to those that are written next, or to those that nobody waits
// for. lead says that the caller has to write the batch; a nil batch that it has
// nothing to wait for.
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
		state = slotQueued // who waits for the record before waits for this one
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
		j.company.joined(len(j.batch.ids))
	}
	return j.batch, lead, nil
}

// lockFor takes the lock if a record may be put, or says why not.
func (j *Journal) lockFor(r *resubmit.Record) error {
	for {
		j.mu.Lock()
		err := j.usable()
		if err == nil && j.plan == "" {
			err = j.errorf("it was not begun with a plan; call Begin before Put")
		}
		known := true
		if err == nil && r.State == resubmit.RecordSending { // all else may follow anything
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
			return err // and nothing of it is kept
		}
		j.learn(r.OrderID, body, merges)
	}
}

// follows says why an intent may not take the place of a record; nil is none.
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

// usable says why nothing can be put or got. The caller has the lock.
func (j *Journal) usable() error {
	if j.closed {
		return j.errorf("%w", os.ErrClosed)
	}
	return j.tell()
}

// tell is the error of the first write that failed. The caller has the lock.
func (j *Journal) tell() error {
	j.untold = false
	return j.failed
}

// known is what is known of an order without a look at the table: its record, or that
// it has none. The caller has the lock, and the record is good until it lets go.
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

// learn remembers what the table had about an order, unless it may have something else
// by now.
func (j *Journal) learn(orderID string, body []byte, merges uint64) {
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

// extent is how much is written.
type extent uint8

const (
	waitedFor  extent = iota // the batch, and what nobody waits for when that is much
	allRecords               // that in any case
	intoTable                // and what is in the log is merged into the table
)

// commitNow takes the disk to write.
func (j *Journal) commitNow(what extent) {
	j.disk <- struct{}{}
	j.commit(what)
	<-j.disk
}

// commitBatch writes the batch that the caller leads, or what came after it.
func (j *Journal) commitBatch() {
	j.disk <- struct{}{}
	j.mu.Lock()
	n := j.batch.size()
	j.mu.Unlock()
	j.company.wait(n)
	j.commit(waitedFor)
	<-j.disk
}

// commit writes what was put. The caller has the disk.
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
			j.company.wrote(b.size(), began)
		}
	}
	j.ended(b, err)
}

// checkSize refuses to write to a file that was cut off, which would grow again.
func (j *Journal) checkSize() error {
	info, err := j.file.Stat()
	if err == nil && uint64(info.Size()) < j.pages.count*j.pages.size { //nolint:gosec // a size is not negative
		err = errCutOff
	}
	return err
}

// collect makes the frame that is written next, or leaves it to a merge. The caller
// has the disk and the lock.
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
		j.setApart()
		return true
	}
	return false
}

// ended tells those who wait for a batch, and remembers an error of the disk.
func (j *Journal) ended(b *batch, err error) {
	j.mu.Lock()
	if err != nil && j.failed == nil {
		j.failed = j.errorf("write: %w; nothing more can be recorded until it is opened again", err)
		j.untold = b == nil
	}
	err = j.failed
	j.mu.Unlock()
	if b != nil {
		b.err = err
		close(b.done)
	}
}
