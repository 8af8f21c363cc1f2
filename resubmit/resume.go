package resubmit

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// finalStates are the states of records after which nothing more is done to an order. Each is also an Outcome. The next
// order of the same lanes may start after some of them only (see free): a false success blocks it.
var finalStates = [...]RecordState{RecordCompleted, RecordFailedAgain, RecordFalseSuccess, RecordSkipped}

// final reports whether nothing more is done to an order with this record state.
func (s RecordState) final() bool { return slices.Contains(finalStates[:], s) }

// load reads the record of an order from the journal.
func (x *run) load(j *job) next {
	j.loaded = true
	if err := x.learnKind(j); err != nil {
		x.cancel(err)
		return x.unstarted(j)
	}
	rec, found, err := x.cfg.Journal.Get(j.entry.OrderID)
	if err == nil && found && !rec.belongsTo(j.entry) {
		err = errors.New("its record is for another order or another failure than the plan; use the journal of this plan")
	}
	if err != nil {
		x.cancel(fmt.Errorf("resubmit: the journal: order %s: %w", text.Short(j.item.Number), err))
		return x.unstarted(j)
	}
	if found {
		x.recount(j)
		return x.resume(j, rec)
	}
	return nextAgain
}

// belongsTo reports whether a record is about the failure of the order that an entry of the plan has.
func (r *Record) belongsTo(e *plan.Entry) bool {
	return r.OrderID == e.OrderID && r.Fingerprint == e.Fingerprint
}

// resume continues from a record of an earlier run.
func (x *run) resume(j *job, rec Record) next {
	now := time.Now()
	j.remember(rec, now)
	switch rec.State {
	case RecordRefused:
		if rec.Attempt > 0 {
			j.sent = sentPush{at: j.rec.sent(), to: rec.Target, answered: true}
			j.unread = true
		}
		return nextAgain
	case RecordSending, RecordUnknown, RecordPushed, RecordProgressing:
		j.item.Target = rec.Target
		if rec.State == RecordPushed {
			j.item.PushedAt = j.rec.sent()
		}
		return x.settleIntent(j, now)
	default:
		if rec.State.final() {
			j.finishFromRecord()
			x.done(j, Outcome(rec.State), rec.Why)
			return nextOver
		}
		x.cancel(fmt.Errorf("resubmit: the journal: order %s has the unknown state %q", text.Short(j.item.Number), rec.State))
		return x.unstarted(j)
	}
}

// remember copies the record of an earlier run.
func (j *job) remember(rec Record, now time.Time) {
	for _, at := range []*time.Time{&rec.At, &rec.SentAt} {
		if at.After(now) {
			*at = now // the clock was set back, and no order must wait for that
		}
	}
	j.rec, j.earlier = rec, true
	j.item.Attempts = rec.Attempt
	j.evidence("journal", fmt.Sprintf("an earlier run left it as %s", rec.State), rec.At)
}

// finishFromRecord copies the outcome recorded by an earlier run.
func (j *job) finishFromRecord() {
	if j.rec.State != RecordSkipped {
		j.item.Target = j.rec.Target
	}
	j.ended = true
	j.item.After.Status = j.rec.Seen
	j.free = free(Outcome(j.rec.State), j.rec.Seen)
}

// settleIntent turns the intent of an earlier run into a push without an answer, if another push may
// follow. It is not known when the push was sent, except that it was before now.
func (x *run) settleIntent(j *job, now time.Time) next {
	if _, why := x.nextAttempt(j); j.rec.State != RecordSending || why != "" {
		return nextFollow
	}
	j.rec.SentAt = now
	if x.put(j, RecordUnknown, "an earlier run ended between the intent and the result of the push") != nil {
		return x.unstarted(j)
	}
	return nextFollow
}

// recallBlocked gives a blocked order the outcome that an earlier run recorded. In that run the older
// order did not block it, but the record of its completion was lost when the run ended.
func (x *run) recallBlocked(j *job) {
	rec, found, err := x.cfg.Journal.Get(j.entry.OrderID)
	if err != nil || !found || !rec.belongsTo(j.entry) ||
		rec.State == RecordRefused && rec.SentAt.IsZero() || rec.State == RecordSkipped {
		return
	}
	j.item.Attempts, j.item.Target = rec.Attempt, rec.Target
	j.evidence("journal", fmt.Sprintf("an earlier run left it as %s", rec.State), rec.At)
	if rec.State.final() {
		j.item.Outcome, j.item.Why = Outcome(rec.State), text.Sentence(rec.Why)
		return
	}
	j.item.Outcome = OutcomeUnknown
	j.item.Why += "; an earlier run pushed it, or may have: check the order before anything is sent again"
}

// recall reports whether an earlier run has pushed an order, or may have. Such an order counts in the
// canary before a younger one is released, so that a resumed run continues at the same step.
func (x *run) recall(j *job) bool {
	// The worker that takes the order reads the record again and handles the error.
	rec, found, err := x.cfg.Journal.Get(j.entry.OrderID)
	return err == nil && found && rec.State != RecordRefused
}

// readFinished reads the finished orders from a journal that returns all its records at once. An error ends the run.
func (x *run) readFinished() *finishedOrders {
	ended := newFinishedOrders(x.total)
	journal, ok := journalAs[BulkJournal](x.cfg.Journal)
	if !ok {
		return ended
	}
	for r, err := range guardedHeads(journal) {
		if err != nil {
			x.cancel(fmt.Errorf("resubmit: the journal: read its records: %w", err))
			return ended
		}
		if x.ctx.Err() != nil {
			return ended
		}
		ended.add(&r)
	}
	return ended
}

// passOver counts an order that an earlier run has finished without opening it. It reports false, and
// counts nothing, if that could make a difference: if an order before it in one of its lanes was
// opened or left out, or if too many of its group wait.
func (x *run) passOver(j *job, e finishedOrder) bool {
	if x.touched.hasAny(j.lanes) || x.itemsWanted && !x.loadFinished(j, &e) || !x.judgeFinished(x.groupOf(j.entry), &e) {
		return false
	}
	j.item.Outcome, j.item.Why = e.outcome(), text.Sentence(j.rec.Why)
	x.tally(&j.item)
	return true
}

// loadFinished reads the record of a finished order, if items are wanted. It reports false if the record has
// changed since.
func (x *run) loadFinished(j *job, e *finishedOrder) bool {
	rec, found, err := x.cfg.Journal.Get(j.entry.OrderID)
	if err != nil || !found || !rec.belongsTo(j.entry) {
		return false
	}
	j.remember(rec, time.Now())
	j.finishFromRecord()
	return j.free && Outcome(rec.State) == e.outcome() && rec.Attempt > 0 == e.pushed()
}

// judgeFinished counts a finished order in its canary group. It reports false if too many orders of the group wait.
func (x *run) judgeFinished(group string, e *finishedOrder) bool {
	attempts := 0
	if e.pushed() {
		attempts = 1
	}
	v := x.healthFor(x.ctx, e.outcome(), attempts, false)
	x.mu.Lock()
	r := x.canary.ramp(group)
	if x.canary.crowded(r) {
		x.mu.Unlock()
		return false
	}
	ready, stopped := x.canary.recount(r, v)
	x.mu.Unlock()
	x.resumeParked(ready, stopped)
	return true
}
