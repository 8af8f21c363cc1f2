package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"github.com/cloudblue-go/cloudblue/internal/durable"
)

// The part of bbolt's file format (version 2, unchanged since 2013) that shows whether a
// file can be mapped safely: two meta pages, each with a header of 16 bytes and 64 bytes of
// content in the byte order of the machine. The valid one with the higher transaction
// number is used.
const (
	bboltMagic   = 0xED0CDAED
	bboltVersion = 2
	metaSize     = 64
	freelistFlag = 0x10
	noFreelist   = ^uint64(0)
)

var errNotJournal = errors.New("this is not a journal; use another path")

// checkKind returns an error if path is not a regular file.
func checkKind(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if err := durable.CheckRegular(info); err != nil {
		return err
	}
	if info.Size() == 0 {
		return fmt.Errorf(
			"%w: the file is empty; restore a copy, or make a new plan with a new journal", ErrDamaged)
	}
	return nil
}

// meta is a meta page of bbolt.
type meta struct {
	pageSize, root, freelist, pages, tx uint64
}

// in returns the pages of the file.
func (m meta) in(f io.ReaderAt) pages {
	return pages{f: f, size: m.pageSize, count: m.pages, root: m.root}
}

// checkFile returns an error if a file cannot be mapped safely. Another process may write it
// meanwhile: it extends the file before it updates the meta page.
func checkFile(f *os.File) error {
	m, err := readMeta(f)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if have := uint64(info.Size()); m.pages > have/m.pageSize { //nolint:gosec // a size is not negative
		return fmt.Errorf(
			"%w: it was truncated: it has %d of at least %d bytes; restore a copy, or make a new plan with a new journal",
			ErrDamaged, have, m.pages*m.pageSize)
	}
	_, _, err = readFreelist(f, m)
	return err
}

func readMeta(f *os.File) (meta, error) {
	best, found := readMetaAt(f, 0)
	// The position of the second depends on the page size, which may be damaged in the
	// first.
	for size := int64(1 << 10); size <= 1<<24; size <<= 1 {
		m, ok := readMetaAt(f, size)
		if ok && m.pageSize == uint64(size) && (!found || m.tx > best.tx) {
			best, found = m, true
		}
	}
	if !found {
		return meta{}, errNotJournal
	}
	return best, nil
}

func readMetaAt(f *os.File, offset int64) (meta, bool) {
	page := make([]byte, pageHeader+metaSize)
	if _, err := f.ReadAt(page, offset); err != nil {
		return meta{}, false
	}
	b, order := page[pageHeader:], binary.NativeEndian
	sum := fnv.New64a()
	_, _ = sum.Write(b[:56])
	if order.Uint32(b) != bboltMagic || order.Uint32(b[4:]) != bboltVersion || order.Uint64(b[56:]) != sum.Sum64() {
		return meta{}, false
	}
	m := meta{
		pageSize: uint64(order.Uint32(b[8:])), root: order.Uint64(b[16:]),
		freelist: order.Uint64(b[32:]), pages: order.Uint64(b[40:]), tx: order.Uint64(b[48:]),
	}
	return m, m.pageSize >= 1<<10 && m.root < m.pages
}

// readFreelist returns the numbers of the free pages, which bbolt will overwrite, and the
// number of pages of the list itself.
func readFreelist(f *os.File, m meta) (free []uint64, taken uint64, err error) {
	broken := fmt.Errorf(
		"%w: its list of free pages is invalid; restore a copy, or make a new plan with a new journal", ErrDamaged)
	if m.freelist == noFreelist {
		return nil, 0, errNotJournal // bbolt would write to a file of another program
	}
	if m.freelist < 2 || m.freelist >= m.pages {
		return nil, 0, broken
	}
	at := int64(m.freelist * m.pageSize)                                    //nolint:gosec // within the file
	r := io.NewSectionReader(f, at, int64((m.pages-m.freelist)*m.pageSize)) //nolint:gosec // within the file
	head := make([]byte, pageHeader)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, 0, err
	}
	order := binary.NativeEndian
	taken = 1 + uint64(order.Uint32(head[12:])) // all are freed when the list is rewritten
	if order.Uint64(head) != m.freelist || order.Uint16(head[8:]) != freelistFlag || taken > m.pages-m.freelist {
		return nil, 0, broken
	}
	count := uint64(order.Uint16(head[10:]))
	if count == 0xFFFF { // more than fit: the first number is the count
		if err := binary.Read(r, order, &count); err != nil {
			return nil, 0, broken
		}
	}
	// bbolt allocates the pages of the list before it knows the number of free pages.
	if count > m.pages || taken < freelistPages(count, m.pageSize) || taken > freelistPages(count+taken, m.pageSize) {
		return nil, 0, broken
	}
	free = make([]uint64, count)
	if err := binary.Read(r, order, free); err != nil {
		return nil, 0, broken
	}
	before := uint64(1) // the meta pages are never free
	for _, id := range free {
		if id <= before || id >= m.pages || id == m.root || id >= m.freelist && id < m.freelist+taken {
			return nil, 0, broken
		}
		before = id
	}
	return free, taken, nil
}

// freelistPages returns the number of pages that bbolt allocates for a list.
func freelistPages(count, pageSize uint64) uint64 {
	if count >= 0xFFFF {
		count++
	}
	return (pageHeader+8*count)/pageSize + 1
}
