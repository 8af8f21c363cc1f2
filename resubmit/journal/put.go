package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// Put implements [resubmit.Journal]. Durable calls share a sync of the disk. A Deferred record is
// written with the next Durable one, or after 50 ms. After an error of the disk all later calls
// fail: open the journal again.
func (f *File) Put(ctx context.Context, d resubmit.Durability, records ...protocol.Record) (uint64, error) {
	f.log.mu.Lock()
	seq, err := f.put(ctx, records)
	wait := d == resubmit.Durable || len(f.log.contents.pending.text) > maxPending
	if err == nil {
		f.log.schedule(wait)
	}
	b := f.log.next
	f.log.mu.Unlock()
	if err == nil && wait {
		err = b.wait(ctx)
	}
	if err != nil {
		return 0, err
	}
	return seq, nil
}

// put adds records to those that wait. The caller holds mu.
func (f *File) put(ctx context.Context, records []protocol.Record) (uint64, error) {
	if err := f.usable(ctx, true); err != nil {
		return 0, err
	}
	if !f.log.contents.header.begun() {
		return 0, f.log.errorf(errNotBegun)
	}
	if err := protocol.CheckRecords(records); err != nil {
		return 0, f.log.errorf(err)
	}
	replaced := make([]int64, len(records))
	for i := range records {
		var err error
		if replaced[i], err = f.check(&records[i]); err != nil {
			return 0, err
		}
	}
	c, sequence := f.log.contents, f.log.sequence+1
	size := len(c.pending.text)
	for i := range records {
		if err := c.encode(&records[i], sequence, replaced[i]); err != nil {
			c.pending.text = c.pending.text[:size]
			return 0, f.log.errorf(err)
		}
	}
	f.log.sequence = sequence
	if err := f.index(c.pending.text[size:], c.pending.at+int64(size)); err != nil {
		f.log.fail(err)
		return 0, f.log.err
	}
	return sequence, nil
}

// check returns the offset of the record that one replaces, 0 for none, or why it may not be written.
func (f *File) check(p *protocol.Record) (int64, error) {
	c := f.log.contents
	was, offset, err := c.last(kinds[p.Kind], []byte(p.ID))
	if err != nil {
		return 0, f.log.errorf(err)
	}
	if was.version != p.Version {
		current := protocol.Record{Key: p.Key}
		if offset != 0 {
			current, err = f.decode(was, offset)
		}
		if err != nil {
			return 0, err
		}
		return 0, &resubmit.ConflictError{Current: current}
	}
	if p.Order == nil || p.Order.Number == "" {
		return offset, nil
	}
	other, _, err := c.numbered([]byte(p.Order.Number))
	if err != nil {
		return 0, f.log.errorf(err)
	}
	if other.raw != nil && string(other.id) != p.ID {
		return 0, f.log.errorf(fmt.Errorf("%w: %s is %s, not %s", resubmit.ErrOrderNumber,
			text.Short(p.Order.Number), text.Short(string(other.id)), text.Short(p.ID)))
	}
	return offset, nil
}

// encode appends a record to those that wait, which replaces the one at an offset; 0 is none.
func (c *contents) encode(p *protocol.Record, sequence uint64, replaced int64) error {
	at := len(c.pending.text)
	r := record{kind: kinds[p.Kind], version: sequence, id: []byte(p.ID)}
	if replaced != 0 {
		r.back = c.pending.at + int64(at) - replaced
	}
	if p.Removes() {
		r.kind |= removed
		c.pending.text = appendRecord(c.pending.text, r, nil)
	} else {
		c.pending.text = appendRecord(c.pending.text, r, func(c *coder) { fields(c, p) })
	}
	switch end := len(c.pending.text); {
	case end-at > maxRecord:
		return fmt.Errorf("the record of the %s %s has more than %d bytes", p.Kind, text.Short(p.ID), maxRecord)
	case end > maxFrame || c.pending.at+int64(end) > maxOffset:
		return errors.New("the records that wait to be written, or the file, are too large")
	}
	return nil
}

// index adds the records of b to the index.
func (f *File) index(b []byte, at int64) error {
	return eachRecord(b, at, func(r record, at int64) error {
		old, err := f.log.contents.add(r, at)
		for s := range f.snapshots {
			s.replaced[old] = true
		}
		return err
	})
}
