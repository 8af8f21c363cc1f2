package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"hash/maphash"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// What the header of a plan file says.
const (
	kind    = "cloudblue-resubmit-plan"
	version = 2 // version 1 lacks Header.System, Entry.CustomerID and Counts.Mismatched, and is still read
)

const (
	// maxLine is the most bytes of one line of a plan, its end included.
	maxLine = 16 << 20
	// planBlock is how much of a plan is read, hashed and written at once.
	planBlock = 256 << 10

	trailerStart = `{"counts":`
	digestStart  = `,"digest":"`
)

// Writer writes a plan as JSON lines: the [Header], one line an [Entry],
// and a last line
//
//	{"counts":{…},"digest":"sha256:…"}
//
// with "mismatched":["…"] before the digest if rows did not match the query.
// The digest is the SHA-256, in 64 lower-case hexadecimal digits, over all bytes
// of the file up to and including the quote that opens the digest's value.
// Every line ends in a line feed, the last one too.
//
// A Writer is not safe for concurrent use.
type Writer struct {
	w      io.Writer
	hash   hashWriter
	buf    []byte
	counts ActionCounts
	named  []string  // some of the rows that did not match the query
	after  time.Time // of placing of the last entry that tells it
	digest string
	err    error
	closed bool
}

// NewWriter begins a plan. Kind and Version of the header are set here, and
// CreatedAt to now if it is zero.
// Nothing is a plan until Close has returned without an error: what was written
// before is refused by [Read].
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	h.Kind, h.Version = kind, version
	if h.CreatedAt.IsZero() {
		h.CreatedAt = time.Now()
	}
	h.CreatedAt = h.CreatedAt.Round(0).UTC()
	if h.Windows == nil {
		h.Windows = []maintenance.Window{}
	}
	var line bytes.Buffer
	if err := text.JSONEncoder(&line).Encode(h); err != nil {
		return nil, fmt.Errorf("resubmit: write plan: header: %w", err)
	}
	if line.Len() > maxLine {
		return nil,
			fmt.Errorf(
				"resubmit: write plan: the header has %d bytes, more than the %d that a line may have; give fewer windows or rules",
				line.Len(), maxLine)
	}
	return &Writer{w: w, hash: sha256.New(), buf: append(make([]byte, 0, planBlock+planBlock/4), line.Bytes()...)}, nil
}

// Write appends an entry. Entries come oldest first, to the second; one that does
// not tell when it was placed may come anywhere. After an error the plan is lost.
func (p *Writer) Write(e *Entry) error {
	if p.closed && p.err == nil {
		p.err = errors.New("resubmit: write plan: it is closed")
	}
	if p.err != nil {
		return p.err
	}
	if err := checkEntry(e, p.after); err != nil {
		return p.fail(err)
	}
	if err := checkWritable(e); err != nil {
		return p.fail(fmt.Errorf("order %s: %w", text.Short(e.OrderID), err))
	}
	start := len(p.buf)
	p.buf = append(e.AppendJSON(p.buf), '\n')
	if size := len(p.buf) - start; size > maxLine {
		return p.fail(fmt.Errorf("order %s: its line has %d bytes, more than the %d that a line may have",
			text.Short(e.OrderID),
			size, maxLine))
	}
	if !e.Before.PlacedAt.IsZero() {
		p.after = e.Before.PlacedAt
	}
	p.counts.add(e.Decision.Action)
	if len(p.buf) >= planBlock {
		return p.flush()
	}
	return nil
}

// Close writes the last line and returns the counts and the digest
// ("sha256:…"). It does not close the writer below. Closing twice returns the
// same again.
func (p *Writer) Close() (ActionCounts, string, error) {
	if p.err != nil || p.closed {
		return p.counts, p.digest, p.err
	}
	p.closed = true
	p.buf = appendTrailer(p.buf, p.counts, p.named)
	if err := p.flush(); err != nil {
		return p.counts, "", err
	}
	p.digest = digestOf(p.hash)
	if _, err := io.WriteString(p.w, p.digest+"\"}\n"); err != nil {
		p.digest = ""
		return p.counts, "", p.fail(err)
	}
	return p.counts, p.digest, nil
}

func (p *Writer) flush() error {
	_, _ = p.hash.Write(p.buf) // a hash never fails
	if _, err := p.w.Write(p.buf); err != nil {
		return p.fail(err)
	}
	p.buf = p.buf[:0]
	return nil
}

func (p *Writer) fail(err error) error {
	p.err = fmt.Errorf("resubmit: write plan: %w", err)
	return p.err
}

func digestOf(h hashWriter) string { return "sha256:" + hex.EncodeToString(h.Sum(nil)) }

