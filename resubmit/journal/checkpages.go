package journal

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
)

// checkAll reads a file that nobody writes: each of its records is there and is one,
// and each of its pages is free or belongs to one thing.
func checkAll(f *os.File, m meta, l log) error {
	free, taken, err := readFreelist(f, m)
	if err != nil {
		return err
	}
	used := make(usage, m.pages)
	err = cmp.Or(used.take(0, 2), used.take(m.freelist, taken))
	for _, id := range free {
		err = cmp.Or(err, used.take(id, 1))
	}
	if err != nil {
		return err
	}
	in := m.in(f)
	in.visit = func(p page) error { return used.take(p.id, uint64(len(p.body))/m.pageSize) }
	b, err := in.buckets()
	if err != nil {
		return err
	}
	if _, _, err := b.log.alone(keyLog); err != nil {
		return err
	}
	if err := l.replay(func(string, []byte) {}); err != nil {
		return err
	}
	said, err := readSaid(b.journal)
	if err != nil {
		return err
	}
	if err := checkRecords(b.records, &said); err != nil {
		return err
	}
	if unused := slices.Index(used, false); unused >= 0 {
		return fmt.Errorf("%w: its page %d is lost", ErrDamaged, unused)
	}
	return nil
}

// checkRecords goes over all records.
func checkRecords(records tree, said *said) error {
	c := newCursor(records)
	c.strict = true
	var count uint64
	_, err := eachFrom(c, headKey, math.MaxInt, func(key, body []byte) error {
		count++
		_, err := decode(string(key[1:]), body)
		return err
	})
	if err != nil {
		return err
	}
	records.visit = nil // they were seen
	if count != said.count {
		return fmt.Errorf("%w: it has %d records of %d", ErrDamaged, count, said.count)
	}
	return checkLast(records, said.last)
}

// usage is which pages of a file belong to something.
type usage []bool

func (u usage) take(id, count uint64) error {
	if count > uint64(len(u)) || id > uint64(len(u))-count {
		return errBadPages
	}
	for i := range u[id : id+count] {
		if u[id:][i] {
			return fmt.Errorf("%w: its page %d is used twice", ErrDamaged, id+uint64(i))
		}
		u[id:][i] = true
	}
	return nil
}
