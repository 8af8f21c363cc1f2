package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

var (
	bucketJournal = []byte("journal")
	bucketLog     = []byte("log")
	bucketRecords = []byte("records")

	keyFormat   = []byte("format")
	keyPatience = []byte("patience")
	keyPlan     = []byte("plan")
	keyLast     = []byte("last")
	keyLog      = []byte("log")
)

// table is the records of a journal within one transaction that writes, each linked to
// the next.
type table struct {
	journal, records *bbolt.Bucket
	stored           *cursor // what there was before the transaction
	count            uint64  // of the records
	updates          []update
	changed          []change // in the order of the keys
	before           []byte   // what was left about the writes before
}

// update is a record to be put, with room for its seal.
type update struct{ key, value []byte }

// newTable is the table of a transaction that has not written yet.
func newTable(tx *bbolt.Tx, p pages) (*table, error) {
	b, err := p.buckets()
	if err != nil {
		return nil, err
	}
	said, err := readSaid(b.journal)
	if err != nil {
		return nil, err
	}
	t := &table{journal: tx.Bucket(bucketJournal), records: tx.Bucket(bucketRecords), stored: newCursor(b.records)}
	// bbolt writes what is on the pages that it changes anew, so damage would spread,
	// or be taken for a size.
	t.stored.strict = true
	// Orders come about in the order of their ids, so pages fill from the left.
	t.records.FillPercent = 0.9
	t.count, t.before = said.count, said.last
	return t, nil
}

// add takes a record to be put. They are to come in the order of their keys.
func (t *table) add(key, value []byte) { t.updates = append(t.updates, update{key, value}) }

// putAll puts the records.
func (t *table) putAll() error {
	var before []byte
	for i, u := range t.updates {
		var behind []byte
		if i+1 < len(t.updates) {
			behind = t.updates[i+1].key
		}
		if err := t.put(u, before, behind); err != nil {
			return err
		}
		before = u.key
	}
	return nil
}

// put puts a record between those that are put before and behind it; nil is none.
func (t *table) put(u update, before, behind []byte) error {
	c := t.stored
	next, body, err := find(c, u.key)
	if err != nil {
		return err
	}
	if body == nil {
		t.count++
		// find went before the record that is before it.
		key, sealed, err := c.next()
		if err != nil {
			return err
		}
		if before == nil || bytes.Compare(before, key) < 0 {
			// Copied, because bbolt keeps a value until the end, and the cursor does not.
			if err := t.set(bytes.Clone(key), link(u.key), bytes.Clone(sealed)); err != nil {
				return err
			}
		}
	}
	at, _, err := c.next()
	if err != nil {
		return err
	}
	if body != nil && next != link(at) {
		return fmt.Errorf("%w: records are missing behind %q", ErrDamaged, text.Clip(string(u.key), 80))
	}
	if at == nil || behind != nil && bytes.Compare(behind, at) < 0 {
		at = behind
	}
	return t.set(u.key, link(at), u.value)
}

// putSaid changes what the journal says of itself.
func (t *table) putSaid(key, value []byte) error { return t.journal.Put(key, seal(key, value)) }

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

// finish leaves word of what was written: the generation of the log, the number of
// records, and the key and checksum of each one that changed, here and shortly before.
// If a disk loses or tears a write although it said that it was done, that shows when
// the journal is opened.
func (t *table) finish(generation uint64) error {
	value := binary.AppendUvarint(make([]byte, 0, 32*max(len(t.changed), lastRecords)), generation)
	value = binary.AppendUvarint(value, t.count)
	for _, c := range t.changed {
		value = appendLast(value, c.key, c.sum)
	}
	count := len(t.changed)
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
	return t.putSaid(keyLast, value)
}

// checkLast holds the records that were written last against what was left about
// them.
func checkLast(records tree, last []byte) error {
	c := newCursor(records)
	return eachLast(last, func(key []byte, sum uint32) error {
		if err := c.seek(key); err != nil {
			return err
		}
		at, sealed, err := c.next()
		if err == nil {
			_, _, err = unsealRecord(key, sealed)
		}
		if err == nil && (!bytes.Equal(at, key) || binary.BigEndian.Uint32(sealed) != sum) {
			err = fmt.Errorf("%w: the last write of %q was lost", ErrDamaged, text.Clip(string(key), 80))
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

// find returns the record under a key and the link behind it. A nil body says that it
// is sure that there is none, and that the cursor is before the record before it.
func find(c *cursor, key []byte) (next uint64, body []byte, err error) {
	if err := c.seek(key); err != nil {
		return 0, nil, err
	}
	at, value, err := c.next()
	if err != nil {
		return 0, nil, err
	}
	if bytes.Equal(at, key) {
		return unsealRecord(key, value)
	}
	behind := link(at)
	if at != nil { // back over what is behind
		if bytes.Compare(at, key) < 0 {
			return 0, nil, errBadPages
		}
		if _, _, err := c.prev(); err != nil {
			return 0, nil, err
		}
	}
	if at, value, err = c.prev(); err != nil {
		return 0, nil, err
	}
	if at == nil || bytes.Compare(at, key) >= 0 {
		return 0, nil, errBadPages
	}
	next, _, err = unsealRecord(at, value)
	if err == nil && next != behind {
		err = fmt.Errorf("%w: records are missing behind %q", ErrDamaged, text.Clip(string(at), 80))
	}
	return 0, nil, err
}
