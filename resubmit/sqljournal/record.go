package sqljournal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// maxRecord limits the size of a record, in bytes.
const maxRecord = 1 << 20

// hash is a key of a table. Databases compare text in various ways, and limit the length of keys.
type hash [sha256.Size]byte

func keyHash(k protocol.Key) hash { return sha256.Sum256([]byte(string(k.Kind) + "\x00" + k.ID)) }

func numberHash(number string) hash { return sha256.Sum256([]byte(number)) }

// body is what a record has besides its key and version.
type body struct {
	At     time.Time        `json:"at"`
	Order  *protocol.Order  `json:"order,omitempty"`
	Lane   *protocol.Lane   `json:"lane,omitempty"`
	Run    *protocol.Run    `json:"run,omitempty"`
	System *protocol.System `json:"system,omitempty"`
}

func encodeBody(r *protocol.Record) ([]byte, error) {
	if r.Removes() {
		return nil, nil
	}
	b, err := json.Marshal(body{At: r.At, Order: r.Order, Lane: r.Lane, Run: r.Run, System: r.System})
	// Package json writes this for a byte that is no UTF-8, and has two backslashes if the text itself has one.
	if invalid := []byte(`\ufffd`); bytes.Count(b, invalid) > bytes.Count(b, append([]byte(`\`), invalid...)) {
		err = errors.New("it has text that is not UTF-8")
	}
	if len(b)+len(r.ID) > maxRecord {
		err = fmt.Errorf("it has more than %d bytes", maxRecord)
	}
	if err != nil {
		return nil, fmt.Errorf("the record of the %s %s cannot be stored: %w", r.Kind, text.Short(r.ID), err)
	}
	return b, nil
}

// row is a row of the table of records.
type row struct {
	key       hash
	kind      protocol.Kind
	id        []byte
	version   uint64
	number    []byte // a hash; nil if the record has no order number
	leaseLeft int64  // until the lease of a run is over, in microseconds
	body      []byte
}

// eachRow calls f for each record that a condition selects, until it returns an error.
func (t *tables) eachRow(ctx context.Context, db querier, where string, args []any, f func(row) error) error {
	rows, err := db.QueryContext(ctx, t.sql("SELECT key_hash, kind, id, version, number_hash, "+
		"COALESCE(lease_end, 0) - {now}, body FROM {records}"+where), args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err says more
	for rows.Next() {
		var r row
		var key []byte
		if err := rows.Scan(&key, &r.kind, &r.id, &r.version, &r.number, &r.leaseLeft, &r.body); err != nil {
			return err
		}
		copy(r.key[:], key)
		if err := f(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

// decode returns the record of a row. The end of a lease is given by the clock of this machine.
func (r *row) decode() (protocol.Record, error) {
	var b body
	if err := json.Unmarshal(r.body, &b); err != nil {
		return protocol.Record{}, permanent{fmt.Errorf("the record of the %s %s is malformed: %w", r.kind,
			text.Short(string(r.id)), err)}
	}
	p := protocol.Record{
		Key: protocol.Key{Kind: r.kind, ID: string(r.id)}, Version: r.version,
		At: b.At, Order: b.Order, Lane: b.Lane, Run: b.Run, System: b.System,
	}
	if p.Run != nil {
		p.Run.LeaseEnd = time.Now().Add(time.Duration(r.leaseLeft) * time.Microsecond).Round(0).UTC()
	}
	return p, nil
}
