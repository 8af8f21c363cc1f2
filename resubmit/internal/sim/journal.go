package sim

import (
	"iter"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// lateJournal is a journal that keeps what nobody waits for in memory, so that a
// process that is killed loses it, and that tells all it holds at once. What it writes
// on the way is any of it, in no order but that of the records of one order.
type lateJournal struct {
	*watchedJournal
	log     *Log          // behind it
	turn    chan struct{} // holds one element while somebody uses pending
	pending []resubmit.Record
}

var (
	_ resubmit.LaterJournal = (*lateJournal)(nil)
	_ resubmit.BulkJournal  = (*lateJournal)(nil)
)

func (j *lateJournal) PutLater(r resubmit.Record) error {
	if err := j.p.step("before a journal write"); err != nil {
		return err
	}
	j.turn <- struct{}{}
	j.pending = append(j.pending, r)
	<-j.turn
	order := j.p.w.index(r.OrderID)
	j.p.w.note("life %d: journal: order %d is %s, attempt %d, not on disk yet", j.p.life, order, r.State, r.Attempt)
	j.p.w.book.wrote(j.p, order, r)
	return j.p.step("after a journal write")
}

func (j *lateJournal) Sync() error {
	return j.write(func(string) bool { return true })
}

func (j *lateJournal) Put(r resubmit.Record) error {
	random := j.p.w.random(callJournal, j.p.w.index(r.OrderID), -r.Attempt)
	picked := map[string]bool{r.OrderID: true}
	err := j.write(func(id string) bool {
		if _, drawn := picked[id]; !drawn {
			picked[id] = random.IntN(4) == 0
		}
		return picked[id]
	})
	if err != nil {
		return err
	}
	return j.watchedJournal.Put(r)
}

// write writes what is pending of some orders. A write that failed is tried again by
// nobody: the log takes nothing more then.
func (j *lateJournal) write(of func(orderID string) bool) error {
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	for i := 0; i < len(j.pending); {
		if !of(j.pending[i].OrderID) {
			i++
			continue
		}
		if err := j.watchedJournal.Put(j.pending[i]); err != nil {
			return err
		}
		j.pending = append(j.pending[:i:i], j.pending[i+1:]...)
	}
	return nil
}

func (j *lateJournal) Get(orderID string) (resubmit.Record, bool, error) {
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	for i := len(j.pending) - 1; i >= 0; i-- {
		if j.pending[i].OrderID == orderID {
			return j.pending[i], true, nil
		}
	}
	return j.watchedJournal.Get(orderID)
}

func (j *lateJournal) Heads() iter.Seq2[resubmit.RecordHead, error] {
	return func(yield func(resubmit.RecordHead, error) bool) {
		if err := j.Sync(); err != nil {
			yield(resubmit.RecordHead{}, err)
			return
		}
		for r, err := range j.log.Heads() {
			if j.p.killed() {
				r, err = resubmit.RecordHead{}, errKilled
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}
