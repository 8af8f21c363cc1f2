package protocol

import (
	"encoding/binary"
	"slices"
	"time"
)

// Clone returns a copy of the machine. They share nothing that changes.
func (m *Machine) Clone() *Machine {
	c := *m
	c.course.lanes, c.attempt.tried = slices.Clone(m.course.lanes), slices.Clone(m.attempt.tried)
	return &c
}

// Encoding encodes the times, versions and owners in the state of a machine. A model checker gives equal codes to those
// whose difference has no effect any more, so that it recognizes states that it has seen.
type Encoding interface {
	// Age encodes how long ago a time was, and Wait how far away it is.
	Age(t time.Time) uint64
	Wait(t time.Time) uint64
	Version(k Key, version uint64) uint64
	Owner(run string, epoch uint64) uint64
}

// AppendState appends the state of the machine without its constants, which are the arguments of
// [Start], and without texts for people.
func (m *Machine) AppendState(b []byte, e Encoding) []byte {
	c, a := &m.course, &m.attempt
	b = appendInts(b, int(c.stage), a.releases, m.readFails, len(a.tried), len(c.put))
	b = append(b, flag(a.claiming), flag(c.closing != nil), flag(c.lanes != nil))
	b = appendStrings(b, string(c.outcome), string(a.target))
	b = binary.AppendUvarint(b, e.Wait(c.at))
	if c.stage == stageClaim || c.stage == stagePush {
		for _, t := range []time.Time{a.readBegan, a.claimedAt, a.sentAt} {
			b = binary.AppendUvarint(b, e.Age(t))
		}
	}
	b = binary.AppendUvarint(b, e.Version(OrderKey(c.id), c.version))
	b = c.rec.AppendState(b, e)
	if a.before != nil && c.stage == stagePush {
		b = a.before.AppendState(b, e)
	}
	if c.closing != nil {
		b = append(b, flag(c.closing.free), flag(c.closing.always))
	}
	for _, l := range c.lanes {
		b = binary.AppendUvarint(b, e.Version(l.Key, l.Version))
		b = l.Lane.AppendState(b)
	}
	return b
}

// AppendState appends the state of the order, as [Machine.AppendState] does. Of FirstClaimAt it has whether it is zero.
// It may be nil.
func (o *Order) AppendState(b []byte, e Encoding) []byte {
	if o == nil {
		return append(b, 0)
	}
	b = appendInts(b, 1, o.Attempts, o.Forgiven, o.Resubmissions, len(o.Earlier))
	b = append(b, flag(o.Refused), flag(o.Gateway), flag(o.Named), flag(o.Settled), flag(o.FirstClaimAt.IsZero()),
		flag(o.DoneAt.IsZero()))
	b = appendStrings(b, o.Fingerprint, o.Template, string(o.Phase), string(o.Outcome), string(o.Target), o.After)
	b = appendStrings(b, o.Earlier...)
	b = binary.AppendUvarint(b, e.Owner(o.Run, o.Epoch))
	b = binary.AppendUvarint(b, e.Age(o.SentAt))
	if o.Phase == Claimed {
		b = binary.AppendUvarint(b, e.Age(o.ClaimedAt))
	}
	return b
}

// AppendState appends the state of the lane.
func (l *Lane) AppendState(b []byte) []byte {
	if l == nil {
		return append(b, 0)
	}
	return appendStrings(append(b, 1, flag(l.Blocked)), l.Order, l.Newest)
}

func appendStrings(b []byte, texts ...string) []byte {
	for _, s := range texts {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

func appendInts(b []byte, counts ...int) []byte {
	for _, n := range counts {
		b = binary.AppendVarint(b, int64(n))
	}
	return b
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}
