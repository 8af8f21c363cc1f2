package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/ahead"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

const (
	maxLine   = 16 << 20  // bytes of one line, including its end
	blockSize = 256 << 10 // bytes read, written and hashed at once
	sumSize   = 4 << 10   // bytes of a checksum; a divisor of blockSize
)

// Each error of a damaged file ends with what to do about it.
var (
	errTruncated = errors.New("the last line, with counts and digest, is missing: the file was cut off or is still " +
		"being written; make a new plan")
	errEdited = errors.New("the digest does not match the content: the file was edited or damaged after it was written; " +
		"make a new plan")
	errTwoPlans = errors.New("there is content after the last line: the file looks like two plans; make a new plan")
	errChanged  = errors.New("the file was changed after it was opened")
	errLongLine = fmt.Errorf("the line is longer than %d bytes", maxLine)
)

// lineReader reads the lines of a plan one by one. The first pass over a plan records a checksum of each block. Later
// passes compare with it, so that a file that is edited in place is detected before an entry of that block is used.
type lineReader struct {
	plan   *Plan
	digest *digester // set in the first pass
	text   string    // read, but not yet returned
	buf    []byte
	blocks int   // read so far
	number int   // of the line returned last, from 1
	offset int64 // after that line

	trailer string // the last line of the plan; "" if entries has not come to it
}

// next returns the next line without its end. It returns io.EOF at the end of the file and io.ErrUnexpectedEOF if the
// end of the last line is missing.
func (r *lineReader) next() (string, error) {
	for {
		if end := strings.IndexByte(r.text, '\n'); end >= 0 {
			if end >= maxLine {
				return "", errLongLine
			}
			line := r.text[:end]
			r.text = r.text[end+1:]
			r.number++
			r.offset += int64(end) + 1
			return line, nil
		}
		if len(r.text) >= maxLine {
			return "", errLongLine
		}
		err := r.readBlock()
		if errors.Is(err, io.EOF) && r.text != "" {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return "", err
		}
	}
}

// readBlock appends the next block to the text.
func (r *lineReader) readBlock() error {
	p, start := r.plan, int64(r.blocks)*blockSize
	size := min(blockSize, p.size-start)
	if size <= 0 {
		return io.EOF
	}
	r.buf = slices.Grow(append(r.buf[:0], r.text...), blockSize)
	block := r.buf[len(r.text) : len(r.text)+int(size)]
	first := r.digest != nil
	if first {
		p.sums.blocks = append(p.sums.blocks, make([]uint64, (size+sumSize-1)/sumSize)...)
	}
	if err := p.readBlock(block, start, first); err != nil {
		return err
	}
	r.blocks++
	rest := len(r.text)
	r.text = string(r.buf[:rest+int(size)])
	if first {
		r.digest.blocks <- r.text[rest:]
	}
	return nil
}

// readBlock reads and checks, or records the checksums of, a block that starts at a multiple of sumSize and ends at
// another one or at the end of the file.
func (p *Plan) readBlock(b []byte, start int64, record bool) error {
	if n, err := p.r.ReadAt(b, start); n < len(b) {
		// %v, because the end of the file here is not the end of the plan.
		return fmt.Errorf("read byte %d of %d: %v", start+int64(n)+1, p.size, err) //nolint:errorlint // see above
	}
	first := int(start / sumSize)
	for i := 0; i*sumSize < len(b); i++ {
		sum := maphash.Bytes(p.sums.seed, b[i*sumSize:min(len(b), (i+1)*sumSize)])
		if record {
			p.sums.blocks[first+i] = sum
		} else if p.sums.blocks[first+i] != sum {
			return errChanged
		}
	}
	return nil
}

// digestEnd is how a plan ends: the value of the digest, which is not hashed, and the end of the line.
const digestEnd = len("sha256:") + 2*sha256.Size + len("\"}\n")

// digester computes the digest of a plan in a goroutine of its own, while the entries are decoded.
type digester struct {
	blocks chan string
	sum    chan string
}

func newDigester(size int64) *digester {
	d := &digester{blocks: make(chan string, 1), sum: make(chan string, 1)}
	go func() {
		hash, buf := sha256.New(), make([]byte, blockSize)
		for block := range d.blocks {
			n := int64(copy(buf, block))
			_, _ = hash.Write(buf[:max(0, min(n, size))]) // never fails
			size -= n
		}
		d.sum <- digestOf(hash)
	}()
	return d
}

// blockSums are the checksums of the blocks of a plan.
type blockSums struct {
	seed   maphash.Seed
	blocks []uint64
}

// verify reads the whole plan, checks its structure, order, counts and digest, and calls each for its entries.
func (p *Plan) verify(each func(*Entry, int64)) error {
	digest := newDigester(p.size - int64(digestEnd))
	err := p.verifyLines(&lineReader{plan: p, digest: digest}, each)
	close(digest.blocks)
	if found := <-digest.sum; err == nil && found != p.digest {
		err = p.errorf(p.counts.Total+2, "%w", errEdited)
	}
	return err
}

