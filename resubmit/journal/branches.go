package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// bbolt believes the sizes that its pages tell: one wrong size makes it allocate
// gigabytes when the page is written again, or when it checks the file itself. The
// leaves are checked when something is written to them (see table.around), and by
// Check. The pages above them, one in a hundred, are checked before the file is opened.
const (
	branchFlag  = 0x01
	leafFlag    = 0x02
	branchEntry = 16
	leafEntry   = 16
	bucketFlag  = 0x01
	maxPage     = 16 << 20
)

// page is a page of bbolt with its overflow.
type page struct {
	flags uint16
	count int
	body  []byte // from the header on
}

var errBadPages = fmt.Errorf("%w: its pages make no sense; bring back a copy, or make a new plan with a new journal", ErrDamaged)

func readPage(f *os.File, m meta, id uint64) (page, error) {
	if id < 2 || id >= m.pages {
		return page{}, errBadPages
	}
	at := int64(id * m.pageSize) //nolint:gosec // within the file
	head := make([]byte, pageHeader)
	if _, err := f.ReadAt(head, at); err != nil {
		return page{}, err
	}
	order := binary.NativeEndian
	more := uint64(order.Uint32(head[12:]))
	if order.Uint64(head) != id || more >= m.pages-id || more*m.pageSize > maxPage {
		return page{}, errBadPages
	}
	p := page{flags: order.Uint16(head[8:]), count: int(order.Uint16(head[10:]))}
	p.body = make([]byte, (more+1)*m.pageSize)
	if _, err := io.ReadFull(io.NewSectionReader(f, at, int64(len(p.body))), p.body); err != nil {
		return page{}, err
	}
	if (p.flags != branchFlag && p.flags != leafFlag) || pageHeader+p.count*branchEntry > len(p.body) {
		return page{}, errBadPages
	}
	return p, nil
}

// slice is a part of a page that one of its entries names by its place after it.
func (p page) slice(entry int, pos, size uint32) ([]byte, bool) {
	start := uint64(entry) + uint64(pos) //nolint:gosec // within the page
	end := start + uint64(size)
	if start < pageHeader || end > uint64(len(p.body)) {
		return nil, false
	}
	return p.body[start:end], true
}

// checkPages checks the pages above the leaves of the records, and these too if
// leaves is set.
func checkPages(f *os.File, m meta, leaves bool) error {
	p, err := readPage(f, m, m.root)
	if err != nil {
		return err
	}
	if p.flags != leafFlag {
		return errOtherProgram // too many buckets to be ours
	}
	order := binary.NativeEndian
	for i := range p.count {
		at := pageHeader + i*leafEntry
		e := p.body[at:]
		key, ok := p.slice(at, order.Uint32(e[4:]), order.Uint32(e[8:]))
		value, fine := p.slice(at, order.Uint32(e[4:])+uint32(len(key)), order.Uint32(e[12:])) //nolint:gosec // a slice of a page
		if !ok || !fine {
			return errBadPages
		}
		if order.Uint32(e) != bucketFlag || len(value) < 16 {
			return errOtherProgram
		}
		if root := order.Uint64(value); root != 0 {
			if err := checkBranch(f, m, root, 0, leaves); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxDepth is more than a tree with pages of a kilobyte can reach.
const maxDepth = 32

func checkBranch(f *os.File, m meta, id uint64, depth int, leaves bool) error {
	p, err := readPage(f, m, id)
	if err != nil || p.flags == leafFlag {
		return err
	}
	if p.count == 0 || depth > maxDepth {
		return errBadPages
	}
	order := binary.NativeEndian
	var before []byte
	children := make([]uint64, p.count)
	for i := range children {
		at := pageHeader + i*branchEntry
		e := p.body[at:]
		key, ok := p.slice(at, order.Uint32(e), order.Uint32(e[4:]))
		children[i] = order.Uint64(e[8:])
		if !ok || len(key) == 0 || i > 0 && bytes.Compare(before, key) >= 0 || children[i] < 2 || children[i] >= m.pages {
			return errBadPages
		}
		before = key
	}
	// All leaves are at the same depth, so the first child tells what the others are.
	if first, err := readPage(f, m, children[0]); err != nil || first.flags == leafFlag && !leaves {
		return err
	}
	for _, child := range children {
		if err := checkBranch(f, m, child, depth+1, leaves); err != nil {
			return err
		}
	}
	return nil
}

var errOtherProgram = errors.New("this is a bbolt file of another program, not a journal; give another path")

// checkBuckets sees to it that a journal holds what a journal holds, and no more.
func checkBuckets(tx *bbolt.Tx) error {
	buckets := [][]byte{bucketJournal, bucketRecords}
	err := tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		if len(buckets) == 0 || !bytes.Equal(name, buckets[0]) {
			return errOtherProgram
		}
		buckets = buckets[1:]
		return nil
	})
	if err != nil {
		return err
	}
	if len(buckets) > 0 {
		return errOtherProgram
	}
	return tx.Bucket(bucketJournal).ForEach(func(key, value []byte) error {
		if !bytes.Equal(key, keyFormat) && !bytes.Equal(key, keyPlan) && !bytes.Equal(key, keyLast) {
			return errBadPages
		}
		_, err := unseal(key, value)
		return err
	})
}
