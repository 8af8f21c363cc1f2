package journal

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// laterDelay is how long a record that nobody waits for waits itself for others to be
// written with.
const laterDelay = 2 * time.Millisecond

// batch is what is written at once. Who comes first writes it, for all who wait.
type batch struct {
	writes []write
	arena  []byte // the values of the writes, one after the other
	bind   string // the plan to bind the journal to
	led    bool   // somebody will write it
	taken  bool   // it is being written, or was

	done    chan struct{} // closed when it is written
	err     error
	refused map[int]error // by place
	bound   string
}

// write is a record on its way to the file.
type write struct {
	id    string
	key   []byte
	value [2]int // where in the arena: room for the checksum and the link, then the record
	// intent is what may have to be refused; nil for other records.
	intent *resubmit.Record
	place  int
}

// spare keeps the memory of batches that were written.
var spare = sync.Pool{New: func() any { return new(batch) }}

// join puts something into the next batch, for an order that nobody waits for or for
// somebody who does. lead says that the caller has to write it.
func (j *Journal) join(later string, add func(*batch) error) (b *batch, place int, lead bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, 0, false, j.errorf("%w", os.ErrClosed)
	}
	if j.failed != nil {
		return nil, 0, false, j.failed
	}
	if j.batch == nil {
		old := spare.Get().(*batch) //nolint:errcheck,forcetypeassert // it holds nothing else
		j.batch = &batch{done: make(chan struct{}), writes: old.writes[:0], arena: old.arena[:0]}
	}
	b, place = j.batch, len(j.batch.writes)
	if err := add(b); err != nil {
		return nil, 0, false, j.errorf("%w", err)
	}
	if later == "" {
		lead, b.led = !b.led, true
		return b, place, lead, nil
	}
	if j.later[later] = b; !b.led && len(b.writes) == 1 {
		time.AfterFunc(laterDelay, func() { j.leadIfAlone(b) })
	}
	return b, place, false, nil
}

// write brings something to disk and returns when it is there.
func (j *Journal) write(add func(*batch) error) (b *batch, err error) {
	b, place, lead, err := j.join("", add)
	if err != nil {
		return nil, err
	}
	if lead {
		j.disk <- struct{}{}
		// Those who were told that the batch before is done come back at once: let
		// them join.
		runtime.Gosched()
		j.commit(b)
		<-j.disk
	}
	<-b.done
	if b.err == nil {
		return b, b.refused[place]
	}
	return b, b.err
}

// settle returns when what was put later for an order is on disk.
func (j *Journal) settle(orderID string) {
	j.mu.Lock()
	b := j.later[orderID]
	j.mu.Unlock()
	if b != nil {
		j.leadIfAlone(b)
		<-b.done
	}
}

// leadIfAlone writes a batch that nobody waits for.
func (j *Journal) leadIfAlone(b *batch) {
	j.mu.Lock()
	led := b.led
	b.led = true
	j.mu.Unlock()
	if led {
		return
	}
	j.disk <- struct{}{}
	j.commit(b)
	<-j.disk
}

// Sync returns when all that was put is on disk.
func (j *Journal) Sync() error {
	j.mu.Lock()
	b := j.batch
	j.mu.Unlock()
	j.disk <- struct{}{} // what is being written is then
	if b != nil {
		j.commit(b)
	}
	<-j.disk
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed
}

// commit writes a batch, unless that was done. The caller has the disk.
func (j *Journal) commit(b *batch) {
	j.mu.Lock()
	was := b.taken
	b.taken = true
	if j.batch == b {
		j.batch = nil
	}
	b.err = j.failed
	j.mu.Unlock()
	if was {
		return
	}
	if b.err == nil {
		b.err = j.update(b)
	}
	j.mu.Lock()
	for i := range b.writes {
		if id := b.writes[i].id; j.later[id] == b {
			delete(j.later, id)
		}
	}
	j.mu.Unlock()
	old := &batch{writes: b.writes, arena: b.arena}
	clear(old.writes)
	b.writes, b.arena = nil, nil
	close(b.done)
	if cap(old.arena) < 4<<20 {
		spare.Put(old)
	}
}

// update is one transaction. Its error is that of the disk; what is refused has its
// own.
func (j *Journal) update(b *batch) error {
	err := guarded(func() error {
		defer j.looked(len(b.writes))
		return j.db.Update(func(tx *bbolt.Tx) error { return j.fill(tx, b) })
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

func (j *Journal) fill(tx *bbolt.Tx, b *batch) error {
	t, err := newTable(tx, pagesOf(tx, j.file))
	if err != nil {
		return err
	}
	if b.bind != "" {
		if b.bound, err = t.bind(b.bind); err != nil {
			return err
		}
	}
	// In the order of the keys, neighbours are looked at once. The records of one order
	// stay in the order in which they came, and the last is the one that counts.
	slices.SortFunc(b.writes, func(v, w write) int {
		if c := bytes.Compare(v.key, w.key); c != 0 {
			return c
		}
		return v.place - w.place
	})
	for i := range b.writes {
		w := &b.writes[i]
		refused, err := t.put(w, b.arena[w.value[0]:w.value[1]:w.value[1]])
		if err != nil {
			return err
		}
		if refused != nil {
			if b.refused == nil {
				b.refused = make(map[int]error)
			}
			b.refused[w.place] = j.errorf("%w", refused)
		}
	}
	return t.finish()
}
