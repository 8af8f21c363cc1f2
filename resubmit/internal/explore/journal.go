package explore

import (
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// journal is a journal that keeps the rules of resubmit.Journal.
type journal struct {
	id       int8
	sequence uint64
	orders   [2]protocol.Record
	lane     protocol.Record
	owners   [2]owner // of the records of the orders
	// forgotten is when records were lost.
	forgotten time.Time
	// durable is the journal as it is after a crash that loses what was deferred; nil if that is nothing.
	durable *journal
	at      time.Time // of a backup, and how many leases there were
	epochs  uint64
}

// owner is the record of the run that wrote a record.
type owner struct {
	epoch    uint64
	leaseEnd time.Time // once its process has ended
	end      protocol.RunEnd
}

// position is a position in a journal. It is lost if the journal was restored to an older one.
type position struct {
	journal  int8
	sequence uint64
	lost     bool
}

func (w *world) position() position {
	return position{journal: w.journal.id, sequence: w.journal.sequence}
}

// knows reports whether the journal was at a position. The rule is that the position has a chain hash. Without it, the
// sequence is compared only.
func (w *world) knows(p position) bool {
	if w.cfg.without == ruleChainHash {
		return p.journal == w.journal.id && p.sequence <= w.journal.sequence
	}
	return p.journal == w.journal.id && !p.lost
}

// record returns the current record of a key.
func (j *journal) record(k protocol.Key) *protocol.Record {
	if k.Kind == protocol.KindLane {
		return &j.lane
	}
	return &j.orders[orderIndex(k.ID)]
}

func orderIndex(id string) int {
	if id == orderNames[0] {
		return 0
	}
	return 1
}

// change returns the journal to change it.
func (w *world) change() *journal {
	j := *w.journal
	w.journal = &j
	return w.journal
}

// put writes records, or returns the current record of the first key that has another version.
func (w *world) put(durable bool, o owner, records []protocol.Record) (seq uint64, conflict *protocol.Record) {
	j := w.journal
	for _, r := range records {
		if now := j.record(r.Key); now.Version != r.Version {
			c := *now
			c.Key = r.Key
			return 0, &c
		}
	}
	before := j
	j = w.change()
	switch {
	case durable || w.cfg.Leases:
		j.durable = nil
	case j.durable == nil:
		j.durable = before
	}
	j.sequence++
	for _, r := range records {
		r.Version = j.sequence
		*j.record(r.Key) = r
		if r.Order != nil {
			j.owners[orderIndex(r.ID)] = o
		}
	}
	return j.sequence, nil
}

// leaseEnd returns when the lease of the run that wrote the record of an order is over; zero if that run has ended.
func (w *world) leaseEnd(o int) time.Time {
	own := &w.journal.owners[o]
	for i := range w.procs {
		if p := &w.procs[i]; p.running && p.epoch == own.epoch && w.cfg.Leases {
			return p.renewed.Add(w.cfg.Lease)
		}
	}
	return own.leaseEnd
}

// release ends the lease of a process. After a crash it lasts until its end.
func (w *world) endLease(p *process, end protocol.RunEnd) {
	j := w.change()
	for i := range j.owners {
		own := &j.owners[i]
		if own.epoch != p.epoch {
			continue
		}
		own.end = end
		if end == "" && w.cfg.Leases {
			own.leaseEnd = p.renewed.Add(w.cfg.Lease)
		}
	}
	*p = process{plan: p.plan}
}

// anchor returns the anchor of a process.
func (w *world) anchor(p int) *position {
	if w.cfg.without == ruleSharedAnchor {
		return &w.anchors[p]
	}
	return &w.anchors[0]
}

// saveAnchor moves the anchor of a process to where the journal is now.
func (w *world) saveAnchor(p int) {
	w.settled = w.journal.sequence
	if a := w.anchor(p); w.knows(*a) {
		*a = w.position()
	}
}

// restore replaces the journal by its backup.
func (w *world) restore() {
	versions := [2]uint64{w.journal.orders[0].Version, w.journal.orders[1].Version}
	w.journal = w.backup
	lose := func(p *position) {
		if p.sequence > w.journal.sequence {
			p.lost = true
		}
	}
	for i := range w.procs {
		lose(&w.anchors[i])
		lose(&w.plans[i].position)
		p := &w.procs[i]
		p.lost = p.lost || p.running && (p.renewed.After(w.journal.at) || p.epoch > w.journal.epochs)
	}
	for i := range w.orders {
		w.orders[i].forgotten = w.orders[i].forgotten || w.journal.orders[i].Version != versions[i]
	}
}

// recover continues with a journal that lost records.
func (w *world) recover() {
	j := w.change()
	j.id++
	j.forgotten, j.durable = w.now, nil
	for i := range w.anchors {
		w.anchors[i] = w.position()
	}
}
