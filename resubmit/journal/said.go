package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// said is what a journal says of itself.
type said struct {
	format   []byte
	plan     []byte // nil before it was begun
	patience resubmit.Patience
	// The rest is about the last merge, see table.finish.
	generation, count uint64
	last              []byte
}

// readSaid reads the bucket that has it, and checks all its pages. Other keys do not
// belong there.
func readSaid(own tree) (said, error) {
	var s said
	c := newCursor(own)
	c.strict = true
	if err := c.seek(nil); err != nil {
		return said{}, err
	}
	for {
		key, sealed, err := c.next()
		if key == nil || err != nil {
			return s, err
		}
		text, err := unseal(key, sealed)
		if err != nil {
			return said{}, err
		}
		switch text = bytes.Clone(text); string(key) {
		case string(keyFormat):
			s.format = text
		case string(keyPlan):
			s.plan = text
		case string(keyPatience):
			if json.Unmarshal(text, &s.patience) != nil {
				return said{}, errBadPages
			}
		case string(keyLast):
			if s.generation, text, err = cutNumber(text); err == nil {
				s.count, s.last, err = cutNumber(text)
			}
			if err != nil {
				return said{}, err
			}
		default:
			return said{}, errBadPages
		}
	}
}

func cutNumber(b []byte) (number uint64, rest []byte, err error) {
	number, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, errBadLast
	}
	return number, b[n:], nil
}
