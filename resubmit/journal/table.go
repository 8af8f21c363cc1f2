package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/cloudblue-go/cloudblue/internal/wording"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

var (
	bucketJournal = []byte("journal")
	bucketRecords = []byte("records")

	keyFormat = []byte("format")
	keyPlan   = []byte("plan")
	keyLast   = []byte("last")
)

// errUnchanged undoes a transaction that has nothing to write.
var errUnchanged = errors.New("nothing to write")

// table is the content of a journal within one transaction that writes.
type table struct {
	journal, records *bbolt.Bucket
	cursor           *bbolt.Cursor // of the records, to seek anew after each write
	count            uint64        // of the records
	changed          []change
	before           []byte // what was left about the writes before
	bound            bool
	stored           *cursor // what there was before the transaction
}

// newTable is the table of a transaction that has not written yet.
func newTable(tx *bbolt.Tx, p pages) (*table, error) {
	own, records, err := p.buckets()
	if err != nil {
		return nil, err
	}
	said, err := readSaid(own)
	if err != nil {
		return nil, err
	}
	t := &table{journal: tx.Bucket(bucketJournal), records: tx.Bucket(bucketRecords), stored: newCursor(records)}
	t.stored.strict = true
	t.cursor = t.records.Cursor()
	// Orders come about in the order of their ids, so pages fill from the left.
	t.records.FillPercent = 0.9
	t.count, t.before, err = readCount(said.last)
	return t, err
}

// bind binds a new journal to a plan, and returns the plan that it is bound to.
func (t *table) bind(plan string) (string, error) {
	if sealed := t.journal.Get(keyPlan); sealed != nil {
		bound, err := unseal(keyPlan, sealed)
		return string(bound), err
	}
	t.bound = true
	return plan, t.journal.Put(keyPlan, seal(keyPlan, []byte(plan)))
}

// put writes the record of an order, unless it may not follow the one that is
// there. Of the value, the checksum and the link are still to be set.
func (t *table) put(w *write, value []byte) (refused, err error) {
	if err := t.around(w.key); err != nil {
		return nil, err
	}
	c := t.cursor
	at, there := c.Seek(w.key)
	if bytes.Equal(at, w.key) {
		next, body, err := unsealRecord(w.key, there)
		if err != nil {
			return nil, err
		}
		if refused, err := w.follows(body); refused != nil || err != nil {
			return refused, err
		}
		return nil, t.set(w.key, next, value)
	}
	if refused, err := w.follows(nil); refused != nil || err != nil {
		return refused, err
	}
	key, body, err := before(c, at)
	if err != nil {
		return nil, err
	}
	next := link(at)
	// Copied, because writing moves what a cursor returned.
	room := make([]byte, checksumSize+linkSize+len(body)+len(key))
	n := copy(room[checksumSize+linkSize:], body) + checksumSize + linkSize
	copy(room[n:], key)
	if err := t.set(room[n:], link(w.key), room[:n:n]); err != nil {
		return nil, err
	}
	t.count++
	return nil, t.set(w.key, next, value)
}

// follows says why an intent may not take the place of a record; nil is none.
func (w *write) follows(body []byte) (refused, err error) {
	if w.intent == nil {
		return nil, nil // all else may follow anything
	}
	var was resubmit.Record
	if body != nil {
		if was, err = decode(w.intent.OrderID, body); err != nil {
			return nil, err
		}
	}
	return was.CheckNext(*w.intent), nil
}

