package journal

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
)

// checkAll checks a file that nobody writes: no record is missing or wrong, and each page is
// free or used exactly once.
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
	said, err := readMetadata(b.journal)
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

// checkRecords checks all records.
func checkRecords(records tree, said *metadata) error {
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
	records.visit = nil // visited already
	if count != said.count {
		return fmt.Errorf("%w: has %d records, want %d", ErrDamaged, count, said.count)
	}
	return checkLast(records, said.last)
}

// usage marks the used pages of a file.
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
