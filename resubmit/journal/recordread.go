package journal

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// readHead is the head of what decode returns. That of a record that is as appendRecord
// writes nearly all, the same fields in the same order and no escapes, is read by hand,
// since a run that goes on reads a million of them; what is behind the head is not looked
// at then, as the checksum is that of what was written. Its texts are parts of one string.
func readHead(orderID, body []byte) (resubmit.RecordHead, error) {
	var r resubmit.Record
	p := plainRecord{rest: string(body)}
	p.readHead(&r)
	if !p.odd && p.comes(`,"at":"`) && r.OrderID == string(orderID) && isPlain(body[:len(body)-len(p.rest)]) {
		return r.Head(), nil
	}
	r, err := decode(string(orderID), body)
	return r.Head(), err
}

// readRecord reads a record as encoding/json does, and by hand what can be.
func readRecord(body []byte) (r resubmit.Record, err error) {
	if p := (plainRecord{rest: string(body)}); isPlain(body) && p.read(&r) {
		return r, nil
	}
	r = resubmit.Record{}
	err = number.Unmarshal(body, &r)
	return r, err
}

// isPlain reports whether all is UTF-8 without an escape and without a control
// character.
func isPlain(body []byte) bool {
	const blanks, tops = 0x20_20_20_20_20_20_20_20, 0x80_80_80_80_80_80_80_80
	rest := body
	for ; len(rest) >= 8; rest = rest[8:] {
		// A byte that is below a blank borrows from its top bit, which it does not have.
		if eight := binary.LittleEndian.Uint64(rest); (eight-blanks)&^eight&tops != 0 {
			return false
		}
	}
	for _, c := range rest {
		if c < ' ' {
			return false
		}
	}
	return bytes.IndexByte(body, '\\') < 0 && utf8.Valid(body)
}

// plainRecord is what is still to be read of a record. odd says that encoding/json has
// to read it.
type plainRecord struct {
	rest string
	odd  bool
}

// readHead reads all up to the status that an order was seen in.
func (p *plainRecord) readHead(r *resubmit.Record) {
	r.OrderID = p.text(`{"id":"`)
	r.Fingerprint = p.text(`,"fingerprint":"`)
	r.State = resubmit.RecordState(p.text(`,"state":"`))
	r.Attempt = p.number(`,"attempt":`)
	if p.comes(`,"lost":`) {
		r.Lost = p.number(`,"lost":`)
	}
	if p.comes(`,"target":"`) {
		r.Target = commerce.Status(p.text(`,"target":"`))
	}
	if p.comes(`,"seen":"`) {
		r.Seen = commerce.Status(p.text(`,"seen":"`))
	}
}

func (p *plainRecord) read(r *resubmit.Record) bool {
	p.readHead(r)
	r.At = p.time(`,"at":"`)
	if p.comes(`,"sentAt":"`) {
		r.SentAt = p.time(`,"sentAt":"`)
	}
	if p.comes(`,"why":"`) {
		r.Why = p.text(`,"why":"`)
	}
	return !p.odd && p.rest == "}"
}

func (p *plainRecord) comes(key string) bool { return strings.HasPrefix(p.rest, key) }

// after passes over a key.
func (p *plainRecord) after(key string) string {
	rest, found := strings.CutPrefix(p.rest, key)
	p.odd = p.odd || !found
	return rest
}

// text reads a key with the quote that opens its text, and the text.
func (p *plainRecord) text(key string) string {
	text, rest, found := strings.Cut(p.after(key), `"`)
	p.rest, p.odd = rest, p.odd || !found
	return text
}

// number reads a count of up to nine digits.
func (p *plainRecord) number(key string) int {
	rest := p.after(key)
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	count, err := number.Atoi(rest[:min(n, 9)])
	p.rest, p.odd = rest[n:], p.odd || err != nil || n > 9 || n > 1 && rest[0] == '0'
	return count
}

func (p *plainRecord) time(key string) (t time.Time) {
	var text [40]byte // which is longer than such a time
	p.odd = t.UnmarshalText(append(text[:0], p.text(key)...)) != nil || p.odd
	return t
}