// around checks the pages that bbolt goes over when it writes under a key: what they
// hold is written anew with it, so damage would spread, or be taken for a size.
func (t *table) around(key []byte) error {
	for _, step := range []func() ([]byte, []byte, error){t.stored.prev, t.stored.next} {
		if err := t.stored.seek(key); err != nil {
			return err
		}
		if _, _, err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) set(key []byte, next uint64, value []byte) error {
	sealRecord(key, next, value)
	t.changed = append(t.changed, change{key, binary.BigEndian.Uint32(value)})
	return t.records.Put(key, value)
}

// change is a record that was written.
type change struct {
	key []byte
	sum uint32
}

func (c change) compare(key []byte) int { return bytes.Compare(c.key, key) }

// lastRecords is about how many of the records written last are remembered.
const lastRecords = 128

// finish leaves word of what was written: the number of records, and the key and
// checksum of each one that changed, here and shortly before. If a disk loses or
// tears a write although it said that it was done, that shows when the journal is
// opened.
func (t *table) finish() error {
	if len(t.changed) == 0 && !t.bound {
		return errUnchanged
	}
	slices.SortStableFunc(t.changed, func(c, d change) int { return c.compare(d.key) })
	value := binary.AppendUvarint(make([]byte, 0, 32*max(len(t.changed), lastRecords)), t.count)
	count := 0
	for i, c := range t.changed {
		if i+1 < len(t.changed) && c.compare(t.changed[i+1].key) == 0 {
			continue // the last one is what is there
		}
		value = appendLast(value, c.key, c.sum)
		count++
	}
	err := eachLast(t.before, func(key []byte, sum uint32) error {
		if count >= lastRecords {
			return nil
		}
		if _, again := slices.BinarySearchFunc(t.changed, key, change.compare); !again {
			value = appendLast(value, key, sum)
			count++
		}
		return nil
	})
	if err != nil {
		return err
	}
	return t.journal.Put(keyLast, seal(keyLast, value))
}

// checkLast holds the records that were written last against what was left about
// them, and returns the number of all records.
func checkLast(records tree, last []byte) (count uint64, err error) {
	count, last, err = readCount(last)
	if err != nil {
		return 0, err
	}
	c := newCursor(records)
	return count, eachLast(last, func(key []byte, sum uint32) error {
		if err := c.seek(key); err != nil {
			return err
		}
		at, sealed, err := c.next()
		if err == nil {
			_, _, err = unsealRecord(key, sealed)
		}
		if err == nil && (!bytes.Equal(at, key) || binary.BigEndian.Uint32(sealed) != sum) {
			err = fmt.Errorf("%w: the last write of %q was lost", ErrDamaged, wording.Clip(string(key), 80))
		}
		return err
	})
}

func appendLast(b, key []byte, sum uint32) []byte {
	b = binary.AppendUvarint(b, uint64(len(key)))
	return binary.BigEndian.AppendUint32(append(b, key...), sum)
}

func eachLast(value []byte, f func(key []byte, sum uint32) error) error {
	for len(value) > 0 {
		size, n := binary.Uvarint(value)
		value = value[max(n, 0):]
		if n <= 0 || size > uint64(len(value)) || uint64(len(value))-size < checksumSize {
			return errBadLast
		}
		if err := f(value[:size], binary.BigEndian.Uint32(value[size:])); err != nil {
			return err
		}
		value = value[size+checksumSize:]
	}
	return nil
}

var errBadLast = fmt.Errorf("%w: what it says of its last write makes no sense", ErrDamaged)

func readCount(value []byte) (count uint64, rest []byte, err error) {
	count, n := binary.Uvarint(value)
	if n <= 0 {
		return 0, nil, errBadLast
	}
	return count, value[n:], nil
}

// find returns the record under a key, and nil if it is sure that there is none.
func find(c *cursor, key []byte) (body []byte, err error) {
	if err := c.seek(key); err != nil {
		return nil, err
	}
	at, value, err := c.next()
	if err != nil {
		return nil, err
	}
	if bytes.Equal(at, key) {
		_, body, err = unsealRecord(key, value)
		return body, err
	}
	behind, last := link(at), at == nil
	if !last && bytes.Compare(at, key) < 0 {
		return nil, errBadPages
	}
	for range 2 { // back over what is behind, and over what is before
		if at, value, err = c.prev(); err != nil {
			return nil, err
		}
		if last {
			break
		}
	}
	if at == nil || bytes.Compare(at, key) >= 0 {
		return nil, errBadPages
	}
	next, _, err := unsealRecord(at, value)
	if err == nil && next != behind {
		err = fmt.Errorf("%w: records are missing behind %q", ErrDamaged, wording.Clip(string(at), 80))
	}
	return nil, err
}

// before returns the record before the cursor's, and proves that there is none
// between the two. A nil at is the end.
func before(c *bbolt.Cursor, at []byte) (key, body []byte, err error) {
	var value []byte
	if at == nil {
		key, value = c.Last()
	} else {
		key, value = c.Prev()
	}
	if key == nil {
		return nil, nil, fmt.Errorf("%w: its first record is missing", ErrDamaged)
	}
	next, body, err := unsealRecord(key, value)
	if err == nil && next != link(at) {
		err = fmt.Errorf("%w: records are missing behind %q", ErrDamaged, wording.Clip(string(key), 80))
	}
	return key, body, err
}
