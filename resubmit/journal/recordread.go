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

// readHead returns the head of a record. A record with the usual fields and no escapes is
// parsed by hand, because a resumed run reads up to a million; the rest of it is then not
// parsed, as its checksum is right. The texts share one string.
func readHead(orderID, body []byte) (resubmit.RecordHead, error) {
	var r resubmit.Record
	p := plainRecord{rest: string(body)}
	p.readHead(&r)
	if !p.malformed && p.hasPrefix(`,"at":"`) && r.OrderID == string(orderID) && isPlain(body[:len(body)-len(p.rest)]) {
		return r.Head(), nil
	}
	r, err := decode(string(orderID), body)
	return r.Head(), err
}

// readRecord parses a record, by hand if possible.
func readRecord(body []byte) (r resubmit.Record, err error) {
	if p := (plainRecord{rest: string(body)}); isPlain(body) && p.read(&r) {
		return r, nil
	}
	r = resubmit.Record{}
	err = number.Unmarshal(body, &r)
	return r, err
}

// isPlain reports whether body is UTF-8 without escapes and control characters.
func isPlain(body []byte) bool {
	const blanks, tops = 0x20_20_20_20_20_20_20_20, 0x80_80_80_80_80_80_80_80
	rest := body
	for ; len(rest) >= 8; rest = rest[8:] {
		// Subtracting a blank sets the top bit of each byte below it.
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

// plainRecord is the unparsed rest of a record. malformed means that encoding/json must
// parse it.
type plainRecord struct {
	rest      string
	malformed bool
}

// readHead parses the fields up to Seen.
func (p *plainRecord) readHead(r *resubmit.Record) {
	r.OrderID = p.text(`{"id":"`)
	r.Fingerprint = p.text(`,"fingerprint":"`)
	r.State = resubmit.RecordState(p.text(`,"state":"`))
	r.Attempt = p.number(`,"attempt":`)
	if p.hasPrefix(`,"lost":`) {
		r.Lost = p.number(`,"lost":`)
	}
	if p.hasPrefix(`,"target":"`) {
		r.Target = commerce.Status(p.text(`,"target":"`))
	}
	if p.hasPrefix(`,"seen":"`) {
		r.Seen = commerce.Status(p.text(`,"seen":"`))
	}
}

func (p *plainRecord) read(r *resubmit.Record) bool {
	p.readHead(r)
	r.At = p.time(`,"at":"`)
	if p.hasPrefix(`,"sentAt":"`) {
		r.SentAt = p.time(`,"sentAt":"`)
	}
	if p.hasPrefix(`,"why":"`) {
		r.Why = p.text(`,"why":"`)
	}
	return !p.malformed && p.rest == "}"
}

func (p *plainRecord) hasPrefix(key string) bool { return strings.HasPrefix(p.rest, key) }

// after skips a key.
func (p *plainRecord) after(key string) string {
	rest, found := strings.CutPrefix(p.rest, key)
	p.malformed = p.malformed || !found
	return rest
}

// text parses a key with the opening quote, and its text.
func (p *plainRecord) text(key string) string {
	text, rest, found := strings.Cut(p.after(key), `"`)
	p.rest, p.malformed = rest, p.malformed || !found
	return text
}

// number parses a count of up to nine digits.
func (p *plainRecord) number(key string) int {
	rest := p.after(key)
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	count, err := number.Atoi(rest[:min(n, 9)])
	p.rest, p.malformed = rest[n:], p.malformed || err != nil || n > 9 || n > 1 && rest[0] == '0'
	return count
}

func (p *plainRecord) time(key string) (t time.Time) {
	var text [40]byte // longer than any time
	p.malformed = t.UnmarshalText(append(text[:0], p.text(key)...)) != nil || p.malformed
	return t
}
