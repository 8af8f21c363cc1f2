package explore

import (
	"encoding/binary"
	"hash/maphash"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// key identifies states that have the same future. That two others have one key is less likely than 1e-20.
type key [2]uint64

// hasher computes keys. It implements [protocol.Encoding].
type hasher struct {
	seeds [2]maphash.Seed
	buf   []byte
	w     *world
}

func newHasher() *hasher {
	return &hasher{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

// key returns the key of a state. Times count from now, up to the age from which they do not matter any more. A
// version is the current one of its record or an old one, unless the journal can be restored.
func (h *hasher) key(w *world) key {
	h.w = w
	b := h.buf[:0]
	for o := range w.orders {
		b = h.order(b, o)
	}
	for i := range w.wire {
		q := &w.wire[i]
		b = ints(b, int(q.order), int(q.proc), int(q.state), int(q.text), int(q.counted))
		b = append(b, bits(q.run == w.plans[0].run, q.run == w.plans[1].run))
		b = uints(b, h.Age(q.deadline), h.Wait(q.deadline), h.Age(q.lastEnd))
	}
	b = append(b, 0xff)
	b = h.journal(b, w.journal)
	if w.journal.durable != nil {
		b = h.journal(b, w.journal.durable)
	}
	if w.cfg.Faults.Restores > 0 {
		b = h.restores(b)
	}
	for p := range w.procs {
		b = h.plan(b, &w.plans[p])
		b = h.process(b, p)
	}
	for _, n := range w.left.counts() {
		b = ints(b, *n)
	}
	h.buf = b
	return key{maphash.Bytes(h.seeds[0], b), maphash.Bytes(h.seeds[1], b)}
}

func bits(set ...bool) (b byte) {
	for i, s := range set {
		if s {
			b |= 1 << i
		}
	}
	return b
}

func ints(b []byte, values ...int) []byte {
	for _, v := range values {
		b = binary.AppendVarint(b, int64(v))
	}
	return b
}

func uints(b []byte, values ...uint64) []byte {
	for _, v := range values {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func (h *hasher) order(b []byte, o int) []byte {
	w, order := h.w, &h.w.orders[o]
	b = ints(b, int(order.status), int(order.text), int(order.template), int(order.sent), int(order.total))
	b = append(b, bits(order.ours, order.pushed, order.repeated, order.forgotten, order.settled,
		w.now.Sub(order.changedAt) > protocol.MaxReadAge, order.requestAt.Equal(w.now)))
	return uints(b, h.ageUpTo(order.lastEnd, w.cfg.spacing))
}

func (h *hasher) journal(b []byte, j *journal) []byte {
	for o := range j.orders {
		rec := &j.orders[o]
		b = rec.Order.AppendState(b, h)
		if rec.Order == nil {
			continue
		}
		b = append(b, h.since(o, rec.Order), bits(rec.Order.ClaimedAt.After(j.forgotten)))
		end := j.owners[o].leaseEnd
		if j == h.w.journal {
			end = h.w.leaseEnd(o)
		}
		b = uints(ints(b, len(j.owners[o].end)), h.Age(end), h.Wait(end))
	}
	return ints(j.lane.Lane.AppendState(b), int(j.id))
}

// since encodes how what is known about an order compares with its record.
func (h *hasher) since(o int, rec *protocol.Order) byte {
	order := &h.w.orders[o]
	return bits(h.w.outage.After(rec.SentAt), !order.requestAt.IsZero() && !order.requestAt.Before(rec.FirstClaimAt))
}

func (h *hasher) restores(b []byte) []byte {
	w := h.w
	for _, p := range []position{w.anchors[0], w.anchors[1], w.plans[0].position, w.plans[1].position} {
		b = append(uints(ints(b, int(p.journal)), p.sequence), bits(p.lost))
	}
	b = uints(b, w.settled)
	for o := range w.orders {
		b = uints(b, h.Wait(w.plannedFrom(o, false)), h.Wait(w.plannedFrom(o, true)))
	}
	for _, j := range []*journal{w.journal, w.backup} {
		if j != nil {
			b = uints(b, j.sequence, j.orders[0].Version, j.orders[1].Version, j.lane.Version)
		}
	}
	if w.backup == nil {
		return b
	}
	b = append(h.journal(b, w.backup), bits(w.now.After(w.backup.at)))
	for p := range w.procs {
		b = append(b, bits(w.procs[p].renewed.After(w.backup.at), w.procs[p].epoch > w.backup.epochs))
	}
	return b
}

func (h *hasher) plan(b []byte, pl *plan) []byte {
	if pl.run == "" {
		return append(b, 0)
	}
	for o := range pl.entries {
		e := &pl.entries[o]
		b = append(b, bits(e.planned, e.named, e.accepted, e.older, e.repeated, e.foreign))
		b = ints(b, int(e.text), int(e.sent))
		if e.planned {
			b = uints(b, h.Version(protocol.OrderKey(orderNames[o]), e.version))
		}
	}
	return b
}

func (h *hasher) process(b []byte, p int) []byte {
	proc := &h.w.procs[p]
	if !proc.running {
		return append(b, 0)
	}
	b = append(b, 1, bits(proc.lost))
	if h.w.cfg.Leases {
		b = uints(b, h.ageUpTo(proc.renewed, h.w.cfg.Lease))
	}
	if h.w.cfg.without == ruleBothClocks {
		b = ints(b, int(proc.slept))
	}
	for o := range proc.orders {
		t := &proc.orders[o]
		b = append(ints(b, len(t.outcome)), bits(t.waiting, t.machine != nil))
		if t.machine != nil {
			b = t.machine.AppendState(b, h)
			rec, _ := t.machine.Record()
			b = append(b, h.since(o, &rec))
		}
	}
	return b
}

// Age returns an age in units, at least 1, or 0 for the zero time.
func (h *hasher) Age(t time.Time) uint64 { return h.ageUpTo(t, h.w.cfg.oldest) }

func (h *hasher) ageUpTo(t time.Time, most time.Duration) uint64 {
	if t.IsZero() {
		return 0
	}
	return 1 + uint64(max(0, min(most, h.w.now.Sub(t))/h.w.cfg.unit))
}

// Wait returns in how many units a time is.
func (h *hasher) Wait(t time.Time) uint64 { return uint64(max(0, t.Sub(h.w.now)/h.w.cfg.unit)) }

// Version returns how a version compares with the current one.
func (h *hasher) Version(k protocol.Key, version uint64) uint64 {
	if version == 0 || h.w.cfg.Faults.Restores > 0 {
		return version
	}
	j := h.w.journal
	same := version == j.record(k).Version
	before := j.durable != nil && version == j.durable.record(k).Version
	return 1 + uint64(bits(same, before))
}

// Owner returns which plan and process an owner is.
func (h *hasher) Owner(run string, epoch uint64) uint64 {
	var b byte
	for p := range h.w.procs {
		proc := &h.w.procs[p]
		b = b<<2 | bits(run == h.w.plans[p].run, proc.running && epoch == proc.epoch)
	}
	return uint64(b)
}
