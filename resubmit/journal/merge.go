package journal

import (
	"maps"
	"slices"

	"go.etcd.io/bbolt"
)

// rewrite changes the metadata in a merge. prepare returns the change, nil for none; done is
// called when it is on disk. Both are called with mu held.
func (j *Journal) rewrite(change func() func(*table) error, done func()) error {
	j.disk <- struct{}{}
	defer func() { <-j.disk }()
	var f func(*table) error
	j.mu.Lock()
	err := j.usable()
	if err == nil {
		f = change()
	}
	if f != nil {
		j.rotate()
	}
	j.mu.Unlock()
	if f == nil {
		return err
	}
	err = j.merge(f)
	j.finishBatch(nil, err)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err == nil {
		done()
	}
	return j.failure()
}

// rotate makes the current overlay the one to merge and starts a new one. The caller holds
// the disk and mu.
func (j *Journal) rotate() { j.merging, j.recent, j.spare = j.recent, j.spare, nil }

// merge writes the rotated overlay to the table. The same transaction starts a new log
// generation and applies more, if not nil. The caller holds the disk.
func (j *Journal) merge(more func(*table) error) error {
	if err := j.checkSize(); err != nil {
		return err
	}
	err := guarded(func() error {
		return j.db.Update(func(tx *bbolt.Tx) error { return j.fill(tx, more) })
	})
	if err != nil {
		return err
	}
	if err := j.reload(); err != nil {
		return err
	}
	j.log.restart()
	// Reading a page maps up to 64 KiB around it: the memory of a run must not grow with the
	// journal.
	_ = guarded(func() error { return j.db.View(giveBack) })
	j.mu.Lock()
	defer j.mu.Unlock()
	j.spare = j.merging
	j.spare.reset()
	j.merging = nil
	j.merges++
	return nil
}

func (j *Journal) fill(tx *bbolt.Tx, more func(*table) error) error {
	t, err := newTable(tx, j.pages)
	if err != nil {
		return err
	}
	if more != nil {
		if err := more(t); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(j.merging.slots)) {
		if s := j.merging.slots[id]; s.to > 0 {
			t.add(recordKey(id), j.merging.sealed(s))
		}
	}
	if err := t.putAll(); err != nil {
		return err
	}
	return t.finish(j.log.generation + 1)
}

// reload reads the state after the last transaction.
func (j *Journal) reload() error {
	m, err := readMeta(j.file)
	if err != nil {
		return err
	}
	p := m.in(j.file)
	b, err := p.buckets()
	if err != nil {
		return err
	}
	j.reading.Lock()
	j.pages, j.buckets = p, b
	j.snapshot++
	j.reading.Unlock()
	return nil
}
