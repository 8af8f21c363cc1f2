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

// table is the records of a journal in a write transaction, each linked to the next.
type table struct {
	journal, records *bbolt.Bucket
	stored           *cursor // the records before the transaction
	count            uint64  // of the records
	updates          []update
	changed          []change // in the order of the keys
	before           []byte   // the list of earlier writes, see finish
}

// update is a record to be put, with room for its seal.
type update struct{ key, value []byte }

// newTable returns the table of a new transaction.
func newTable(tx *bbolt.Tx, p pages) (*table, error) {
	b, err := p.buckets()
	if err != nil {
		return nil, err
	}
	said, err := readMetadata(b.journal)
	if err != nil {
		return nil, err
	}
	t := &table{journal: tx.Bucket(bucketJournal), records: tx.Bucket(bucketRecords), stored: newCursor(b.records)}
	// bbolt rewrites the pages that it changes, which would spread damage.
	t.stored.strict = true
	// Ids usually increase, so pages fill from the left.
	t.records.FillPercent = 0.9
	t.count, t.before = said.count, said.last
	return t, nil
}

// add adds a record to be put. Records must be added in the order of their keys.
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

// put writes a record between the updates before and after it; nil is none.
func (t *table) put(u update, before, behind []byte) error {
	c := t.stored
	next, body, err := find(c, u.key)
	if err != nil {
		return err
	}
	if body == nil {
		t.count++
		// The cursor is before the previous record.
		key, sealed, err := c.next()
		if err != nil {
			return err
		}
		if before == nil || bytes.Compare(before, key) < 0 {
			// Copied, because bbolt keeps the value until the commit.
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
		return fmt.Errorf("%w: records are missing after %q", ErrDamaged, text.Clip(string(u.key), 80))
	}
	if at == nil || behind != nil && bytes.Compare(behind, at) < 0 {
		at = behind
	}
	return t.set(u.key, link(at), u.value)
}

// putMetadata writes a metadata entry.
func (t *table) putMetadata(key, value []byte) error { return t.journal.Put(key, seal(key, value)) }

func (t *table) set(key []byte, next uint64, value []byte) error {
	sealRecord(key, next, value)
	t.changed = append(t.changed, change{key, binary.BigEndian.Uint32(value)})
	return t.records.Put(key, value)
}

// change is a written record.
type change struct {
	key []byte
	sum uint32
}

func (c change) compare(key []byte) int { return bytes.Compare(c.key, key) }

// lastRecords is about how many of the latest writes are listed.
const lastRecords = 128

// finish writes a list of the latest writes: the generation of the log, the number of
// records, and the key and checksum of each recently changed record. Opening the journal
// compares it, which shows writes that the disk confirmed and lost.
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
	return t.putMetadata(keyLast, value)
}

// checkLast compares the latest records with the list of finish.
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

var errBadLast = fmt.Errorf("%w: the list of its last writes is invalid", ErrDamaged)

// find returns the record of a key and its link to the next. A nil body means that there is
// none, and that the cursor is before the previous record.
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
	if at != nil { // back over the next record
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
		err = fmt.Errorf("%w: records are missing after %q", ErrDamaged, text.Clip(string(at), 80))
	}
	return 0, nil, err
}
