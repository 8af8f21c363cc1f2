package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// piece is a part of the file in memory: text[0] is at the offset at.
type piece struct {
	at   int64
	text []byte
}

// contents is what a file says.
type contents struct {
	source

	index       index
	marks       map[uint64]mark // positions that were returned, by sequence
	total, live int             // records of keys: all, and those that are the last of their key

	// The position behind the last frame; chain is the hash that the next frame continues.
	sequence uint64
	hash     digest
	chain    digest

	writing, pending piece   // records that are not in the file yet
	kept             []piece // the last frames, whose records are often needed soon
	scratch          []byte  // for read
}

// newContents returns the contents of a file before its first frame, behind the hash of the header.
func newContents(f *os.File, h header, start int64, first digest) *contents {
	c := &contents{
		source: source{file: f, header: h, start: start, first: first, end: start},
		index:  newIndex(), marks: make(map[uint64]mark), sequence: h.Sequence, hash: first, chain: first,
	}
	if len(h.Hash) == hashSize {
		c.hash = digest(h.Hash)
	}
	return c
}

// load reads all frames of a file of a size. It returns the size of an incomplete frame at its end, which zeros are
// not.
func (c *contents) load(size int64) (torn int64, err error) {
	end := c.start
	c.end, c.partial = size, true
	err = c.frames(func(fr frame, next int64) error {
		end = next
		if err := c.addFrame(fr); err != nil {
			return &CorruptError{Offset: fr.at - frameHead, Why: err.Error()}
		}
		return nil
	})
	if err == nil {
		torn, err = c.used(end, size)
	}
	c.end, c.partial = end, false
	c.skipped = max(0, c.skipped-(size-end-torn))
	c.pending = piece{c.end - hashSize, make([]byte, framePrefix, 64<<10)}
	return torn, err
}

// used returns how many bytes of a part of the file there are up to the last one that is not zero.
func (c *contents) used(from, to int64) (used int64, err error) {
	block := make([]byte, 64<<10)
	for at := from; at < to; at += int64(len(block)) {
		n, err := c.file.ReadAt(block[:min(int64(len(block)), to-at)], at)
		if err != nil && !errors.Is(err, io.EOF) { // another process may have cut them off
			return 0, err
		}
		if n = len(bytes.TrimRight(block[:n], "\x00")); n > 0 {
			used = at + int64(n) - from
		}
	}
	return used, nil
}

var errInconsistent = errors.New("its records contradict those before")

func (c *contents) addFrame(fr frame) error {
	err := eachRecord(fr.records, fr.at, func(r record, at int64) error {
		if c.loose {
			return c.addLoose(r, at)
		}
		_, err := c.add(r, at)
		return err
	})
	c.chain = fr.hash
	if fr.sequence > c.header.Sequence { // not one of those that were there when the file was written
		c.sequence, c.hash = fr.sequence, fr.hash
	}
	return err
}

// add adds the record at an offset. It returns the offset of the record that it replaces, 0 for none.
func (c *contents) add(r record, at int64) (old int64, err error) {
	switch kind := r.kind &^ removed; kind {
	case kindBegin:
		return 0, nil
	case kindMark:
		if len(r.fields) != hashSize {
			return 0, errInconsistent
		}
		c.marks[r.version] = mark{digest(r.fields), len(r.id) > 0}
		return 0, nil
	case kindOrder, kindLane, kindRun, kindSystem:
		next := at
		if r.back != 0 {
			old = at - r.back
			c.live--
		}
		if r.kind&removed != 0 {
			next = 0
		} else {
			c.live++
		}
		c.total++
		if !c.index.replace(c.index.hash(kind, r.id), old, next) {
			return 0, errInconsistent
		}
		if kind == kindOrder {
			err = c.addNumber(orderNumber(r.fields), old, next)
		}
		return old, err
	default:
		return 0, fmt.Errorf("it has a record of the unknown kind %d", r.kind)
	}
}

// addNumber refers the number of an order to its last record.
func (c *contents) addNumber(number []byte, old, next int64) error {
	hash := c.index.hash(kindNumber, number)
	if old != 0 {
		if len(number) > 0 && c.index.replace(hash, old, next) {
			return nil
		}
		was, err := c.read(old) // which has another number
		if err != nil {
			return err
		}
		if n := orderNumber(was.fields); len(n) > 0 {
			c.index.replace(c.index.hash(kindNumber, n), old, 0)
		}
	}
	if len(number) > 0 {
		c.index.replace(hash, 0, next)
	}
	return nil
}

// addLoose adds a record if it is newer than the last one of its key, whatever it replaces.
func (c *contents) addLoose(r record, at int64) error {
	_, offset, err := c.last(r.kind&^removed, r.id)
	if err != nil || r.kind == kindMark || r.kind == kindBegin {
		return err
	}
	r.back = 0
	if offset != 0 {
		r.back = at - offset
	}
	_, err = c.add(r, at)
	return err
}

// last returns the last record of a key and its offset, 0 if there is none. It is valid until the
// next read.
func (c *contents) last(kind byte, id []byte) (record, int64, error) {
	return c.find(c.index.hash(kind, id), func(r record) bool { return r.kind == kind && bytes.Equal(r.id, id) })
}

// numbered returns the last record of the order with a number.
func (c *contents) numbered(number []byte) (record, int64, error) {
	return c.find(c.index.hash(kindNumber, number), func(r record) bool {
		return r.kind == kindOrder && bytes.Equal(orderNumber(r.fields), number)
	})
}

func (c *contents) find(hash uint64, match func(record) bool) (record, int64, error) {
	x := &c.index
	for slot := x.next(hash, x.home(hash)); x.slots[slot] != 0; slot = x.next(hash, x.after(slot)) {
		r, err := c.read(x.offset(slot))
		if err != nil || match(r) {
			return r, x.offset(slot), err
		}
	}
	return record{}, 0, nil
}

// The last keptFrames frames are kept in memory, unless they take more than maxKept bytes.
const keptFrames, maxKept = 32, 128 << 10

// keep keeps a frame that was written, and returns a buffer that is not needed any more.
func (c *contents) keep(p piece) []byte {
	if len(p.text) > maxKept {
		return p.text
	}
	c.kept = append(c.kept, p)
	if len(c.kept) <= keptFrames {
		return nil
	}
	oldest := c.kept[0].text
	c.kept = slices.Delete(c.kept, 0, 1)
	return oldest
}

// has reports whether an offset is in the piece.
func (p piece) has(at int64) bool { return at >= p.at && at < p.at+int64(len(p.text)) }

// inMemory returns the piece that has an offset; one without text if there is none.
func (c *contents) inMemory(at int64) piece {
	if c.pending.has(at) {
		return c.pending
	}
	if c.writing.has(at) {
		return c.writing
	}
	for _, p := range slices.Backward(c.kept) {
		if p.has(at) {
			return p
		}
	}
	return piece{}
}

// read returns the record at an offset. It is valid until the next read.
func (c *contents) read(at int64) (record, error) {
	if p := c.inMemory(at); p.text != nil {
		r, _ := cutRecord(p.text[at-p.at:])
		return r, nil
	}
	for size := 512; size <= 2*maxRecord; size *= 16 {
		if len(c.scratch) < size {
			c.scratch = make([]byte, size)
		}
		n, err := c.file.ReadAt(c.scratch[:size], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return record{}, err
		}
		if r, ok := cutRecord(c.scratch[:n]); ok && r.intact() {
			return r, nil
		}
	}
	return record{}, &CorruptError{Offset: at, Why: "the record has changed since the file was opened"}
}
