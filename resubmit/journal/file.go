package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
)

// What has to be known of bbolt's file (version 2 of it, unchanged since 2013) to
// tell a file that may be mapped from one whose mapping would end the program: two
// meta pages, each with a header of 16 bytes and 64 bytes of content in the byte
// order of the machine. The valid one with the higher transaction counts.
const (
	bboltMagic   = 0xED0CDAED
	bboltVersion = 2
	pageHeader   = 16
	metaSize     = 64
	freelistFlag = 0x10
	noFreelist   = ^uint64(0)
)

var errNotJournal = errors.New("this is not a journal; give another path")

// checkKind refuses what is not even a file.
func checkKind(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, dangling := os.Lstat(path); dangling == nil {
			return errors.New("it is a link to a file that is not there; give the path of the file itself")
		}
		return err
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("this is a directory; give the path of a file")
	case !info.Mode().IsRegular():
		return fmt.Errorf("this is no regular file, but %v; give another path", info.Mode().Type())
	case info.Size() == 0:
		return fmt.Errorf("%w: it is empty, so what it held is lost; bring back a copy, or make a new plan with a new journal", ErrDamaged)
	}
	return nil
}

// meta is a meta page of bbolt.
type meta struct {
	pageSize, root, freelist, pages, tx uint64
}

// checkFile refuses a file that cannot be mapped safely. A process that writes it
// at the same time does not disturb: it grows the file before it says so.
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
		return fmt.Errorf("%w: it was cut off: it has %d of at least %d bytes; bring back a copy, or make a new plan with a new journal",
			ErrDamaged, have, m.pages*m.pageSize)
	}
	if err := checkFreelist(f, m); err != nil {
		return err
	}
	return checkPages(f, m, false)
}

func readMeta(f *os.File) (meta, error) {
	best, found := readMetaAt(f, 0)
	// Where the second is depends on the size of a page, which the first need not
	// tell any more.
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

// checkFreelist looks at the list of free pages: what it names is overwritten.
func checkFreelist(f *os.File, m meta) error {
	broken := fmt.Errorf("%w: its list of free pages makes no sense; bring back a copy, or make a new plan with a new journal", ErrDamaged)
	if m.freelist == noFreelist {
		return errNotJournal // bbolt would write one, and the file is not ours
	}
	if m.freelist >= m.pages {
		return broken
	}
	at := int64(m.freelist * m.pageSize)                                    //nolint:gosec // within the file
	r := io.NewSectionReader(f, at, int64((m.pages-m.freelist)*m.pageSize)) //nolint:gosec // within the file
	head := make([]byte, pageHeader)
	if _, err := io.ReadFull(r, head); err != nil {
		return err
	}
	order := binary.NativeEndian
	more := uint64(order.Uint32(head[12:])) // all of its pages are freed when it is written anew
	if order.Uint64(head) != m.freelist || order.Uint16(head[8:]) != freelistFlag || more >= m.pages-m.freelist {
		return broken
	}
	count := uint64(order.Uint16(head[10:]))
	if count == 0xFFFF { // more than fit: the first id is the count
		if err := binary.Read(r, order, &count); err != nil {
			return broken
		}
	}
	if count > m.pages {
		return broken
	}
	ids := make([]uint64, count)
	if err := binary.Read(r, order, ids); err != nil {
		return broken
	}
	before := uint64(1) // the meta pages are never free
	for _, id := range ids {
		if id <= before || id >= m.pages || id == m.root || id == m.freelist {
			return broken
		}
		before = id
	}
	return nil
}
