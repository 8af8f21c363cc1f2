package journal

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/ahead"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// Get implements [resubmit.Journal].
func (f *File) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	f.log.mu.Lock()
	defer f.log.mu.Unlock()
	if err := f.usable(ctx, false); err != nil {
		return protocol.Record{}, err
	}
	r, offset, err := f.log.contents.last(kinds[k.Kind], []byte(k.ID))
	if err != nil {
		return protocol.Record{}, f.log.errorf(err)
	}
	if offset == 0 {
		return protocol.Record{}, nil
	}
	return f.decode(r, offset)
}

// decode returns a record as it is now.
func (f *File) decode(r record, offset int64) (protocol.Record, error) {
	p, ok := r.decode()
	if !ok || !r.intact() {
		return protocol.Record{}, f.log.errorf(&CorruptError{Offset: offset, Why: "a record is malformed"})
	}
	if p.Run != nil {
		p.Run.LeaseEnd = f.leaseEnd(p)
	}
	return p, nil
}

// leaseEnd returns when the lease of a run is over, or not before: the exclusive lock proves that the
// processes that had the journal before have ended.
func (f *File) leaseEnd(p protocol.Record) time.Time {
	switch {
	case !p.Run.Ended.IsZero():
		return p.Run.Ended
	case p.Version <= f.before:
		return f.opened.UTC()
	default:
		return time.Now().UTC().Add(time.Minute)
	}
}

// snapshot is the journal at a moment.
type snapshot struct {
	source
	index    *index         // of the journal
	waiting  []piece        // records that were not in the file
	replaced map[int64]bool // offsets of records that have been replaced since then
}

// snapshot begins a snapshot. The caller holds log.mu.
func (f *File) snapshot() *snapshot {
	c := f.log.contents
	s := &snapshot{source: c.source, index: &c.index, replaced: make(map[int64]bool)}
	s.checked = true
	for _, p := range []piece{c.writing, c.pending} {
		if len(p.text) > framePrefix {
			s.waiting = append(s.waiting, piece{p.at + framePrefix, append([]byte(nil), p.text[framePrefix:]...)})
		}
	}
	f.snapshots[s] = true
	return s
}

// Records implements [resubmit.Journal].
func (f *File) Records(ctx context.Context) iter.Seq2[protocol.Record, error] {
	return func(yield func(protocol.Record, error) bool) {
		f.log.mu.Lock()
		if err := f.usable(ctx, false); err != nil || f.log.contents.file == nil {
			f.log.mu.Unlock()
			if err != nil {
				yield(protocol.Record{}, err)
			}
			return
		}
		s := f.snapshot()
		f.log.mu.Unlock()
		defer func() {
			f.log.mu.Lock()
			delete(f.snapshots, s)
			f.log.mu.Unlock()
		}()
		for b := range ahead.Of(1, f.live(ctx, s)) {
			for i := range b.records {
				if !yield(b.records[i], nil) {
					return
				}
			}
			if b.err != nil {
				yield(protocol.Record{}, f.log.errorf(b.err))
			}
			clear(b.records)
			unusedRecords.Put(b)
		}
	}
}

// liveRecords are decoded records of a snapshot that follow one another, and why there are no more.
type liveRecords struct {
	records []protocol.Record
	err     error
}

// live yields the records of a snapshot, many at once.
func (f *File) live(ctx context.Context, s *snapshot) iter.Seq[*liveRecords] {
	const together = 256
	return func(yield func(*liveRecords) bool) {
		b := noRecords()
		add := func(p protocol.Record) error {
			if b.records = append(b.records, p); len(b.records) == together {
				if !yield(b) {
					return errStop
				}
				b = noRecords()
			}
			return ctx.Err()
		}
		err := s.frames(func(fr frame, _ int64) error { return f.decodeLive(s, fr.records, fr.at, add) })
		for _, p := range s.waiting {
			if err == nil {
				err = f.decodeLive(s, p.text, p.at, add)
			}
		}
		if !errors.Is(err, errStop) {
			b.err = err
			yield(b)
		}
	}
}

// unusedRecords are to be used again. It is not in a snapshot, which the runtime would keep with it until the second
// garbage collection.
var unusedRecords sync.Pool

// noRecords returns liveRecords without records.
func noRecords() *liveRecords {
	b, ok := unusedRecords.Get().(*liveRecords)
	if !ok {
		return new(liveRecords)
	}
	b.records, b.err = b.records[:0], nil
	return b
}

// errStop means that no more records are wanted.
var errStop = errors.New("stop")

// decodeLive calls add with the records of b that are in the snapshot.
func (f *File) decodeLive(s *snapshot, b []byte, at int64, add func(protocol.Record) error) error {
	return eachRecord(b, at, func(r record, at int64) error {
		f.log.mu.Lock()
		live := s.replaced[at] || s.index.has(s.index.hash(r.kind, r.id), at)
		f.log.mu.Unlock()
		if !live {
			return nil
		}
		p, err := f.decode(r, at)
		if err != nil {
			return err
		}
		return add(p)
	})
}
