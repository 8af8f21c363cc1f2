package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// bbolt does not validate pages: a corrupt page can make it loop, free pages endlessly, or
// read outside the file, which ends the program if it happens in its own goroutine. So
// pages are read and checked here first, and bbolt only sees checked pages.
//
// Format: a page has a header of 16 bytes (its number, what it
// is, the count of its entries, and how many more pages it takes up), then a table of
// its entries, 16 bytes each, then the key and the value of one entry after the other.
// A value in a branch is the number of the page below. All leaves are at one depth.
const (
	pageHeader = 16
	pageEntry  = 16
	branchFlag = 0x01
	leafFlag   = 0x02
	maxPage    = 16 << 20
)

// The flags of the entries of a leaf.
const (
	entryRecord uint32 = iota
	entryBucket
)

var (
	errBadPages = fmt.Errorf("%w: its pages are invalid; restore a copy, or make a new plan with a new journal",
		ErrDamaged)
	errCutOff = fmt.Errorf("%w: it was truncated; restore a copy, or make a new plan with a new journal",
		ErrDamaged)
	errOtherProgram = errors.New("this is a bbolt file of another program, not a journal; use another path")
)

// pages is the tree of pages of one transaction. It is valid until the second transaction
// after it.
type pages struct {
	f     io.ReaderAt
	size  uint64 // of a page in bytes
	count uint64 // of the pages
	root  uint64 // the page with the buckets
	// visit is called for each page that is read. Optional.
	visit func(page) error
}

// page is a branch or a leaf.
type page struct {
	id    uint64
	leaf  bool
	count int
	body  []byte // from the header on
}

// read reads a page with leaf entries of a kind, into buf if it is large enough.
func (p pages) read(id uint64, kind uint32, buf []byte) (page, error) {
	if id < 2 || id >= p.count {
		return page{}, errBadPages
	}
	body, err := p.readBody(id, 1, buf)
	if err != nil {
		return page{}, err
	}
	taken := 1 + uint64(binary.NativeEndian.Uint32(body[12:]))
	if binary.NativeEndian.Uint64(body) != id || taken > p.count-id || taken*p.size > maxPage {
		return page{}, errBadPages
	}
	if taken > 1 {
		if body, err = p.readBody(id, taken, body); err != nil {
			return page{}, err
		}
	}
	at, size, err := parsePage(body, kind)
	if err == nil && (size+p.size-1)/p.size != taken {
		err = errBadPages
	}
	if err != nil {
		return page{}, err
	}
	at.id = id
	if p.visit != nil {
		err = p.visit(at)
	}
	return at, err
}

func (p pages) readBody(id, count uint64, buf []byte) ([]byte, error) {
	if uint64(cap(buf)) < count*p.size {
		buf = make([]byte, count*p.size)
	}
	buf = buf[:count*p.size]
	_, err := p.f.ReadAt(buf, int64(id*p.size)) //nolint:gosec // within the file
	if errors.Is(err, io.EOF) {
		err = errCutOff
	}
	return buf, err
}

// parsePage parses a page and returns its size in bytes. Entries must follow each other
// without gaps, as bbolt writes them, so that none overlaps another or exceeds the page.
func parsePage(body []byte, kind uint32) (p page, size uint64, err error) {
	flags := binary.NativeEndian.Uint16(body[8:])
	p = page{leaf: flags == leafFlag, count: int(binary.NativeEndian.Uint16(body[10:])), body: body}
	size = uint64(pageHeader + p.count*pageEntry) //nolint:gosec // a small number
	if !p.leaf && flags != branchFlag || size > uint64(len(body)) {
		return page{}, 0, errBadPages
	}
	for i := range p.count {
		at, key, value := p.layout(i)
		if at != size || key == 0 || p.leaf && binary.NativeEndian.Uint32(p.entry(i)) != kind {
			return page{}, 0, errBadPages
		}
		if size += key + value; size > uint64(len(body)) {
			return page{}, 0, errBadPages
		}
	}
	return p, size, nil
}

