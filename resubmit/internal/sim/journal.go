package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// openJournal opens the journal of the process, and checks that it is the one of the process before.
func (p *process) openJournal(systems *resubmit.Systems) (*faultyJournal, error) {
	inner, err := p.w.journalOf(p)
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	p.opened = p.w.cfg.Journal != nil
	j := &faultyJournal{inner: inner, p: p}
	_, err = j.Begin(p.ctx, resubmit.JournalUse{
		System: systems.Name, BaseURL: systems.BaseURL, IDSpace: systems.Capabilities.IDSpace, After: p.w.anchorNow(),
	})
	if errors.Is(err, resubmit.ErrJournalMismatch) {
		p.w.recoverJournal()
		return nil, errRecovered
	}
	return j, err
}

// journalOf opens the journal. Programs that run at the same time share it.
func (w *world) journalOf(p *process) (resubmit.Journal, error) {
	if w.cfg.Journal == nil {
		j := w.store.For(p.id)
		if w.cfg.wrap != nil {
			j = w.cfg.wrap(j)
		}
		return j, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.opened == nil {
		j, err := w.cfg.Journal(p.env())
		if err != nil {
			return nil, err
		}
		w.opened = j
	}
	w.users++
	return w.opened, nil
}

// closeJournal closes the files of a journal, as the end of the last process does. If others still use it, it ends the
// leases of the process, since only the journal of one that is open knows that its process lives.
func (w *world) closeJournal(p *process) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.users--; w.users > 0 {
		return w.endLeases(p)
	}
	c, ok := w.opened.(io.Closer)
	w.opened = nil
	if !ok {
		return nil
	}
	return c.Close()
}

func (w *world) endLeases(p *process) error {
	for _, key := range p.leases {
		r, err := w.opened.Get(context.Background(), key)
		if err != nil {
			return err
		}
		if r.Run == nil || !r.Run.Ended.IsZero() {
			continue
		}
		r.Key, r.Run.Ended = key, time.Now().UTC()
		if _, err := w.opened.Put(context.Background(), resubmit.Durable, r); err != nil {
			return err
		}
	}
	return nil
}

// anchorNow is the position that is kept outside of the journal; zero if none is.
func (w *world) anchorNow() plan.Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.anchor
}

// setAnchor keeps a position, at most once per second unless it must.
func (w *world) setAnchor(p plan.Position, must bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if must || time.Since(w.anchorAt) >= time.Second {
		w.anchor, w.anchorAt = p, time.Now()
	}
}

// lose loses the journal, or restores an older copy, unless nothing was written yet.
func (w *world) lose(l *lossSpec) {
	at := w.anchorNow()
	switch {
	case at.Sequence == 0:
		return
	case l.replaced:
		w.store.replace()
		w.count("journal replaced by a new one")
	case w.store.restore(at, l.share):
		w.count("journal restored from an older copy")
	default:
		return
	}
	w.logf("%s", l)
	w.checker.noteLoss()
}

// recoverJournal continues after a loss that was noticed.
func (w *world) recoverJournal() {
	w.store.recover(time.Now())
	w.mu.Lock()
	w.anchor = plan.Position{}
	w.mu.Unlock()
	w.count("lost journal rejected")
	w.logf("the journal is not the one of the anchor, and is recovered")
	for _, g := range w.programs {
		g.plan = nil
	}
}

// faultyJournal is the journal as a process uses it. It is slow, and its process can be killed before, during and after
// each write.
type faultyJournal struct {
	inner resubmit.Journal
	p     *process
}

// Begin implements [resubmit.Journal].
func (j *faultyJournal) Begin(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
	if err := j.p.step("before a journal write"); err != nil {
		return resubmit.Lease{}, err
	}
	l, err := j.inner.Begin(ctx, u)
	if err != nil {
		return l, err
	}
	j.p.w.setAnchor(l.Position, true)
	if u.Plan != "" {
		j.p.w.checker.noteLease(j.p, l.Epoch)
		j.p.leases = append(j.p.leases, protocol.LeaseKey(u.Plan, l.Epoch))
	}
	return l, nil
}

