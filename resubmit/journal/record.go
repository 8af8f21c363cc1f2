package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// Kinds of records in the file.
const (
	kindNumber byte = iota // only in the index: the number of an order
	kindOrder
	kindLane
	kindRun
	kindSystem
	kindBegin // a run began; nothing refers to it
	kindMark  // a position that was returned
	// removed is added to the kind of a record that only removes its key.
	removed byte = 0x80
)

var kinds = map[protocol.Kind]byte{
	protocol.KindOrder: kindOrder, protocol.KindLane: kindLane, protocol.KindRun: kindRun, protocol.KindSystem: kindSystem,
}

var names = [...]protocol.Kind{
	kindOrder: protocol.KindOrder, kindLane: protocol.KindLane, kindRun: protocol.KindRun, kindSystem: protocol.KindSystem,
	kindMark: "",
}

// record is an encoded record.
type record struct {
	kind    byte
	version uint64
	back    int64 // how far before it the record is that it replaces; 0 for none
	id      []byte
	fields  []byte
	raw     []byte // all of it
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord appends a record. fields may be nil.
func appendRecord(b []byte, r record, list func(*coder)) []byte {
	const room = 4 + 4 // for the checksum and the longest size
	at := len(b)
	b = append(b, make([]byte, room)...)
	b = append(b, r.kind)
	b = binary.AppendUvarint(b, r.version)
	b = binary.AppendUvarint(b, uint64(r.back)) //nolint:gosec // it is not negative
	b = append(binary.AppendUvarint(b, uint64(len(r.id))), r.id...)
	b = append(b, r.fields...)
	if list != nil {
		b = encode(b, list)
	}
	size := len(b) - at - room
	end := binary.PutUvarint(b[at+4:], uint64(size)) //nolint:gosec // it is not negative
	copy(b[at+4+end:], b[at+room:])
	b = b[:at+4+end+size]
	binary.LittleEndian.PutUint32(b[at:], crc32.Checksum(b[at+4:], castagnoli))
	return b
}

// cutRecord returns the record at the start of b.
func cutRecord(b []byte) (r record, ok bool) {
	if len(b) < 5 {
		return record{}, false
	}
	size, n := binary.Uvarint(b[4:])
	if n <= 0 || size > maxRecord || size > uint64(len(b[4+n:])) || size == 0 {
		return record{}, false
	}
	r.raw = b[:4+n+int(size)]
	b = r.raw[4+n:]
	r.kind, b = b[0], b[1:]
	var back, length uint64
	for _, v := range []*uint64{&r.version, &back, &length} {
		if *v, n = binary.Uvarint(b); n <= 0 {
			return record{}, false
		}
		b = b[n:]
	}
	if length > uint64(len(b)) || back > maxOffset {
		return record{}, false
	}
	r.back, r.id, r.fields = int64(back), b[:length], b[length:]
	return r, true
}

// intact reports whether the checksum is right.
func (r record) intact() bool {
	return binary.LittleEndian.Uint32(r.raw) == crc32.Checksum(r.raw[4:], castagnoli)
}

// decode returns the record of the protocol.
func (r record) decode() (protocol.Record, bool) {
	if kind := r.kind &^ removed; kind < kindOrder || kind > kindSystem {
		return protocol.Record{}, false
	}
	p := protocol.Record{Key: protocol.Key{Kind: names[r.kind&^removed], ID: string(r.id)}, Version: r.version}
	if r.kind&removed != 0 {
		return p, len(r.fields) == 0
	}
	return p, decode(r.fields, func(c *coder) { fields(c, &p) })
}

// intact reports whether b has only records with the right checksums.
func intact(b []byte) bool {
	for len(b) > 0 {
		r, ok := cutRecord(b)
		if !ok || !r.intact() {
			return false
		}
		b = b[len(r.raw):]
	}
	return true
}

// eachRecord calls f with each record of b, which is at an offset of the file.
func eachRecord(b []byte, at int64, f func(record, int64) error) error {
	for len(b) > 0 {
		r, ok := cutRecord(b)
		if !ok {
			return errors.New("a record is malformed")
		}
		if err := f(r, at); err != nil {
			return err
		}
		b, at = b[len(r.raw):], at+int64(len(r.raw))
	}
	return nil
}

// fields visits the fields of a record. A new field is added at the end of its list: older
// versions reject records that have it.
func fields(c *coder, r *protocol.Record) {
	switch r.Kind {
	case protocol.KindOrder:
		orderFields(c, &r.At, made(c, &r.Order))
	case protocol.KindLane:
		l := made(c, &r.Lane)
		c.instant(&r.At)
		textField(c, &l.Order)
		textField(c, &l.Number)
		c.flag(&l.Blocked)
		textField(c, &l.Newest)
		c.instant(&l.NewestAt)
	case protocol.KindRun:
		runFields(c, &r.At, made(c, &r.Run))
	case protocol.KindSystem:
		s := made(c, &r.System)
		c.instant(&r.At)
		c.instant(&s.RetryAfter)
		c.instant(&s.AskedAt)
		textField(c, &s.Why)
		numberField(c, &s.Opens)
	}
}

// made returns the value of a record, a new one if it is decoded.
func made[T any](c *coder, value **T) *T {
	if c.decoding {
		*value = new(T)
	}
	return *value
}

func orderFields(c *coder, at *time.Time, o *protocol.Order) {
	textField(c, &o.Number) // first: see orderNumber
	c.instant(at)
	textField(c, &o.Run)
	numberField(c, &o.Epoch)
	textField(c, &o.Fingerprint)
	textField(c, &o.Template)
	c.texts(&o.Lanes)
	c.instant(&o.PlacedAt)
	textField(c, &o.Phase)
	textField(c, &o.Outcome)
	numberField(c, &o.Attempts)
	numberField(c, &o.Forgiven)
	numberField(c, &o.Resubmissions)
	c.flag(&o.Named)
	textField(c, &o.Target)
	textField(c, &o.Status)
	c.instant(&o.ClaimedAt)
	c.instant(&o.FirstClaimAt)
	c.instant(&o.SentAt)
	c.instant(&o.DoneAt)
	c.flag(&o.Refused)
	c.flag(&o.Gateway)
	textField(c, &o.After)
	c.texts(&o.Earlier)
	textField(c, &o.Why)
	c.instant(&o.FirstClaimInConnect)
	c.flag(&o.Settled)
}

// orderNumber returns the number of an order in its encoded fields.
func orderNumber(in []byte) []byte {
	if len(in) < 4 || in[0]&1 == 0 {
		return nil
	}
	n, size := binary.Uvarint(in[4:])
	if rest := in[4+max(size, 0):]; size > 0 && n <= uint64(len(rest)) {
		return rest[:n]
	}
	return nil
}

func runFields(c *coder, at *time.Time, r *protocol.Run) {
	c.instant(at)
	numberField(c, &r.Epoch)
	textField(c, &r.Owner)
	numberField(c, &r.Renewals)
	c.instant(&r.Started)
	c.instant(&r.Ended)
	textField(c, &r.End)
	textField(c, &r.Error)
	c.flag(&r.Control.Paused)
	rate := math.Float64bits(r.Control.Rate)
	numberField(c, &rate)
	r.Control.Rate = math.Float64frombits(rate)
	textField(c, &r.Control.Stop)
	textField(c, &r.Control.By)
	textField(c, &r.Control.Why)
}
