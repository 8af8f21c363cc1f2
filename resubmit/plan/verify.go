package plan

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// A plan is verified on all cores: its blocks are cut into sections of whole lines,
// which several goroutines check, while the one that asked hashes the sections and
// puts what was found in them together, in the order of the file.

// checked is what was found in a section.
type checked struct {
	counts  ActionCounts // of the entries before trailer or problem
	first   *Entry       // that tells when it was placed, and its place among the entries
	at      int
	last    time.Time // of placing of the last one that tells it
	trailer int       // offset of the last line of the plan; -1
	problem error     // with the line behind the entries
}

// verify reads the plan once from start to end.
func (p *Plan) verify() error {
	sections := &sectionReader{r: &blockReader{plan: p, record: true}}
	head, err := sections.next(nil)
	if len(head) == 0 {
		if errors.Is(err, io.EOF) {
			return p.errorf(1, "the file is empty; make the plan anew")
		}
		return p.errorf(1, "%w", readError(err))
	}
	end := bytes.IndexByte(head, '\n') + 1
	if err := p.readHeader(head[:end-1]); err != nil {
		return p.errorf(1, "%w", err)
	}
	return p.verifyEntries(sections, head[:end], head[end:])
}

// verifyEntries checks all behind the header. rest is what was read of that.
func (p *Plan) verifyEntries(sections *sectionReader, header, rest []byte) error {
	next := func() ([]byte, error) {
		if raw := rest; raw != nil {
			rest = nil
			return raw, nil
		}
		return sections.next(nil)
	}
	v := &verifier{plan: p, line: 1, offset: int64(len(header)), digest: sha256.New()}
	_, _ = v.digest.Write(header) // a hash never fails
	for s := range inSections(next, func() func([]byte) *checked {
		var dec entryReader
		return func(raw []byte) *checked { return check(raw, &dec) }
	}) {
		if done, err := v.add(s); done || err != nil {
			return err
		}
		if s.err != nil {
			return p.errorf(v.line+1, "%w", readError(s.err))
		}
	}
	return p.errorf(v.line+1, "%w", errCutOff)
}

// check looks at the lines of a section up to the last line of the plan or to the
// first problem.
func check(raw []byte, dec *entryReader) *checked {
	s := &checked{trailer: -1}
	var e Entry
	for rest := string(raw); rest != ""; {
		line, after, _ := strings.Cut(rest, "\n")
		if strings.HasPrefix(line, trailerStart) {
			s.trailer = len(raw) - len(rest)
			return s
		}
		if s.problem = checkLine(line, dec, &e, s.last); s.problem != nil {
			return s
		}
		if !e.Before.PlacedAt.IsZero() {
			if s.first == nil {
				s.first, s.at = &Entry{OrderID: e.OrderID, Before: Snapshot{PlacedAt: e.Before.PlacedAt}}, s.counts.Total
			}
			s.last = e.Before.PlacedAt
		}
		s.counts.add(e.Decision.Action)
		rest = after
	}
	return s
}

func checkLine(line string, dec *entryReader, e *Entry, after time.Time) error {
	if len(line) >= maxLine {
		return fmt.Errorf("%w; make the plan anew", errLongLine)
	}
	err := dec.look(line, e)
	if err == nil {
		err = checkEntry(e, after)
	}
	if err != nil {
		return fmt.Errorf("%w; the file was edited or damaged: make the plan anew", err)
	}
	return nil
}

// verifier puts the sections of a plan together.
type verifier struct {
	plan   *Plan
	line   int   // the last that is known to be good
	offset int64 // behind it
	after  time.Time
	digest hashWriter
}

type hashWriter interface {
	io.Writer
	Sum(b []byte) []byte
}

// add adds a section, and reports whether the plan ends in it.
func (v *verifier) add(sec *section[*checked]) (done bool, err error) {
	p, s := v.plan, sec.found
	if s.first != nil {
		if err := s.first.CheckOldestFirst(v.after); err != nil {
			return false, p.errorf(v.line+s.at+1, "%w; the file was edited or damaged: make the plan anew", err)
		}
		v.after = s.last
	}
	v.line += s.counts.Total
	p.counts.sum(s.counts)
	switch {
	case s.problem != nil:
		return false, p.errorf(v.line+1, "%w", s.problem)
	case s.trailer < 0:
		_, _ = v.digest.Write(sec.raw)
		v.offset += int64(len(sec.raw))
		return false, nil
	}
	_, _ = v.digest.Write(sec.raw[:s.trailer])
	p.last = v.offset + int64(s.trailer)
	line, _, _ := bytes.Cut(sec.raw[s.trailer:], []byte{'\n'})
	if err := p.readTrailer(line, v.digest); err != nil {
		return false, p.errorf(v.line+1, "%w", err)
	}
	if p.last+int64(len(line))+1 != p.size {
		return false, p.errorf(v.line+
			2, "something follows the last line: it looks like two plans in one file; make the plan anew")
	}
	return true, nil
}

var errLongLine = fmt.Errorf("the line is longer than the %d bytes that a line may have", maxLine)

// readError is what to say of an error behind which nothing was read.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCutOff
	}
	return fmt.Errorf("%w; make the plan anew", err)
}
