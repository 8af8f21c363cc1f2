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

// keptRecord is a record as it is in the file.
type keptRecord struct{ id, body []byte }

// recordsAtOnce is how many records are read ahead of those that are yielded.
const recordsAtOnce = 512

// Records yields the last record of each order, in the order of their ids, and checks
// as it goes that none is missing or wrong. Nothing is to be put while it is ranged
// over. The texts of a record share the memory of one string.
func (j *Journal) Records() iter.Seq2[resubmit.Record, error] {
	return func(yield func(resubmit.Record, error) bool) {
		if err := j.Sync(); err != nil {
			yield(resubmit.Record{}, err)
			return
		}
		// They are read by one and decoded by another, as each takes about as long.
		batches, over := make(chan []keptRecord, 2), make(chan struct{})
		var reader sync.WaitGroup
		var failed error
		reader.Go(func() {
			defer close(batches)
			failed = j.readAhead(batches, over)
		})
		defer reader.Wait()
		defer close(over)
		for batch := range batches {
			for _, kept := range batch {
				r, err := decode(string(kept.id), kept.body)
				if err != nil {
					yield(r, j.errorf("%w", err))
					return
				}
				if !yield(r, nil) {
					return
				}
			}
		}
		if failed != nil {
			yield(resubmit.Record{}, failed)
		}
	}
}

// readAhead passes on all records, many at a time, until it is over.
func (j *Journal) readAhead(to chan<- []keptRecord, over <-chan struct{}) error {
	var batch []keptRecord
	send := func() error {
		select {
		case to <- batch:
			batch = nil
			return nil
		case <-over:
			return errStopped
		}
	}
	var arena []byte
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
		return send()
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return send()
}