// LeftOut records how many rows did not match the query, and names some of them.
func (p *Writer) SetMismatched(count int, named []string) {
	p.counts.Mismatched, p.named = count, named
}

// LastPlaced returns when the last entry that tells it was placed; zero if there is none.
func (p *Writer) LastPlaced() time.Time { return p.after }

// Counts returns how many orders were written so far, by action.
func (p *Writer) Counts() ActionCounts { return p.counts }

// appendTrailer appends the last line up to the digest.
func appendTrailer(b []byte, c ActionCounts, mismatched []string) []byte {
	b = fmt.Appendf(b, `%s{"total":%d,"resubmit":%d,"wait":%d,"hold":%d,"quarantine":%d,"complete":%d,"manual":%d`,
		trailerStart, c.Total, c.Resubmit, c.Wait, c.Hold, c.Quarantine, c.Complete, c.Manual)
	if c.Mismatched != 0 {
		b = fmt.Appendf(b, `,"mismatched":%d`, c.Mismatched)
	}
	b = append(b, '}')
	for i, name := range mismatched {
		if i == 0 {
			b = append(b, `,"mismatched":[`...)
		} else {
			b = append(b, ',')
		}
		b = text.AppendJSON(b, name)
	}
	if len(mismatched) > 0 {
		b = append(b, ']')
	}
	return append(b, digestStart...)
}

// trailer is what the last line of a plan says besides the digest.
type trailer struct {
	Counts     ActionCounts `json:"counts"`
	Mismatched []string     `json:"mismatched"`
}

// parseTrailer reads the last line up to the digest.
func parseTrailer(line []byte) (t trailer, err error) {
	err = json.Unmarshal(append(bytes.Clone(line), '}'), &t)
	return t, err
}

// Plan is a frozen plan whose structure, counts and digest were verified when it was
// opened. Its entries are read from the file each time they are ranged over, so its size
// does not matter. Immutable; safe for concurrent use until it is closed.
type Plan struct {
	r      io.ReaderAt
	size   int64
	name   string // of the file, for errors
	close  func() error
	header Header
	counts ActionCounts
	named  []string // some of the rows that did not match the query
	digest string
	last   int64 // offset of the last line
	// signature is what WithSignature gave.
	signature *Signature
	blocks    *blockSums
}

// blockSums remember each block of a plan by a hash, so that a file that is edited in
// place after it was opened is found out before an entry of that block is used.
type blockSums struct {
	seed maphash.Seed
	sums []uint64
}

