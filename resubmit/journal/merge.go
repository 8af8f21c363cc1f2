package journal

import (
	"maps"
	"slices"

	"go.etcd.io/bbolt"
)

// merge brings the overlay that is set apart for it into the table, and binds the
// journal to a plan if one is given. In the same transaction the log begins anew. The
// caller has the disk.
func (j *Journal) merge(plan string) error {
	if err := j.checkSize(); err != nil {
		return err
	}
	err := guarded(func() error {
		return j.db.Update(func(tx *bbolt.Tx) error { return j.fill(tx, plan) })
	})
	if err != nil {
		return err
	}
	if err := j.reload(); err != nil {
		return err
	}
	j.log.restart()
	// A look of bbolt at a page brings in up to 64 KiB around it: the memory of a run
	// must not grow with the journal.
	_ = j.db.View(giveBack)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.spare = j.merging
	j.spare.reset()
	j.merging = nil
	j.merges++
	return nil
}

func (j *Journal) fill(tx *bbolt.Tx, plan string) error {
	t, err := newTable(tx, j.pages)
	if err != nil {
		return err
	}
	if plan != "" {
		if err := t.bind(plan); err != nil {
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

// reload looks at what a transaction has written, or was written before.
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
