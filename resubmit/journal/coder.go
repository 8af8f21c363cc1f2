package journal

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// coder encodes the fields of a value, or decodes them: one list of fields serves both. The fields
// that are not zero follow a mask that names them.
type coder struct {
	out      []byte // encoded so far
	in       string // still to be decoded
	decoding bool
	bad      bool
	mask     uint32
	bit      uint32 // of the next field
}

// encode appends the fields that list visits.
func encode(out []byte, list func(*coder)) []byte {
	at := len(out)
	c := coder{out: append(out, 0, 0, 0, 0), bit: 1}
	list(&c)
	binary.LittleEndian.PutUint32(c.out[at:], c.mask)
	return c.out
}

// decode sets the fields that list visits. It fails if in has other fields or more than them.
func decode(in []byte, list func(*coder)) bool {
	if len(in) < 4 {
		return false
	}
	// The texts of all fields share one string.
	c := coder{in: string(in[4:]), decoding: true, mask: binary.LittleEndian.Uint32(in), bit: 1}
	list(&c)
	return !c.bad && c.in == "" && bits.Len32(c.mask) < bits.Len32(c.bit)
}

// next begins a field and reports whether it is present.
func (c *coder) next(set bool) bool {
	bit := c.bit
	c.bit <<= 1
	if c.decoding {
		return c.mask&bit != 0 && !c.bad
	}
	if set {
		c.mask |= bit
	}
	return set
}

func (c *coder) flag(b *bool) {
	if c.next(*b) {
		*b = true
	}
}

func textField[S ~string](c *coder, s *S) {
	if !c.next(*s != "") {
		return
	}
	if c.decoding {
		*s = S(c.cut())
		return
	}
	c.out = appendText(c.out, string(*s))
}

func numberField[N ~int | ~uint64](c *coder, n *N) {
	if !c.next(*n != 0) {
		return
	}
	if c.decoding {
		*n = N(c.cutUvarint())
		return
	}
	c.out = binary.AppendUvarint(c.out, uint64(*n))
}

// instant encodes seconds since 1970 and nanoseconds. The time zone is not kept.
func (c *coder) instant(t *time.Time) {
	if !c.next(!t.IsZero()) {
		return
	}
	if c.decoding {
		zigzag := c.cutUvarint()
		nanos := c.cutUvarint()
		c.bad = c.bad || nanos >= uint64(time.Second)
		*t = time.Unix(int64(zigzag>>1)^-int64(zigzag&1), int64(nanos)).UTC() //nolint:gosec // as encoded
		return
	}
	c.out = binary.AppendVarint(c.out, t.Unix())
	c.out = binary.AppendUvarint(c.out, uint64(t.Nanosecond())) //nolint:gosec // it is not negative
}

func (c *coder) texts(list *[]string) {
	if !c.next(len(*list) > 0) {
		return
	}
	if !c.decoding {
		c.out = binary.AppendUvarint(c.out, uint64(len(*list)))
		for _, s := range *list {
			c.out = appendText(c.out, s)
		}
		return
	}
	n := c.cutUvarint()
	if c.bad = c.bad || n > uint64(len(c.in)); c.bad { // each takes a byte
		return
	}
	*list = make([]string, n)
	for i := range *list {
		(*list)[i] = c.cut()
	}
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (c *coder) cut() string {
	n := c.cutUvarint()
	if c.bad = c.bad || n > uint64(len(c.in)); c.bad {
		return ""
	}
	s := c.in[:n]
	c.in = c.in[n:]
	return s
}

func (c *coder) cutUvarint() (n uint64) {
	for i := 0; i < len(c.in) && i < binary.MaxVarintLen64; i++ {
		n |= uint64(c.in[i]&0x7F) << (7 * i)
		if c.in[i] < 0x80 {
			c.in = c.in[i+1:]
			return n
		}
	}
	c.bad = true
	return 0
}
