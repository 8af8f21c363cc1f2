package journal

import (
	"errors"
	"iter"
	"sync"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

var _ resubmit.BulkJournal = (*Journal)(nil)

// errStopped ends reading after the caller has stopped.
var errStopped = errors.New("stopped")

// headsAtOnce is the number of heads in one batch between goroutines.
const headsAtOnce = 64

// heads are some record heads in the order of their ids, and the error after them.
type heads struct {
	all []resubmit.RecordHead
	err error
}

// Heads yields the head of the last record of each order, in the order of their ids, and
// checks that none is missing or wrong. Do not put records meanwhile. The texts of a head
// share the memory of one string.
func (j *Journal) Heads() iter.Seq2[resubmit.RecordHead, error] {
	return func(yield func(resubmit.RecordHead, error) bool) {
		if err := j.Sync(); err != nil {
			yield(resubmit.RecordHead{}, err)
			return
		}
		read, over := make(chan heads, 4), make(chan struct{})
		var reader sync.WaitGroup
		defer reader.Wait()
		defer close(over)
		reader.Go(func() {
			defer close(read)
			j.readHeads(read, over)
		})
		for batch := range read {
			for _, head := range batch.all {
				if !yield(head, nil) {
					return
				}
			}
			if batch.err != nil {
				yield(resubmit.RecordHead{}, batch.err)
				return
			}
		}
	}
}

// readHeads sends all heads in batches, until over is closed.
func (j *Journal) readHeads(to chan<- heads, over <-chan struct{}) {
	var batch heads
	send := func() error {
		select {
		case to <- batch:
			batch.all = make([]resubmit.RecordHead, 0, headsAtOnce)
			return nil
		case <-over:
			return errStopped
		}
	}
	batch.err = j.each(func(key, body []byte) error {
		head, err := readHead(key[1:], body)
		if err != nil {
			return err
		}
		if batch.all = append(batch.all, head); len(batch.all) < headsAtOnce {
			return nil
		}
		return send()
	})
	if !errors.Is(batch.err, errStopped) {
		_ = send() // ignored after over is closed
	}
}
