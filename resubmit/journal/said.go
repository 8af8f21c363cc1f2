package journal

import "bytes"

// said is what a journal says of itself.
type said struct {
	format []byte
	plan   []byte // nil before it was begun
	last   []byte // see table.finish
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
		case string(keyLast):
			s.last = text
		default:
			return said{}, errBadPages
		}
	}
}
