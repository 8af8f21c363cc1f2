package journal

import (
	"errors"
	"iter"
	"sync"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

var _ resubmit.BulkJournal = (*Journal)(nil)

// errStopped ends a reading that nobody follows any more.
var errStopped = errors.New("nobody reads on")

// headsAtOnce is how many heads go from one goroutine to the next at once.
const headsAtOnce = 64

// heads are some of the records, in the order of their ids, and the error behind them.
type heads struct {
	all []resubmit.RecordHead
	err error
}

// Heads yields the head of the last record of each order, in the order of their ids,
// and checks as it goes that none is missing or wrong. Nothing is to be put while it is
// ranged over. The texts of a head share the memory of one string.
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

// readHeads passes on all heads, many at a time, until it is over.
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
		_ = send() // if it is over, nobody asks
	}
}
