package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"strconv"
	"unicode/utf8"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// A record is stored under "o" and the id of its order as
//
//	checksum (4 bytes) | link (8 bytes) | record as JSON
//
// The checksum covers the key and everything after it. The link is a hash of the next key,
// which shows missing records. The first record, under "h", is empty.
const (
	checksumSize = 4
	linkSize     = 8
	sealSize     = checksumSize + linkSize

	maxIDSize     = 1 << 10
	maxRecordSize = 1 << 20
)

var (
	headKey    = []byte("h")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	ecma       = crc64.MakeTable(crc64.ECMA)
)

// checkID rejects invalid order ids. An id must survive JSON unchanged.
func checkID(orderID string) error {
	switch {
	case orderID == "":
		return errors.New("an order has no id")
	case len(orderID) > maxIDSize:
		return fmt.Errorf("the id of an order has %d bytes, more than %d: %s", len(orderID), maxIDSize,
			text.Excerpt(orderID, 40))
	case !utf8.ValidString(orderID):
		return fmt.Errorf("the id of an order is not UTF-8: %q", orderID)
	}
	return nil
}

// recordKey returns the key of an order.
func recordKey(orderID string) []byte { return append([]byte{'o'}, orderID...) }

// appendRecord appends a record as encoding/json writes it with HTML escaping off, but
// for the escapes of [text.AppendJSON].
func appendRecord(b []byte, r *resubmit.Record) ([]byte, error) {
	from := len(b)
	b = text.AppendJSON(append(b, `{"id":`...), r.OrderID)
	b = text.AppendJSON(append(b, `,"fingerprint":`...), r.Fingerprint)
	b = text.AppendJSON(append(b, `,"state":`...), string(r.State))
	b = strconv.AppendInt(append(b, `,"attempt":`...), int64(r.Attempt), 10)
	if r.Lost != 0 {
		b = strconv.AppendInt(append(b, `,"lost":`...), int64(r.Lost), 10)
	}
	if r.Target != "" {
		b = text.AppendJSON(append(b, `,"target":`...), string(r.Target))
	}
	if r.Seen != "" {
		b = text.AppendJSON(append(b, `,"seen":`...), string(r.Seen))
	}
	b, err := r.At.AppendText(append(b, `,"at":"`...))
	b = append(b, '"')
	if err == nil && !r.SentAt.IsZero() {
		b, err = r.SentAt.AppendText(append(b, `,"sentAt":"`...))
		b = append(b, '"')
	}
	if r.Why != "" {
		b = text.AppendJSON(append(b, `,"why":`...), r.Why)
	}
	b = append(b, '}')
	if size := len(b) - from; err == nil && size > maxRecordSize {
		err = fmt.Errorf("has %d bytes, more than %d", size, maxRecordSize)
	}
	if err != nil {
		return nil, fmt.Errorf("record of order %s: %w", text.Excerpt(r.OrderID, 100), err)
	}
	return b, nil
}

func decode(orderID string, body []byte) (resubmit.Record, error) {
	r, err := readRecord(body)
	if err != nil {
		return resubmit.Record{}, fmt.Errorf("%w: the record of order %s: %w", ErrDamaged, text.Excerpt(orderID, 100), err)
	}
	if r.OrderID != orderID {
		return resubmit.Record{}, fmt.Errorf("%w: the record of order %s is of order %s", ErrDamaged,
			text.Excerpt(orderID, 100), text.Excerpt(r.OrderID, 100))
	}
	return r, nil
}

// link returns the hash of a key; nil is the end.
func link(key []byte) uint64 { return crc64.Checksum(key, ecma) }

// seal puts a checksum before a value.
func seal(key, value []byte) []byte {
	sealed := make([]byte, checksumSize, checksumSize+len(value))
	sealed = append(sealed, value...)
	binary.BigEndian.PutUint32(sealed, checksum(key, value))
	return sealed
}

// unseal checks and removes the checksum.
func unseal(key, sealed []byte) ([]byte, error) {
	if len(sealed) < checksumSize || binary.BigEndian.Uint32(sealed) != checksum(key, sealed[checksumSize:]) {
		return nil, fmt.Errorf("%w: wrong checksum of %q", ErrDamaged, text.Clip(string(key), 80))
	}
	return sealed[checksumSize:], nil
}

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// sealRecord sets the checksum and the link in the value of a record.
func sealRecord(key []byte, next uint64, value []byte) {
	binary.BigEndian.PutUint64(value[checksumSize:], next)
	binary.BigEndian.PutUint32(value, checksum(key, value[checksumSize:]))
}

// unsealRecord splits the value of a record.
func unsealRecord(key, sealed []byte) (next uint64, body []byte, err error) {
	value, err := unseal(key, sealed)
	if err == nil && len(value) < linkSize {
		err = fmt.Errorf("%w: the record under %q is too short", ErrDamaged, text.Clip(string(key), 80))
	}
	if err != nil {
		return 0, nil, err
	}
	return binary.BigEndian.Uint64(value), value[linkSize:], nil
}
