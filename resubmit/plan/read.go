package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/maphash"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

const (
	maxLine   = 16 << 20  // bytes of one line, including its end
	blockSize = 256 << 10 // bytes read, written and hashed at once
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
	record bool
	text   string // read, but not yet returned
	buf    []byte
	blocks int   // read so far
	number int   // of the line returned last, from 1
	offset int64 // after that line
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
	if n, err := p.r.ReadAt(block, start); int64(n) < size {
		// %v, because the end of the file here is not the end of the plan.
		return fmt.Errorf("read byte %d of %d: %v", start+int64(n)+1, p.size, err) //nolint:errorlint // see above
	}
	sum := maphash.Bytes(p.sums.seed, block)
	if r.record {
		p.sums.blocks = append(p.sums.blocks, sum)
	} else if p.sums.blocks[r.blocks] != sum {
		return errChanged
	}
	r.blocks++
	r.text = string(r.buf[:len(r.text)+int(size)])
	return nil
}

// blockSums are the checksums of the blocks of a plan.
type blockSums struct {
	seed   maphash.Seed
	blocks []uint64
}

// verify reads the whole plan and checks its structure, order, counts and digest.
func (p *Plan) verify() error {
	r := &lineReader{plan: p, record: true}
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
	digest := sha256.New()
	buf := append([]byte(header), '\n')
	var dec decoder
	var e Entry
	var last time.Time // placed
	for {
		_, _ = digest.Write(buf) // never fails
		start := r.offset
		line, err := r.next()
		if err != nil {
			return fail(r.number+1, readError(err))
		}
		if strings.HasPrefix(line, trailerStart) {
			if err := p.readTrailer([]byte(line), digest); err != nil {
				return fail(r.number, err)
			}
			if p.trailer = start; r.offset != p.size {
				return fail(r.number+1, errTwoPlans)
			}
			return nil
		}
		if err = dec.decodeShared(line, &e); err == nil {
			err = checkEntry(&e, last)
		}
		if err != nil {
			return fail(r.number, fmt.Errorf("%w; the file was edited or damaged: make a new plan", err))
		}
		if !e.Before.PlacedAt.IsZero() {
			last = e.Before.PlacedAt
		}
		p.counts.add(e.Decision.Action)
		buf = append(append(buf[:0], line...), '\n')
	}
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
func (p *Plan) readTrailer(line []byte, digest hash.Hash) error {
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
	_, _ = digest.Write(want)
	p.digest = digestOf(digest)
	if string(line[len(want):]) != p.digest+`"}` {
		return errEdited
	}
	return nil
}