// Open opens a plan file and verifies all of it in one pass. A file that was
// edited, cut off or joined with another, that is of another version or no plan
// at all is an error of one line with the path, the line, and what to do. Close
// the plan when done.
func Open(path string) (*Plan, error) {
	f, err := os.Open(path) //nolint:gosec // which file to open is the caller's choice
	if err != nil {
		return nil, fmt.Errorf("resubmit: open plan: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("resubmit: open plan: %w", err), f.Close())
	}
	p, err := read(f, info.Size(), path)
	if err != nil {
		_ = f.Close() // nothing was written, and err says more
		return nil, err
	}
	p.close = f.Close
	return p, nil
}

// Read is [Open] for a plan of size bytes that r reads. r must be safe for
// concurrent use if the plan is to be, and must not change.
func Read(r io.ReaderAt, size int64) (*Plan, error) { return read(r, size, "") }

func read(r io.ReaderAt, size int64, name string) (*Plan, error) {
	p := &Plan{r: r, size: size, name: name, blocks: &blockSums{seed: maphash.MakeSeed()}}
	if err := p.verify(); err != nil {
		return nil, err
	}
	return p, nil
}

// Header returns what the plan was made for.
func (p *Plan) Header() Header { return p.header }

// Counts returns how many orders the plan has, by action.
func (p *Plan) Counts() ActionCounts { return p.counts }

// Mismatched names the first few of the rows that Counts.Mismatched counts, with the
// reason: `SO000001 (status "CP")`.
func (p *Plan) Mismatched() []string { return slices.Clone(p.named) }

// Digest returns "sha256:" and 64 hexadecimal digits. It names the plan: two
// plans with the same digest are the same.
func (p *Plan) Digest() string { return p.digest }

// Entries yields the entries in the order of the plan, oldest order first. It can
// be ranged over any number of times, from the start each time. An error ends it,
// with a nil entry; it means that the file cannot be read, has changed since it was
// opened or is damaged. Each entry is fresh and the caller's.
func (p *Plan) Entries() iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		var dec entryReader
		for line, err := range p.lines() {
			e := new(Entry)
			if err == nil {
				err = dec.read(line.text, e)
			}
			if err != nil {
				yield(nil, p.errorf(line.number, "%w; make the plan anew", err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// planLine is the line of an entry.
type planLine struct {
	text   string
	number int // from 1, which is the header
}

// lines yields the lines of the entries. With an error it yields the number of the
// line that could not be read.
func (p *Plan) lines() iter.Seq2[planLine, error] {
	return func(yield func(planLine, error) bool) {
		sections := &sectionReader{r: &blockReader{plan: p}}
		line, offset := planLine{}, int64(0)
		var raw []byte
		for {
			var err error
			raw, err = sections.next(raw)
			if err != nil {
				yield(planLine{number: line.number + 1}, err)
				return
			}
			for rest := string(raw); rest != ""; {
				if offset == p.last {
					return
				}
				line.text, rest, _ = strings.Cut(rest, "\n")
				line.number++
				offset += int64(len(line.text)) + 1
				if line.number > 1 && !yield(line, nil) {
					return
				}
			}
		}
	}
}

// Close closes the file that [Open] opened. Entries fails afterwards.
func (p *Plan) Close() error {
	if p.close == nil {
		return nil
	}
	return p.close()
}

func (p *Plan) errorf(line int, format string, args ...any) error {
	name := ""
	if p.name != "" {
		name = " " + p.name
	}
	return fmt.Errorf("resubmit: plan%s: line %d: %w", name, line, fmt.Errorf(format, args...))
}

var (
	errCutOff = errors.New(
		"the last line, with counts and digest, is missing: the file was cut off or is still being written; make the plan " +
			"anew")
	errEdited = errors.New(
		"the digest does not fit what is before it: the file was edited or damaged after it was written; make the plan anew")
)

// readHeader looks at the kind and the version before it looks at anything else,
// because a later version may have fields that this one refuses.
func (p *Plan) readHeader(line []byte) error {
	var first struct {
		Kind    string `json:"kind"`
		Version int    `json:"version"`
	}
	if err := number.Unmarshal(line, &first); err != nil || first.Kind != kind {
		return fmt.Errorf("this is not a plan: the first line has no \"kind\":%q; give a file that this library wrote",
			kind)
	}
	if first.Version < 1 || first.Version > version {
		return fmt.Errorf("the plan has version %d, this library reads versions 1 to %d; make the plan anew", first.Version,
			version)
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p.header); err != nil {
		return fmt.Errorf("header: %s; the file was edited or damaged: make the plan anew",
			strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// readTrailer holds the last line against the one that belongs there.
func (p *Plan) readTrailer(line []byte, h hashWriter) error {
	said, _, _ := bytes.Cut(line, []byte(digestStart))
	if t, err := parseTrailer(said); err == nil { // otherwise the comparison fails
		p.counts.Mismatched, p.named = t.Counts.Mismatched, t.Mismatched
	}
	want := appendTrailer(nil, p.counts, p.named)
	if !bytes.HasPrefix(line, want) {
		return fmt.Errorf("the counts do not sum up: the last line says %s, the entries make %s; make the plan anew",
			text.Short(string(said[len(trailerStart):])), want[len(trailerStart):len(want)-len(digestStart)])
	}
	_, _ = h.Write(want)
	p.digest = digestOf(h)
	if string(line[len(want):]) != p.digest+`"}` {
		return errEdited
	}
	return nil
}

// blockReader reads a plan block by block. It either records what the blocks
// are, or holds them against what was recorded.
type blockReader struct {
	plan   *Plan
	record bool
	next   int    // block
	buf    []byte // one block
}

// size is how many bytes the next block has, 0 at the end.
func (b *blockReader) size() int {
	return int(max(0, min(planBlock, b.plan.size-int64(b.next)*planBlock)))
}

// block returns the next block, which is good until the next call.
func (b *blockReader) block() ([]byte, error) {
	start, size := int64(b.next)*planBlock, b.size()
	if size == 0 {
		return nil, io.EOF
	}
	if b.buf == nil {
		b.buf = make([]byte, size)
	}
	block := b.buf[:size]
	if n, err := b.plan.r.ReadAt(block, start); n < len(block) {
		// Not wrapped, because an end of the file here is not the end of the plan.
		return nil, fmt.Errorf("read byte %d of %d: %v", start+int64(n)+1, b.plan.size, err) //nolint:errorlint // see above
	}
	known := b.plan.blocks
	sum := maphash.Bytes(known.seed, block)
	if b.record {
		known.sums = append(known.sums[:b.next], sum)
	} else if known.sums[b.next] != sum {
		return nil, errors.New("the file was changed after it was opened")
	}
	b.next++
	return block, nil
}
