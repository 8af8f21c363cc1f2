package sim

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// journal opens the journal of the process. Every other world with a [Log] writes it asynchronously.
func (p *process) journal() (resubmit.Journal, error) {
	open := func(*Process) (resubmit.Journal, error) { return OpenLog(p.w.disk) }
	if p.w.cfg.Journal != nil {
		open = p.w.cfg.Journal
	}
	inner, err := open(p.env())
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	p.state.journal = inner
	faulty := &faultyJournal{Journal: inner, p: p}
	log, ok := inner.(*Log)
	if !ok || p.w.cfg.Journal != nil || p.w.s.seed%2 == 0 {
		return faulty, nil
	}
	return &asyncJournal{faultyJournal: faulty, log: log, turn: make(chan struct{}, 1)}, nil
}

// faultyJournal is a slow journal whose process can be killed before, during and after each write.
type faultyJournal struct {
	resubmit.Journal
	p *process
}

func (j *faultyJournal) Begin(digest string) error {
	if j.p.killed() {
		return errKilled
	}
	return j.Journal.Begin(digest)
}

func (j *faultyJournal) Put(r resubmit.Record) error {
	if err := j.p.step("before a journal write"); err != nil {
		return err
	}
	order := j.p.w.indexOf(r.OrderID)
	random := j.p.w.random(callJournal, order, r.Attempt*16+len(r.State))
	if err := j.p.wait(context.Background(), 50*time.Microsecond+
		time.Duration(random.Int64N(int64(3*time.Millisecond)))); err != nil {
		return err
	}
	err := j.Journal.Put(r)
	j.p.w.logf("process %d: journal: order %d is %s, attempt %d (%s): %v",
		j.p.number, order, r.State, r.Attempt, r.Why, err)
	if err != nil {
		return err
	}
	j.p.w.checker.noteRecord(j.p, order, r)
	return j.p.step("after a journal write")
}

func (j *faultyJournal) Get(orderID string) (resubmit.Record, bool, error) {
	if j.p.killed() {
		return resubmit.Record{}, false, errKilled
	}
	return j.Journal.Get(orderID)
}

// PutPatience implements resubmit.PatientJournal, also for a journal that cannot store it.
func (j *faultyJournal) PutPatience(asked resubmit.Patience) error {
	j.p.unsavedPauses.Add(1)
	patient, ok := j.Journal.(resubmit.PatientJournal)
	if !ok {
		return nil
	}
	if err := j.p.step("before a journal write"); err != nil {
		return err
	}
	if err := j.p.wait(context.Background(), time.Millisecond); err != nil {
		return err
	}
	err := patient.PutPatience(asked)
	j.p.w.logf("process %d: journal: nothing is sent before %v: %v", j.p.number, asked.Until.Sub(j.p.w.start), err)
	if err != nil {
		return err
	}
	j.p.unsavedPauses.Add(-1)
	return j.p.step("after a journal write")
}

// Patience implements resubmit.PatientJournal.
func (j *faultyJournal) Patience() (resubmit.Patience, error) {
	patient, ok := j.Journal.(resubmit.PatientJournal)
	switch {
	case !ok:
		return resubmit.Patience{}, nil
	case j.p.killed():
		return resubmit.Patience{}, errKilled
	}
	return patient.Patience()
}

// asyncJournal keeps records of PutLater in memory, which are lost if the process is killed. Each Put writes some of
// them too: only the records of one order stay in order.
type asyncJournal struct {
	*faultyJournal
	log     *Log
	turn    chan struct{} // a lock of pending that synctest can wait for
	pending []resubmit.Record
}

var (
	_ resubmit.LaterJournal = (*asyncJournal)(nil)
	_ resubmit.BulkJournal  = (*asyncJournal)(nil)
)

func (j *asyncJournal) PutLater(r resubmit.Record) error {
	if err := j.p.step("before a journal write"); err != nil {
		return err
	}
	j.turn <- struct{}{}
	j.pending = append(j.pending, r)
	<-j.turn
	order := j.p.w.indexOf(r.OrderID)
	j.p.w.logf("process %d: journal: order %d is %s, attempt %d, not on disk yet", j.p.number, order, r.State, r.Attempt)
	j.p.w.checker.noteRecord(j.p, order, r)
	return j.p.step("after a journal write")
}

func (j *asyncJournal) Sync() error {
	return j.write(func(string) bool { return true })
}

func (j *asyncJournal) Put(r resubmit.Record) error {
	random := j.p.w.random(callJournal, j.p.w.indexOf(r.OrderID), -r.Attempt)
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
	return j.faultyJournal.Put(r)
}

// write writes the pending records of some orders. A failed write is not retried: the log then rejects all writes.
func (j *asyncJournal) write(selected func(orderID string) bool) error {
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	for i := 0; i < len(j.pending); {
		if !selected(j.pending[i].OrderID) {
			i++
			continue
		}
		if err := j.faultyJournal.Put(j.pending[i]); err != nil {
			return err
		}
		j.pending = append(j.pending[:i:i], j.pending[i+1:]...)
	}
	return nil
}

func (j *asyncJournal) Get(orderID string) (resubmit.Record, bool, error) {
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	for i := len(j.pending) - 1; i >= 0; i-- {
		if j.pending[i].OrderID == orderID {
			return j.pending[i], true, nil
		}
	}
	return j.faultyJournal.Get(orderID)
}

func (j *asyncJournal) Heads() iter.Seq2[resubmit.RecordHead, error] {
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

// restartClock makes the clock jump back at a restart, by moving the times in the journal into the future.
func (w *world) restartClock(ahead time.Duration) {
	if ahead <= 0 || w.cfg.Journal != nil {
		return
	}
	data := w.disk.Bytes()
	w.disk.tear = nil
	w.disk.Truncate(0)
	l := &Log{disk: w.disk}
	_, _ = readLog(data, func(line logLine) { // a torn line is left out, as it is when the log is opened
		if line.Record != nil {
			line.Record.At = line.Record.At.Add(ahead)
			if !line.Record.SentAt.IsZero() {
				line.Record.SentAt = line.Record.SentAt.Add(ahead)
			}
		}
		if line.Patience != nil {
			line.Patience.Asked, line.Patience.Until = line.Patience.Asked.Add(ahead), line.Patience.Until.Add(ahead)
		}
		_ = l.write(line) // cannot fail
	})
	w.checker.mu.Lock()
	w.checker.read = 0
	w.checker.mu.Unlock()
	w.count("clock of the program jumped back")
}
