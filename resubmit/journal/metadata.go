package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// metadata describes the journal.
type metadata struct {
	format   []byte
	plan     []byte // nil before it was begun
	patience resubmit.Patience
	// The rest is about the last merge, see table.finish.
	generation, count uint64
	last              []byte
}

// readMetadata reads the bucket of the metadata and checks all its pages. An unknown key is
// damage.
func readMetadata(own tree) (metadata, error) {
	var s metadata
	c := newCursor(own)
	c.strict = true
	if err := c.seek(nil); err != nil {
		return metadata{}, err
	}
	for {
		key, sealed, err := c.next()
		if key == nil || err != nil {
			return s, err
		}
		text, err := unseal(key, sealed)
		if err != nil {
			return metadata{}, err
		}
		switch text = bytes.Clone(text); string(key) {
		case string(keyFormat):
			s.format = text
		case string(keyPlan):
			s.plan = text
		case string(keyPatience):
			if json.Unmarshal(text, &s.patience) != nil {
				return metadata{}, errBadPages
			}
		case string(keyLast):
			if s.generation, text, err = cutNumber(text); err == nil {
				s.count, s.last, err = cutNumber(text)
			}
			if err != nil {
				return metadata{}, err
			}
		default:
			return metadata{}, errBadPages
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