func (p page) entry(i int) []byte { return p.body[pageHeader+i*pageEntry:][:pageEntry] }

// layout returns the position of an entry's key and the sizes of its key and value.
func (p page) layout(i int) (at, key, value uint64) {
	e, from := p.entry(i), uint64(pageHeader+i*pageEntry) //nolint:gosec // within the page
	if p.leaf {
		e, value = e[4:], uint64(binary.NativeEndian.Uint32(e[12:]))
	}
	return from + uint64(binary.NativeEndian.Uint32(e)), uint64(binary.NativeEndian.Uint32(e[4:])), value
}

func (p page) key(i int) []byte {
	at, key, _ := p.layout(i)
	return p.body[at : at+key : at+key]
}

// value is that of an entry of a leaf.
func (p page) value(i int) []byte {
	at, key, value := p.layout(i)
	return p.body[at+key : at+key+value : at+key+value]
}

// child is the page below an entry of a branch.
func (p page) child(i int) uint64 { return binary.NativeEndian.Uint64(p.entry(i)[8:]) }

// search returns the first entry whose key is not before the one given, and whether
// it is that.
func (p page) search(key []byte) (i int, found bool) {
	low, high := 0, p.count
	for low < high {
		middle := (low + high) / 2
		switch c := bytes.Compare(p.key(middle), key); {
		case c == 0:
			return middle, true
		case c < 0:
			low = middle + 1
		default:
			high = middle
		}
	}
	return low, false
}

// checkOrder sees to it that the keys ascend, from the first that the page may hold to
// before the first that it may not; a nil end is none.
func (p page) checkOrder(from, end []byte) error {
	for i := range p.count {
		key := p.key(i)
		if c := bytes.Compare(key, from); c < 0 || c == 0 && i > 0 || end != nil && bytes.Compare(key, end) >= 0 {
			return errBadPages
		}
		from = key
	}
	return nil
}

// bucketHeader are the number of the first page of a bucket, which is 0 if the value
// itself goes on with a page, and a number that is not used here.
const bucketHeader = 16

// tree is a bucket.
type tree struct {
	pages
	first  uint64
	inline page // if first is 0
}

// buckets are the trees of a journal.
type buckets struct {
	journal, log, records tree
}

// buckets finds the trees of a journal. A file with others is none.
func (p pages) buckets() (b buckets, err error) {
	top, err := p.read(p.root, entryBucket, nil)
	if err != nil {
		return buckets{}, err
	}
	names := [][]byte{bucketJournal, bucketLog, bucketRecords}
	if !top.leaf || top.count != len(names) {
		return buckets{}, errOtherProgram
	}
	for i, t := range []*tree{&b.journal, &b.log, &b.records} {
		if !bytes.Equal(top.key(i), names[i]) {
			return buckets{}, errOtherProgram
		}
		if *t, err = p.tree(top.value(i)); err != nil {
			return buckets{}, err
		}
	}
	return b, nil
}

func (p pages) tree(value []byte) (t tree, err error) {
	if len(value) < bucketHeader {
		return tree{}, errBadPages
	}
	t = tree{pages: p, first: binary.NativeEndian.Uint64(value)}
	if t.first != 0 {
		return t, nil
	}
	var size uint64
	body := value[bucketHeader:]
	if len(body) < pageHeader || binary.NativeEndian.Uint64(body) != 0 {
		return tree{}, errBadPages
	}
	t.inline, size, err = parsePage(body, entryRecord)
	if err == nil && (size != uint64(len(body)) || !t.inline.leaf) {
		err = errBadPages
	}
	return t, err
}

// alone is where the only value of a tree is in the file, and its size.
func (t tree) alone(key []byte) (start int64, size int, err error) {
	p, err := t.read(t.first, entryRecord, nil)
	if err != nil {
		return 0, 0, err
	}
	if !p.leaf || p.count != 1 || !bytes.Equal(p.key(0), key) {
		return 0, 0, errBadPages
	}
	at, _, value := p.layout(0)
	return int64(t.first*t.size + at + uint64(len(key))), int(value), nil //nolint:gosec // within the file
}
