package journal

import (
	"errors"
	"iter"
	"slices"
	"sync"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

var _ resubmit.BulkJournal = (*Journal)(nil)

// errStopped ends a reading that nobody follows any more.
var errStopped = errors.New("nobody reads on")

// recordsAtOnce is how many records go from one goroutine to the next at once.
const recordsAtOnce = 64

// keptRecord is a record as it is in the file.
type keptRecord struct{ id, body []byte }

// readRecords is a part of the records, in the order of their ids, and the error behind
// it.
type readRecords struct {
	all []resubmit.Record
	err error
}

// Records yields the last record of each order, in the order of their ids, and checks
// as it goes that none is missing or wrong. Nothing is to be put while it is ranged
// over. The texts of a record share the memory of one string.
func (j *Journal) Records() iter.Seq2[resubmit.Record, error] {
	return func(yield func(resubmit.Record, error) bool) {
		if err := j.Sync(); err != nil {
			yield(resubmit.Record{}, err)
			return
		}
		// To read them takes about as long as to decode them, and as what is done with them.
		kept, read, over := make(chan []keptRecord, 2), make(chan readRecords, 2), make(chan struct{})
		var both sync.WaitGroup
		defer both.Wait()
		defer close(over)
		var failed error // is known when kept is closed
		both.Go(func() {
			defer close(kept)
			failed = j.readAhead(kept, over)
		})
		both.Go(func() {
			defer close(read)
			for batch := range kept {
				if !send(read, j.decodeAll(batch), over) {
					return
				}
			}
			send(read, readRecords{err: failed}, over)
		})
		for part := range read {
			for _, r := range part.all {
				if !yield(r, nil) {
					return
				}
			}
			if part.err != nil {
				yield(resubmit.Record{}, part.err)
				return
			}
		}
	}
}

func send[T any](to chan<- T, what T, over <-chan struct{}) bool {
	select {
	case to <- what:
		return true
	case <-over:
		return false
	}
}

func (j *Journal) decodeAll(batch []keptRecord) readRecords {
	all := make([]resubmit.Record, 0, len(batch))
	for _, kept := range batch {
		r, err := readRecord(kept.body)
		if err != nil || r.OrderID != string(kept.id) {
			_, err = decode(string(kept.id), kept.body) // says why
			return readRecords{all, j.errorf("%w", err)}
		}
		all = append(all, r)
	}
	return readRecords{all: all}
}

// readAhead passes on all records, many at a time, until it is over.
func (j *Journal) readAhead(to chan<- []keptRecord, over <-chan struct{}) error {
	var (
		batch []keptRecord
		arena []byte
	)
	err := j.each(func(key, body []byte) error {
		if batch == nil {
			batch = make([]keptRecord, 0, recordsAtOnce)
			arena = make([]byte, 0, recordsAtOnce*(len(key)+len(body)))
		}
		from := len(arena)
		arena = append(append(arena, key...), body...)
		whole := slices.Clip(arena[from:])
		batch = append(batch, keptRecord{id: whole[1:len(key)], body: whole[len(key):]})
		if len(batch) < recordsAtOnce {
			return nil
		}
		if !send(to, batch, over) {
			return errStopped
		}
		batch = nil
		return nil
	})
	if err == nil && len(batch) > 0 {
		send(to, batch, over)
	}
	return err
}
