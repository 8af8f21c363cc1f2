package sqljournal

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// maxBatch limits the records that are written in one transaction.
const maxBatch = 256

// write is a Put that waits.
type write struct {
	records []protocol.Record
	keys    []hash
	bodies  [][]byte
	done    chan struct{} // closed when seq and err are set
	seq     uint64
	err     error
}

// Put implements [resubmit.Journal]. Calls that wait at the same time share a transaction. Deferred is the same as
// Durable. After an error of the database, or a lost connection, it tries again for three quarters of a lease; if that
// happened during a commit, it first reads whether the records were written.
func (j *Journal) Put(ctx context.Context, _ resubmit.Durability, records ...protocol.Record) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := protocol.CheckRecords(records); err != nil {
		return 0, j.errorf(err)
	}
	w := &write{records: records, done: make(chan struct{})}
	for i := range records {
		b, err := encodeBody(&records[i])
		if err != nil {
			return 0, j.errorf(err)
		}
		w.bodies = append(w.bodies, b)
		w.keys = append(w.keys, keyHash(records[i].Key))
	}
	j.enqueue(ctx, w)
	select {
	case <-w.done:
		return w.seq, w.err
	case <-ctx.Done():
		j.withdraw(w)
		return 0, ctx.Err()
	}
}

// enqueue adds a write to the queue and has it written.
func (j *Journal) enqueue(ctx context.Context, w *write) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.queue = append(j.queue, w)
	if !j.writing {
		j.writing = true
		go j.writeQueue(context.WithoutCancel(ctx))
	}
}

// withdraw removes a write from the queue, unless it is being written.
func (j *Journal) withdraw(w *write) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.queue = slices.DeleteFunc(j.queue, func(q *write) bool { return q == w })
}

// writeQueue writes what is in the queue until it is empty.
func (j *Journal) writeQueue(ctx context.Context) {
	for batch := j.nextBatch(); batch != nil; batch = j.nextBatch() {
		err := j.transact(ctx, func(ctx context.Context, t *transaction) error { return t.writeBatch(ctx, batch) })
		for _, w := range batch {
			if err != nil {
				w.seq, w.err = 0, err
			}
			if _, ok := w.err.(*resubmit.ConflictError); w.err != nil && !ok { //nolint:errorlint // it was not wrapped
				w.err = j.errorf(w.err)
			}
			close(w.done)
		}
	}
}

// nextBatch takes the writes of the next transaction from the queue: those before one that replaces a record of them.
func (j *Journal) nextBatch() []*write {
	j.mu.Lock()
	defer j.mu.Unlock()
	size, taken := 0, make(map[hash]bool)
	for size < len(j.queue) && !slices.ContainsFunc(j.queue[size].keys, func(k hash) bool { return taken[k] }) {
		for _, k := range j.queue[size].keys {
			taken[k] = true
		}
		if size++; len(taken) >= maxBatch {
			break
		}
	}
	batch := slices.Clone(j.queue[:size])
	j.queue = slices.Delete(j.queue, 0, size)
	j.writing = size > 0
	if !j.writing {
		return nil
	}
	return batch
}

// current is what a transaction has read of the records that it may replace.
type current struct {
	rows    map[hash]row
	numbers map[hash]row // by the hash of the order number
	added   []any        // the values of the rows that are new
}

// writeBatch writes the records of each write whose versions are right, and tells the others why they are not.
func (t *transaction) writeBatch(ctx context.Context, batch []*write) error {
	if !t.begun() {
		return permanent{errNotBegun}
	}
	c, err := t.load(ctx, batch)
	if err != nil {
		return err
	}
	for _, w := range batch {
		w.seq = 0
		if w.err = c.check(w); w.err != nil {
			continue
		}
		w.seq = t.next()
		for i := range w.records {
			if err := t.replace(ctx, c, w, i); err != nil {
				return fmt.Errorf("write the %s %s: %w", w.records[i].Kind, text.Short(w.records[i].ID), err)
			}
		}
	}
	// After the others: an order number may have been theirs.
	return t.insert(ctx, c.added)
}

const (
	insertRows = "INSERT INTO {records} " +
		"(key_hash, kind, id, version, number_hash, lease_end, rest_at, body) VALUES "
	insertedValues = 8
	maxInsert      = 64 // rows of one statement
)