// Put implements [resubmit.Journal].
func (j *faultyJournal) Put(ctx context.Context, d resubmit.Durability, records ...protocol.Record) (uint64, error) {
	p := j.p
	first := &records[0]
	order := p.w.indexOf(first.ID)
	if first.Kind == protocol.KindSystem {
		p.unsavedPauses.Add(1)
	}
	began := time.Now()
	if err := j.delay(ctx); err != nil {
		return 0, err
	}
	seq, err := j.put(ctx, d, records)
	if first.Run == nil || first.Run.Renewals == 0 || err != nil {
		p.w.logf("process %s: journal: %s: %v", p, describe(order, records), err)
	}
	if err != nil {
		return 0, err
	}
	if first.Kind == protocol.KindSystem {
		p.unsavedPauses.Add(-1)
	}
	if err := p.step("after a journal write"); err != nil {
		return 0, err
	}
	p.w.checker.noteRecord(p, order, first, began)
	return seq, nil
}

// delay waits for as long as the write takes to begin.
func (j *faultyJournal) delay(ctx context.Context) error {
	if err := j.p.step("before a journal write"); err != nil {
		return err
	}
	random := j.p.w.random(callJournal, j.p.id, int(j.p.writes.Add(1)))
	d := 50*time.Microsecond + time.Duration(random.Int64N(int64(3*time.Millisecond)))
	if slow := j.p.w.s.slowPuts; slow > 0 && random.IntN(3) == 0 && j.p.number < faultyProcesses {
		j.p.w.count("slow journal write")
		d = time.Duration(random.Int64N(int64(slow)))
	}
	return j.p.wait(ctx, d)
}

// put writes the records, unless the disk is full or the process is killed.
func (j *faultyJournal) put(ctx context.Context, d resubmit.Durability, records []protocol.Record) (uint64, error) {
	p := j.p
	if err := p.step("in a journal write"); err != nil {
		if p.crash != nil && p.crash.tear < 0.5 { // it arrives
			p.w.count("journal write done by a killed process")
			_, _ = j.inner.Put(context.WithoutCancel(ctx), d, records...) // the process does not get the answer
		}
		return 0, err
	}
	if p.diskFull.Load() {
		return 0, errDiskFull
	}
	f := p.w.fault(p, callJournal, -1, p.w.countCall(callJournal, -1))
	if f.kind == faultDiskFull {
		p.w.count("disk full in a journal write")
		p.diskFull.Store(true)
		return 0, errDiskFull
	}
	seq, err := j.inner.Put(ctx, d, records...)
	if c, ok := errors.AsType[*resubmit.ConflictError](err); ok {
		p.w.count("write rejected because of another version: " + string(c.Current.Kind))
	}
	if err == nil && f.kind == faultLostAfter {
		p.w.count("answer to a journal write lost")
		return 0, errCommitLost
	}
	if err == nil && p.w.cfg.Journal == nil {
		p.w.setAnchor(p.w.store.safe(), false)
	}
	return seq, err
}

// describe describes the records of a write.
func describe(order int, records []protocol.Record) string {
	text := ""
	for _, r := range records {
		switch {
		case r.Order != nil:
			text += fmt.Sprintf("order %d is %s %s, attempt %d (%s)", order, r.Order.Phase, r.Order.Outcome, r.Order.Attempts,
				r.Order.Why)
		case r.Lane != nil && r.Lane.Order == "":
			text += fmt.Sprintf("; the %s is free", r.ID)
		case r.Lane != nil:
			text += fmt.Sprintf("; the %s is of %s, blocked: %t", r.ID, r.Lane.Number, r.Lane.Blocked)
		default:
			text += r.ID
		}
	}
	return text
}

// Get implements [resubmit.Journal].
func (j *faultyJournal) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	if err := j.p.pause(); err != nil {
		return protocol.Record{}, err
	}
	return j.inner.Get(ctx, k)
}

// Records implements [resubmit.Journal].
func (j *faultyJournal) Records(ctx context.Context) iter.Seq2[protocol.Record, error] {
	return func(yield func(protocol.Record, error) bool) {
		for r, err := range j.inner.Records(ctx) {
			if j.p.killed() {
				r, err = protocol.Record{}, errKilled
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// Flush implements [resubmit.Journal].
func (j *faultyJournal) Flush(ctx context.Context) (plan.Position, error) {
	if err := j.p.step("before a journal write"); err != nil {
		return plan.Position{}, err
	}
	at, err := j.inner.Flush(ctx)
	if err == nil {
		j.p.w.setAnchor(at, true)
	}
	return at, err
}
