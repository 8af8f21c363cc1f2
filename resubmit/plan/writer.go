package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// The contents of a plan file.
const (
	kind = "cloudblue-resubmit-plan"
	// Versions 1 and 2 lack Header.Journal, Header.Policy, Entry.Version, Entry.Named and Entry.Due. Version 1 also lacks
	// Header.System, Entry.CustomerID and ActionCounts.Mismatched. Both can still be read, but not applied.
	version = 3

	trailerStart = `{"counts":`
	digestStart  = `,"digest":"`
)

// Writer writes a plan as JSON lines: the [Header], one line per [Entry], and a summary:
//
//	{"counts":{…},"digest":"sha256:…"}
//
// with "mismatched":["…"] before the digest if the list had rows that did not match the query. The digest is the
// SHA-256, in 64 lower-case hexadecimal digits, of all bytes of the file up to and including the quote that opens the
// digest's value. Every line ends in a line feed.
//
// A Writer is not safe for concurrent use.
type Writer struct {
	w          io.Writer
	hash       hash.Hash
	buf        []byte
	counts     ActionCounts
	mismatched []string
	lastPlaced time.Time
	digest     string
	err        error
	closed     bool
}

// NewWriter starts a plan. It sets Kind and Version of the header, and CreatedAt to the current time if it is zero.
// The output is not a valid plan until Close returns without an error.
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
		return nil, fmt.Errorf("plan: write: header: %w", err)
	}
	if line.Len() > maxLine {
		return nil, fmt.Errorf("plan: write: the header has %d bytes, more than the %d of a line; use fewer windows or rules",
			line.Len(), maxLine)
	}
	return &Writer{w: w, hash: sha256.New(), buf: append(make([]byte, 0, blockSize+blockSize/4), line.Bytes()...)}, nil
}

// Write appends an entry. Entries must be sorted by the time of placing, to the second; one without that time may be
// anywhere. It returns an error for an entry that [Read] would reject. After an error the plan cannot be completed.
func (w *Writer) Write(e *Entry) error {
	if w.closed && w.err == nil {
		w.err = errors.New("plan: write: the writer is closed")
	}
	if w.err != nil {
		return w.err
	}
	if err := checkEntry(e, w.lastPlaced); err != nil {
		return w.fail(err)
	}
	if err := checkWritable(e); err != nil {
		return w.fail(fmt.Errorf("order %s: %w", text.Short(e.OrderID), err))
	}
	start := len(w.buf)
	w.buf = append(e.AppendJSON(w.buf), '\n')
	if size := len(w.buf) - start; size > maxLine {
		return w.fail(fmt.Errorf("order %s: the entry has %d bytes, more than the %d of a line", text.Short(e.OrderID),
			size, maxLine))
	}
	if !e.Before.PlacedAt.IsZero() {
		w.lastPlaced = e.Before.PlacedAt
	}
	w.counts.add(e.Decision.Action)
	if len(w.buf) >= blockSize {
		return w.flush()
	}
	return nil
}

// Close writes the last line and returns the counts and the digest ("sha256:…"). It does not close the underlying
// writer. A second Close returns the same.
func (w *Writer) Close() (ActionCounts, string, error) {
	if w.err != nil || w.closed {
		return w.counts, w.digest, w.err
	}
	w.closed = true
	w.buf = appendTrailer(w.buf, w.counts, w.mismatched)
	if err := w.flush(); err != nil {
		return w.counts, "", err
	}
	w.digest = digestOf(w.hash)
	if _, err := io.WriteString(w.w, w.digest+"\"}\n"); err != nil {
		w.digest = ""
		return w.counts, "", w.fail(err)
	}
	return w.counts, w.digest, nil
}

func (w *Writer) flush() error {
	_, _ = w.hash.Write(w.buf) // never fails
	if _, err := w.w.Write(w.buf); err != nil {
		return w.fail(err)
	}
	w.buf = w.buf[:0]
	return nil
}

func (w *Writer) fail(err error) error {
	w.err = fmt.Errorf("plan: write: %w", err)
	return w.err
}

func digestOf(h hash.Hash) string { return "sha256:" + hex.EncodeToString(h.Sum(nil)) }

// SetMismatched records how many listed rows did not match the query, with descriptions of some of them.
func (w *Writer) SetMismatched(count int, examples []string) {
	w.counts.Mismatched, w.mismatched = count, examples
}

// LastPlaced returns the time of placing of the last entry that has one; zero if none has.
func (w *Writer) LastPlaced() time.Time { return w.lastPlaced }

// Counts returns the counts of the entries written so far.
func (w *Writer) Counts() ActionCounts { return w.counts }

// appendTrailer appends the last line up to the value of the digest.
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