// verifyLines checks all but the digest.
func (p *Plan) verifyLines(r *lineReader, each func(*Entry, int64)) error {
	fail := func(line int, err error) error { return p.errorf(line, "%w", err) }
	header, err := r.next()
	switch {
	case errors.Is(err, io.EOF):
		return fail(1, errors.New("the file is empty; make a new plan"))
	case err != nil:
		return fail(1, readError(err))
	}
	if err := p.readHeader([]byte(header)); err != nil {
		return fail(1, err)
	}
	var last time.Time // placed
	index := newIndexer(p)
	for l := range ahead.Of(1, r.entries) {
		for i := range l.count {
			e := &l.entries[i]
			if err := checkEntry(e, last); err != nil {
				return fail(l.first+i, edited(err))
			}
			if !e.Before.PlacedAt.IsZero() {
				last = e.Before.PlacedAt
			}
			p.counts.add(e.Decision.Action)
			if !e.Due.IsZero() && (p.due.IsZero() || e.Due.Before(p.due)) {
				p.due = e.Due
			}
			if e.Decision.Action == rules.Resubmit {
				index.add(e, l.offsets[i])
			}
			each(e, l.offsets[i])
		}
		if l.err != nil {
			return fail(l.first+l.count, l.err)
		}
		unusedLines.Put(l)
	}
	if err := p.readTrailer([]byte(r.trailer)); err != nil {
		return fail(r.number, err)
	}
	p.index = index.finish()
	if p.trailer = r.offset - int64(len(r.trailer)) - 1; r.offset != p.size {
		return fail(r.number+1, errTwoPlans)
	}
	return nil
}

// lines are consecutive lines with entries, which are read and decoded together.
type lines struct {
	first   int // the number of the first line
	count   int
	entries [128]Entry
	offsets [128]int64
	err     error // of the line behind them
}

// unusedLines are to be used again. It is not in a lineReader, which the runtime would keep with it until the second
// garbage collection.
var unusedLines sync.Pool

// entries yields all entries, up to the last line of the plan or to an error. Their texts refer to the lines.
func (r *lineReader) entries(yield func(*lines) bool) {
	var dec decoder
	for r.trailer == "" {
		l, ok := unusedLines.Get().(*lines)
		if !ok {
			l = new(lines)
		}
		l.first, l.count, l.err = r.number+1, 0, nil
		for l.count < len(l.entries) && r.trailer == "" && l.err == nil {
			l.err = r.entry(l, &dec)
		}
		if last := l.err != nil; !yield(l) || last {
			return
		}
	}
}

// entry reads and decodes the next entry, or reads the last line of the plan.
func (r *lineReader) entry(l *lines, dec *decoder) error {
	start := r.offset
	line, err := r.next()
	if err != nil {
		return readError(err)
	}
	if strings.HasPrefix(line, trailerStart) {
		r.trailer = line
		return nil
	}
	e := &l.entries[l.count]
	if err := dec.decodeShared(line, e); err != nil {
		return edited(err)
	}
	l.offsets[l.count] = start
	l.count++
	return nil
}

func edited(err error) error {
	return fmt.Errorf("%w; the file was edited or damaged: make a new plan", err)
}

// readError returns an error of lineReader with what to do.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTruncated
	}
	return fmt.Errorf("%w; make a new plan", err)
}

// readHeader checks kind and version first, because a later version may have fields that this one rejects.
func (p *Plan) readHeader(line []byte) error {
	var first struct {
		Kind    string `json:"kind"`
		Version int    `json:"version"`
	}
	if err := number.Unmarshal(line, &first); err != nil || first.Kind != kind {
		return fmt.Errorf("this is not a plan: the first line has no \"kind\":%q; give a file that this library wrote", kind)
	}
	if first.Version < 1 || first.Version > version {
		return fmt.Errorf("the plan has version %d, this library reads versions 1 to %d; make a new plan", first.Version,
			version)
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p.header); err != nil {
		return fmt.Errorf("header: %s; the file was edited or damaged: make a new plan",
			strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// readTrailer compares the last line with the one that the entries require.
func (p *Plan) readTrailer(line []byte) error {
	found, _, _ := bytes.Cut(line, []byte(digestStart))
	var t struct {
		Counts     ActionCounts `json:"counts"`
		Mismatched []string     `json:"mismatched"`
	}
	if err := json.Unmarshal(append(bytes.Clone(found), '}'), &t); err == nil { // otherwise the comparison fails
		p.counts.Mismatched, p.mismatched = t.Counts.Mismatched, t.Mismatched
	}
	want := appendTrailer(nil, p.counts, p.mismatched)
	if !bytes.HasPrefix(line, want) {
		return fmt.Errorf("the counts do not match: the last line has %s, the entries have %s; make a new plan",
			text.Short(string(found[len(trailerStart):])), want[len(trailerStart):len(want)-len(digestStart)])
	}
	digest, ok := strings.CutSuffix(string(line[len(want):]), `"}`)
	if !ok {
		return errEdited
	}
	p.digest = digest // verify compares it
	return nil
}