// insert adds rows, many at once.
func (t *transaction) insert(ctx context.Context, values []any) error {
	row := ", (" + marks(insertedValues) + ")"
	for rows := maxInsert; len(values) > 0; rows /= 2 { // few different statements
		for ; rows*insertedValues <= len(values); values = values[rows*insertedValues:] {
			statement := insertRows + strings.TrimPrefix(strings.Repeat(row, rows), ", ")
			if err := t.exec(ctx, int64(rows), statement, values[:rows*insertedValues]...); err != nil {
				return err
			}
		}
	}
	return nil
}

// load reads the records that a batch replaces, and those that have its order numbers.
func (t *transaction) load(ctx context.Context, batch []*write) (*current, error) {
	var keys, numbers []any
	for _, w := range batch {
		for i, r := range w.records {
			keys = append(keys, w.keys[i][:])
			if r.Order != nil && r.Order.Number != "" {
				h := numberHash(r.Order.Number)
				numbers = append(numbers, h[:])
			}
		}
	}
	c := &current{rows: make(map[hash]row), numbers: make(map[hash]row)}
	if len(keys) == 0 {
		return c, nil
	}
	for column, values := range map[string][]any{"key_hash": keys, "number_hash": numbers} {
		if err := t.loadBy(ctx, c, column, values); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// loadBy reads the records whose column has one of the values.
func (t *transaction) loadBy(ctx context.Context, c *current, column string, values []any) error {
	if len(values) == 0 {
		return nil
	}
	for n := len(values); n&(n-1) != 0; n++ { // few different statements, which the server can prepare
		values = append(values, values[0])
	}
	return t.eachRow(ctx, t.conn, " WHERE "+column+" IN ("+marks(len(values))+")", values, func(r row) error {
		if c.rows[r.key] = r; r.number != nil {
			c.numbers[hash(r.number)] = r
		}
		return nil
	})
}

// marks returns the parameters of a list.
func marks(n int) string { return strings.Repeat("?, ", n-1) + "?" }

// check returns why a write is rejected.
func (c *current) check(w *write) error {
	for i, r := range w.records {
		was, found := c.rows[w.keys[i]]
		if was.version != r.Version {
			if !found {
				return &resubmit.ConflictError{Current: protocol.Record{Key: r.Key}}
			}
			now, err := was.decode()
			if err != nil {
				return err
			}
			return &resubmit.ConflictError{Current: now}
		}
		if r.Order == nil || r.Order.Number == "" {
			continue
		}
		if other, taken := c.numbers[numberHash(r.Order.Number)]; taken && other.key != w.keys[i] {
			return fmt.Errorf("%w: %s is %s, not %s", resubmit.ErrOrderNumber,
				text.Short(r.Order.Number), text.Short(string(other.id)), text.Short(r.ID))
		}
	}
	return nil
}

// replace writes one record of a write. That it has the expected version is a condition of the statement, too.
func (t *transaction) replace(ctx context.Context, c *current, w *write, i int) error {
	r, key := w.records[i], w.keys[i][:]
	was := c.rows[w.keys[i]]
	if was.number != nil {
		delete(c.numbers, hash(was.number))
	}
	if r.Removes() {
		if r.Version == 0 {
			return nil
		}
		return t.exec(ctx, 1, "DELETE FROM {records} WHERE key_hash = ? AND version = ?", key, r.Version)
	}
	var number []byte
	var lease, rest sql.NullInt64
	if r.Order != nil && r.Order.Number != "" {
		h := numberHash(r.Order.Number)
		number = h[:]
		c.numbers[h] = row{key: w.keys[i], id: []byte(r.ID)}
	}
	if r.Run != nil {
		lease = sql.NullInt64{Int64: t.now, Valid: true}
		if r.Run.Ended.IsZero() {
			lease.Int64 += t.lease.Microseconds()
		}
	}
	if r.AtRest() {
		rest = sql.NullInt64{Int64: r.At.UnixMicro(), Valid: true}
	}
	if r.Version == 0 {
		c.added = append(c.added, key, string(r.Kind), []byte(r.ID), w.seq, number, lease, rest, w.bodies[i])
		return nil
	}
	return t.exec(ctx, 1, "UPDATE {records} SET version = ?, number_hash = ?, lease_end = ?, rest_at = ?, body = ? "+
		"WHERE key_hash = ? AND version = ?", w.seq, number, lease, rest, w.bodies[i], key, r.Version)
}
